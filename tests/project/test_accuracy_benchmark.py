"""The accuracy benchmark: what it runs, and what it does not run twice."""

from pathlib import Path

import _accuracy_sets
import _accuracy_tables as tables
import accuracy
import numpy as np
import pandas as pd
import pytest
from _accuracy_contenders import Contender

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

LOADER = """
import numpy as np, pandas as pd
def census_income(group):
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"age": rng.normal(size=3000), "job": np.resize(["a", "b", "c"], 3000)})
    X.loc[::50, "age"] = np.nan
    income = ((X["job"] == "a") ^ (rng.random(3000) < 0.1)).to_numpy(float)
    marital = np.resize([0.0, 1.0, 2.0], 3000)
    weeks = np.nan_to_num(X["age"]) * 3 + rng.normal(size=3000) * 0.1
    income[5::10] = np.nan
    rows = np.random.RandomState(0).permutation(3000)
    splits = {"train": rows[:1800], "val": rows[1800:2400], "test": rows[2400:]}
    types = {"income": "binary", "marital": "multiclass", "weeks": "regression"}
    return X, {"income": income, "marital": marital, "weeks": weeks}, {"types": types, "splits": splits}
def mtr(name):
    X = np.random.default_rng(1).normal(size=(40, 3))
    rows = np.arange(40)
    splits = {"train": rows[:24], "val": rows[24:32], "test": rows[32:]}
    kinds = {"t1": "regression", "t2": "regression"}
    return X, {"t1": X[:, 0], "t2": X[:, 1] ** 2}, {"types": kinds, "splits": splits}
"""


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "load.py").write_text(LOADER)
    return folder


def run(results, *arguments):
    accuracy.main(["--results", str(results), "--quick", "--seeds", "2", *arguments])
    return pd.read_csv(results / "accuracy-quick.csv")


def test_runs_tables_and_what_is_not_run_twice(data, tmp_path, capsys):
    chosen = [
        "--data",
        str(data),
        "--sets",
        "linnerud",
        "census-mixed",
        "enb",
        "bike",
        "--contenders",
        "linear",
        "extra-trees",
    ]
    lines = run(tmp_path, *chosen)
    assert list(lines) == tables.COLUMNS
    n_lines = {"linnerud": 5 * 3 * 2, "census-mixed": 2 * 3 * 2, "enb": 10 * 2 * 2}  # runs, tasks, contenders
    assert lines["set"].value_counts().to_dict() == n_lines
    assert "skipped: bike" in capsys.readouterr().out
    scores = lines[lines["contender"] == "extra-trees"].groupby(["set", "task"])["score"].mean()
    assert scores["census-mixed", "income"] > 0.8
    assert scores["census-mixed", "marital"] == 1.0
    assert scores["census-mixed", "weeks"] > 0.95
    assert lines.groupby("set")["metric"].unique().map(list).to_dict() == {
        "linnerud": ["R2"],
        "census-mixed": ["AUC", "accuracy", "R2"],
        "enb": ["RRMSE"],
    }

    text = (tmp_path / "accuracy-quick.md").read_text()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert table[0] == ["contender", "mean rank, 3 sets", "best of a set", "CPU s of fit", "CPU s of predict"]
    assert {row[0] for row in table[2:4]} == {"extra-trees", "linear"}
    assert table[4] == ["set", "metric", "extra-trees", "linear"]
    assert [row[:2] for row in table[6:9]] == [
        ["linnerud", "R2"],
        ["census-mixed", "AUC, accuracy, R2"],
        ["enb", "aRRMSE"],
    ]
    assert table[9][:3] == ["set", "task", "metric"]
    assert len(table) == 9 + 2 + 3 + 3 + 2
    assert all(len(row) == len(table[4]) for row in table[4:9])

    first = (tmp_path / "accuracy-quick.csv").read_bytes()
    run(tmp_path, *chosen)
    assert (tmp_path / "accuracy-quick.csv").read_bytes() == first
    cut = pd.read_csv(tmp_path / "accuracy-quick.csv", dtype=str)
    cut = cut[~((cut["set"] == "enb") & (cut["run"] == "4"))]
    cut.to_csv(tmp_path / "accuracy-quick.csv", index=False)
    again = run(tmp_path, *chosen)
    keys, measured = ["set", "contender", "run", "task"], ["score"]
    pd.testing.assert_frame_equal(
        again.sort_values(keys)[keys + measured].reset_index(drop=True),
        lines.sort_values(keys)[keys + measured].reset_index(drop=True),
    )


def test_published_part_stands_beside_the_paper(tmp_path, capsys):
    line = ["MMoE", 0, "income", "AUC", 0.95, 1, 1, 1, 1, ""]
    runs = pd.DataFrame(
        [["census1", *line], ["census1", "MMoE", 1, *line[2:4], 0.93, *line[5:]]], columns=tables.COLUMNS
    )
    runs.to_csv(tmp_path / "accuracy-published.csv", index=False)
    accuracy.main(
        ["--results", str(tmp_path), "--part", "published", "--sets", "census1"]
    )  # no --data: only the tables
    table = capsys.readouterr().out.split("### Beside a paper's")[1].split("The paper learns")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    assert rows[0][1:] == ["census1: income", "census1: never_married", "census2: college", "census2: never_married"]
    assert rows[2] == ["MMoE, here", "0.9400", "-", "-", "-"]
    assert ["MMoE, best of 400", "0.9410", "0.9927", "0.8860", "0.9924"] in rows
    assert len(rows) == 2 + 1 + 8


def test_fresh_repeats_only_what_is_chosen(data, tmp_path):
    run(tmp_path, "--sets", "linnerud", "diabetes", "--contenders", "linear")
    path = tmp_path / "accuracy-quick.csv"
    path.write_text(path.read_text().replace(",R2,", ",R2,9"))
    lines = run(tmp_path, "--sets", "linnerud", "--contenders", "linear", "--fresh")
    assert (lines.loc[lines["set"] == "diabetes", "score"] > 8).all()
    assert (lines.loc[lines["set"] == "linnerud", "score"] < 8).all()
    assert len(lines) == 5 * 3 + 5


def test_what_each_line_holds(data, tmp_path):
    lines = run(tmp_path, "--data", str(data), "--sets", "census-mixed", "enb", "--contenders", "linear")
    seconds = lines[["fit_seconds", "predict_seconds", "fit_cpu_seconds", "predict_cpu_seconds"]]
    assert (seconds > 0).all(axis=None)
    by_set = dict(iter(lines.groupby("set")))
    assert by_set["enb"]["left_out"].isna().all()  # folds have errors of their own
    for line in by_set["census-mixed"].itertuples():
        without = np.array(line.left_out.split(), dtype=float)
        assert len(without) == 20
        assert without.mean() == pytest.approx(line.score, abs=0.01)


def test_older_files_are_read_on(tmp_path):
    chosen = ["--sets", "linnerud", "--contenders", "linear"]
    path = tmp_path / "accuracy-quick.csv"
    lines = run(tmp_path, *chosen)
    old = lines[lines["run"] < 3].drop(columns=["fit_cpu_seconds", "predict_cpu_seconds", "left_out"])
    old.assign(score=0.5).to_csv(path, index=False)
    again = run(tmp_path, *chosen)
    assert list(again) == tables.COLUMNS
    assert again["score"].eq(0.5).tolist() == [True] * 9 + [False] * 6
    assert again["fit_cpu_seconds"].isna().tolist() == [True] * 9 + [False] * 6
    assert "CPU s of fit" not in (tmp_path / "accuracy-quick.md").read_text()  # known of some runs only


def test_rows_to_fit_on_may_be_capped(data, tmp_path, monkeypatch):
    seen = []
    learn = accuracy.CONTENDERS["linear"].learn

    def counted(X, *others):
        seen.append(len(X))
        return learn(X, *others)

    monkeypatch.setitem(accuracy.CONTENDERS, "linear", Contender(counted))
    chosen = ["--data", str(data), "--sets", "linnerud", "census-mixed", "--contenders", "linear"]
    accuracy.main(["--results", str(tmp_path), "--seeds", "1", "--most-rows", "500", *chosen])
    assert seen == [16] * 5 + [500]
    assert (tmp_path / "accuracy-500-rows.csv").exists()


def test_contender_that_is_not_installed_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(accuracy.CONTENDERS, "CatBoost", Contender(learn=None, package="no_such_package"))
    lines = run(tmp_path, "--sets", "linnerud", "--contenders", "CatBoost", "linear")
    assert set(lines["contender"]) == {"linear"}
    line = "skipped: CatBoost, whose package no_such_package is not installed (pip install -e '.[bench-accuracy]')"
    assert line in capsys.readouterr().out


def test_what_another_package_raises_is_named_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    def learn(*parts):
        raise ValueError("too many categories")

    monkeypatch.setitem(accuracy.CONTENDERS, "CatBoost", Contender(learn, package="sklearn"))
    lines = run(tmp_path, "--sets", "linnerud", "--contenders", "CatBoost", "linear")
    assert set(lines["contender"]) == {"linear"}
    assert "failed: linnerud, run 0, CatBoost: ValueError('too many categories')" in capsys.readouterr().out
    monkeypatch.setitem(accuracy.CONTENDERS, "MMoE", Contender(learn))
    with pytest.raises(ValueError, match="too many categories"):  # ours is to be seen
        run(tmp_path, "--sets", "linnerud", "--contenders", "MMoE")


def test_joint_contender_is_not_run_where_it_learns_task_by_task(data, tmp_path, monkeypatch):
    asked = []

    def learn(X, labels, X_test, kinds, seed):
        asked.append(list(kinds))
        return {task: np.arange(len(X_test)) % 2.0 for task in kinds}, np.ones((2, 2))

    monkeypatch.setitem(accuracy.CONTENDERS, "CatBoost", Contender(learn))
    monkeypatch.setitem(accuracy.CONTENDERS, "CatBoost-joint", Contender(learn, per_task="CatBoost"))
    chosen = ["--data", str(data), "--sets", "linnerud", "census-mixed"]  # three regressions; one, and labels missing
    lines = run(tmp_path, *chosen, "--contenders", "CatBoost-joint", "CatBoost")
    assert [len(tasks) for tasks in asked] == [3] * 5 * 2 + [3] * 2
    same = lines[lines["set"] == "census-mixed"].drop(columns="contender")
    assert same.duplicated(keep=False).all()
    asked.clear()
    run(tmp_path / "alone", *chosen, "--contenders", "CatBoost-joint")  # whose answers are nowhere
    assert len(asked) == 5 + 2


def test_folder_without_a_loader_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no load\.py: give the folder of the data sets and their loader"):
        _accuracy_sets.loader(tmp_path)


def test_parts_keep_the_test_rows_out_of_tuning(data):
    for name, n_runs in (("census-mixed", 2), ("enb", 10)):
        loaded = _accuracy_sets.load_set(name, _accuracy_sets.loader(data)).at_most(2000)
        train, val, test = (set(loaded.splits[part]) for part in ("train", "val", "test"))
        runs = list(loaded.runs("valid", 2))
        assert len(runs) == n_runs
        assert not any(test & (set(fitted) | set(measured)) for _, fitted, measured in runs)
        assert not any(set(fitted) & set(measured) for _, fitted, measured in runs)
        _, fitted, measured = next(loaded.runs("test", 2))
        if name == "enb":  # folds of all rows, as they were published
            assert set(fitted) | set(measured) == train | val | test
        else:
            assert (set(fitted), set(measured)) == (train | val, test)
            _, fitted, measured = next(loaded.runs("published", 2))
            assert (set(fitted), set(measured)) == (train, test)


def test_quick_rows_are_of_all_parts(data):
    whole = _accuracy_sets.load_set("census-mixed", _accuracy_sets.loader(data))
    few = whole.at_most(1000)
    assert [len(few.splits[part]) for part in ("train", "val", "test")] == pytest.approx([600, 200, 200], rel=0.2)
    rows = np.concatenate(list(few.splits.values()))
    assert sorted(rows) == list(range(1000))
    test, of_whole = few.X.iloc[few.splits["test"]], whole.X.iloc[whole.splits["test"]]
    assert set(test["age"].dropna()) <= set(of_whole["age"].dropna())


def test_relative_error_and_labels_that_are_missing():
    train, test, answer = np.array([0.0, 2.0, np.nan]), np.array([3.0, np.nan, 1.0]), np.array([2.0, 99.0, 1.0])
    assert _accuracy_sets.score("RRMSE", train, test, answer) == 0.5  # sqrt(1 / (2^2 + 0))
    assert _accuracy_sets.score("R2", train, test, answer) == 0.5  # 1 - 1 / (1 + 1)
