"""From the lines of single runs to the tables of the accuracy benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = ["set", "contender", "run", "task", "metric", "score", "fit_seconds", "predict_seconds"]
ERRORS = {"RRMSE"}  # metrics of which less is better


@dataclass
class Paired:
    """One contender against another, task by task: what differs by a standard error at most is a tie."""

    wins: int
    ties: int
    losses: int

    def __str__(self) -> str:
        total = self.wins + self.ties + self.losses
        share = f" ({(self.wins + self.ties) / total:.0%})" if total else ""
        return f"{self.wins} + {self.ties} of {total}{share}"


def standard_error(values: Any) -> float:
    """Of the mean; of a single value, which has none, 0."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0


def goodness(lines: pd.DataFrame) -> pd.Series:
    """The score, turned so that more is better."""
    return lines["score"].where(~lines["metric"].isin(ERRORS), -lines["score"])


def means(lines: pd.DataFrame) -> pd.DataFrame:
    """Mean over tasks of each run, and of these the mean and its standard error: a line per set and contender."""
    runs = lines.groupby(["set", "contender", "run"], sort=False)["score"].mean()
    return runs.groupby(["set", "contender"], sort=False).agg(["mean", standard_error])


def ranks(lines: pd.DataFrame) -> pd.DataFrame:
    """Rank of each contender in each set: sets by contenders, equal ones share the mean rank.

    A contender that has not done all sets is left out.
    """
    runs = lines.assign(score=goodness(lines)).groupby(["set", "contender", "run"], sort=False)["score"].mean()
    table = runs.groupby(["set", "contender"], sort=False).mean().unstack("contender").dropna(axis=1)
    return table.rank(axis=1, ascending=False)


def paired(lines: pd.DataFrame, contender: str, against: str) -> Paired:
    """Differences run by run (the same seed or fold), of each task of each set that both have done."""
    scores = lines.assign(score=goodness(lines)).set_index(["set", "task", "run", "contender"])["score"]
    both = scores.unstack("contender").reindex(columns=[contender, against]).dropna()
    differences = (both[contender] - both[against]).groupby(["set", "task"]).agg(["mean", standard_error])
    won = int((differences["mean"] > differences["standard_error"]).sum())
    lost = int((differences["mean"] < -differences["standard_error"]).sum())
    return Paired(won, len(differences) - won - lost, lost)


def seconds(lines: pd.DataFrame, folded: Sequence[str]) -> pd.DataFrame:
    """Seconds to fit each set: of one run, or of all folds; sets by contenders."""
    runs = lines.drop_duplicates(["set", "contender", "run"]).groupby(["set", "contender"], sort=False)["fit_seconds"]
    spent = runs.mean().unstack("contender")
    of_folds = spent.index.isin(folded)
    spent[of_folds] = runs.sum().unstack("contender")[of_folds]
    return spent


def scores_table(lines: pd.DataFrame, trees: str, folded: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """A line per set, a column per contender, and below them what holds over all sets."""
    contenders = list(lines["contender"].unique())
    summary, ranked = means(lines), ranks(lines)
    rows = []
    for name, of_set in lines.groupby("set", sort=False):
        cells = [_shown(summary, (name, contender)) for contender in contenders]
        rows.append([name, _metrics(of_set), *cells])
    n = len(ranked)
    rows.append(["mean rank", f"{n} sets", *(f"{ranked[c].mean():.2f}" if c in ranked else "-" for c in contenders)])
    best = ranked.eq(ranked.min(axis=1), axis=0).sum()
    rows.append(["wins", f"{n} sets", *(str(best[c]) if c in ranked else "-" for c in contenders)])
    against = [str(paired(lines, c, trees)) if c != trees and trees in contenders else "-" for c in contenders]
    rows.append([f"wins + ties against {trees}", "tasks", *against])
    spent = seconds(lines, folded).dropna(axis=1)  # of contenders that have done all sets, as for the ranks
    rows.append(["fit", f"s, {len(spent)} sets", *(f"{spent[c].sum():.1f}" if c in spent else "-" for c in contenders)])
    return ["set", "metric", *contenders], rows


def tasks_table(lines: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """The same for single tasks."""
    contenders = list(lines["contender"].unique())
    by_task = lines.groupby(["set", "task", "contender"], sort=False)["score"].agg(["mean", standard_error])
    rows = []
    for (name, task), of_task in lines.groupby(["set", "task"], sort=False):
        cells = [_shown(by_task, (name, task, contender)) for contender in contenders]
        rows.append([name, task, of_task["metric"].iloc[0], *cells])
    return ["set", "task", "metric", *contenders], rows


def _metrics(lines: pd.DataFrame) -> str:
    names = lines["metric"].unique()
    return "aRRMSE" if list(names) == ["RRMSE"] else ", ".join(names)


def _shown(summary: pd.DataFrame, key: tuple[Any, ...]) -> str:
    if key not in summary.index:
        return "-"
    mean, error = summary.loc[key]
    return f"{mean:.4f} ± {error:.4f}" if error else f"{mean:.4f}"
