"""How sure a score of the accuracy benchmark is: it is computed again without each of some blocks of the test rows.

This is the jackknife with groups. All contenders are measured without the same blocks, so that the error of a
difference between two of them is that of the differences, which is much smaller than that of each.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

N_BLOCKS = 20


def blocks(rows: np.ndarray, groups: np.ndarray | None = None, n_blocks: int = N_BLOCKS) -> np.ndarray:
    """The number of the block of each of these rows: by chance, but rows of a group are in one."""
    units = np.unique(rows if groups is None else groups[rows], return_inverse=True)[1]
    n_units = units.max() + 1
    return (np.random.default_rng(0).permutation(n_units) % n_blocks)[units]


def left_out(
    score: Callable[[np.ndarray, np.ndarray], float],
    y: np.ndarray,
    answer: np.ndarray,
    of_rows: np.ndarray,
    n_blocks: int = N_BLOCKS,
) -> list[float]:
    """The scores without each block."""
    return [score(y[of_rows != block], answer[of_rows != block]) for block in range(n_blocks)]


def standard_error(values: pd.Series) -> float:
    """Of the mean; of a single value, which has none, 0."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard error of scores: of all runs that are alike but for their number.

    Columns are the score and those without each block of test rows, which are NaN in the folds of a set: these have
    other rows each. The errors are those of the runs, which differ by what they learned, and those of the test rows,
    if all runs had the same.
    """
    keys = [name for name in scores.index.names if name != "run"]
    runs = scores.groupby(keys, sort=False)
    mean = runs.mean()
    without = mean.drop(columns="score")
    spread = without.sub(without.mean(axis=1), axis=0).pow(2).sum(axis=1, skipna=False)
    n_blocks = without.notna().sum(axis=1)
    of_rows = (spread * (n_blocks - 1) / n_blocks).where(n_blocks > 0, 0.0)
    of_runs = runs["score"].agg(standard_error)
    return pd.DataFrame({"mean": mean["score"], "standard_error": np.sqrt(of_rows + of_runs**2)})
