"""Data larger than memory: Parquet files through `partial_fit`, and a memory map through `fit`, each in little memory.

    python benchmarks/streaming.py FOLDER [--gigabytes 5] [--memory 1.5]

The data are made in FOLDER if they are not there. Each way runs in a process of its own, to which the system gives no
more than `--memory` GiB (RLIMIT_DATA: all but code and what is mapped of files).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _bench import own_process, parser, report

from sklearn_mmoe import MMoERegressor

N_FEATURES, TASKS = 100, ["level", "price", "change"]
FEATURES = [f"x{i}" for i in range(N_FEATURES)]
ROWS_OF_A_FILE, ROWS_OF_A_GROUP, ROWS_OF_A_CHUNK = 262_144, 32_768, 16_384
TEST_ROWS = 20_000
BYTES_OF_A_ROW = 4 * (N_FEATURES + len(TASKS))
SIZES = {"n_members": 1, "n_experts": 4, "batch_size": 256, "random_state": 0}


def make_rows(seed: int, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Features, and three targets that share some of them, on scales of their own."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    shared = X[:, 0] * X[:, 1] + np.sin(2 * X[:, 2])
    y = np.column_stack([shared + X[:, 3], 1000 + 200 * (shared - X[:, 4]), 0.01 * (shared + np.abs(X[:, 5]))])
    return X, y.astype(np.float32)


def make_files(folder: Path, n_rows: int) -> None:
    """The same rows as Parquet files, and as two arrays of NumPy."""
    if (folder / "y.npy").exists() and len(np.load(folder / "y.npy", mmap_mode="r")) == n_rows:
        return
    folder.mkdir(parents=True, exist_ok=True)
    X_file = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (n_rows, N_FEATURES))
    targets = []
    for i, start in enumerate(range(0, n_rows, ROWS_OF_A_FILE)):
        X, y = make_rows(i, min(ROWS_OF_A_FILE, n_rows - start))
        table = pa.table([*X.T, *y.T], names=[*FEATURES, *TASKS])
        pq.write_table(table, folder / f"part{i:03}.parquet", row_group_size=ROWS_OF_A_GROUP, use_dictionary=False)
        X_file[start : start + len(X)] = X
        targets.append(y)
    np.save(folder / "y.npy", np.concatenate(targets))  # the last, so that it is there only if all are


def columns(batch: pa.RecordBatch, names: list[str]) -> np.ndarray:
    return np.column_stack([batch[name].to_numpy() for name in names])


def chunks(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(ROWS_OF_A_CHUNK):
                yield columns(batch, FEATURES), columns(batch, TASKS)


def read_parquet(folder: Path) -> None:
    for _ in chunks(folder):
        pass


def through_parquet(folder: Path) -> MMoERegressor:
    model = MMoERegressor(**SIZES)
    for X, y in chunks(folder):
        model.partial_fit(X, y)
    return model


def through_map(folder: Path) -> MMoERegressor:
    X = np.load(folder / "X.npy", mmap_mode="r")
    return MMoERegressor(**SIZES, max_epochs=1, early_stopping=False).fit(X, np.load(folder / "y.npy"))


def in_little_memory(way: str, folder: Path, memory: float) -> None:
    """What the process of one way does."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory * 2**30), resource.RLIM_INFINITY))
    peak = OwnMemory()
    peak.start()
    start = time.perf_counter()
    model = {"map": through_map, "parquet": through_parquet, "read": read_parquet}[way](folder)
    seconds = time.perf_counter() - start
    found = {"seconds": seconds, "own": peak.mebibytes, "all": mebibytes("VmHWM")}
    print(json.dumps({**found, "score": None if model is None else model.score(*make_rows(10**6, TEST_ROWS))}))


def mebibytes(name: str) -> float:
    """What Linux says of this process; getrusage's peak would begin with that of the process which started it."""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[name].split()[0]) / 2**10


class OwnMemory(Thread):
    """Looks every 20 ms how much memory is taken that is no file's."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mebibytes = 0.0

    def run(self) -> None:
        while True:
            self.mebibytes = max(self.mebibytes, mebibytes("RssAnon"))
            time.sleep(0.02)


def measure(way: str, folder: Path, memory: float) -> dict[str, float]:
    arguments = [__file__, str(folder), "--way", way, "--memory", str(memory)]
    return own_process(*arguments, ARROW_DEFAULT_MEMORY_POOL="system")  # Arrow's own allocator takes a GiB at once


def main() -> None:
    command = parser(__doc__)
    command.add_argument("folder", type=Path)
    command.add_argument("--gigabytes", type=float, default=5.0, help="of each of the two copies of the data")
    command.add_argument("--memory", type=float, default=1.5, help="GiB that a process may take")
    command.add_argument("--way", choices=["parquet", "read", "map"], help=argparse.SUPPRESS)  # in a process of its own
    options = command.parse_args()
    if options.way:
        in_little_memory(options.way, options.folder, options.memory)
        return
    n_rows = int(options.gigabytes * 1e9 / BYTES_OF_A_ROW)
    make_files(options.folder, n_rows)
    names = {
        "parquet": f"`partial_fit`, Parquet in chunks of {ROWS_OF_A_CHUNK:,} rows",
        "read": "the same without `partial_fit`",
        "map": "`fit`, memory map, one epoch",
    }
    rows = []
    for way, name in names.items():
        found = measure(way, options.folder, options.memory)
        seconds, score = found["seconds"], found["score"]
        rows.append(
            [
                name,
                f"{seconds:.1f} s",
                f"{n_rows / seconds:,.0f}",
                f"{found['own']:.0f} MiB",
                f"{found['all']:.0f} MiB",
                "" if score is None else f"{score:.3f}",
            ]
        )
    report(
        "streaming",
        f"{n_rows:,} rows of {BYTES_OF_A_ROW} bytes, {options.gigabytes:g} GB, in {options.memory:g} GiB of memory",
        ["once through the data", "took", "rows per second", "own memory", "with code and files", "R2 on other rows"],
        rows,
        "Peaks. Of the memory map, the last one counts pages of the file, which the system may drop at any time.",
    )


if __name__ == "__main__":
    main()
