"""Files are written as a whole or not at all, where links lead, with the permissions that were there."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sklearn_mmoe._files import whole as _files
from sklearn_mmoe._files.whole import write_whole

posix = pytest.mark.skipif(os.name != "posix", reason="links, permissions and locks as of POSIX")
# Without the package, whose imports take seconds
ALONE = f"""
import importlib.util, os, signal, sys
spec = importlib.util.spec_from_file_location("files", {_files.__file__!r})
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
"""
KILLED = f"""{ALONE}
def parts():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)
files.write_whole(sys.argv[1], parts())
"""
MANY_TIMES = f"""{ALONE}
for _ in range(100):
    files.write_whole(sys.argv[1], [sys.argv[2].encode()] * 1000)
"""


def names_in(folder):
    return sorted(file.name for file in folder.iterdir())


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_what_its_parts_are_together(tmp_path):
    write_whole(str(tmp_path / "file"), [b"one ", b"", b"two"])
    assert (tmp_path / "file").read_bytes() == b"one two"
    write_whole(tmp_path / "file", [b"three"])
    assert (tmp_path / "file").read_bytes() == b"three"
    assert names_in(tmp_path) == ["file"]


@pytest.mark.parametrize("before", [None, b"old"])
def test_what_was_there_stays_until_all_is_written(tmp_path, monkeypatch, before):
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)

    def full(*paths):
        raise OSError("no space left on device")

    def parts():
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, parts())
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="no space"):
            write_whole(path, [b"new"])
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if before is None else [before])


@pytest.mark.parametrize("letter", ["n", "ü", "模"])
def test_a_name_may_be_as_long_as_the_system_lets_it_be(tmp_path, letter):
    path = tmp_path / (letter * (250 // len(letter.encode())))
    write_whole(path, [b"old"])
    write_whole(path, [b"new"])
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == [path.name]


def test_the_folder_is_made_lasting_after_the_file(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(stat.S_ISDIR(os.fstat(file).st_mode)))
    write_whole(tmp_path / "file", [b"new"])
    assert synced == [False, True]


# --------------------------------------------------------------------------------------------------------------------
# Links and permissions


@posix
@pytest.mark.parametrize("before", [None, b"old"], ids=["dangling", "whole"])
@pytest.mark.parametrize("target", ["models/v1", "{}/models/v1", "link to link", "folder/v1"])
def test_a_link_stays_and_its_target_is_written(tmp_path, before, target):
    (tmp_path / "models").mkdir()
    if before is not None:
        (tmp_path / "models" / "v1").write_bytes(before)
    (tmp_path / "link to link").symlink_to("models/v1")
    (tmp_path / "folder").symlink_to("models")
    (tmp_path / "link").symlink_to(target.format(tmp_path))
    write_whole(tmp_path / "link", [b"new"])
    assert os.readlink(tmp_path / "link") == target.format(tmp_path)
    assert (tmp_path / "models" / "v1").read_bytes() == b"new"
    assert not (tmp_path / "models" / "v1").is_symlink()
    assert names_in(tmp_path / "models") == ["v1"]


@posix
def test_a_name_within_the_working_folder_leads_there(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("file")
    monkeypatch.chdir(tmp_path)
    write_whole("link", [b"new"])
    assert (tmp_path / "file").read_bytes() == b"new"


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755, 0o444])
def test_a_file_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    if not os.access(path, os.W_OK):
        pytest.skip("only root may write to it")
    write_whole(path, [b"new"])
    assert mode_of(path) == mode


@posix
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files to others")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 1234, 5678)
    path.chmod(0o640)
    write_whole(path, [b"new"])
    assert (path.stat().st_uid, path.stat().st_gid, mode_of(path)) == (1234, 5678, 0o640)


@posix
def test_a_file_keeps_its_permissions_though_its_owner_cannot_be_kept(tmp_path, monkeypatch):
    def refused(*_):
        raise PermissionError

    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o660)
    monkeypatch.setattr(os, "chown", refused)
    write_whole(path, [b"new"])
    assert mode_of(path) == 0o660


@posix
def test_a_secret_is_never_readable_for_others_not_even_while_it_is_written(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o600)

    def parts():
        yield b"new"
        assert {mode_of(file) for file in tmp_path.iterdir()} == {0o600}

    write_whole(tmp_path / "file", parts())


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "file", [b"new"])
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "file") == 0o666 & ~mask


@posix
def test_another_name_of_a_file_keeps_what_it_was(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    os.link(tmp_path / "file", tmp_path / "other")
    write_whole(tmp_path / "file", [b"new"])
    assert (tmp_path / "other").read_bytes() == b"old"


# --------------------------------------------------------------------------------------------------------------------
# What is no place for a file


def never():
    yield pytest.fail("something was written")


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(path))


@posix
@pytest.mark.parametrize("make", [make_fifo, make_socket])
@pytest.mark.parametrize("through_a_link", [False, True])
def test_what_is_no_file_is_refused_and_stays(make, through_a_link, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    make("pipe")
    Path("link").symlink_to("pipe")
    before = os.lstat("pipe")
    with pytest.raises(ValueError, match=r"a device, a pipe or the like, .*: give the name of a file"):
        write_whole("link" if through_a_link else "pipe", never())
    assert os.lstat("pipe").st_mode == before.st_mode
    assert names_in(tmp_path) == ["link", "pipe"]


@posix
@pytest.mark.parametrize("name", ["/dev/null", "/dev/zero", "/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/a-model"])
def test_devices_and_open_files_are_refused(name):
    with pytest.raises(ValueError, match=f"path leads to a device, .*'{name}'"):
        write_whole(name, never())


@posix
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_file_that_only_an_open_file_leads_to_is_refused(tmp_path, through_a_link):
    """As /dev/stdout does where output goes to a file."""
    with open(tmp_path / "log", "w") as log:
        path = f"/proc/self/fd/{log.fileno()}"
        if through_a_link:
            (tmp_path / "link").symlink_to(path)
            path = tmp_path / "link"
        with pytest.raises(ValueError, match="path leads to a device"):
            write_whole(path, never())
    assert (tmp_path / "log").read_bytes() == b""


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nowhere/file", FileNotFoundError),
        ("", FileNotFoundError),
        ("nowhere/", FileNotFoundError),
        ("folder", IsADirectoryError),
        ("folder/", IsADirectoryError),
        (".", IsADirectoryError),
        ("file/below", NotADirectoryError),
        ("n" * 300, OSError),
        pytest.param("loop", OSError, marks=posix),
        pytest.param("link to folder", IsADirectoryError, marks=posix),
        pytest.param("link to nowhere", FileNotFoundError, marks=posix),
    ],
)
def test_a_path_that_cannot_be_written_is_the_usual_error(tmp_path, monkeypatch, name, error):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_bytes(b"old")
    for link, target in {"loop": "loop", "link to folder": "folder", "link to nowhere": "nowhere/file"}.items():
        Path(link).symlink_to(target)
    before = names_in(tmp_path)
    with pytest.raises(error) as caught:
        write_whole(name, never())
    assert caught.value.filename == name, "the error is of the path as it was given"
    assert names_in(tmp_path) == before
    assert Path("file").read_bytes() == b"old"


@pytest.mark.parametrize("path", [None, 3, b"file", ["file"]], ids=repr)
def test_what_is_no_path_is_an_error_in_words(path):
    with pytest.raises(TypeError, match="str"):
        write_whole(path, never())


def test_a_name_that_no_file_can_have_is_an_error_in_words():
    with pytest.raises(ValueError, match=r"path is no name that a file can have, 'a\\x00b'"):
        write_whole("a\0b", never())


def test_a_file_that_may_not_be_written_to_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(PermissionError, match="file"):
        write_whole(tmp_path / "file", never())


def test_a_folder_that_may_not_be_written_to_is_an_error_of_the_path_that_was_given(tmp_path, monkeypatch):
    def refused(name, *_):
        raise PermissionError(13, "Permission denied", name)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refused)
        with pytest.raises(PermissionError) as caught:
            write_whole(tmp_path / "file", never())
    assert caught.value.filename == str(tmp_path / "file")


# --------------------------------------------------------------------------------------------------------------------
# Writers that are killed, and several at once


def alone(code, *arguments):
    return subprocess.Popen([sys.executable, "-I", "-c", code, *map(str, arguments)])


@posix
def test_what_a_killed_writer_leaves_has_a_name_of_ours_and_is_removed_by_the_next(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    assert alone(KILLED, tmp_path / "file").wait() == -signal.SIGKILL
    left, kept = names_in(tmp_path)
    assert left.startswith(".sklearn_mmoe-")
    assert left.endswith(".unfinished")
    assert kept == "file"
    assert (tmp_path / "file").read_bytes() == b"old"
    write_whole(tmp_path / "another", [b"new"])
    assert names_in(tmp_path) == ["another", "file"]


@posix
def test_what_others_have_left_stays(tmp_path):
    others = [".sklearn_mmoe-notes", ".file.0123456789abcdef0123456789abcdef", "x.unfinished"]
    for name in others:
        (tmp_path / name).write_bytes(b"")
    write_whole(tmp_path / "file", [b"new"])
    assert names_in(tmp_path) == sorted([*others, "file"])


def test_a_writer_leaves_another_that_is_at_work_alone(tmp_path):
    def parts():
        yield b"one "
        write_whole(tmp_path / "file", [b"meanwhile"])
        write_whole(tmp_path / "other", [b"other"])
        yield b"two"

    write_whole(tmp_path / "file", parts())
    assert (tmp_path / "file").read_bytes() == b"one two"
    assert names_in(tmp_path) == ["file", "other"]


@posix
@pytest.mark.parametrize("moment", ["before the lock", "just before the lock"])
def test_a_writer_whose_file_was_taken_for_abandoned_begins_another(tmp_path, monkeypatch, moment):
    """Another writer sees it between its creation and its lock."""
    taken, flock = [], _files.fcntl.flock

    def late(file, operation):
        if not taken:
            (path,) = tmp_path.iterdir()
            taken.append(path)
            if moment == "before the lock":
                path.unlink()
            else:
                raise BlockingIOError
        flock(file, operation)

    monkeypatch.setattr(_files.fcntl, "flock", late)
    write_whole(tmp_path / "file", [b"new"])
    assert (tmp_path / "file").read_bytes() == b"new"
    assert names_in(tmp_path) == ["file"]


@posix
def test_where_there_are_no_locks_nothing_is_removed(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError("no locks available")

    left = tmp_path / f".sklearn_mmoe-{'0' * 32}.unfinished"
    left.write_bytes(b"half")
    with monkeypatch.context() as patch:
        patch.setattr(_files.fcntl, "flock", unsupported)
        write_whole(tmp_path / "file", [b"new"])
    assert names_in(tmp_path) == [left.name, "file"]
    with monkeypatch.context() as patch:
        patch.setattr(_files, "fcntl", None)
        write_whole(tmp_path / "file", [b"newer"])
    assert names_in(tmp_path) == [left.name, "file"]
    assert (tmp_path / "file").read_bytes() == b"newer"


@posix
def test_several_processes_write_to_one_path_at_once(tmp_path):
    """A reader sees the file of one of them, whole; in the end there is nothing else."""
    path = tmp_path / "file"
    path.write_bytes(b"0" * 1000)
    writers = [alone(MANY_TIMES, path, digit) for digit in "12"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen.add(path.read_bytes())
    assert [writer.returncode for writer in writers] == [0, 0]
    assert seen <= {digit * 1000 for digit in (b"0", b"1", b"2")}
    assert names_in(tmp_path) == ["file"]
