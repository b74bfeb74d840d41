"""Sparse X against embeddings of the same categories, its memory, and what a wide table of categories costs."""

from __future__ import annotations

from statistics import median

from _bench import VERSUS, own_process, parser, report, versus

COLUMNS, CATEGORIES, WIDE = 30, 667, 1_000_000  # 30 x 667 = 20,010 one-hot columns

# Seconds of an epoch, and the peak of the memory of the process in MiB
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
print([model.history_[0]["dur"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024])
"""


def measure(
    form: str, n_rows: int, n_experts: int, columns: int = COLUMNS, categories: int = CATEGORIES
) -> tuple[float, float]:
    return own_process("-c", FIT, form, *map(str, (n_rows, n_experts, columns, categories)))


def against_embeddings(n_rows: int, n_experts: int, repeats: int) -> tuple[list[str], float]:
    """A row of the table, and the peak of the sparse fit."""
    rounds = [{form: measure(form, n_rows, n_experts) for form in ("sparse", "codes")} for _ in range(repeats)]
    seconds = {form: [found[form][0] for found in rounds] for form in ("sparse", "codes")}
    figure = f"epoch of {n_rows:,} x {COLUMNS * CATEGORIES:,}, {n_experts} experts, sparse against embeddings"
    return versus(figure, seconds, "sparse", "codes", "at most 2"), median(found["sparse"][1] for found in rounds)


def wide_table(n_rows: int, repeats: int) -> list[str]:
    """One column of a million categories, or of as many as there are rows, against one of a thousand."""
    n_categories = min(WIDE, n_rows)
    sizes = {"wide": n_categories, "small": 1000}
    steps: dict[str, list[float]] = {name: [] for name in sizes}
    for _ in range(repeats):
        for name, size in sizes.items():
            steps[name].append(measure("codes", n_rows, 4, 1, size)[0] / (n_rows / 256))
    return versus(f"step with {n_categories:,} categories against 1,000", steps, "wide", "small", unit="ms")


def main() -> None:
    command = parser(__doc__)
    command.add_argument("--rows", type=int, default=1_000_000, help="of the large fits; the small ones have a 20th")
    n_rows = command.parse_args().rows
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
        VERSUS,
        [main_row, default_row, memory, wide_table(n_rows, repeats=2)],
        "Each fit is a process of its own and times its one epoch. Sparse rows have 30 non-zeros: one-hot columns "
        "of what the embeddings read.",
    )


if __name__ == "__main__":
    main()
