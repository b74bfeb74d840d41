"""Sparse X against embeddings of the same categories, its memory, and what a wide table of categories costs."""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import median

from _bench import report

COLUMNS, CATEGORIES, WIDE = 30, 667, 1_000_000  # 30 x 667 = 20,010 one-hot columns

# Prints the seconds of an epoch and the peak of the memory of the process, in MiB
FIT = """
import resource, sys, numpy as np
from scipy import sparse
from sklearn_mmoe import MMoERegressor
form, n_rows, n_experts, columns, categories = sys.argv[1], *map(int, sys.argv[2:])
rng = np.random.default_rng(0)
codes = np.empty((n_rows, columns), dtype=np.int32)
for column in codes.T:  # every category occurs
    column[:] = rng.permutation(n_rows) % categories
y = rng.random((n_rows, 3), dtype=np.float32)
if form == "sparse":  # as OneHotEncoder would give it
    codes += np.arange(columns, dtype=np.int32) * categories
    indptr = np.arange(0, codes.size + 1, columns, dtype=np.int32)
    X = sparse.csr_array((np.ones(codes.size, np.float32), codes.ravel(), indptr), (n_rows, columns * categories))
    parameters = {}
else:
    X, parameters = codes, {"categorical_features": list(range(columns))}
parameters |= {"n_members": 1, "n_experts": n_experts}
model = MMoERegressor(max_epochs=1, early_stopping=False, random_state=0, **parameters)
model.fit(X, y)
print(model.history_[0]["dur"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def measure(
    form: str, n_rows: int, n_experts: int, columns: int = COLUMNS, categories: int = CATEGORIES
) -> list[float]:
    numbers = [str(number) for number in (n_rows, n_experts, columns, categories)]
    run = subprocess.run([sys.executable, "-c", FIT, form, *numbers], capture_output=True, text=True, check=True)
    return [float(number) for number in run.stdout.split()]


def against_embeddings(n_rows: int, n_experts: int, repeats: int) -> tuple[list[str], float]:
    """A row of the table, and the peak of the sparse fit."""
    rounds = [[measure(form, n_rows, n_experts) for form in ("sparse", "codes")] for _ in range(repeats)]
    (ours, peak), (codes, _) = (
        [median(values) for values in zip(*runs, strict=True)] for runs in zip(*rounds, strict=True)
    )
    ratio = median(one[0] / other[0] for one, other in rounds)
    row = [
        f"epoch of {n_rows:,} x {COLUMNS * CATEGORIES:,}, {n_experts} experts, sparse against embeddings",
        f"{ours:.1f} s",
        f"{codes:.1f} s",
        f"{ratio:.2f}",
        "at most 2",
    ]
    return row, peak


def wide_table(n_rows: int, repeats: int) -> list[str]:
    """One column of a million categories, or of as many as there are rows, against one of a thousand."""
    n_categories = min(WIDE, n_rows)
    rounds = [[measure("codes", n_rows, 4, 1, n)[0] for n in (n_categories, 1000)] for _ in range(repeats)]
    wide, small = (1e3 * median(runs) / (n_rows / 256) for runs in zip(*rounds, strict=True))
    ratio = median(one / other for one, other in rounds)
    return [
        f"step with {n_categories:,} categories against 1,000",
        f"{wide:.2f} ms",
        f"{small:.2f} ms",
        f"{ratio:.2f}",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    n_rows = parser.parse_args().rows
    main_row, peak = against_embeddings(n_rows, 4, repeats=1)
    default_row, _ = against_embeddings(n_rows // 20, 8, repeats=3)
    memory = [
        f"peak of the process that fits {n_rows:,} sparse rows",
        f"{peak / 1024:.2f} GiB",
        "",
        "",
        "at most 3 GiB",
    ]
    report(
        "sparse_features",
        "Sparse X and embeddings: 3 regressions, experts (64, 64), towers (32,), batch 256",
        ["figure", "this", "against", "ratio", "must be"],
        [main_row, default_row, memory, wide_table(n_rows, repeats=2)],
        "Each fit is a process of its own and times its one epoch. Sparse rows have 30 non-zeros: one-hot columns "
        "of what the embeddings read.",
    )


if __name__ == "__main__":
    main()
