"""Test scores of the defaults on real data sets, beside those of what people would pick instead.

Every run (a seed or a fold of a set, for one contender) adds its lines to `results/accuracy.csv`, so that an
interrupted benchmark goes on where it was; the tables in `results/accuracy.md` are made of that file.
"""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from types import ModuleType

import pandas as pd
from _accuracy_contenders import CONTENDERS, OURS, VARIANTS
from _accuracy_errors import blocks, left_out
from _accuracy_published import PUBLISHED, published_table
from _accuracy_sets import FOLDED, HELD_OUT, NAMES, PARTS, QUICK_ROWS, TUNED, DataSet, load_set, loader, score
from _accuracy_tables import COLUMNS, against_the_best, scores_table, standing, standing_table, tasks_table
from _bench import RESULTS, machine, markdown, parser
from _runs import add, done

NOTES = """Mean over tasks ± standard error (CPU seconds to fit; of sets with folds, all folds). Sets with folds have
the error of the folds; the others have their suggested rows, and the errors of seeds and of test rows together. aRRMSE:
less is better."""
STANDING = """Ranks are of means over the tasks of a set, of those who have done three quarters of the sets, on the sets
that all of these have done, without the variants of ours: MMoE-single (a network for each task alone), shared-bottom
(as many parameters) and OMoE. A task is won or lost where the mean difference, seed by seed or fold by fold, is beyond
its standard error. CPU seconds are those of a run, or of all folds, summed over the sets of the ranks."""
TITLES = {"test": "test rows", "valid": "validation rows", "published": "test rows, fitted without the validation rows"}


def run(data: DataSet, contender: str, of_run: tuple, name: str) -> list[list]:
    """The lines of one run, one per task."""
    number, train, test = of_run
    X, labels = data.X, data.labels
    parts = (table.iloc[rows].reset_index(drop=True) for table, rows in ((X, train), (labels, train), (X, test)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peers that have not converged, of columns that are always missing
        answers, seconds = CONTENDERS[contender].learn(*parts, data.kinds, number)
        return [_line(data, contender, of_run, name, task, answers[task], seconds) for task in data.kinds]


def _line(data: DataSet, contender: str, of_run: tuple, name: str, task: str, answer, seconds) -> list:
    number, train, test = of_run
    y, metric = data.labels[task].to_numpy(), data.metric(task)
    measure = partial(score, metric, y[train])
    # folds have other test rows each, and so errors of their own
    without = [] if data.n_folds else left_out(measure, y[test], answer, blocks(test, data.groups))
    figures = [f"{measure(y[test], answer):.6g}", *(f"{took:.4g}" for took in seconds.T.ravel())]
    return [name, contender, number, task, metric, *figures, " ".join(f"{value:.7g}" for value in without)]


def forget(path: Path, sets: list[str], contenders: list[str]) -> None:
    """Take the runs of these sets by these contenders out of the file."""
    known = pd.read_csv(path, dtype=str)
    known[~(known["set"].isin(sets) & known["contender"].isin(contenders))].to_csv(path, index=False)


def read(path: Path) -> pd.DataFrame:
    """All lines; those of older files lack CPU seconds and scores without blocks of test rows."""
    lines = pd.read_csv(path, dtype={"task": str, "left_out": str})
    return lines.reindex(columns=COLUMNS).astype({"left_out": str})


def again(path: Path, contender: str, twin: str, name: str, number: int) -> list[list[str]]:
    """The lines of a run by another contender, whose answers are the same."""
    known = pd.read_csv(path, dtype=str, keep_default_na=False)
    same = known[(known["set"] == name) & (known["contender"] == twin) & (known["run"] == str(number))]
    return same.assign(contender=contender).to_numpy().tolist()


def measure(path: Path, sets: dict[str, DataSet], contenders: list[str], part: str, n_seeds: int) -> None:
    """Do the runs that the file does not have yet."""
    if path.exists():
        pd.read_csv(path, dtype=str).reindex(columns=COLUMNS).to_csv(path, index=False)  # it may be an older one
    add(path, COLUMNS, [])
    known = done(path, ["set", "contender", "run"])
    for name, data in sets.items():
        for of_run in data.runs(part, n_seeds):
            number, train, _ = of_run
            for contender in contenders:
                if (name, contender, number) in known:
                    continue
                twin = CONTENDERS[contender].twin(data.labels.iloc[train], data.kinds)
                try:
                    lines = again(path, contender, twin, name, number) or run(data, contender, of_run, name)
                except Exception as error:  # of another package: the hours of all others are not lost for it
                    if not CONTENDERS[contender].package:
                        raise
                    print(f"failed: {name}, run {number}, {contender}: {error!r}", flush=True)
                    continue
                add(path, COLUMNS, lines)
                mean = sum(float(line[5]) for line in lines) / len(lines)
                print(f"{name}, run {number}, {contender}: {mean:.4f} in {lines[0][6]} s", flush=True)


def report(path: Path, part: str) -> str:
    """The tables of all that the file has, in the order of the sets and contenders, also as Markdown beside it."""
    lines = read(path)
    for column, order in (("contender", list(CONTENDERS)), ("set", NAMES)):
        lines = lines.sort_values(column, key=lambda names, order=order: names.map(order.index), kind="stable")
    table = standing(lines, OURS, VARIANTS, FOLDED, HELD_OUT)
    best = against_the_best(lines, OURS, VARIANTS)
    peers = [CONTENDERS[name] for name in lines["contender"].unique()]
    share = (best.wins + best.ties) / best.n_tasks if best.n_tasks else 0.0
    words = f"Against the best other contender of each set, {OURS} wins or ties {share:.0%} of the tasks ({best})."
    beside = published_table(lines)
    sections = [
        f"## Scores on {TITLES[part]}",
        machine(*dict.fromkeys(peer.package for peer in peers if peer.package and peer.installed)),
        markdown(*standing_table(table, OURS)),
        *([words] if best.n_tasks else []),
        STANDING,
        *(["### Beside a paper's", markdown(*beside), PUBLISHED] if part == "published" and beside[1] else []),
        "### Set by set",
        markdown(*scores_table(lines, FOLDED)),
        NOTES,
        "### Task by task",
        markdown(*tasks_table(lines)),
    ]
    text = "\n\n".join(sections) + "\n"
    path.with_suffix(".md").write_text(text)
    return text


def chosen(
    names: list[str], data: ModuleType | None, files: Path | None, quick: bool, most_rows: int | None
) -> dict[str, DataSet]:
    sets = {}
    for name in names:
        loaded = load_set(name, data, files)
        if loaded is None:
            print(f"skipped: {name}, for which there is no loader (--data) or no folder of files (--files)")
        else:
            sets[name] = loaded.at_most(QUICK_ROWS if quick else None, n_train=most_rows)
    return sets


def installed(names: list[str]) -> list[str]:
    """Those of these contenders that can run here, in the order in which they stand in the tables."""
    names = [name for name in CONTENDERS if name in names]
    for name in names:
        if not CONTENDERS[name].installed:
            package = CONTENDERS[name].package
            print(f"skipped: {name}, whose package {package} is not installed (pip install -e '.[bench-accuracy]')")
    return [name for name in names if CONTENDERS[name].installed]


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
    command.add_argument("--most-rows", type=int, metavar="N", help="rows to fit on at most; without: all")
    command.add_argument("--quick", action="store_true", help=f"at most {QUICK_ROWS:,} rows of a set")
    command.add_argument("--fresh", action="store_true", help="do the runs of these sets and contenders again")
    command.add_argument("--results", type=Path, default=RESULTS, help="folder of the file of runs and the tables")
    options = command.parse_args(arguments)

    parts = {
        options.part: options.part != "test",
        f"{options.most_rows}-rows": options.most_rows is not None,
        "quick": options.quick,
    }
    path = options.results / f"{'-'.join(['accuracy', *(part for part, named in parts.items() if named)])}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    if options.fresh and path.exists():
        forget(path, options.sets, options.contenders)
    data = None if options.data is None else loader(options.data)
    sets = chosen(options.sets, data, options.files, options.quick, options.most_rows)
    measure(path, sets, installed(options.contenders), options.part, options.seeds)
    print(report(path, options.part))


if __name__ == "__main__":
    main()
