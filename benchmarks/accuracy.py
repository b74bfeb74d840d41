"""Test scores of the defaults on real data sets, beside those of what people would pick instead.

Every run (a seed or a fold of a set, for one contender) adds its lines to `results/accuracy.csv`, so that an
interrupted benchmark goes on where it was; the tables in `results/accuracy.md` are made of that file.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import pandas as pd
from _accuracy_contenders import CONTENDERS, TREES
from _accuracy_sets import FOLDED, NAMES, PARTS, QUICK_ROWS, TUNED, DataSet, load_set, loader, score
from _accuracy_tables import COLUMNS, scores_table, tasks_table
from _bench import RESULTS, machine, markdown, parser
from _runs import add, done

NOTES = """Mean over tasks ± standard error over seeds or folds (5 for scikit-learn's diabetes and linnerud, 10 for
Mulan's sets; the others have their suggested rows). aRRMSE: less is better. Rank, wins and fit seconds: of those who
have done all sets. Against boosted trees: tasks on which the mean difference, seed by seed or fold by fold, is beyond
one standard error (wins) or within (ties). Fit: a run, or all folds, summed over the sets. MMoE, MMoE-single (a network
for each task alone), shared-bottom (as many parameters) and OMoE: our defaults otherwise."""


def run(data: DataSet, contender: str, of_run: tuple, name: str) -> list[list]:
    """The lines of one run, one per task."""
    number, train, test = of_run
    X, labels = data.X, data.labels
    parts = (table.iloc[rows].reset_index(drop=True) for table, rows in ((X, train), (labels, train), (X, test)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peers that have not converged, of columns that are always missing
        answers, seconds = CONTENDERS[contender](*parts, data.kinds, number)
    lines = []
    for task in data.kinds:
        y, metric = labels[task].to_numpy(), data.metric(task)
        result = score(metric, y[train], y[test], answers[task])
        lines.append([name, contender, number, task, metric, f"{result:.6g}", *(f"{took:.4g}" for took in seconds)])
    return lines


def forget(path: Path, sets: list[str], contenders: list[str]) -> None:
    """Take the runs of these sets by these contenders out of the file."""
    known = pd.read_csv(path, dtype=str)
    known[~(known["set"].isin(sets) & known["contender"].isin(contenders))].to_csv(path, index=False)


def measure(path: Path, sets: dict[str, DataSet], contenders: list[str], part: str, n_seeds: int) -> None:
    """Do the runs that the file does not have yet."""
    add(path, COLUMNS, [])
    known = done(path, ["set", "contender", "run"])
    for name, data in sets.items():
        for of_run in data.runs(part, n_seeds):
            for contender in contenders:
                if (name, contender, of_run[0]) in known:
                    continue
                lines = run(data, contender, of_run, name)
                add(path, COLUMNS, lines)
                mean = sum(float(line[5]) for line in lines) / len(lines)
                print(f"{name}, run {of_run[0]}, {contender}: {mean:.4f} in {lines[0][6]} s", flush=True)


def report(path: Path, part: str) -> str:
    """The tables of all that the file has, in the order of the sets and contenders, also as Markdown beside it."""
    lines = pd.read_csv(path, dtype={"task": str})
    for column, order in (("contender", list(CONTENDERS)), ("set", NAMES)):
        lines = lines.sort_values(column, key=lambda names, order=order: names.map(order.index), kind="stable")
    title = {
        "test": "test rows",
        "valid": "validation rows",
        "published": "test rows, fitted without the validation rows",
    }
    tables = scores_table(lines, TREES, FOLDED), tasks_table(lines)
    sections = [f"## Scores on {title[part]}", machine(), markdown(*tables[0]), NOTES, "### Task by task"]
    text = "\n\n".join([*sections, markdown(*tables[1])]) + "\n"
    path.with_suffix(".md").write_text(text)
    return text


def chosen(names: list[str], data: ModuleType | None, files: Path | None, quick: bool) -> dict[str, DataSet]:
    sets = {}
    for name in names:
        loaded = load_set(name, data, files)
        if loaded is None:
            print(f"skipped: {name}, for which there is no loader (--data) or no folder of files (--files)")
        else:
            sets[name] = loaded.at_most(QUICK_ROWS) if quick else loaded
    return sets


def main(arguments: list[str] | None = None) -> None:
    command = parser(__doc__)
    command.add_argument(
        "--data", type=Path, help="folder of data sets with their load.py; without: scikit-learn's only"
    )
    files = "folder of public files, fetched where it lacks them; without: no sets of files"
    command.add_argument("--files", type=Path, help=files)
    command.add_argument(
        "--sets", nargs="+", choices=NAMES, default=TUNED, metavar="SET", help=f"of {NAMES}; without: {TUNED}"
    )
    command.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS), metavar="NAME")
    command.add_argument("--seeds", type=int, default=3, help="runs on sets that have no folds")
    command.add_argument(
        "--part",
        choices=list(PARTS),
        default="test",
        help="test: fitted on train and validation rows; valid: to tune, fitted on train rows, measured on validation "
        "rows; published: fitted on train rows, measured on test rows, as the published figures were",
    )
    command.add_argument("--quick", action="store_true", help=f"at most {QUICK_ROWS:,} rows of a set")
    command.add_argument("--fresh", action="store_true", help="do the runs of these sets and contenders again")
    command.add_argument("--results", type=Path, default=RESULTS, help="folder of the file of runs and the tables")
    options = command.parse_args(arguments)

    parts = ["accuracy", *([options.part] if options.part != "test" else []), *(["quick"] if options.quick else [])]
    path = options.results / f"{'-'.join(parts)}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    if options.fresh and path.exists():
        forget(path, options.sets, options.contenders)
    data = None if options.data is None else loader(options.data)
    sets = chosen(options.sets, data, options.files, options.quick)
    measure(path, sets, options.contenders, options.part, options.seeds)
    print(report(path, options.part))


if __name__ == "__main__":
    main()
