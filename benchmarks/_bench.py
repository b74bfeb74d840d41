"""What all benchmarks share: their command line, timing side by side, the arithmetic floor, tables, the machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"
VERSUS = ["figure", "this", "against", "ratio", "must be"]  # the header of rows that `versus` makes
UNITS = {"s": (1, ".3f"), "ms": (1e3, ".2f"), "us": (1e6, ",.0f")}
PACKAGES = ("sklearn_mmoe", "torch", "scikit-learn", "skorch", "numpy")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """The command line of a script, which says what the script's docstring says."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def machine(*packages: str) -> str:
    """One line: processor, cores, threads, versions, also those of these packages."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    versions = ", ".join(f"{name} {version(name)}" for name in (*PACKAGES, *packages))
    threads = f"{os.cpu_count()} cores, {torch.get_num_threads()} torch threads"
    return f"{model}, {threads}, Python {platform.python_version()}, {versions}"


def clocks() -> np.ndarray:
    """Seconds by the wall, and of CPU: those of all threads of this process, and of its child processes that ended."""
    of = os.times()
    return np.array([time.perf_counter(), time.process_time() + of.children_user + of.children_system])


def timed(function: Callable[[], object], calls: int) -> Callable[[], float]:
    """The median call of several."""

    def run() -> float:
        took = []
        for _ in range(calls):
            start = time.perf_counter()
            function()
            took.append(time.perf_counter() - start)
        return median(took)

    return run


def side_by_side(contenders: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Run every contender in turn, several rounds, after a round that does not count.

    A contender returns the seconds of what it measures, so that its preparation is not timed. In turn, because the
    speed of a shared machine drifts: only figures of the same round can be compared. Every round has an order of its
    own, because what ran before leaves its mark on caches and memory.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    orders = random.Random(0)
    for round_ in range(repeats + 1):
        for name in orders.sample(list(contenders), len(contenders)):
            took = contenders[name]()
            if round_ > 0:
                seconds[name].append(took)
    return seconds


def ratio(seconds: Mapping[str, list[float]], name: str, to: str) -> float:
    """Median over the rounds of the ratio within a round."""
    return median(a / b for a, b in zip(seconds[name], seconds[to], strict=True))


def versus(
    figure: str, seconds: Mapping[str, list[float]], name: str, to: str, limit: str = "", unit: str = "s"
) -> list[str]:
    """A row of a table: the median of one contender, that of another, and their ratio."""
    factor, form = UNITS[unit]
    cells = [f"{factor * median(seconds[one]):{form}} {unit}" for one in (name, to)]
    return [figure, *cells, f"{ratio(seconds, name, to):.2f}", limit]


def own_process(*arguments: str, **environment: str) -> Any:
    """What another Python, which finds the modules that stand here, prints in its last line, as JSON."""
    folders = os.pathsep.join(filter(None, [str(RESULTS.parent), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": folders, **environment}
    run = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=True, env=env)
    return json.loads(run.stdout.splitlines()[-1])


def matmul_rate(rows: int = 1024, units: int = 1024, repeats: int = 20) -> float:
    """Floating point operations per second of a large float32 matmul, here and now."""
    a, b = torch.randn(rows, units), torch.randn(units, units)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * rows * units * units / best


def training_flops(n_rows: int, n_features: int, n_experts: int, expert_sizes, tower_sizes, n_tasks: int) -> int:
    """Operations of one epoch's matmuls: two per weight and row forwards, four backwards (two in the first layer)."""
    experts, towers = [n_features, *expert_sizes], [expert_sizes[-1], *tower_sizes, 1]
    first = n_features * (n_experts * expert_sizes[0] + n_tasks * n_experts)
    deeper = n_experts * sum(a * b for a, b in pairwise(experts[1:]))
    mixture = n_tasks * n_experts * expert_sizes[-1]
    heads = n_tasks * sum(a * b for a, b in pairwise(towers))
    return n_rows * (4 * first + 6 * (deeper + mixture + heads))


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table whose columns also stand in line on screen."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(header, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


def report(name: str, title: str, header: list[str], rows: list[list[str]], notes: str = "") -> None:
    """Print a table and write it to `results/`."""
    text = "\n".join([f"## {title}", "", machine(), "", markdown(header, rows), *(["", notes] if notes else []), ""])
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text)
