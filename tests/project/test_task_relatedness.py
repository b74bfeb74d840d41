"""The study of related tasks: its arithmetic on paper, what is not run twice, and that the docs say what it found."""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import task_relatedness as benchmark

mpl.use("Agg")
ROOT = Path(__file__).parents[2]

study = benchmark.study
STORED = ROOT / "benchmarks" / "results" / "task_relatedness.csv"
THEORY = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def stored():
    return pd.read_csv(STORED)


def test_comparison_on_paper():
    errors = {"shared-bottom": [0.3, 0.9], "OMoE": [0.1, 0.5], "MMoE": [0.2, 0.3]}
    lines = [
        {"seed": seed, "correlation": 0.5, "model": name, "error": error}
        for name, own in errors.items()
        for seed, error in enumerate(own)
    ]
    table = study.compare(pd.DataFrame(lines)).set_index("model")
    assert table.loc["MMoE", ["error", "beyond", "beyond_se", "ratio", "worse"]].tolist() == [0.25, 0, 0, 1, 0]
    bottom = table.loc["shared-bottom"]
    assert (bottom["error"], bottom["error_se"]) == pytest.approx((0.6, 0.3))
    assert (bottom["beyond"], bottom["beyond_se"]) == pytest.approx((0.35, 0.25))  # of 0.1 and 0.6
    assert bottom["ratio"] == pytest.approx(4.5**0.5)  # of 1.5 and 3
    assert bottom["ratio_low"] == pytest.approx(1.5)
    assert bottom["ratio_high"] == pytest.approx(3)
    assert (bottom["worse"], table.loc["OMoE", "worse"], bottom["runs"]) == (2, 1, 2)


def test_fresh_rows_are_of_the_same_tasks_without_noise():
    X, y, X_test, truth = study.related_tasks(1.0, 0, 4_000)
    assert X.shape == (4_000, 100)
    assert X_test.shape == (study.N_TEST, 100)
    np.testing.assert_allclose(truth[:, 0], truth[:, 1])  # the same task twice
    assert np.std(y[:, 0] - y[:, 1]) == pytest.approx(study.NOISE * np.sqrt(2), rel=0.05)
    slopes = np.linalg.lstsq(X, y[:, 0])[0], np.linalg.lstsq(X_test, truth[:, 0])[0]
    assert np.corrcoef(slopes)[0, 1] > 0.9


def test_a_run_is_measured_by_the_variance_it_leaves():
    found = study.run("MMoE", 1.0, 0, n_rows=200, max_epochs=1, learning_rate=1e-8)
    # next to untrained, it predicts next to the mean
    assert found["error"] == pytest.approx(1, abs=0.15)
    assert found["error"] == pytest.approx((found["error_1"] + found["error_2"]) / 2)
    assert found == {**study.run("MMoE", 1.0, 0, n_rows=200, max_epochs=1, learning_rate=1e-8)} | {
        "seconds": found["seconds"]
    }


def test_networks_are_of_equal_size():
    sizes = {name: study.run(name, 0.5, 0, n_rows=50, max_epochs=1)["n_parameters"] for name in study.MODELS}
    # a gate has 100 weights and a bias for each of 8 experts; of a unit of the bottom 101 are its own, 16 the towers'
    towers = 2 * (8 + 8 + 1)
    assert sizes["MMoE"] == 8 * 16 * 101 + 2 * 8 * 101 + 2 * 16 * 8 + towers
    assert sizes["OMoE"] == 8 * 17 * 101 + 8 * 101 + 2 * 17 * 8 + towers
    assert sizes["shared-bottom"] == 126 * (101 + 16) + towers
    assert list(sizes.values()) == pytest.approx([sizes["MMoE"]] * 3, rel=0.01)


def test_picture_has_the_models_and_correlations(stored):
    figure = study.draw(stored, "a title")
    left, right = figure.axes
    names = list(study.MODELS)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names
    assert left.get_xlabel() == right.get_xlabel() == "correlation of the two tasks"
    assert [tick.get_text() for tick in left.get_xticklabels()] == [f"{c:g}" for c in benchmark.CORRELATIONS]
    assert len(left.containers) == len(names)
    assert len(right.containers) == len(names) - 1
    points = [line for line in left.lines if line.get_marker() == "."]
    assert sum(len(line.get_ydata()) for line in points) == len(stored)
    mpl.pyplot.close(figure)


def test_benchmark_goes_on_where_it_was(tmp_path, capsys):
    def run(*arguments):
        benchmark.main(["--quick", "--results", str(tmp_path), "--picture", str(tmp_path), *arguments])

    run("--tune")
    assert "| shared-bottom" in capsys.readouterr().out
    run("--seeds", "1")
    path = tmp_path / "task_relatedness-quick.csv"
    whole = path.read_text().splitlines(keepends=True)
    assert len(whole) == 1 + len(benchmark.CORRELATIONS) * len(study.MODELS)
    picture = (tmp_path / "task_relatedness-quick.svg").read_bytes()
    table = (tmp_path / "task_relatedness-quick.md").read_text()
    assert "| learning rate | 0.0001 | 0.001  | 0.01   |" in table
    capsys.readouterr()

    path.write_text("".join(whole[:-2]))  # cut short, two fits are lacking
    run("--seeds", "1")
    progress = [line for line in capsys.readouterr().out.splitlines() if line.startswith("seed")]
    assert [line.split(": ")[0] for line in progress] == [
        "seed 0, correlation 1, OMoE, rate 0.01",
        "seed 0, correlation 1, MMoE, rate 0.01",
    ]
    again = path.read_text().splitlines(keepends=True)
    without_seconds = [[line.rsplit(",", 1)[0] for line in lines] for lines in (whole, again)]
    assert without_seconds[0] == without_seconds[1]
    assert (tmp_path / "task_relatedness-quick.md").read_text() == table
    assert (tmp_path / "task_relatedness-quick.svg").read_bytes() == picture


def test_stored_run_is_whole(stored):
    cells = stored.groupby(["correlation", "model"])["seed"].nunique()
    assert len(cells) == len(benchmark.CORRELATIONS) * len(study.MODELS)
    assert cells.min() == cells.max() >= 20
    assert len(stored) == cells.sum()
    used = stored.groupby("model")[["learning_rate", "n_parameters"]].agg(["min", "max"])
    assert (used.xs("min", axis=1, level=1) == used.xs("max", axis=1, level=1)).all(axis=None)
    tuned = pd.read_csv(STORED.with_stem("task_relatedness-tune"))
    assert len(tuned) == len(benchmark.TUNED_SEEDS) * len(study.MODELS) * len(benchmark.TUNED_RATES)
    assert not set(tuned["seed"]) & set(stored["seed"])
    best = tuned.groupby(["model", "learning_rate"])["error"].mean().unstack().idxmin(axis=1)
    for name, model in study.MODELS.items():
        assert best[name] == model["learning_rate"] == used.loc[name, ("learning_rate", "min")]


def test_docs_show_the_stored_run(stored):
    assert benchmark.comparison(stored) in THEORY
    assert benchmark.comparison(stored) in STORED.with_suffix(".md").read_text(encoding="utf-8")
    drawn = (ROOT / "docs" / "images" / "task_relatedness.svg").read_text(encoding="utf-8")
    texts = re.findall(r"<text[^>]*>([^<]*)<", drawn)
    assert set(study.MODELS) <= set(texts)
    assert f"{stored['seed'].nunique()} runs for each correlation and model" in texts


def test_what_is_said_is_what_was_found(stored):
    table = study.compare(stored).set_index(["model", "correlation"])
    bottom, one_gate = table.loc["shared-bottom"], table.loc["OMoE"]
    times, at_0 = one_gate["ratio"], one_gate.loc[0.0]
    errors = np.log(stored.set_index(["model", "correlation", "seed"])["error"].sort_index())
    cost = {name: np.exp((errors[name, 0.0] - errors[name, 1.0]).mean()) for name in study.MODELS}
    said = [
        f"with {bottom['ratio'].min():.2f} to {bottom['ratio'].max():.2f} times MMoE's error",
        f"OMoE has {times[0.0]:.2f} times MMoE's error at correlation 0 and {times[0.5]:.2f} times at 0.5, "
        f"but {times[1.0]:.2f} times at 1.",
        f"Unrelated tasks cost MMoE {cost['MMoE']:.2f} times the error of identical ones, "
        f"OMoE {cost['OMoE']:.2f} times, the shared bottom {cost['shared-bottom']:.2f} times.",
        f"at correlation 0 it is {at_0['beyond']:+.4f} ± {at_0['beyond_se']:.4f}",
    ]
    assert (one_gate["beyond"].abs() < 2 * one_gate["beyond_se"]).all()
    n_steps = benchmark.SIZE["max_epochs"] * -(-benchmark.SIZE["n_rows"] // study.TRAINING["batch_size"])
    said += [f"{n_steps} steps", f"{benchmark.SIZE['n_rows']:,} rows, {benchmark.SIZE['max_epochs']} epochs"]
    example = (ROOT / "examples" / "plot_task_relatedness.py").read_text(encoding="utf-8")
    for text in (THEORY, re.sub(r"^# ?", "", example, flags=re.MULTILINE)):
        assert [sentence for sentence in said if sentence not in " ".join(text.split())] == []
    assert "{:,} to {:,}".format(*stored["n_parameters"].agg(["min", "max"])) in " ".join(THEORY.split())


def test_formulae_of_the_theory_are_those_of_the_code(capsys):
    names = {}
    for block in re.findall(r"```python\n(.*?)```", THEORY, re.DOTALL):
        exec(block, names)
    assert capsys.readouterr().out == "True\n"
