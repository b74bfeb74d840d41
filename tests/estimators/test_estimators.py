"""What the three estimators answer: shapes, types, labels, missing cells, weights, scores."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.metrics import accuracy_score, d2_log_loss_score, d2_tweedie_score, r2_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from versions import needs

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe.tasks import Count, Multiclass, Regression

SMALL = {"n_members": 1, "n_experts": 2, "expert_layer_sizes": (8,), "tower_layer_sizes": (4,), "random_state": 0}
LEARNS = {"n_members": 1, "max_epochs": 40, "learning_rate": 0.01, "random_state": 0}


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(200, 4))


@pytest.fixture
def targets(X):
    rng = np.random.default_rng(1)
    return {
        "up": X[:, 0] > 0,
        "level": 1000 * X[:, 1] + 5,
        "visits": rng.poisson(np.exp(X[:, 2])),
        "colour": np.array(["blue", "green", "red"])[np.digitize(X[:, 3], [-0.5, 0.5])],
    }


TASKS = {"up": "binary", "level": "regression", "visits": "count", "colour": "multiclass"}


# --------------------------------------------------------------------------------------------------------------------
# Learning


def test_regressor_learns_tasks_on_very_different_scales(X):
    y = np.column_stack([X[:, 0] + X[:, 1], 1e6 * X[:, 1] - 3e6, 1e-6 * X[:, 2]])
    model = MMoERegressor(**LEARNS).fit(X, y)
    assert (r2_score(y, model.predict(X), multioutput="raw_values") > 0.95).all()


def test_classifier_learns_every_task(X):
    y = np.column_stack([X[:, 0] > 0, X[:, 1] > 0]).astype(int)
    model = MMoEClassifier(**LEARNS).fit(X, y)
    assert model.score(X, y) > 0.9


def test_multi_task_learns_every_kind(X, targets):
    model = MMoEMultiTask(tasks=TASKS, **LEARNS).fit(X, pd.DataFrame(targets))
    frame = model.predict_frame(X)
    assert accuracy_score(targets["up"], frame["up"]) > 0.9
    assert r2_score(targets["level"], frame["level"]) > 0.9
    assert d2_tweedie_score(targets["visits"], frame["visits"], power=1) > 0.3
    assert accuracy_score(targets["colour"], frame["colour"]) > 0.9


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson"])
def test_regressor_learns_by_every_loss(X, loss):
    y = np.round(np.exp(X[:, 0] / 2 + 1)) if loss == "poisson" else 50 + 10 * X[:, 0]
    model = MMoERegressor(loss=loss, **LEARNS).fit(X, y)
    assert model.score(X, y) > 0.9


def test_quantiles_cover_what_they_promise(X):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(2000, 1))
    y = X[:, 0] + rng.normal(size=2000)
    tasks = {f"q{q}": Regression(loss="quantile", quantile=q) for q in (0.1, 0.5, 0.9)}
    options = {"max_epochs": 15, "learning_rate": 0.01, "numeric_embeddings": None}
    model = MMoEMultiTask(tasks=tasks, **SMALL, **options).fit(X, np.column_stack([y] * 3))
    shares = (y[:, None] <= model.predict(X)).mean(axis=0)
    np.testing.assert_allclose(shares, [0.1, 0.5, 0.9], atol=0.04)


def test_a_loss_per_task(X):
    y = np.column_stack([X[:, 0], np.round(np.exp(X[:, 1]))])
    model = MMoERegressor(loss=["huber", "poisson"], **SMALL, max_epochs=2).fit(X, y)
    assert [task.loss for task in model._tasks] == ["huber", "poisson"]
    assert (model.predict(X)[:, 1] > 0).all()


# --------------------------------------------------------------------------------------------------------------------
# Shapes and types of answers


def test_regressor_answers_in_the_shape_of_y(X):
    for y, shape in ((X[:, 0], (200,)), (X[:, :1], (200, 1)), (X[:, :3], (200, 3))):
        predicted = MMoERegressor(**SMALL, max_epochs=1).fit(X, y).predict(X)
        assert predicted.shape == shape
        assert predicted.dtype == np.float64


def test_batch_of_one_row_works_everywhere(X, targets):
    y = pd.DataFrame(targets)
    model = MMoEMultiTask(tasks=TASKS, **SMALL, batch_size=199, max_epochs=2).fit(X, y)  # the last batch has one row
    assert model.predict(X[:1]).shape == (1, 4)
    assert model.predict_proba(X[:1])["colour"].shape == (1, 3)
    assert model.gate_weights(X[:1]).shape == (1, 4, 2)
    single = MMoERegressor(**SMALL, batch_size=1, max_epochs=1).fit(X[:3], X[:3, 0])
    assert single.predict(X[:1]).shape == (1,)


LABELS = {
    "ints": np.array([3, 7, 5]),
    "negative ints": np.array([-1, 0, 1]),
    "bools": np.array([False, True, True]),
    "strings": np.array(["no", "perhaps", "yes"]),
    "objects": np.array(["no", "perhaps", "yes"], dtype=object),
    "floats": np.array([0.0, 1.0, 2.0]),
}


@pytest.mark.parametrize("values", LABELS.values(), ids=LABELS.keys())
def test_classifier_gives_labels_back_as_they_went_in(X, values):
    y = values[np.digitize(X[:, 0], [-0.3, 0.3])]
    model = MMoEClassifier(**SMALL, max_epochs=3).fit(X, y)
    assert model.predict(X).dtype == y.dtype
    assert model.classes_.tolist() == sorted(set(values.tolist()))
    assert model.predict_proba(X).shape == (200, len(set(values.tolist())))
    two = MMoEClassifier(**SMALL, max_epochs=3).fit(X, np.column_stack([y, y]))
    assert two.predict(X).dtype == y.dtype
    assert [proba.shape[0] for proba in two.predict_proba(X)] == [200, 200]
    assert [classes.tolist() for classes in two.classes_] == [model.classes_.tolist()] * 2


def test_classifier_gives_tasks_of_different_types_as_objects(X):
    y = pd.DataFrame({"number": (X[:, 0] > 0).astype(int), "word": np.where(X[:, 1] > 0, "yes", "no")})
    model = MMoEClassifier(**{**LEARNS, "max_epochs": 10}).fit(X, y)
    predicted = model.predict(X)
    assert predicted.dtype == object
    assert set(predicted[:, 0]) == {0, 1}
    assert set(predicted[:, 1]) == {"yes", "no"}


def test_lists_keep_numbers_beside_strings(X):
    y = [[int(a > 0), "yes" if b > 0 else "no"] for a, b in X[:, :2]]
    model = MMoEClassifier(**SMALL, max_epochs=1).fit(X, y)
    assert [classes.tolist() for classes in model.classes_] == [[0, 1], ["no", "yes"]]


def test_probabilities_are_probabilities_and_agree_with_predict(X, targets):
    y = np.column_stack([targets["up"].astype(int), np.digitize(X[:, 3], [-0.5, 0.5])])
    model = MMoEClassifier(**SMALL, max_epochs=5).fit(X, y)
    for t, proba in enumerate(model.predict_proba(X)):
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        assert (proba >= 0).all()
        assert (model.classes_[t][proba.argmax(axis=1)] == model.predict(X)[:, t]).all()


def test_multi_task_answers_with_numbers_where_labels_are_numbers(X, targets):
    y = np.column_stack([targets["up"], targets["level"]])
    model = MMoEMultiTask(tasks={"up": "binary", "level": "regression"}, **SMALL, max_epochs=2).fit(X, y)
    assert model.predict(X).dtype == np.float64
    assert model.task_names_ == ["up", "level"]
    assert list(model.classes_) == ["up"]
    with_words = MMoEMultiTask(tasks=TASKS, **SMALL, max_epochs=2).fit(X, pd.DataFrame(targets))
    assert with_words.predict(X).dtype == object


def test_frame_of_pandas_keeps_types_and_index(X, targets):
    y = pd.DataFrame(targets)
    y["colour"] = pd.Categorical(y["colour"], categories=["red", "green", "blue"])
    y["up"] = y["up"].astype("boolean")
    rows = pd.DataFrame(X, index=np.arange(200) + 1000, columns=list("abcd"))
    model = MMoEMultiTask(tasks=TASKS, **SMALL, max_epochs=2).fit(rows, y)
    frame = model.predict_frame(rows.iloc[5:9])
    assert frame.index.tolist() == [1005, 1006, 1007, 1008]
    assert frame.columns.tolist() == list(TASKS)
    assert frame["up"].dtype == "boolean"
    assert frame["colour"].dtype == y["colour"].dtype
    assert frame["level"].dtype == frame["visits"].dtype == np.float64


def test_frame_of_polars_comes_back_as_polars(X, targets):
    y = pl.DataFrame(targets).with_columns(pl.col("colour").cast(pl.Enum(["red", "green", "blue"])))
    model = MMoEMultiTask(tasks=TASKS, **SMALL, max_epochs=2).fit(pl.DataFrame(X), y)
    frame = model.predict_frame(pl.DataFrame(X))
    assert isinstance(frame, pl.DataFrame)
    assert frame.schema == {**y.schema, "visits": pl.Float64()}


def test_frame_is_pandas_where_y_was_an_array(X):
    model = MMoEMultiTask(tasks={"a": "regression", "b": "regression"}, **SMALL, max_epochs=1).fit(X, X[:, :2])
    assert isinstance(model.predict_frame(X), pd.DataFrame)
    assert isinstance(model.predict_frame(X.tolist()), pd.DataFrame)


def test_auto_takes_declarations_from_types(X, targets):
    y = pd.DataFrame(targets).drop(columns="visits")
    y["colour"] = y["colour"].astype("category")
    y["number"] = pd.Series(np.arange(200) % 3).astype("category")
    y["share"] = pd.Series(np.arange(200) % 3 / 3).astype("category")
    model = MMoEMultiTask(**SMALL, max_epochs=1).fit(X, y)
    assert list(model.classes_) == ["up", "colour", "number", "share"]
    assert model.classes_["number"].tolist() == [0, 1, 2]
    model = MMoEMultiTask(**SMALL, max_epochs=1).fit(
        X, pl.DataFrame({"a": list("xyxy") * 50}, schema={"a": pl.Enum(["x", "y"])})
    )
    assert list(model.classes_) == ["a"]


def test_mapping_may_name_the_columns_in_any_order(X, targets):
    y = pd.DataFrame(targets)
    shuffled = {name: TASKS[name] for name in ("visits", "colour", "level", "up")}
    one, two = (MMoEMultiTask(tasks=tasks, **SMALL, max_epochs=2).fit(X, y) for tasks in (TASKS, shuffled))
    assert one.task_names_ == two.task_names_ == list(TASKS)
    assert (one.predict(X) == two.predict(X)).all()


def test_declarations_in_order_of_the_columns(X, targets):
    y = pd.DataFrame(targets)[["visits", "colour"]]
    model = MMoEMultiTask(tasks=[Count(), Multiclass()], **SMALL, max_epochs=1).fit(X, y)
    assert model.task_names_ == ["visits", "colour"]


def test_probabilities_exist_only_where_a_task_is_a_classification(X):
    assert hasattr(MMoEMultiTask(), "predict_proba")
    assert hasattr(MMoEMultiTask(tasks=["regression", "binary"]), "predict_proba")
    model = MMoEMultiTask(tasks=["regression", Count()])
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model.fit(X, np.round(np.abs(X[:, :2]))), "predict_proba")


def test_gate_weights_are_points_of_the_simplex(X):
    for gating in ("per_task", "shared"):
        model = MMoERegressor(gating=gating, n_members=1, n_experts=3, max_epochs=2, random_state=0).fit(X, X[:, :2])
        gates = model.gate_weights(X)
        assert gates.shape == (200, 2, 3)
        assert (gates >= 0).all()
        np.testing.assert_allclose(gates.sum(axis=2), 1, rtol=1e-5)
        assert (gating == "shared") == np.array_equal(gates[:, 0], gates[:, 1])


def test_names_of_tasks(X):
    y = pd.DataFrame(X[:, :2], columns=["left", "right"])
    assert MMoERegressor(**SMALL, max_epochs=1).fit(X, y).task_names_ == ["left", "right"]
    assert MMoERegressor(**SMALL, max_epochs=1).fit(X, y["right"]).task_names_ == ["right"]
    assert MMoERegressor(**SMALL, max_epochs=1).fit(X, X[:, :2]).task_names_ == ["y0", "y1"]


# --------------------------------------------------------------------------------------------------------------------
# Missing labels


MISSING = {
    "array": lambda y: y,
    "objects": lambda y: np.where(np.isnan(y), None, y),
    "pandas": lambda y: pd.DataFrame(y, columns=["y0", "y1"]),
    "pandas nullable": lambda y: pd.DataFrame(y, columns=["y0", "y1"]).astype("Float64"),
    "polars": lambda y: pl.DataFrame(y, schema=["y0", "y1"]).fill_nan(None),
}


@pytest.mark.parametrize("form", MISSING.values(), ids=MISSING.keys())
def test_missing_labels_in_every_form_are_the_same(X, form):
    y = X[:, :2].copy()
    y[::3, 0] = np.nan
    y[1::4, 1] = np.nan
    expected = MMoERegressor(**SMALL, max_epochs=3).fit(X, y)
    model = MMoERegressor(**SMALL, max_epochs=3).fit(X, form(y))
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    assert model.score(X, form(y)) == expected.score(X, y)


def test_missing_cell_adds_nothing(X):
    """Whatever stands where a label is missing: here the row is given to one task only, by weight or by a hole."""
    y = X[:, :2].copy()
    holes = y.copy()
    holes[::3, 1] = np.nan
    weights = np.ones_like(y)
    weights[::3, 1] = 0
    y[::3, 1] = 1e6
    parameters = {**SMALL, "max_epochs": 5, "dtype": "float64"}
    by_hole = MMoERegressor(**parameters).fit(X, holes)
    by_weight = MMoERegressor(**parameters).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(by_hole.predict(X), by_weight.predict(X), rtol=1e-9)


@pytest.mark.parametrize("n_members", [1, 3])
def test_rows_without_any_label_change_nothing(X, n_members):
    y = X[:, :2].copy()
    y[100:] = np.nan
    parameters = {**SMALL, "n_members": n_members, "max_epochs": 5, "dtype": "float64", "batch_size": 200}
    padded = MMoERegressor(**parameters).fit(X, y)
    alone = MMoERegressor(**parameters).fit(X[:100], y[:100])
    np.testing.assert_allclose(padded.predict(X), alone.predict(X), rtol=1e-9)


@pytest.mark.parametrize(
    "labels",
    [
        pd.array(["a", None, "b"] * 66 + ["a", "b"], dtype="object"),
        pytest.param(pd.array(["a", None, "b"] * 66 + ["a", "b"], dtype="str"), marks=needs("pandas", "3")),
        pd.array([1, None, 5] * 66 + [1, 5], dtype="Int64"),
        pd.array([True, None, False] * 66 + [True, False], dtype="boolean"),
        pd.Categorical(["a", None, "b"] * 66 + ["a", "b"], categories=["b", "a"]),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_classes_with_missing_labels_keep_their_type(X, labels):
    y = pd.DataFrame({"task": labels, "other": X[:, 0] > 0})
    model = MMoEClassifier(**SMALL, max_epochs=2).fit(X, y)
    expected = sorted(set(pd.Series(labels).dropna().tolist()))
    assert model.classes_[0].tolist() == expected
    assert set(model.predict(X)[:, 0]) <= set(expected)
    frame = MMoEMultiTask(tasks=["binary", "binary"], **SMALL, max_epochs=2).fit(X, y).predict_frame(X)
    assert frame["task"].dtype == y["task"].dtype


def test_score_ignores_missing_labels(X, targets):
    y = np.column_stack([targets["level"], X[:, 0]])
    model = MMoERegressor(**SMALL, max_epochs=20).fit(X, y)
    holes = y.copy()
    holes[::2, 0] = np.nan
    predicted = model.predict(X)
    expected = np.mean([r2_score(y[1::2, 0], predicted[1::2, 0]), r2_score(y[:, 1], predicted[:, 1])])
    assert model.score(X, holes) == pytest.approx(expected)
    holes[:, 0] = np.nan  # a task that a fold has no label of is left out
    assert model.score(X, holes) == pytest.approx(r2_score(y[:, 1], predicted[:, 1]))
    with pytest.raises(ValueError, match="y has no label at all"):
        model.score(X, np.full_like(y, np.nan))


# --------------------------------------------------------------------------------------------------------------------
# Weights


def test_weights_of_rows_count_as_repetitions(X):
    weights = np.random.default_rng(0).integers(0, 3, size=200)
    y = X[:, :2]
    parameters = {**SMALL, "max_epochs": 5, "dtype": "float64", "batch_size": 1000}
    weighted = MMoERegressor(**parameters).fit(X, y, sample_weight=weights)
    repeated = MMoERegressor(**parameters).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights, axis=0))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7)


def test_weight_of_a_row_is_the_weight_of_all_its_labels(X):
    weights = np.random.default_rng(0).random(200)
    y = X[:, :2]
    of_rows = MMoERegressor(**SMALL, max_epochs=3).fit(X, y, sample_weight=weights)
    of_labels = MMoERegressor(**SMALL, max_epochs=3).fit(X, y, sample_weight=np.column_stack([weights, weights]))
    np.testing.assert_array_equal(of_rows.predict(X), of_labels.predict(X))


def test_task_weight_zero_leaves_a_task_untrained(X):
    y = X[:, :2]
    model = MMoERegressor(task_weights={"y0": 1, "y1": 0}, **LEARNS).fit(X, y)
    scores = r2_score(y, model.predict(X), multioutput="raw_values")
    assert scores[0] > 0.9 > 0.5 > scores[1]
    assert model.task_weights_.tolist() == [2, 0]


def test_task_weights_act_on_binary_tasks_too(X):
    y = (X[:, :2] > 0).astype(int)
    equal = MMoEClassifier(**SMALL, max_epochs=3).fit(X, y)
    skewed = MMoEClassifier(**SMALL, max_epochs=3, task_weights=[1, 9]).fit(X, y)
    assert not np.allclose(equal.predict_proba(X)[0], skewed.predict_proba(X)[0])


@pytest.mark.parametrize("class_weight", ["balanced", [{0: 1, 1: 19}, {0: 1, 1: 1}], [{1: 19}, {}]])
def test_class_weight_acts_on_its_own_task(class_weight):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = np.column_stack([X[:, 0] + 0.7 * rng.normal(size=400) > 2.0, rng.permutation(np.arange(400) % 2)]).astype(int)
    plain = MMoEClassifier(**LEARNS).fit(X, y)
    weighted = MMoEClassifier(**LEARNS, class_weight=class_weight).fit(X, y)
    assert weighted.predict(X)[:, 0].sum() > 1.5 * plain.predict(X)[:, 0].sum()


def test_balanced_weights_are_those_of_the_formula(X):
    y = pd.DataFrame({"a": np.where(np.arange(200) < 150, "x", "y"), "b": np.arange(200) % 2 == 0})
    y.loc[::3, "a"] = None
    labelled = y["a"].dropna()
    formula = {name: len(labelled) / (2 * count) for name, count in labelled.value_counts().items()}
    balanced = MMoEClassifier(**SMALL, max_epochs=3, class_weight="balanced").fit(X, y)
    by_hand = MMoEClassifier(**SMALL, max_epochs=3, class_weight=[formula, {True: 1, False: 1}]).fit(X, y)
    np.testing.assert_allclose(balanced.predict_proba(X)[0], by_hand.predict_proba(X)[0], rtol=1e-5)


# --------------------------------------------------------------------------------------------------------------------
# Scores


def test_regressor_score_is_the_mean_r2(X):
    y = np.column_stack([X[:, 0], 50 * X[:, 1] + 7])
    weights = np.random.default_rng(0).random(200)
    model = MMoERegressor(**SMALL, max_epochs=10).fit(X, y)
    assert model.score(X, y) == pytest.approx(r2_score(y, model.predict(X)))
    assert model.score(X, y, weights) == pytest.approx(r2_score(y, model.predict(X), sample_weight=weights))


def test_score_of_a_constant_target_is_that_of_r2(X):
    model = MMoERegressor(**SMALL, max_epochs=2).fit(X, X[:, 0])
    assert model.score(X, np.ones(200)) == r2_score(np.ones(200), model.predict(X)) == 0.0


def test_classifier_score_is_that_of_multi_output_classifier(X):
    y = (X[:, :2] + 0.5 * np.random.default_rng(0).normal(size=(200, 2)) > 0).astype(int)
    model = MMoEClassifier(**SMALL, max_epochs=10).fit(X, y)
    rows_right = (model.predict(X) == y).all(axis=1)
    assert model.score(X, y) == pytest.approx(rows_right.mean())
    other = MultiOutputClassifier(KNeighborsClassifier()).fit(X, y)
    assert other.score(X, y) == pytest.approx((other.predict(X) == y).all(axis=1).mean())
    holes = y.astype(float)
    holes[:100, 0] = np.nan
    holes[0] = np.nan  # this row has no label at all
    right = np.where(np.arange(200) < 100, model.predict(X)[:, 1] == y[:, 1], rows_right)[1:]
    assert model.score(X, holes) == pytest.approx(right.mean())


def test_classifier_score_with_weights(X):
    y = (X[:, :2] > 0).astype(int)
    model = MMoEClassifier(**SMALL, max_epochs=2).fit(X, y)
    weights = np.random.default_rng(0).random(200)
    rows_right = (model.predict(X) == y).all(axis=1)
    assert model.score(X, y, weights) == pytest.approx(np.average(rows_right, weights=weights))
    only_first = np.column_stack([np.ones(200), np.zeros(200)])
    assert model.score(X, y, only_first) == pytest.approx((model.predict(X)[:, 0] == y[:, 0]).mean())


def test_multi_task_score_is_the_mean_d2(X, targets):
    y = pd.DataFrame(targets)
    model = MMoEMultiTask(tasks=TASKS, **SMALL, max_epochs=20, numeric_embeddings=None).fit(X, y)
    frame, proba = model.predict_frame(X), model.predict_proba(X)
    by_task = [
        d2_log_loss_score(y["up"], proba["up"]),
        r2_score(y["level"], frame["level"]),
        d2_tweedie_score(y["visits"], frame["visits"], power=1),
        d2_log_loss_score(y["colour"], proba["colour"]),
    ]
    assert model.score(X, y) == pytest.approx(np.mean(by_task))


def test_multi_task_score_of_a_fold_with_one_class_is_zero_not_infinite(X):
    model = MMoEMultiTask(tasks=["binary"], **SMALL, max_epochs=2).fit(X, X[:, 0] > 0)
    assert model.score(X[:5], np.ones(5, dtype=bool)) == 0.0


def test_multi_task_score_of_counts_without_a_count_is_zero(X):
    model = MMoEMultiTask(tasks=["count"], **SMALL, max_epochs=2).fit(X, np.arange(200) % 3)
    assert model.score(X, np.zeros(200, dtype=int)) == 0.0


def test_estimators_work_on_data_as_scalers_leave_it(X):
    scaled = StandardScaler().set_output(transform="pandas").fit_transform(pd.DataFrame(X, columns=list("abcd")))
    model = MMoERegressor(**SMALL, max_epochs=1).fit(scaled, X[:, 0])
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.n_features_in_ == 4


def test_chunks_of_a_prediction_are_those_of_one_call(monkeypatch, X):
    model = MMoERegressor(**SMALL, max_epochs=1, dtype="float64").fit(X, X[:, :2])
    whole, gates = model.predict(X), model.gate_weights(X)
    monkeypatch.setattr("sklearn_mmoe._features.tensors.PREDICT_ROWS", 64)  # 200 rows: three chunks and a shorter one
    np.testing.assert_allclose(model.predict(X), whole, rtol=1e-12)
    np.testing.assert_allclose(model.gate_weights(X), gates, rtol=1e-12)
