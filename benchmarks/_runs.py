"""Files of runs, a line or more for each: what stands there need not be run again, however a benchmark ended."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd


def done(path: Path, keys: Sequence[str]) -> set[tuple[Any, ...]]:
    """What tells the runs of a file apart."""
    return set(pd.read_csv(path)[list(keys)].itertuples(index=False, name=None)) if path.exists() else set()


def add(path: Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Write the lines of a run at the end of the file, which begins with a header."""
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(header)
        writer.writerows(lines)
