"""From the lines of single runs to the tables of the accuracy benchmark."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from _accuracy_errors import N_BLOCKS, means

MEASURED = ["fit_seconds", "predict_seconds", "fit_cpu_seconds", "predict_cpu_seconds"]
COLUMNS = ["set", "contender", "run", "task", "metric", "score", *MEASURED, "left_out"]
ERRORS = {"RRMSE"}  # metrics of which less is better
ENOUGH = 0.75  # of all sets, that a contender has done who has a rank: some take days for the last few


@dataclass
class Paired:
    """One contender against another, task by task: what differs by a standard error at most is a tie."""

    wins: int
    ties: int
    losses: int

    @property
    def n_tasks(self) -> int:
        return self.wins + self.ties + self.losses

    def __str__(self) -> str:
        return f"{self.wins} : {self.ties} : {self.losses}" if self.n_tasks else "-"


def scores(lines: pd.DataFrame) -> pd.DataFrame:
    """By set, task, run and contender: the score, and those without each block of test rows."""
    values = [list(map(float, str(text).split())) for text in lines["left_out"]]
    without = pd.DataFrame([of + [np.nan] * (N_BLOCKS - len(of)) for of in values], index=lines.index)
    keys = lines[["set", "task", "run", "contender"]]
    return pd.concat([keys, lines["score"], without], axis=1).set_index(list(keys))


def goodness(lines: pd.DataFrame) -> pd.DataFrame:
    """The same, turned so that more is better."""
    return scores(lines).mul(np.where(lines["metric"].isin(ERRORS), -1.0, 1.0), axis=0)


def of_sets(by_task: pd.DataFrame) -> pd.DataFrame:
    """Means over the tasks of each run."""
    return by_task.groupby(["set", "contender", "run"], sort=False).mean()


def ranks(lines: pd.DataFrame, leave_out: Collection[str] = ()) -> pd.DataFrame:
    """Rank of each contender in each set: sets by contenders, equal ones share the mean rank.

    Who has done too few sets is left out, and then the sets that not all others have done.
    """
    means_of_sets = of_sets(goodness(lines))["score"].groupby(["set", "contender"], sort=False).mean()
    table = means_of_sets.unstack("contender").drop(columns=list(leave_out), errors="ignore")
    table = table.loc[:, table.notna().mean() >= ENOUGH]
    return table.dropna(axis=0).rank(axis=1, ascending=False)


def differences(by_task: pd.DataFrame, contender: str, against: str) -> pd.DataFrame:
    """Mean differences and their errors, from run to run (the same seed or fold), of each task that both have done."""
    names = by_task.index.get_level_values("contender")
    both = [by_task[names == name].droplevel("contender") for name in (contender, against)]
    return means((both[0] - both[1]).dropna(subset="score"))


def counted(differences: pd.DataFrame) -> Paired:
    won = int((differences["mean"] > differences["standard_error"]).sum())
    lost = int((differences["mean"] < -differences["standard_error"]).sum())
    return Paired(won, len(differences) - won - lost, lost)


def paired(lines: pd.DataFrame, contender: str, against: str) -> Paired:
    """Tasks that a contender has won, tied and lost against another."""
    return counted(differences(goodness(lines), contender, against))


def against_the_best(lines: pd.DataFrame, contender: str, leave_out: Collection[str] = ()) -> Paired:
    """The same, in each set against that other contender whose mean over its tasks is the best."""
    others = lines[~lines["contender"].isin([contender, *leave_out])]
    of_others = of_sets(goodness(others))["score"].groupby(["set", "contender"], sort=False).mean()
    by_task = goodness(lines)
    ours = set(lines.loc[lines["contender"] == contender, "set"])
    of_best = of_others.groupby("set").idxmax()
    parts = [differences(by_task.loc[[name]], contender, best) for name, best in of_best if name in ours]
    return counted(pd.concat(parts)) if parts else Paired(0, 0, 0)


def seconds(lines: pd.DataFrame, folded: Sequence[str], column: str) -> pd.DataFrame:
    """Seconds of each set: of one run, or of all folds; sets by contenders, NaN where a run has not measured them."""
    runs = lines.drop_duplicates(["set", "contender", "run"]).groupby(["set", "contender"], sort=False)[column]
    spent = runs.mean().where(runs.count() == runs.size()).unstack("contender")
    of_folds = spent.index.isin(folded)
    spent[of_folds] = (runs.sum().unstack("contender") + 0 * spent)[of_folds]
    return spent


def standing(
    lines: pd.DataFrame, ours: str, variants: Collection[str], folded: Sequence[str], held_out: Collection[str]
) -> pd.DataFrame:
    """Of each contender, the best first: mean ranks, sets on which it is best, how ours does against it, CPU seconds.

    Variants of ours take no part in ranks, and none has a rank who has done few sets. Ranks and seconds are of the sets
    that all have done who have one; how many these are stands in `attrs`.
    """
    ranked = ranks(lines, variants)
    table = pd.DataFrame(index=list(lines["contender"].unique()))
    table["rank"] = ranked.mean()
    table["rank_held_out"] = ranked[ranked.index.isin(held_out)].mean()
    table["best"] = ranked.eq(ranked.min(axis=1), axis=0).sum()
    table["against"] = [Paired(0, 0, 0) if name == ours else paired(lines, ours, name) for name in table.index]
    for part in ("fit", "predict"):
        spent = seconds(lines, folded, f"{part}_cpu_seconds")
        table[part] = spent.loc[ranked.index].dropna(axis=1).sum()
    table.attrs["n_sets"] = len(ranked)
    return table.sort_values("rank", kind="stable", na_position="last")


def standing_table(table: pd.DataFrame, ours: str) -> tuple[list[str], list[list[str]]]:
    columns = {
        f"mean rank, {table.attrs['n_sets']} sets": _numbers(table["rank"], ".2f"),
        "mean rank, held-out sets": _numbers(table["rank_held_out"], ".2f"),
        "best of a set": _numbers(table["best"], ".0f"),
        f"tasks {ours} won : tied : lost": list(map(str, table["against"])),
        "CPU s of fit": _numbers(table["fit"], ",.1f"),
        f"times {ours}": _numbers(table["fit"] / table["fit"].get(ours, np.nan), ".2f"),
        "CPU s of predict": _numbers(table["predict"], ",.1f"),
    }
    shown = {name: cells for name, cells in columns.items() if set(cells) != {"-"}}
    return ["contender", *shown], [list(row) for row in zip(table.index, *shown.values(), strict=True)]


def scores_table(lines: pd.DataFrame, folded: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """A line per set, a column per contender: mean over tasks, its standard error, and CPU seconds to fit."""
    contenders = list(lines["contender"].unique())
    summary = means(of_sets(scores(lines)))
    spent = seconds(lines, folded, "fit_cpu_seconds")
    rows = []
    for name, of_set in lines.groupby("set", sort=False):
        cells = [_shown(summary, (name, contender), spent.loc[name, contender]) for contender in contenders]
        rows.append([name, _metrics(of_set), *cells])
    return ["set", "metric", *contenders], rows


def tasks_table(lines: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """The same for single tasks, without seconds."""
    contenders = list(lines["contender"].unique())
    by_task = means(scores(lines))
    rows = []
    for (name, task), of_task in lines.groupby(["set", "task"], sort=False):
        cells = [_shown(by_task, (name, task, contender)) for contender in contenders]
        rows.append([name, task, of_task["metric"].iloc[0], *cells])
    return ["set", "task", "metric", *contenders], rows


def _metrics(lines: pd.DataFrame) -> str:
    names = lines["metric"].unique()
    return "aRRMSE" if list(names) == ["RRMSE"] else ", ".join(names)


def _numbers(values: pd.Series, form: str) -> list[str]:
    return ["-" if pd.isna(value) else f"{value:{form}}" for value in values]


def _shown(summary: pd.DataFrame, key: tuple[Any, ...], spent: float = np.nan) -> str:
    if key not in summary.index:
        return "-"
    mean, error = summary.loc[key]
    cell = f"{mean:.4f} ± {error:.4f}" if error else f"{mean:.4f}"
    return cell if np.isnan(spent) else f"{cell} ({spent:,.{0 if spent >= 10 else 1}f} s)"
