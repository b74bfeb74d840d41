"""The tables of the accuracy benchmark, and the errors in them, against what is known on paper."""

import textwrap
from functools import partial

import _accuracy_errors as errors
import _accuracy_tables as tables
import numpy as np
import pandas as pd
import pytest
from _accuracy_sets import score
from _accuracy_tables import Paired

HAND_MADE = """
    set,contender,run,task,metric,score,fit_seconds,predict_seconds,fit_cpu_seconds,predict_cpu_seconds,left_out
    A,x,0,t1,R2,0.5,1,0,1,0,
    A,x,0,t2,R2,0.7,1,0,1,0,
    A,x,1,t1,R2,0.7,3,0,3,0,
    A,x,1,t2,R2,0.9,3,0,3,0,
    A,HGB,0,t1,R2,0.4,10,0,10,1,
    A,HGB,0,t2,R2,0.8,10,0,10,1,
    A,HGB,1,t1,R2,0.6,10,0,10,1,
    A,HGB,1,t2,R2,0.8,10,0,10,1,
    B,x,0,t1,RRMSE,0.3,5,0,5,0,
    B,x,1,t1,RRMSE,0.5,7,0,7,0,
    B,HGB,0,t1,RRMSE,0.2,1,0,1,1,
    B,HGB,1,t1,RRMSE,0.4,1,0,1,1,
    C,x,0,t1,AUC,0.9,100,0,100,0,
    C,HGB,0,t1,AUC,0.8,20,0,20,1,
    C,y,0,t1,AUC,1.0,1,0,,,
"""


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "hand.csv"
    path.write_text(textwrap.dedent(HAND_MADE).strip())
    return pd.read_csv(path, dtype={"left_out": str})


def line(contender, run, result, without=(), name="S", task="t"):
    text = " ".join(map(str, without))
    return [name, contender, run, task, "accuracy", result, 1, 1, 1, 1, text or np.nan]


def frame(*of):
    return pd.DataFrame(list(of), columns=tables.COLUMNS)


# --------------------------------------------------------------------------------------------------------------------
# Errors


def test_means_of_runs_and_their_errors(lines):
    means = errors.means(tables.of_sets(tables.scores(lines)))
    # set A, x: runs of mean 0.6 and 0.8; their standard error is sqrt(2 * 0.1^2 / 1) / sqrt(2) = 0.1
    assert means.loc[("A", "x")].tolist() == pytest.approx([0.7, 0.1])
    assert means.loc[("C", "x")].tolist() == [0.9, 0.0]


def test_errors_of_test_rows_are_those_of_a_paired_test():
    # each row a block of its own: the differences of two accuracies are the mean of n numbers
    rng = np.random.default_rng(0)
    n = errors.N_BLOCKS
    y, first, second = (rng.integers(0, 2, n).astype(float) for _ in range(3))
    of_rows = errors.blocks(np.arange(n))
    assert sorted(of_rows) == list(range(n))
    measure = partial(score, "accuracy", y)
    table = frame(
        *(
            line(f"{i}", 0, measure(y, a), errors.left_out(measure, y, a, of_rows))
            for i, a in enumerate((first, second))
        )
    )
    difference = tables.differences(tables.goodness(table), "0", "1")
    each = (first == y).astype(float) - (second == y)
    assert difference["mean"].tolist() == pytest.approx([each.mean()])
    assert difference["standard_error"].tolist() == pytest.approx([each.std(ddof=1) / n**0.5])


def _placements(y, answer):
    """Of each row, how many of the other class it is on the right side of: DeLong 1988."""
    wins = (answer[y == 1][:, None] > answer[y == 0]) + 0.5 * (answer[y == 1][:, None] == answer[y == 0])
    return wins.mean(axis=1), wins.mean(axis=0)


def test_error_of_a_difference_of_two_aucs_is_that_of_delong():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 600).astype(float)
    shared = y + rng.normal(size=len(y))
    answers = [shared + 0.5 * rng.normal(size=len(y)) for _ in range(2)]
    (pos1, neg1), (pos2, neg2) = (_placements(y, answer) for answer in answers)
    of_delong = np.sqrt((pos1 - pos2).var(ddof=1) / len(pos1) + (neg1 - neg2).var(ddof=1) / len(neg1))

    found = []
    for seed in range(6):  # with 20 blocks an error is itself known to a sixth
        mixed = np.random.default_rng(seed).permutation(len(y))
        measure, of_rows = partial(score, "AUC", y), errors.blocks(np.arange(len(y)))
        parts = [
            line(f"{i}", 0, 0, errors.left_out(measure, y[mixed], a[mixed], of_rows)) for i, a in enumerate(answers)
        ]
        found.append(tables.differences(tables.goodness(frame(*parts)), "0", "1")["standard_error"].iloc[0])
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(of_delong, rel=0.15)


@pytest.mark.parametrize("metric", ["R2", "RRMSE"])
def test_error_of_a_relative_error_is_that_of_a_bootstrap(metric):
    rng = np.random.default_rng(2)
    y = rng.normal(size=1_000)
    answer = y + 0.5 * rng.normal(size=len(y))
    measure = partial(score, metric, y)
    drawn = [measure(y[rows], answer[rows]) for rows in (rng.integers(0, len(y), len(y)) for _ in range(300))]
    found = []
    for seed in range(10):
        mixed = np.random.default_rng(seed).permutation(len(y))
        without = errors.left_out(measure, y[mixed], answer[mixed], errors.blocks(np.arange(len(y))))
        found.append(errors.means(tables.scores(frame(line("x", 0, 0, without))))["standard_error"].iloc[0])
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(np.std(drawn), rel=0.15)


def test_errors_of_seeds_and_of_test_rows_add_up():
    without = np.linspace(0.4, 0.6, errors.N_BLOCKS)
    of_rows = np.sqrt((errors.N_BLOCKS - 1) / errors.N_BLOCKS * ((without - 0.5) ** 2).sum())
    alike = errors.means(tables.scores(frame(*(line("x", run, 0.5, without) for run in range(2)))))
    assert alike["standard_error"].tolist() == pytest.approx([of_rows])  # the same rows twice: no better known
    apart = errors.means(tables.scores(frame(line("x", 0, 0.3, without), line("x", 1, 0.7, without))))
    assert apart["standard_error"].tolist() == pytest.approx([np.hypot(of_rows, 0.2)])


def test_a_score_that_is_not_known_without_a_block_has_no_error_and_is_a_tie():
    without = [np.nan, *[0.5] * (errors.N_BLOCKS - 1)]
    table = frame(line("x", 0, 0.9, without), line("y", 0, 0.1, without))
    assert tables.paired(table, "x", "y") == Paired(0, 1, 0)


def test_rows_of_a_group_are_in_one_block():
    groups = np.repeat(np.arange(100), 7)
    rows = np.random.default_rng(0).permutation(700)[:300]
    of_rows = errors.blocks(rows, groups)
    assert pd.Series(of_rows).groupby(groups[rows]).nunique().eq(1).all()
    assert set(of_rows) == set(range(errors.N_BLOCKS))
    assert (of_rows == errors.blocks(rows, groups)).all()  # of all contenders the same


# --------------------------------------------------------------------------------------------------------------------
# Tables


def test_ranks_turn_errors_round_and_leave_out_who_has_not_done_all_sets(lines):
    ranks = tables.ranks(lines)
    first, second = {"x": 1.0, "HGB": 2.0}, {"x": 2.0, "HGB": 1.0}
    assert ranks.to_dict("index") == {"A": first, "B": second, "C": first}
    equal = lines.assign(score=1.0)
    assert tables.ranks(equal).to_numpy().tolist() == [[1.5, 1.5]] * 3
    assert tables.ranks(lines, leave_out=["HGB"]).to_numpy().tolist() == [[1.0]] * 3


def test_who_has_done_most_sets_has_a_rank_on_those(lines, monkeypatch):
    monkeypatch.setattr(tables, "ENOUGH", 0.6)
    but_for_a = lines[(lines["contender"] != "HGB") | (lines["set"] != "A")]
    ranks = tables.ranks(but_for_a)
    assert ranks.to_dict("index") == {"B": {"x": 2.0, "HGB": 1.0}, "C": {"x": 1.0, "HGB": 2.0}}
    table = tables.standing(but_for_a, "x", variants=[], folded=["B"], held_out=["B"])
    assert table.attrs["n_sets"] == 2
    assert table["fit"]["x"] == 5 + 7 + 100
    assert table["rank_held_out"].dropna().to_dict() == {"HGB": 1.0, "x": 2.0}


def test_paired_comparison(lines):
    # A t1: +0.1 twice, a win. A t2: -0.1 and +0.1, a tie. B: an error greater by 0.1 twice, a loss.
    # C: one run, better
    assert tables.paired(lines, "x", "HGB") == Paired(2, 1, 1)
    assert tables.paired(lines, "HGB", "x") == Paired(1, 1, 2)
    assert str(tables.paired(lines, "x", "HGB")) == "2 : 1 : 1"
    assert str(tables.paired(lines, "x", "nobody")) == "-"


def test_against_the_best_of_each_set(lines):
    # the best others: HGB in A (0.65) and B, y in C, with 1.0 against 0.9
    assert tables.against_the_best(lines, "x") == Paired(1, 1, 2)
    assert tables.against_the_best(lines, "x", leave_out=["y"]) == Paired(2, 1, 1)
    assert tables.against_the_best(lines, "y") == Paired(1, 0, 0)  # of sets that it has done
    assert tables.against_the_best(lines, "nobody") == Paired(0, 0, 0)


def test_seconds_are_those_of_a_run_or_of_all_folds(lines):
    seconds = tables.seconds(lines, folded=["B"], column="fit_seconds")
    assert seconds["x"].to_dict() == {"A": 2.0, "B": 12.0, "C": 100.0}
    some = lines.assign(fit_cpu_seconds=lines["fit_cpu_seconds"].mask((lines["set"] == "B") & (lines["run"] == 1)))
    assert tables.seconds(some, ["B"], "fit_cpu_seconds")["x"].isna().to_dict() == {"A": False, "B": True, "C": False}


def test_standing_of_hand_made_lines(lines):
    table = tables.standing(lines, "x", variants=[], folded=["B"], held_out=["B"])
    header, rows = tables.standing_table(table, "x")
    assert header == [
        "contender",
        "mean rank, 3 sets",
        "mean rank, held-out sets",
        "best of a set",
        "tasks x won : tied : lost",
        "CPU s of fit",
        "times x",
        "CPU s of predict",
    ]
    assert rows == [
        ["x", "1.33", "2.00", "2", "-", "114.0", "1.00", "0.0"],
        ["HGB", "1.67", "1.00", "1", "2 : 1 : 1", "32.0", "0.28", "4.0"],
        ["y", "-", "-", "-", "0 : 0 : 1", "-", "-", "-"],
    ]
    mixed = lines.sample(frac=1, random_state=0)
    assert tables.standing_table(tables.standing(mixed, "x", [], ["B"], ["B"]), "x") == (header, rows)


def test_standing_says_nothing_of_held_out_sets_that_were_not_run(lines):
    table = tables.standing(lines, "x", variants=["HGB"], folded=["B"], held_out=["Z"])
    header, rows = tables.standing_table(table, "x")
    assert "mean rank, held-out sets" not in header
    assert [row[:3] for row in rows] == [["x", "1.00", "3"], ["HGB", "-", "-"], ["y", "-", "-"]]


def test_scores_of_hand_made_lines(lines):
    header, rows = tables.scores_table(lines, folded=["B"])
    assert header == ["set", "metric", "x", "HGB", "y"]
    assert rows == [
        ["A", "R2", "0.7000 ± 0.1000 (2.0 s)", "0.6500 ± 0.0500 (10 s)", "-"],
        ["B", "aRRMSE", "0.4000 ± 0.1000 (12 s)", "0.3000 ± 0.1000 (2.0 s)", "-"],
        ["C", "AUC", "0.9000 (100 s)", "0.8000 (20 s)", "1.0000"],
    ]
