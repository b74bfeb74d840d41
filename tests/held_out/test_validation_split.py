"""A splitter, or a list of splits, says which rows are held out, in place of random ones."""

import copy

import numpy as np
import pandas as pd
import pytest
from helpers import (
    OneLayer,
    all_three,
    assert_same_model,
    assert_unfitted,
    make_features,
    make_model,
    make_targets,
    round_trips,
)
from sklearn.base import clone
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeavePGroupsOut,
    LeavePOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from splitters import SPLITTERS_OF_ALL_KINDS
from test_groups import roles_in

from sklearn_mmoe import FitCheckpoint, MMoEClassifier
from sklearn_mmoe._held_out.splitters import SPLITTERS, parameters_of
from sklearn_mmoe.metrics import make_task_scorer, transfer_report

X = make_features()
GROUPS = np.arange(60) // 10
FIRST, LAST = np.arange(40), np.arange(40, 60)


def split_rows(splitter, *, name="regressor", n_members=1, y=None, groups=None, **parameters):
    model = make_model(name, n_members=n_members, validation_split=splitter, **parameters)
    return roles_in(model, X, make_targets(name) if y is None else y, groups=groups)


ONE_PART = {
    "a part that is named": PredefinedSplit(np.where(np.arange(60) < 40, -1, 0)),
    "a pair of row numbers": [(FIRST, LAST)],
    "a pair of lists in any order": ((FIRST.tolist()[::-1], LAST.tolist()),),
    "a pair of masks": [(np.arange(60) < 40, np.arange(60) >= 40)],
    "an array of pairs": [np.array([FIRST, LAST], dtype=object)],
    "the last of the splits in time": TimeSeriesSplit(2),
    "the last of pairs in time": [(FIRST[:20], FIRST[20:]), (FIRST, LAST)],
}


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("splitter", ONE_PART.values(), ids=ONE_PART)
@all_three
def test_one_split_is_for_all_members(name, splitter, n_members):
    trained, held_out = split_rows(splitter, name=name, n_members=n_members)
    assert [rows.tolist() for rows in trained] == [FIRST.tolist()] * n_members
    assert [rows.tolist() for rows in held_out] == [LAST.tolist()] * n_members


@pytest.mark.parametrize("early_stopping", [True, "auto"])
def test_a_part_decides_as_validation_data_does(early_stopping):
    """Rows whose labels belong to others get worse when the model gets better."""
    y = make_targets("regressor")
    y[LAST] = -y[LAST]
    longer = {"max_epochs": 30, "learning_rate": 0.02, "n_iter_no_change": 2, "early_stopping": early_stopping}
    model = make_model("regressor", validation_split=[(FIRST, LAST)], **longer).fit(X, y)
    assert model.n_iter_ < 30
    assert np.argmax(model.validation_scores_) + 1 == model.best_epochs_[0] < model.n_iter_


def test_rows_in_neither_part_are_not_seen():
    trained, held_out = split_rows(TimeSeriesSplit(2, gap=5, test_size=10, max_train_size=20))
    assert trained[0].tolist() == list(range(25, 45))
    assert held_out[0].tolist() == list(range(50, 60))


def test_members_take_the_splits_one_after_the_other():
    splits = list(KFold(4, shuffle=True, random_state=0).split(X))
    for n_members in (2, 4, 6):
        found = split_rows(KFold(4, shuffle=True, random_state=0), n_members=n_members)
        for m, (trained, held_out) in enumerate(zip(*found, strict=True)):
            np.testing.assert_array_equal(trained, splits[m % 4][0])
            np.testing.assert_array_equal(held_out, splits[m % 4][1])


def test_splits_of_which_only_some_are_in_the_order_of_time():
    pairs = [(FIRST[:20], FIRST[20:]), (FIRST, LAST), (LAST, FIRST)]
    for n_members in (2, 3):
        trained, held_out = split_rows(pairs, n_members=n_members)
        for m in range(n_members):
            np.testing.assert_array_equal(trained[m], pairs[m][0])
            np.testing.assert_array_equal(held_out[m], pairs[m][1])


def test_a_single_network_takes_the_first_split():
    trained, held_out = split_rows(KFold(3, shuffle=True, random_state=0))
    np.testing.assert_array_equal(trained[0], next(KFold(3, shuffle=True, random_state=0).split(X))[0])
    assert len(held_out[0]) == 20


def test_members_whose_parts_overlap_or_leave_rows_out():
    splitter = ShuffleSplit(3, train_size=0.4, test_size=0.4, random_state=0)
    for own, expected in zip(zip(*split_rows(splitter, n_members=3), strict=True), splitter.split(X), strict=True):
        for rows, others in zip(own, expected, strict=True):
            np.testing.assert_array_equal(rows, np.sort(others))


def test_a_module_without_members_takes_the_first_split_alone():
    y = make_targets("regressor")
    options = {"net_params": {"module": OneLayer}, "random_state": 1}
    pairs = list(KFold(2).split(X))
    of_two = make_model("regressor", n_members=2, validation_split=pairs, shuffle=False, batch_size=60, **options)
    alone = make_model("regressor", validation_split=pairs[:1], shuffle=False, batch_size=60, **options)
    np.testing.assert_allclose(of_two.fit(X, y).validation_scores_, alone.fit(X, y).validation_scores_, rtol=1e-5)


def test_splits_that_need_no_end_are_asked_for_no_more_than_are_used():
    split_rows(LeavePOut(30), n_members=2)  # of 10 ** 17


@pytest.mark.parametrize("splitter", [GroupKFold(3), GroupShuffleSplit(3), LeaveOneGroupOut(), LeavePGroupsOut(2)])
def test_splitters_of_groups(splitter):
    for trained, held_out in zip(*split_rows(splitter, n_members=3, groups=GROUPS.astype(str)), strict=True):
        assert not set(GROUPS[trained]) & set(GROUPS[held_out])


@pytest.mark.parametrize("splitter", [StratifiedKFold(3), StratifiedShuffleSplit(1), StratifiedGroupKFold(2)])
def test_splitters_of_classes(splitter):
    y = np.array(["no", "yes"])[(np.arange(60) % 3 == 0) * 1]
    model = MMoEClassifier(n_members=2, max_epochs=1, validation_split=splitter)
    for rows in roles_in(model, X, y, groups=GROUPS if isinstance(splitter, StratifiedGroupKFold) else None)[1]:
        assert (y[rows] == "yes").mean() == pytest.approx(1 / 3, abs=0.05)


class ByMonth:
    """A splitter of the user's own, which reads a column, a task and the groups."""

    def split(self, X, y=None, groups=None):
        assert y.columns.tolist() == ["a", "b"]
        assert groups is not None
        yield np.flatnonzero(X["month"] < 5), np.flatnonzero(X["month"] == 5)

    def get_n_splits(self, X=None, y=None, groups=None):
        return 1


def test_a_splitter_is_given_data_as_fit_was():
    table = pd.DataFrame(X, columns=list("abcd")).assign(month=np.arange(60) // 10)
    y = pd.DataFrame(make_targets("regressor"), columns=["a", "b"])
    _, held_out = roles_in(make_model("regressor", validation_split=ByMonth()), table, y, groups=GROUPS)
    assert held_out[0].tolist() == list(range(50, 60))


@pytest.mark.parametrize("n_members", [1, 3])
def test_rows_without_a_label_are_in_no_part(n_members):
    y = make_targets("regressor")
    y[::4] = np.nan
    splitter = [(FIRST, LAST)] if n_members == 1 else KFold(3)
    for trained, held_out in zip(*split_rows(splitter, y=y, n_members=n_members), strict=True):
        labelled = {*trained.tolist(), *held_out.tolist()}
        assert labelled == set(np.flatnonzero(np.arange(60) % 4))


def test_a_scorer_watches_the_part_of_all_members():
    y = make_targets("regressor")
    options = {"n_members": 2, "monitor": make_task_scorer("r2"), "validation_split": [(FIRST, LAST)], "max_epochs": 1}
    model = make_model("regressor", linear_part=False, **options).fit(X, y)
    assert model.validation_scores_[0] == pytest.approx(make_task_scorer("r2")(model, X[LAST], y[LAST]))


# --------------------------------------------------------------------------------------------------------------------
# Chance


@pytest.mark.parametrize("splitter", [ShuffleSplit(2), GroupShuffleSplit(1), KFold(2, shuffle=True), RepeatedKFold()])
def test_a_splitter_without_a_seed_draws_from_that_of_the_estimator(splitter):
    def held_out(random_state):
        state = np.random.get_state()[1].copy()
        groups = GROUPS if isinstance(splitter, GroupShuffleSplit) else None
        found = split_rows(splitter, n_members=2, groups=groups, random_state=random_state)[1]
        np.testing.assert_array_equal(np.random.get_state()[1], state)
        return [rows.tolist() for rows in found]

    assert held_out(0) == held_out(0)
    assert any(held_out(0) != held_out(seed) for seed in range(1, 4))
    assert splitter.random_state is None


def test_a_generator_of_a_splitter_is_left_as_it_was():
    splitter = ShuffleSplit(1, random_state=np.random.RandomState(3))
    model = make_model("regressor", validation_split=splitter)
    y = make_targets("regressor")
    assert_same_model(clone(model).fit(X, y), model.fit(X, y))
    assert splitter.random_state.randint(1000) == np.random.RandomState(3).randint(1000)


class DrawsAfresh(ByMonth):
    """A splitter that draws other rows each time, from nobody knows where."""

    def split(self, X, y=None, groups=None):
        rows = np.random.default_rng().permutation(60)
        yield rows[:40], rows[40:]


@pytest.fixture
def half_done(tmp_path, monkeypatch):
    """A folder in which a fit leaves its states as if it were killed at its end."""
    monkeypatch.setattr("sklearn_mmoe._estimators.base.forget", lambda checkpoint: None)
    return FitCheckpoint(tmp_path, seconds=0)


@pytest.mark.parametrize("random_state", [0, None])
@pytest.mark.parametrize("splitter", [None, GroupShuffleSplit(1), GroupKFold(2)], ids=str)
def test_a_fit_that_was_killed_goes_on_with_the_rows_that_it_held_out(splitter, random_state, half_done):
    model = make_model("regressor", n_members=2, random_state=random_state, validation_split=splitter)
    (_, first), (_, second) = (
        roles_in(clone(model), X, make_targets("regressor"), groups=GROUPS, checkpoint=half_done) for _ in range(2)
    )
    np.testing.assert_equal(second, first)


@pytest.mark.parametrize(
    ("splitters", "groups"),
    [
        ([DrawsAfresh()] * 2, [None] * 2),
        ([KFold(2), KFold(3)], [None] * 2),
        ([[(FIRST, LAST)], [(FIRST, LAST[1:])]], [None] * 2),
        ([None] * 2, [GROUPS, GROUPS[::-1] // 2]),
    ],
    ids=["chance", "splitters", "pairs", "groups"],
)
def test_a_fit_that_holds_out_other_rows_is_another_fit(splitters, groups, half_done):
    model, y = make_model("regressor", n_members=3), make_targets("regressor")
    model.set_params(validation_split=splitters[0]).fit(X, y, groups=groups[0], checkpoint=half_done)
    with pytest.raises(ValueError, match="of another fit, which held out other rows: validation_split or groups have"):
        model.set_params(validation_split=splitters[1]).fit(X, y, groups=groups[1], checkpoint=half_done)


# --------------------------------------------------------------------------------------------------------------------
# What is refused

REFUSED = [
    ([], r"validation_split=\[\] makes no split"),
    (PredefinedSplit([-1] * 60), r"validation_split=PredefinedSplit\(.*makes no split"),
    (PredefinedSplit([-1] * 70 + [0]), r"from 0 to 59.*; got 60, 61, .*69\."),
    ([FIRST], "split 0 of validation_split must be a pair of rows"),
    ([(FIRST, LAST, LAST)], "split 0 of validation_split must be a pair of rows"),
    ([(LAST, FIRST), "ab"], "split 1 of validation_split must be a pair of rows"),
    ([(FIRST, [])], "split 0 of validation_split must give row numbers .* one row or more; got none"),
    ([([], LAST)], "one row or more; got none"),
    ([(FIRST, [-1])], "must give row numbers from 0 to 59.*got -1"),
    ([(FIRST, LAST + 1)], "must give row numbers from 0 to 59.*got 60"),
    ([(FIRST, [41.0])], "must give row numbers.*got 41.0"),
    ([(FIRST, np.arange(50) > 40)], "masks of 60 rows.*got False"),
    ([(np.append(FIRST, 47), LAST)], "split 0 of validation_split has 1 rows in both parts, such as row 47"),
    ([([1, 1, 2], LAST)], "has a row twice in one part: 3 numbers of 2 rows.*sample_weight"),
    (GroupKFold(2), r"validation_split=GroupKFold\(.* splits by groups, and fit was given none: fit\(X, y, groups="),
    (StratifiedKFold(2), "validation_split: Supported target types are"),
    (KFold(70), "validation_split: Cannot have number of splits n_splits=70 greater"),
]


@pytest.mark.parametrize(("splitter", "match"), REFUSED, ids=range(len(REFUSED)))
def test_splits_that_are_none(splitter, match):
    model = make_model("regressor", n_members=2, validation_split=splitter)
    with pytest.raises(ValueError, match=match):
        model.fit(X, make_targets("regressor"))
    assert_unfitted(model)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (0.2, "A share of the rows goes into validation_fraction"),
        (5, r"KFold\(5\) or GroupKFold\(5\)"),
        (GroupKFold, r"Call it: GroupKFold\(\)"),
        (KFold(2).split(X), "Make it a list, which any number of fits can read"),
        ("time", "got 'time' instead.$"),
    ],
    ids=["share", "number", "class", "generator", "word"],
)
def test_what_is_no_splitter(value, advice):
    with pytest.raises(ValueError, match=f"The 'validation_split' parameter of MMoERegressor must be None.*{advice}"):
        make_model("regressor", validation_split=value).fit(X, make_targets("regressor"))


def test_there_is_one_answer_to_what_is_held_out():
    y, splits = make_targets("regressor"), [(FIRST, LAST)]
    with pytest.raises(ValueError, match=r"validation_split=.* but X_val and y_val are given, too"):
        make_model("regressor", validation_split=splits).fit(X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="but early_stopping=False holds none out: set early_stopping='auto'"):
        make_model("regressor", validation_split=splits, early_stopping=False).fit(X, y)


def test_parts_without_the_labels_that_they_are_for():
    y = make_targets("regressor")
    y[40:, 1] = np.nan
    model = make_model("regressor", validation_split=[(FIRST, LAST)], monitor="y1")
    with pytest.raises(ValueError, match="a validation part without a label of a task that monitor watches, split 0"):
        model.fit(X, y)
    with pytest.raises(ValueError, match=r"leaves no label of the tasks \['y1'\] to train on, in split 0"):
        model.set_params(validation_split=[(LAST, FIRST)], monitor="mean").fit(X, y)
    model.set_params(validation_split=[(FIRST, LAST)], monitor="mean").fit(X, y)


def test_a_scorer_needs_rows_that_no_member_has_seen():
    model = make_model("regressor", n_members=2, monitor=make_task_scorer("r2"), validation_split=KFold(2))
    with pytest.raises(ValueError, match=r"monitor is a scorer.*validation_split=KFold\(.*GroupShuffleSplit\(1\)"):
        model.fit(X, make_targets("regressor"))


def test_a_splitter_that_knows_no_groups_is_heard_of():
    model = make_model("regressor", validation_split=KFold(2))
    with pytest.warns(UserWarning, match="The groups parameter is ignored by KFold"):
        model.fit(X, make_targets("regressor"), groups=GROUPS)


# --------------------------------------------------------------------------------------------------------------------
# Files, and what fits many models


def test_all_splitters_of_scikit_learn_are_known():
    assert {type(splitter).__name__ for splitter in SPLITTERS_OF_ALL_KINDS} == set(SPLITTERS)


@round_trips
@pytest.mark.parametrize(
    "splitter", [*SPLITTERS_OF_ALL_KINDS, [(FIRST, LAST)]], ids=lambda splitter: type(splitter).__name__
)
def test_splitters_are_saved(splitter, there_and_back):
    model = FITTED.set_params(validation_split=splitter)
    found = there_and_back(model).validation_split
    assert type(found) is type(splitter)
    if isinstance(splitter, list):
        np.testing.assert_equal(found, splitter)
    else:
        np.testing.assert_equal(parameters_of(found), parameters_of(splitter))


FITTED = make_model("regressor").fit(X, make_targets("regressor"))


def test_a_splitter_of_the_users_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match=r"save cannot write the parameter 'validation_split'.*ByMonth"):
        copy.copy(FITTED).set_params(validation_split=ByMonth()).save(tmp_path / "model")


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_transfer_report_keeps_groups_whole_inside_and_outside(in_pipeline):
    y = make_targets("regressor")
    seen = []

    class Watch(GroupKFold):
        def split(self, X, y=None, groups=None):
            seen.append((len(X), groups))
            return super().split(X, y, groups)

    model = make_model("regressor", validation_split=Watch(2), max_epochs=1)
    model = make_pipeline(StandardScaler(), model) if in_pipeline else model
    report = transfer_report(model, X, y, cv=3, groups=GROUPS.astype(str), n_jobs=1)
    assert np.isfinite(report["gain"]).all()
    assert len(seen) == 3 * 3
    for n_rows, groups in seen:
        assert n_rows == len(groups) == 40
        assert len(set(groups)) == 4, "a fold of the report has two whole groups"
