"""How much memory there is, by files as Linux has them, and what counts as a large memory map."""

import os

import joblib
import numpy as np
import pytest

from sklearn_mmoe._common import memory as _memory
from sklearn_mmoe._common.memory import ASSUMED_MEMORY, available_memory, is_large_map, is_memory_map

FREE = "MemTotal:       16000 kB\nMemFree:         1000 kB\nMemAvailable:    8000 kB\n"


def write(root, files):
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8000 * 1024),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 8000 * 1024),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4096\n"}, 4096),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "4096\n"}, 4096),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/memory.max": "2048\n",
                "sys/fs/cgroup/a/memory.max": "4096\n",
            },
            2048,
        ),
        ({"proc/self/cgroup": "0::/other\n", "sys/fs/cgroup/a/memory.max": "4096\n"}, 8000 * 1024),
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/12:34\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "4096\n",
                "sys/fs/cgroup/memory.max": "1\n",
            },
            4096,
        ),
    ],
)
def test_what_is_free_within_the_limits_of_the_container(files, expected, tmp_path):
    assert available_memory(write(tmp_path, {"proc/meminfo": FREE, **files})) == expected


def test_a_system_that_does_not_say_what_is_free(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sysconf_names", {"SC_PHYS_PAGES": 1})
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 10, "SC_PAGE_SIZE": 4096}.get)
    assert available_memory(tmp_path) == 40960
    monkeypatch.delattr(os, "sysconf")
    assert available_memory(tmp_path) == ASSUMED_MEMORY


@pytest.mark.parametrize("limited", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limits_of_the_process(limited, monkeypatch, tmp_path):
    resource = pytest.importorskip("resource")
    limits = {getattr(resource, limited): (4096, resource.RLIM_INFINITY)}
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits.get(which, unlimited))
    assert available_memory(write(tmp_path, {"proc/meminfo": FREE})) == 4096


def test_a_system_without_limits_of_processes(monkeypatch, tmp_path):
    monkeypatch.setattr(_memory, "resource", None)
    assert available_memory(write(tmp_path, {"proc/meminfo": FREE})) == 8000 * 1024


def test_here():
    assert 2**20 < available_memory() < 2**50


def test_what_is_a_memory_map(tmp_path):
    array = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "array.npy", array)
    joblib.dump(array, tmp_path / "array.joblib")
    mapped = np.load(tmp_path / "array.npy", mmap_mode="r")
    views = [mapped, np.asarray(mapped), mapped[1:, :2], np.load(tmp_path / "array.npy", mmap_mode="c").T]
    assert all(is_memory_map(view) for view in [*views, joblib.load(tmp_path / "array.joblib", mmap_mode="r")])
    in_memory = [array, array[1:], mapped[[0, 2]], mapped * 2, np.array(mapped), np.frombuffer(b"12345678"), [[1.0]]]
    assert not any(is_memory_map(other) for other in in_memory)


def test_a_map_is_large_from_a_quarter_of_the_memory_on(monkeypatch, tmp_path):
    np.save(tmp_path / "array.npy", np.zeros((10, 100)))
    mapped = np.load(tmp_path / "array.npy", mmap_mode="r")
    monkeypatch.setattr(_memory, "available_memory", lambda: 4 * 8000)
    assert not is_large_map(mapped)
    monkeypatch.setattr(_memory, "available_memory", lambda: 4 * 8000 - 4)
    assert is_large_map(mapped)
    assert not is_large_map(np.array(mapped))
