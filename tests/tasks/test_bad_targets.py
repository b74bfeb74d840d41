"""Bad targets and declarations of tasks: an error that names the task, and an estimator that is as it was before."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import (
    KINDS,
    N_ROWS,
    all_three,
    assert_fit_refuses,
    assert_unfitted,
    changed,
    fitted,
    make_features,
    make_model,
    make_targets,
    task_name,
)

from sklearn_mmoe import MMoEMultiTask
from sklearn_mmoe.tasks import Binary, Multiclass, Ordinal, Regression


@all_three
def test_lengths_that_differ_show_both_shapes(name):
    y = make_targets(name)[:30]
    assert_fit_refuses(name, re.escape(f"X of shape (60, 4), y of shape {y.shape}"), y=y)
    assert_fit_refuses(name, re.escape("X of shape (60, 4), y of shape (30,)"), y=y[:, 0])
    frame = pd.DataFrame(y, columns=list(KINDS)[: y.shape[1]])
    assert_fit_refuses(name, re.escape(f"X of shape (60, 4), y of shape {y.shape}"), y=frame)


@all_three
def test_a_target_of_three_dimensions_shows_both_shapes(name):
    assert_fit_refuses(name, r"\(60, 4\).*\(60, 2, 2\)|\(60, 2, 2\).*\(60, 4\)", y=np.zeros((N_ROWS, 2, 2)))


@all_three
def test_no_target_or_no_column(name):
    model = make_model(name)
    with pytest.raises(ValueError, match="requires y to be passed"):
        model.fit(make_features(), None)
    assert_unfitted(model)
    assert_fit_refuses(name, re.escape("y has no column: it is of shape (60, 0)"), y=np.zeros((N_ROWS, 0)))


@all_three
def test_a_frame_without_columns(name):
    assert_fit_refuses(name, "y", y=pd.DataFrame(index=range(N_ROWS)))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@all_three
def test_infinity_in_y_names_the_column(name, value):
    y = changed(make_targets(name), 4, 1, value)
    assert_fit_refuses(name, f"Input y contains infinity in column '{task_name(name, 1)}'", y=y)
    named = pd.DataFrame(y, columns=list(KINDS)[: y.shape[1]])
    assert_fit_refuses(name, f"Input y contains infinity in column '{list(KINDS)[1]}'", y=named)


@all_three
def test_infinity_in_y_is_an_error_where_the_type_is_object(name):
    y = changed(make_targets(name).astype(object), 4, 1, np.inf)
    y[5, 1] = None
    assert_fit_refuses(name, f"infinity in column '{task_name(name, 1)}'", y=y)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda y: np.r_[y[:-1], np.nan],
        lambda y: [*y[:-1], None],
        lambda y: [*y[:-1], float("nan")],
        lambda y: pd.Series([*y[:-1], np.nan]),
        lambda y: pd.Series(pd.array([*y[:-1].astype(int), pd.NA], dtype="Int64")),
        lambda y: pl.Series([*y[:-1], None]),
    ],
    ids=["array", "None in a list", "NaN in a list", "Series", "nullable Series", "polars"],
)
@all_three
def test_a_single_target_with_a_missing_label(name, spoil):
    parameters = {"tasks": ["binary"]} if name == "multitask" else {}
    y = spoil((make_features()[:, 0] > 0).astype(float))
    assert_fit_refuses(name, "Input y contains NaN.*drop the rows", y=y, **parameters)


@all_three
def test_a_task_without_any_label_is_named(name):
    y = make_targets(name)
    y[:, 1] = np.nan
    assert_fit_refuses(name, f"Task '{task_name(name, 1)}' has no label at all", y=y)
    frame = pd.DataFrame(y, columns=list(KINDS)[: y.shape[1]])
    assert_fit_refuses(name, f"Task '{list(KINDS)[1]}' has no label at all", y=frame)


def test_one_class_is_an_error_that_names_the_task():
    y = make_targets("classifier")
    y[:, 1] = 2
    assert_fit_refuses("classifier", "Task 'y1' has only one class, 2.0", y=y)
    assert_fit_refuses("classifier", "Task 'y0' has only one class, 'a'", y=["a"] * N_ROWS)
    assert_fit_refuses("multitask", "Task 'up' has only one class, 1.0", y=np.ones((N_ROWS, 3)))


def test_one_class_among_the_labels_that_are_there():
    y = make_targets("classifier")
    y[y[:, 0] == 1, 0] = np.nan
    assert_fit_refuses("classifier", "Task 'y0' has only one class, 0.0", y=y)


def test_three_classes_of_a_binary_task_are_listed():
    y = changed(make_targets("multitask"), 4, 0, 2)
    match = r"Task 'up' is declared binary but has 3 classes: 0\.0, 1\.0, 2\.0.*'multiclass'"
    assert_fit_refuses("multitask", match, y=y)


@pytest.mark.parametrize("n_tasks", [1, 2])
def test_real_numbers_in_the_classifier(n_tasks):
    y = make_targets("regressor")
    y = y[:, 0] if n_tasks == 1 else y
    assert_fit_refuses("classifier", "Task 'y0': Unknown label type: continuous", y=y)


def test_strings_in_the_regressor_name_the_column():
    words = np.where(make_features()[:, 0] > 0, "up", "down")
    frame = pd.DataFrame({"price": make_features()[:, 0], "trend": words})
    assert_fit_refuses("regressor", "'trend' is a regression but its labels are no numbers: found '(up|down)'", y=frame)
    assert_fit_refuses("regressor", "'y1' is a regression but its labels are no numbers", y=frame.to_numpy())
    assert_fit_refuses("regressor", "'y0' is a regression but its labels are no numbers", y=words)
    mixed = [[0.5, "up"]] * N_ROWS
    assert_fit_refuses("regressor", "'y1' is a regression but its labels are no numbers", y=mixed)


def test_a_number_among_strings_names_the_column_and_the_types():
    frame = pd.DataFrame({"trend": ["up", "down"] * (N_ROWS // 2), "side": [1, "left"] * (N_ROWS // 2)})
    assert_fit_refuses("classifier", "Task 'side' mixes labels of types int, str", y=frame)


@pytest.mark.parametrize(("value", "shown"), [(-1.0, "-1.0"), (0.5, "0.5")])
def test_labels_that_are_no_counts_name_the_task_and_the_label(value, shown):
    match = f"Task '{{}}' counts: its labels must be whole numbers from 0 up, got {shown}"
    y = changed(make_targets("multitask"), 4, 2, value)
    assert_fit_refuses("multitask", match.format("visits"), y=y)
    kinds = {**KINDS, "visits": Regression(loss="poisson")}
    assert_fit_refuses("multitask", match.format("visits"), y=y, tasks=kinds)
    counts = changed(np.ones((N_ROWS, 2)), 4, 1, value)
    assert_fit_refuses("regressor", match.format("y1"), y=counts, loss="poisson")
    assert_fit_refuses("regressor", match.format("y1"), y=counts, loss=["squared_error", "poisson"])


@all_three
def test_complex_numbers_in_y(name):
    assert_fit_refuses(name, "y: Complex data not supported", y=make_targets(name) * 1j)


@all_three
def test_rows_of_y_that_differ_in_length(name):
    assert_fit_refuses(name, "The rows of y are of different lengths, from 1 to 2", y=[[0, 1]] * (N_ROWS - 1) + [[0]])


@all_three
def test_columns_of_y_with_the_same_name(name):
    """The names of the tasks are what task weights, kinds and answers go by."""
    y = pd.DataFrame(make_targets(name))
    y.columns = ["same"] * y.shape[1]
    assert_fit_refuses(name, "same", y=y)


@all_three
def test_a_lazy_frame_says_how_to_go_on(name):
    assert_fit_refuses(name, r"y is a lazy data frame: call its collect\(\)", y=pl.DataFrame(make_targets(name)).lazy())


# --------------------------------------------------------------------------------------------------------------------
# Declarations of tasks


def named_targets():
    return pd.DataFrame(make_targets("multitask"), columns=list(KINDS))


def test_tasks_that_do_not_match_y_in_number():
    two = dict(list(KINDS.items())[:2])
    declared = r"declares 2 tasks \['up', 'level'\], but y has 3 columns"
    assert_fit_refuses("multitask", declared, tasks=two)
    assert_fit_refuses("multitask", declared + r" \['up', 'level', 'visits'\]", y=named_targets(), tasks=two)
    in_order = r"declares 2 tasks \['binary', 'binary'\], but y has 3 columns \['y0', 'y1', 'y2'\]"
    assert_fit_refuses("multitask", in_order, tasks=["binary", "binary"])
    assert_fit_refuses("multitask", "declares 0 tasks", tasks=[])


def test_tasks_that_do_not_match_y_in_name():
    kinds = {"up": "binary", "levle": "regression", "visits": "count"}
    match = (
        "Declared, not in y: ['levle']; in y, not declared: ['level']; the columns of y are ['up', 'level', 'visits']"
    )
    assert_fit_refuses("multitask", re.escape(match), y=named_targets(), tasks=kinds)


@pytest.mark.parametrize("kind", ["regresion", 3, None, Regression])
def test_a_kind_that_does_not_exist(kind):
    allowed = "'regression', 'count', 'positive', 'binary', 'multiclass', 'ordinal'"
    match = f"tasks declares 'level' as {re.escape(repr(kind))}.*{allowed}"
    assert_fit_refuses("multitask", match, tasks={**KINDS, "level": kind})
    in_order = match.replace("'level'", "'y1'")
    assert_fit_refuses("multitask", in_order, tasks=["binary", kind, "count"])


@pytest.mark.parametrize(
    "column",
    [np.arange(N_ROWS), np.arange(N_ROWS, dtype=np.uint8), pd.array([1, pd.NA] * (N_ROWS // 2), dtype="Int64")],
    ids=["int", "uint8", "nullable"],
)
def test_auto_does_not_guess_what_whole_numbers_are(column):
    y = pd.DataFrame({"price": make_features()[:, 0], "grade": column})
    match = r"'auto' cannot tell what column 'grade' of y is.*measurements, counts or classes.*'grade': 'regression'"
    assert_fit_refuses("multitask", match, y=y, tasks="auto")


@pytest.mark.parametrize("value", [0.0, -2.0])
def test_labels_that_are_not_positive_name_the_task_and_the_label(value):
    match = f"Task '{{}}' is positive: its labels must be greater than 0, got {value}.*'regression'"
    y = np.exp(make_targets("multitask"))
    y[4, 1] = value
    kinds = {"up": "regression", "level": "positive", "visits": "regression"}
    assert_fit_refuses("multitask", match.format("level"), y=y, tasks=kinds)
    assert_fit_refuses("regressor", match.format("y1"), y=y[:, :2], loss="gamma")


@pytest.mark.parametrize(
    "column",
    [
        np.array(["low", "high"] * (N_ROWS // 2)),
        pd.Series(["low", "high"] * (N_ROWS // 2), dtype="category"),
        pl.Series(["low", "high"] * (N_ROWS // 2), dtype=pl.Categorical),
    ],
    ids=["strings", "pandas categorical", "polars categorical"],
)
def test_ordinal_labels_without_an_order_say_what_to_write(column):
    match = r"in which order its classes 'low', 'high' stand.*Ordinal\(categories=\[.*ordered=True.*polars.Enum"
    model = make_model("multitask", tasks=["ordinal"])
    with pytest.raises(ValueError, match=match):
        model.fit(make_features(), column)
    assert_unfitted(model)


@pytest.mark.parametrize("categories", [["low", "middle"], [1, 2]])
def test_ordinal_labels_outside_their_categories_are_named(categories):
    model = make_model("multitask", tasks=[Ordinal(categories=categories)])
    with pytest.raises(ValueError, match="Task 'y0' has labels that are not among its classes: 'high'"):
        model.fit(make_features(), np.array(["high"] * N_ROWS))
    assert_unfitted(model)


def test_auto_does_not_guess_what_a_mixture_is():
    y = pd.DataFrame({"price": make_features()[:, 0], "grade": [1, "one"] * (N_ROWS // 2)})
    assert_fit_refuses("multitask", "'auto' cannot tell what column 'grade'", y=y, tasks="auto")


@pytest.mark.parametrize("tasks", ["auto", None, 3, "regression", ["regresion"], {"a": None}])
def test_whether_there_are_probabilities_can_be_asked_whatever_tasks_is(tasks):
    assert hasattr(MMoEMultiTask(tasks=tasks), "predict_proba") in (True, False)


@pytest.mark.parametrize(
    ("declare", "match"),
    [
        (lambda: Regression(loss="mse"), "squared_error.*got 'mse'"),
        (lambda: Regression(quantile=1.0), "between 0 and 1, got 1.0"),
        (lambda: Regression(quantile=np.nan), "between 0 and 1, got nan"),
        *[
            (
                lambda value=value: Binary(positive_weight=value),
                "positive_weight of a Binary must be a finite number above",
            )
            for value in (0, -1.0, np.nan, np.inf, "balanced", None, True)
        ],
        *[
            (
                lambda kind=kind, value=value: kind(focal_gamma=value),
                f"focal_gamma of a {kind.__name__} must be a finite",
            )
            for kind in (Binary, Multiclass)
            for value in (-0.5, np.nan, np.inf, "2", None, True)
        ],
        (lambda: Ordinal(categories="abc"), "must be a sequence of two or more classes, the lowest first.*got 'abc'"),
        (lambda: Ordinal(categories={"a", "b"}), "must be a sequence"),
        (lambda: Ordinal(categories=3), "must be a sequence"),
        (lambda: Ordinal(categories=[["a", "b"]]), "must be a sequence"),
        (lambda: Ordinal(categories=["a"]), "each of them once"),
        (lambda: Ordinal(categories=["a", "b", "a"]), "each of them once"),
        (lambda: Ordinal(categories=["a", 1]), "all numbers or all strings"),
        (lambda: Ordinal(categories=["a", None]), "none of them missing"),
        (lambda: Ordinal(categories=[1, np.nan]), "none of them missing"),
    ],
)
def test_declarations_check_their_parameters(declare, match):
    with pytest.raises(ValueError, match=match):
        declare()


# --------------------------------------------------------------------------------------------------------------------
# Scores


@all_three
def test_scores_of_other_targets(name):
    X, y = make_features(), make_targets(name)
    frame = pd.DataFrame(y, columns=list(KINDS)[: y.shape[1]])
    model = make_model(name).fit(X, frame)
    with pytest.raises(ValueError, match=r"(?s)fitted on.*\['up', 'level'"):
        model.score(X, frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match=r"1-D|1 columns"):
        model.score(X, y[:, 0])
    with pytest.raises(ValueError, match="y has no label at all"):
        model.score(X, np.full(y.shape, np.nan))


@all_three
def test_scores_of_another_length_show_both_shapes(name):
    y = make_targets(name)[1:]
    with pytest.raises(ValueError, match=re.escape(f"X of shape (60, 4), y of shape {y.shape}")):
        fitted(name).score(make_features(), y)
