"""The synthetic study of the MMoE paper: shared-bottom, OMoE and MMoE of equal size on two tasks of known correlation.

Networks, data and measure are those of `examples/plot_task_relatedness.py`; here are the sizes and the seeds. Every fit
adds its line to `results/task_relatedness.csv`, so that an interrupted study goes on where it was; the tables in
`results/task_relatedness.md` and the picture in the docs are made of that file.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import pandas as pd
from _bench import RESULTS, machine, markdown, parser
from _runs import add, done

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples"))

import plot_task_relatedness as study  # noqa: E402 - an example, once its folder is on the path

NAME = "task_relatedness"
CORRELATIONS = (0.0, 0.5, 0.75, 0.9, 1.0)
SIZE = {"n_rows": 20_000, "max_epochs": 8}
QUICK_SIZE = {"n_rows": 500, "max_epochs": 1}
# Runs to choose the learning rates of the example by: the paper's grid, and seeds that the study does not have
TUNED_RATES, TUNED_CORRELATION, TUNED_SEEDS = (1e-4, 1e-3, 1e-2), 0.5, range(1000, 1003)
KEYS = ["seed", "correlation", "model", "learning_rate"]
NOTES = """Error: share of a task's variance that is left unexplained on 10,000 fresh rows without noise, mean of the
two tasks, ± standard error over seeds. Beyond MMoE: mean of the paired differences ± their standard error; below 0 is
better than MMoE. Times MMoE: geometric mean of the ratios, seed by seed, and a standard error to either side. Worse
than MMoE: in so many runs."""


def fits(n_seeds: int) -> list[tuple]:
    """Seed, correlation, model and learning rate of all fits, seed by seed: a study cut short has whole ones."""
    chosen = product(range(n_seeds), CORRELATIONS, study.MODELS.items())
    return [(seed, correlation, name, model["learning_rate"]) for seed, correlation, (name, model) in chosen]


def measure(path: Path, wanted: list[tuple], size: dict[str, int]) -> None:
    """Do the fits that the file does not have yet."""
    known = done(path, KEYS)
    for fit in wanted:
        if fit in known:
            continue
        seed, correlation, name, learning_rate = fit
        row = study.run(name, correlation, seed, learning_rate=learning_rate, **size)
        add(path, list(row), [[f"{value:.6g}" if isinstance(value, float) else value for value in row.values()]])
        found = f"{row['error']:.4f} in {row['seconds']:.1f} s"
        print(f"seed {seed}, correlation {correlation:g}, {name}, rate {learning_rate:g}: {found}", flush=True)


def comparison(runs: pd.DataFrame) -> str:
    """A line per correlation and model."""
    header = ["correlation", "model", "error", "beyond MMoE", "times MMoE", "worse than MMoE"]
    rows = []
    for cell in study.compare(runs).itertuples():
        versus = ["-"] * 3
        if cell.model != "MMoE":
            versus = [
                f"{cell.beyond:+.4f} ± {cell.beyond_se:.4f}",
                f"{cell.ratio:.2f} ({cell.ratio_low:.2f} to {cell.ratio_high:.2f})",
                f"{cell.worse} of {cell.runs}",
            ]
        rows.append([f"{cell.correlation:g}", cell.model, f"{cell.error:.4f} ± {cell.error_se:.4f}", *versus])
    return markdown(header, rows)


def rates(runs: pd.DataFrame) -> str:
    """Mean error of each model by learning rate."""
    table = runs.pivot_table(index="model", columns="learning_rate", values="error").loc[list(study.MODELS)]
    rows = [[name, *(f"{error:.4f}" for error in errors)] for name, *errors in table.itertuples()]
    return markdown(["learning rate", *(f"{rate:g}" for rate in table.columns)], rows)


def picture(runs: pd.DataFrame, path: Path) -> None:
    """The same runs give the same file."""
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": NAME, "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure = study.draw(runs, f"{runs['seed'].nunique()} runs for each correlation and model")
        figure.savefig(path, metadata={"Date": None})


def main(arguments: list[str] | None = None) -> None:
    command = parser(__doc__)
    command.add_argument("--seeds", type=int, default=20, help="runs for each correlation and model")
    command.add_argument("--tune", action="store_true", help="the runs to choose learning rates by")
    command.add_argument("--quick", action="store_true", help="fits of no worth, to see that all works")
    command.add_argument("--results", type=Path, default=RESULTS, help="folder of the file of runs, and of the tables")
    command.add_argument("--picture", type=Path, default=ROOT / "docs" / "images", help="folder of the picture")
    options = command.parse_args(arguments)

    size = QUICK_SIZE if options.quick else SIZE
    path = options.results / f"{NAME}{'-quick' if options.quick else ''}.csv"
    tuned = path.with_stem(f"{path.stem}-tune")
    options.results.mkdir(exist_ok=True)
    if options.tune:
        grid = product(TUNED_SEEDS, [TUNED_CORRELATION], study.MODELS, TUNED_RATES)
        measure(tuned, list(grid), size)
        print(rates(pd.read_csv(tuned)))
        return
    measure(path, fits(options.seeds), size)
    runs = pd.read_csv(path)
    sections = ["## Related tasks", machine(), comparison(runs), NOTES]
    if tuned.exists():
        sections += [f"Mean error at correlation {TUNED_CORRELATION:g}, seeds of their own:", rates(pd.read_csv(tuned))]
    text = "\n\n".join(sections) + "\n"
    print(text)
    path.with_suffix(".md").write_text(text)
    picture(runs, options.picture / f"{path.stem}.svg")


if __name__ == "__main__":
    main()
