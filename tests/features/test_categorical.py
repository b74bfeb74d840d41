"""Models of categorical columns: unknown and missing ones, the same answers whatever form X has."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from category_tables import TOWNS, as_array, as_polars, make_frame
from helpers import (
    N_ROWS,
    TWO_FOLDS,
    all_three,
    answers_of,
    assert_fit_refuses,
    assert_same_answers,
    by_pickle,
    make_model,
    make_targets,
    outputs_of,
    round_trips,
)
from operators import operators_of_an_epoch
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe._features.validation import learn_categories
from sklearn_mmoe.metrics import make_task_scorer, multi_task_scoring, task_scores, transfer_report
from sklearn_mmoe.nn import _embeddings

LEARNS = {"max_epochs": 80, "learning_rate": 0.03, "early_stopping": False, "numeric_embeddings": None}


@all_three
def test_the_form_of_X_makes_no_difference(name):
    frame, y = make_frame(), make_targets(name)
    expected = outputs_of(make_model(name).fit(frame, y), frame)
    array, mask = as_array(frame), [False, True, False, True, False]
    forms = [
        (frame, ["town", "shop"]),
        (frame, ["shop", "town"]),
        (frame.astype({"town": "category"}), "from_dtype"),
        (frame.astype({"shop": int}), [1, 3]),
        (as_polars(frame), "from_dtype"),
        (array, [1, 3]),
        (array, [3, 1, 1]),
        (array, np.array(mask)),
        (array.tolist(), mask),
    ]
    for X, spec in forms:
        model = make_model(name, categorical_features=spec).fit(X, y)
        np.testing.assert_array_equal(outputs_of(model, X), expected)
        assert model.n_features_in_ == 5
        assert hasattr(model, "feature_names_in_") == hasattr(X, "columns")


@all_three
def test_categories_are_learned(name):
    """A target that nothing but the category tells."""
    frame = make_frame()[["town", "age"]]
    y = (frame["town"] == "Ulm").to_numpy().astype(float)
    y = np.column_stack([y] * make_targets(name).shape[1])
    model = make_model(name, **LEARNS).fit(frame, y)
    assert model.score(frame, y) > 0.9
    assert model.gate_weights(frame).shape == (N_ROWS, y.shape[1], 2)


@all_three
def test_unknown_and_missing_answer_alike_and_as_nothing(name):
    frame = make_frame()
    model = make_model(name).fit(frame, make_targets(name))
    unknown, missing = frame.assign(town="Köln"), frame.assign(town=None)
    np.testing.assert_array_equal(outputs_of(model, unknown), outputs_of(model, missing))
    assert not np.array_equal(outputs_of(model, unknown), outputs_of(model, frame))
    nothing = torch.zeros(1, 2, dtype=torch.int64)
    assert not model.module_.embeddings(nothing).any()  # no row of the fit lacked a category


def test_missing_categories_are_learned_from_rows_that_lack_them():
    frame = pd.DataFrame({"town": np.resize(["Ulm", None], N_ROWS), "n": 0.0})
    y = frame["town"].isna().to_numpy().astype(float)
    model = make_model("regressor", **LEARNS).fit(frame, y)
    assert model.score(frame, y) > 0.99
    assert model.predict(frame.assign(town="Köln")).round().all()


@all_three
def test_columns_are_checked_as_scikit_learn_does(name):
    frame = make_frame()
    model = make_model(name).fit(frame, make_targets(name))
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*same order"):
        model.predict(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*missing:\n- town"):
        model.predict(frame.rename(columns={"town": "city"}))
    with pytest.raises(ValueError, match=r"X has 4 features, but MMoE.* is expecting 5"):
        make_model(name, categorical_features=[1, 3]).fit(as_array(frame), make_targets(name)).predict(np.ones((3, 4)))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        answers = model.predict(as_array(frame))
    np.testing.assert_array_equal(answers, model.predict(frame))


@all_three
def test_bad_numbers_beside_categories_are_named(name):
    frame = make_frame()
    frame.loc[3, "height"] = np.nan
    plain = {"numeric_embeddings": None}
    assert_fit_refuses(name, r"Input X contains NaN in column 'height'\..*SimpleImputer", frame, **plain)
    assert_fit_refuses(
        name, r"Input X contains NaN in column 2\.", as_array(frame), categorical_features=[1, 3], **plain
    )


@round_trips
@all_three
def test_saved_models_answer_alike(name, there_and_back):
    frame = make_frame()
    model = make_model(name).fit(frame, make_targets(name))
    assert_same_answers(there_and_back(model), model, frame.assign(town=["Köln", *frame["town"][1:]]))


@all_three
def test_later_chunks_may_hold_unknown_categories(name):
    frame, y = make_frame(), make_targets(name)
    model = make_model(name).partial_fit(frame, y)
    rows = model.module_.embeddings.tables[0].embedding.num_embeddings
    model.partial_fit(frame.assign(town="Köln"), y)
    assert model.module_.embeddings.tables[0].embedding.num_embeddings == rows
    assert model.module_.embeddings(torch.zeros(1, 2, dtype=torch.int64)).any()  # the unknown has learned something
    model.set_params(warm_start=True).fit(frame.assign(town="Köln"), y)
    answers_of(model, frame)


def test_rows_of_validation_and_of_several_chunks(monkeypatch):
    monkeypatch.setattr("sklearn_mmoe._features.tensors.PREDICT_ROWS", 7)
    frame, y = make_frame(), make_targets("regressor")
    model = make_model("regressor").fit(frame, y, X_val=frame.assign(town="Köln"), y_val=y)
    in_chunks = model.predict(frame)
    monkeypatch.undo()
    np.testing.assert_allclose(in_chunks, model.predict(frame), rtol=1e-5)
    early = make_model("regressor", early_stopping=True).fit(frame, y)
    assert early.validation_scores_


def test_search_over_data_frames():
    frame, y = make_frame(), make_targets("regressor")
    search = GridSearchCV(
        make_model("regressor"), {"categorical_features": ["from_dtype", ["town"], [1, 3]]}, cv=TWO_FOLDS
    ).fit(frame.assign(shop=frame["shop"].astype(int) % 20), y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert clone(search.best_estimator_).get_params()["categorical_features"] in ("from_dtype", ["town"], [1, 3])


def test_behind_a_column_transformer_that_gives_frames():
    frame, y = make_frame(), make_targets("regressor")
    scale = make_column_transformer(
        (StandardScaler(), ["age", "height"]), remainder="passthrough", verbose_feature_names_out=False
    ).set_output(transform="pandas")
    model = make_pipeline(scale, make_model("regressor")).fit(frame, y)
    assert model.predict(frame).shape == y.shape
    assert model[-1].module_.embeddings is not None
    assert model[-1].feature_names_in_.tolist() == ["age", "height", "town", "shop", "member"]


def test_learned_categories_are_told():
    frame, y = make_frame(), make_targets("regressor")
    model = make_model("regressor").fit(frame, y)
    assert {name: own.tolist() for name, own in model.categories_.items()} == {
        "town": TOWNS,
        "shop": sorted(set(frame["shop"])),
    }
    by_index = make_model("regressor", categorical_features=[1, 3]).fit(as_array(frame), y)
    assert list(by_index.categories_) == [1, 3]
    model.categories_["town"][:] = "changed"
    assert model.categories_["town"].tolist() == TOWNS
    later = model.partial_fit(frame.assign(town="Köln"), y)
    assert later.categories_["town"].tolist() == TOWNS  # the first chunk decides
    assert make_model("regressor").fit(frame[["age"]], y).categories_ == {}
    assert not hasattr(make_model("regressor"), "categories_")


@pytest.mark.parametrize(
    ("column", "categories"),
    [
        (pd.Series([True, False, True], dtype="category"), [False, True]),
        (pd.Series([3, 1, 3], dtype="category"), [1, 3]),
        (pd.Series(["b", "a", "b"], dtype=pd.CategoricalDtype(["b", "c", "a"], ordered=True)), ["a", "b"]),
        (pd.Series([True, None, False], dtype="boolean"), None),
        (pd.Series([3, 1, 3], dtype="Int64"), None),
        (pl.Series(["b", "a", "b"], dtype=pl.Enum(["b", "c", "a"])), ["a", "b"]),
        (pl.Series([True, False, True]), None),
    ],
)
def test_what_from_dtype_takes_for_a_category(column, categories):
    frame = type(column).__module__.startswith("polars")
    numbers = np.arange(3.0)
    X = pl.DataFrame({"n": numbers, "c": column}) if frame else pd.DataFrame({"n": numbers, "c": column})
    learned = learn_categories(X, "from_dtype")
    assert (None if learned is None else {i: own.tolist() for i, own in learned.known.items()}) == (
        None if categories is None else {1: categories}
    )


@pytest.mark.parametrize("form", [lambda frame: frame, as_polars, as_array], ids=["pandas", "polars", "array"])
def test_metrics_take_categories(form):
    frame = make_frame()
    y = np.column_stack([frame["town"] == "Ulm", frame["age"]]).astype(float)
    model = make_model("regressor")
    if form is as_array:
        model.set_params(categorical_features=[1, 3])
    X = form(frame)
    report = transfer_report(model, X, y, cv=TWO_FOLDS)
    assert np.isfinite(report["gain"]).all()
    model.set_params(**LEARNS).fit(X, y)
    assert task_scores(model, X, y)["y0"]["r2"] > 0.9
    assert multi_task_scoring(model)["mean"](model, X, y) > 0.9


@pytest.mark.parametrize("rows", [0, 10**6], ids=["sparse gradients", "dense gradients"])
@pytest.mark.parametrize("scheme", ["uncertainty", "dwa", "upgrad"])
def test_adaptive_weights_take_categories(monkeypatch, scheme, rows):
    if scheme == "upgrad":
        pytest.importorskip("torchjd")
    monkeypatch.setattr(_embeddings, "SPARSE_GRADIENT_ROWS", rows)
    frame = make_frame()
    y = np.column_stack([frame["town"] == "Ulm", frame["age"]]).astype(float)
    model = make_model("regressor", task_weights=scheme, gate_balance=0.01, **LEARNS).fit(frame, y)
    assert model.score(frame, y) > 0.9
    tables = {id(table.embedding.weight) for table in model.module_.embeddings.tables}
    shared = {id(parameter) for parameter in model.module_.shared_parameters()}
    assert len(tables & shared) == (0 if rows == 0 else len(tables))


def test_permutation_importance_shuffles_categories():
    frame = make_frame()
    y = np.column_stack([frame["town"] == "Ulm", frame["age"]]).astype(float)
    model = make_model("regressor", **LEARNS).fit(frame, y)
    scoring = {"town": make_task_scorer("r2", task=0), "age": make_task_scorer("r2", task=1)}
    found = permutation_importance(model, frame, y, scoring=scoring, n_repeats=3, random_state=0)
    assert found["town"].importances_mean.argmax() == 1
    assert found["age"].importances_mean.argmax() == 0


@all_three
def test_no_categories_leave_the_module_as_it_is(name):
    frame, y = make_frame()[["age", "height", "member"]], make_targets(name)
    model = make_model(name).fit(frame, y)
    assert model.module_.embeddings is None
    other = make_model(name, categorical_features=None).fit(frame.to_numpy(float), y)
    np.testing.assert_array_equal(outputs_of(model, frame), outputs_of(other, frame.to_numpy(float)))
    assert make_model(name, categorical_features=[]).fit(frame, y).module_.embeddings is None


def test_operators_do_not_grow_with_columns():
    rng = np.random.default_rng(0)

    def operators(n_columns):
        X = rng.permuted(np.tile(np.arange(20), (n_columns, 10)), axis=1).T
        model = make_model("regressor", categorical_features=list(range(n_columns)), batch_size=50)
        return operators_of_an_epoch(model, X, np.arange(200.0))

    assert operators(2) == operators(30)


# --------------------------------------------------------------------------------------------------------------------
# Tables with sparse gradients


@pytest.fixture
def sparse_gradients(monkeypatch):
    monkeypatch.setattr(_embeddings, "SPARSE_GRADIENT_ROWS", 0)


def table_of(model):
    return model.module_.embeddings.tables[0].embedding.weight.detach().clone()


@pytest.mark.usefixtures("sparse_gradients")
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", torch.optim.LBFGS], ids=["adamw", "sgd", "lbfgs"])
def test_one_step_changes_only_the_rows_it_touches(optimizer):
    X = np.arange(20)[:, None]
    decay = 0.0 if optimizer is torch.optim.LBFGS else 0.1
    model = make_model(
        "regressor", categorical_features=[0], optimizer=optimizer, weight_decay=decay, max_epochs=1
    ).fit(X, np.arange(20.0))
    before = table_of(model)
    model.partial_fit(X[[3, 5, 5]], np.array([100.0, -100.0, 50.0]))
    changed = (table_of(model) != before).any(dim=1)
    assert changed.nonzero().flatten().tolist() == [4, 6]


@pytest.mark.usefixtures("sparse_gradients")
def test_sparse_steps_learn():
    X = np.resize(np.arange(20), (200, 1))
    y = np.sin(X[:, 0])
    model = make_model("regressor", categorical_features=[0], **LEARNS).fit(X, y)
    assert model.score(X, y) > 0.9


@pytest.mark.usefixtures("sparse_gradients")
def test_both_optimizers_go_on_where_they_were():
    X, y = np.resize(np.arange(20), (60, 1)), np.resize(np.arange(20.0), 60)
    options = {"categorical_features": [0], "shuffle": False, "early_stopping": False, "warm_start": True}
    model = make_model("regressor", **options).fit(X, y)
    moments = model.net_.sparse_optimizer_.state_dict()["state"][0]["exp_avg"]
    assert moments.any()
    opened = by_pickle(model)
    state = opened.net_.sparse_optimizer_.state_dict()["state"][0]
    assert torch.equal(state["exp_avg"], moments)
    steps = state["step"]
    for one in (model, opened):
        one.set_params(learning_rate=0.01).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), opened.predict(X))
    after = model.net_.sparse_optimizer_.state_dict()
    assert after["state"][0]["step"] == 2 * steps
    assert after["param_groups"][0]["lr"] == 0.01
