"""Files are written as a whole or not at all."""

import os

import pytest

from sklearn_mmoe._files import write_whole


def test_a_file_is_what_its_parts_are_together(tmp_path):
    write_whole(str(tmp_path / "file"), [b"one ", b"", b"two"])
    assert (tmp_path / "file").read_bytes() == b"one two"
    write_whole(tmp_path / "file", [b"three"])
    assert (tmp_path / "file").read_bytes() == b"three"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


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


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_whole(tmp_path / "nowhere" / "file", [b"new"])
