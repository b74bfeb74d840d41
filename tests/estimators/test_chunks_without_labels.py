"""A first chunk of `partial_fit` may lack a task: its classes are given then, and its scale is that of later labels."""

import numpy as np
import pandas as pd
import pytest
from helpers import SMALL, OneLayer, all_three, assert_unfitted, make_features, make_model, make_targets
from sklearn.base import clone
from together import Together

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe.tasks import Count, Ordinal, Positive, Regression
from sklearn_mmoe.tasks._shards import columns_of_all
from sklearn_mmoe.tasks._validation import Column

CLASSES = {
    "regressor": {},
    "classifier": {"classes": [[0, 1], [0, 1, 2]]},
    "multitask": {"classes": {"up": [0.0, 1.0]}},
}


def lacking(y, columns, by):
    """Targets without labels in some columns, and weights that say so, or what is as good as that."""
    y, weights = y.astype(float), None
    if by == "holes":
        y[:, columns] = np.nan
    else:
        weights = np.ones_like(y)
        weights[:, columns] = 0
    return y, weights


@pytest.mark.parametrize("by", ["holes", "weights"])
@pytest.mark.parametrize("columns", [[0], [1], [0, 1]])
@all_three
def test_a_first_chunk_lacks_tasks_and_a_later_one_teaches_them(name, columns, by):
    X, y = make_features(), make_targets(name)
    if name == "regressor":
        y[:, 1] += 1e4
    columns = columns if by == "holes" or len(columns) < y.shape[1] else columns[:1]  # some weight there must be
    first, weights = lacking(y, columns, by)
    model = make_model(name, learning_rate=0.03, batch_size=10, numeric_embeddings=None)
    model.partial_fit(X, first, sample_weight=weights, **CLASSES[name])
    assert np.isfinite(model.predict(X).astype(float)).all()
    for _ in range(8):
        model.partial_fit(X, y)
    assert model.score(X, y) > (0.5 if name == "regressor" else 0.3)
    for t, task in enumerate(model._tasks):
        if task.loss == "squared_error":
            np.testing.assert_allclose([task.location, task.scale], [y[:, t].mean(), y[:, t].std()], rtol=1e-6)


KINDS = {
    "regression": (Regression(), lambda x: 1e4 + 100 * x, None),
    "quantile": (Regression(loss="quantile", quantile=0.8), lambda x: 1e4 + 100 * x, None),
    "count": (Count(), lambda x: np.floor(100 * np.exp(x)), None),
    "positive": (Positive(), lambda x: 1000 * np.exp(x), None),
    "binary": ("binary", lambda x: np.where(x > 0, "yes", "no"), ["no", "yes"]),
    "multiclass": ("multiclass", lambda x: np.digitize(x, [-0.5, 0.5]), [0, 1, 2]),
    "ordinal, declared": (Ordinal(["low", "high"]), lambda x: np.where(x > 0, "high", "low"), None),
    "ordinal, by value": (Ordinal(), lambda x: np.digitize(x, [-0.5, 0.5]), [0, 1, 2]),
}


@pytest.mark.parametrize("library", ["pandas", "an array"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_task_may_come_later(kind, library):
    X = make_features()
    declaration, labels, classes = KINDS[kind]
    y = pd.DataFrame({"sure": X[:, 1], "late": labels(X[:, 0])})
    first = y.assign(late=None)
    if library == "an array":
        y, first = y.to_numpy(dtype=object), first.to_numpy(dtype=object)
    model = MMoEMultiTask(tasks={"sure": "regression", "late": declaration}, **SMALL)
    model.partial_fit(X, first, classes=None if classes is None else {"late": classes})
    model.set_params(learning_rate=0.04, batch_size=10)
    for _ in range(10):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.3
    found = model.predict_frame(X)["late"]
    assert set(found) <= set(labels(X[:, 0])) if classes or kind.startswith("ord") else found.mean() > 100


def test_a_chunk_without_any_label_may_be_the_first():
    X, y = make_features(), make_targets("classifier")
    nothing = np.full_like(y, np.nan)
    for weights in (None, np.ones(len(X))):
        model = make_model("classifier", class_weight="balanced")
        model.partial_fit(X, nothing, sample_weight=weights, **CLASSES["classifier"])
        assert model.n_labels_seen_.tolist() == [0, 0]
        model.partial_fit(X, y)
        assert model.n_labels_seen_.tolist() == [60, 60]


def test_balanced_classes_of_a_chunk_that_lacks_a_task():
    X, y = make_features(), make_targets("classifier")
    first, _ = lacking(y, [1], "holes")
    model = make_model("classifier", class_weight="balanced").partial_fit(X, first, **CLASSES["classifier"])
    assert np.isfinite(model.partial_fit(X, y).partial_fit(X, first).loss_curve_).all()


def test_predictions_of_a_task_begin_near_its_first_labels():
    """What it predicted without any label is not worth keeping."""
    X = make_features()
    y = np.column_stack([X[:, 0], 1e6 + X[:, 1]])
    model = make_model("regressor", learning_rate=1e-9, weight_decay=0.0)
    model.partial_fit(X, lacking(y, [1], "holes")[0]).partial_fit(X, y)
    assert abs(model.predict(X)[:, 1] - 1e6).max() < 10


@pytest.mark.parametrize("go_on", ["fit", "partial_fit"])
@pytest.mark.parametrize("net_params", [None, {"module": OneLayer}], ids=["own module", "module of the user"])
def test_a_scale_is_learned_when_there_are_labels_whatever_goes_on(go_on, net_params):
    X = make_features()
    y = np.column_stack([X[:, 0], 1e6 + X[:, 1]])
    model = make_model("regressor", warm_start=True, net_params=net_params)
    model.partial_fit(X, lacking(y, [1], "holes")[0])
    getattr(model, go_on)(X, y)
    assert abs(model.predict(X)[:, 1] - 1e6).max() < 10
    assert model._tasks[1].location == pytest.approx(1e6)


def test_auto_takes_given_classes_for_a_classification():
    X = make_features()
    y = pd.DataFrame({"value": X[:, 0], "kind": np.where(X[:, 1] > 0, 1, 0)})
    model = MMoEMultiTask(**SMALL).partial_fit(X, y.assign(kind=None), classes={"kind": [0, 1]})
    assert set(model.partial_fit(X, y).predict_frame(X)["kind"]) <= {0, 1}
    assert set(clone(model).partial_fit(X, y, classes={"kind": [0, 1]}).predict_frame(X)["kind"]) <= {0, 1}


@pytest.mark.parametrize(
    ("model", "y", "match"),
    [
        (MMoEClassifier(**SMALL), lacking(make_targets("classifier"), [1], "holes")[0],
         r"Task 'y1' has no label at all, so that its classes are unknown: name them, partial_fit\(\.\.\., classes="),
        (MMoEMultiTask(**SMALL), pd.DataFrame({"a": np.arange(60.0), "b": None}),
         r"cannot tell what column 'b' of y is, as it has no label here\. Declare it: tasks=\{'b': 'regression'\}"),
        (MMoEMultiTask(tasks=["regression", "ordinal"], **SMALL), pd.DataFrame({"a": np.arange(60.0), "b": None}),
         "Task 'b' has no label at all, so that its classes are unknown"),
    ],
)  # fmt: skip
def test_a_task_of_which_nothing_is_known(model, y, match):
    with pytest.raises(ValueError, match=match):
        model.partial_fit(make_features(), y)
    assert_unfitted(model)


@all_three
def test_fit_still_needs_a_label_of_each_task(name):
    y, _ = lacking(make_targets(name), [0], "holes")
    with pytest.raises(ValueError, match="has no label at all: every row of its column of y is missing"):
        make_model(name).fit(make_features(), y)


def test_a_column_without_labels_on_any_rank_is_as_it_is():
    column = Column("late", np.empty(0), np.zeros(3, dtype=bool), np.dtype("float64"))
    (found,) = columns_of_all([column], [True], Together([(column.dtype, column.values)]))
    assert len(found.values) == 0
    assert found.dtype == column.dtype


def test_a_label_that_weighs_nothing_may_be_too_large_for_the_cells():
    X = make_features()
    y = np.column_stack([X[:, 0], X[:, 1]])
    y[3, 1] = 1e100
    weights = np.ones_like(y)
    weights[3, 1] = 0
    model = MMoERegressor(**SMALL).fit(X, y, sample_weight=weights)
    y[3, 1] = np.nan
    np.testing.assert_allclose(model.predict(X), MMoERegressor(**SMALL).fit(X, y).predict(X), rtol=1e-4)
