"""The accuracy benchmark: what it runs, what it does not run twice, and that its arithmetic is right on paper."""

import textwrap
from pathlib import Path

import _accuracy_contenders
import _accuracy_sets
import _accuracy_tables as tables
import accuracy
import numpy as np
import pandas as pd
import pytest

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
    chosen = ["--data", str(data), "--sets", "linnerud", "census-mixed", "enb", "bike", "--contenders", "linear", "HGB"]
    lines = run(tmp_path, *chosen)
    assert list(lines) == tables.COLUMNS
    n_lines = {"linnerud": 5 * 3 * 2, "census-mixed": 2 * 3 * 2, "enb": 10 * 2 * 2}  # runs, tasks, contenders
    assert lines["set"].value_counts().to_dict() == n_lines
    assert "skipped: bike" in capsys.readouterr().out
    scores = lines[lines["contender"] == "HGB"].groupby(["set", "task"])["score"].mean()
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
    assert table[0] == ["set", "metric", "HGB", "linear"]
    assert [row[:2] for row in table[2:5]] == [
        ["linnerud", "R2"],
        ["census-mixed", "AUC, accuracy, R2"],
        ["enb", "aRRMSE"],
    ]
    assert [row[0] for row in table[5:9]] == ["mean rank", "wins", "wins + ties against HGB", "fit"]
    assert table[9][:3] == ["set", "task", "metric"]
    assert len(table) == 9 + 2 + 3 + 3 + 2
    assert all(len(row) == len(table[0]) for row in table[:9])

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


def test_fresh_repeats_only_what_is_chosen(data, tmp_path):
    run(tmp_path, "--sets", "linnerud", "diabetes", "--contenders", "linear")
    path = tmp_path / "accuracy-quick.csv"
    path.write_text(path.read_text().replace(",R2,", ",R2,9"))
    lines = run(tmp_path, "--sets", "linnerud", "--contenders", "linear", "--fresh")
    assert (lines.loc[lines["set"] == "diabetes", "score"] > 8).all()
    assert (lines.loc[lines["set"] == "linnerud", "score"] < 8).all()
    assert len(lines) == 5 * 3 + 5


def test_folder_without_a_loader_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no load\.py: give the folder of the data sets and their loader"):
        _accuracy_sets.loader(tmp_path)


@pytest.mark.parametrize("name", list(_accuracy_contenders.CONTENDERS))
def test_every_contender_answers_every_kind(name, data, monkeypatch):
    monkeypatch.setattr(_accuracy_contenders.MMoEMultiTask.__init__, "__kwdefaults__", _three_epochs())
    mixed = _accuracy_sets.load_set("census-mixed", _accuracy_sets.loader(data)).at_most(400)
    _, train, test = next(mixed.runs("valid", 1))
    parts = mixed.X.iloc[train], mixed.labels.iloc[train], mixed.X.iloc[test]
    answers, seconds = _accuracy_contenders.CONTENDERS[name](*parts, mixed.kinds, 0)
    assert set(answers) == set(mixed.kinds)
    assert all(answer.shape == (len(test),) for answer in answers.values())
    assert ((answers["income"] >= 0) & (answers["income"] <= 1)).all()
    assert set(answers["marital"]) <= {0, 1, 2}
    assert len(seconds) == 2
    assert min(seconds) > 0


def _three_epochs():
    return {**_accuracy_contenders.MMoEMultiTask.__init__.__kwdefaults__, "max_epochs": 3}


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


def test_groups_of_tasks():
    labels = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0], "c": [0.5, 0.7], "d": [0.1, 0.2]})
    kinds = {"a": "binary", "b": "binary", "c": "regression", "d": "regression"}
    assert _accuracy_contenders.groups(labels, kinds, ["regression"]) == [["c", "d"], ["a"], ["b"]]
    assert _accuracy_contenders.groups(labels, kinds, ["regression", "binary"]) == [["c", "d"], ["a", "b"]]
    labels.loc[0, "a"] = np.nan
    assert _accuracy_contenders.groups(labels, kinds, ["regression", "binary"]) == [["a"], ["b"], ["c"], ["d"]]


def test_shared_bottom_has_as_many_parameters():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 20)))
    kinds = {"a": "regression", "b": "multiclass"}
    labels = pd.DataFrame({"a": X[0], "b": np.resize([0.0, 1.0, 2.0], 30)})
    sizes = _accuracy_contenders.equal_layer_sizes(X, labels, kinds)

    def n_parameters(**parameters):
        model = _accuracy_contenders.MMoEMultiTask(tasks=kinds, max_epochs=1, **parameters)
        module = _accuracy_contenders.make_tabular_pipeline(model).fit(X, labels)[-1].module_
        return sum(parameter.numel() for parameter in module.parameters())

    assert n_parameters(n_experts=1, expert_layer_sizes=sizes) == pytest.approx(n_parameters(), rel=0.02)


def test_relative_error_and_labels_that_are_missing():
    train, test, answer = np.array([0.0, 2.0, np.nan]), np.array([3.0, np.nan, 1.0]), np.array([2.0, 99.0, 1.0])
    assert _accuracy_sets.score("RRMSE", train, test, answer) == 0.5  # sqrt(1 / (2^2 + 0))
    assert _accuracy_sets.score("R2", train, test, answer) == 0.5  # 1 - 1 / (1 + 1)


HAND_MADE = """
    set,contender,run,task,metric,score,fit_seconds,predict_seconds
    A,x,0,t1,R2,0.5,1,0
    A,x,0,t2,R2,0.7,1,0
    A,x,1,t1,R2,0.7,3,0
    A,x,1,t2,R2,0.9,3,0
    A,HGB,0,t1,R2,0.4,10,0
    A,HGB,0,t2,R2,0.8,10,0
    A,HGB,1,t1,R2,0.6,10,0
    A,HGB,1,t2,R2,0.8,10,0
    B,x,0,t1,RRMSE,0.3,5,0
    B,x,1,t1,RRMSE,0.5,7,0
    B,HGB,0,t1,RRMSE,0.2,1,0
    B,HGB,1,t1,RRMSE,0.4,1,0
    C,x,0,t1,AUC,0.9,100,0
    C,HGB,0,t1,AUC,0.8,20,0
    C,y,0,t1,AUC,1.0,1,0
"""


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "hand.csv"
    path.write_text(textwrap.dedent(HAND_MADE).strip())
    return pd.read_csv(path)


def test_means_and_their_errors(lines):
    means = tables.means(lines)
    # set A, x: runs of mean 0.6 and 0.8; their standard error is sqrt(2 * 0.1^2 / 1) / sqrt(2) = 0.1
    assert means.loc[("A", "x")].tolist() == pytest.approx([0.7, 0.1])
    assert means.loc[("C", "x")].tolist() == [0.9, 0.0]


def test_ranks_turn_errors_round_and_leave_out_who_has_not_done_all_sets(lines):
    ranks = tables.ranks(lines)
    first, second = {"x": 1.0, "HGB": 2.0}, {"x": 2.0, "HGB": 1.0}
    assert ranks.to_dict("index") == {"A": first, "B": second, "C": first}
    equal = lines.assign(score=1.0)
    assert tables.ranks(equal).to_numpy().tolist() == [[1.5, 1.5]] * 3


def test_paired_comparison(lines):
    # A t1: +0.1 twice, a win. A t2: -0.1 and +0.1, a tie. B: an error greater by 0.1 twice, a loss.
    paired = tables.paired(lines, "x", "HGB")
    # C: one run, better
    assert (paired.wins, paired.ties, paired.losses) == (2, 1, 1)
    assert str(paired) == "2 + 1 of 4 (75%)"


def test_seconds_are_those_of_a_run_or_of_all_folds(lines):
    seconds = tables.seconds(lines, folded=["B"])
    assert seconds["x"].to_dict() == {"A": 2.0, "B": 12.0, "C": 100.0}


def test_table_of_hand_made_lines(lines):
    header, rows = tables.scores_table(lines, "HGB", folded=["B"])
    assert header == ["set", "metric", "x", "HGB", "y"]
    assert rows == [
        ["A", "R2", "0.7000 ± 0.1000", "0.6500 ± 0.0500", "-"],
        ["B", "aRRMSE", "0.4000 ± 0.1000", "0.3000 ± 0.1000", "-"],
        ["C", "AUC", "0.9000", "0.8000", "1.0000"],
        ["mean rank", "3 sets", "1.33", "1.67", "-"],
        ["wins", "3 sets", "2", "1", "-"],
        ["wins + ties against HGB", "tasks", "2 + 1 of 4 (75%)", "-", "1 + 0 of 1 (100%)"],
        ["fit", "s, 3 sets", "114.0", "32.0", "-"],
    ]
