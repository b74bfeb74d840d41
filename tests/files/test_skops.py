"""Files of `skops.io`: they ask for what `TRUSTED_TYPES` names, and what is loaded goes on as what was dumped."""

import copy
import datetime
from pkgutil import resolve_name

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import torch
from category_tables import make_frame as make_categories
from helpers import (
    DATA_KINDS,
    ESTIMATORS,
    SMALL,
    Counter,
    all_three,
    assert_same_answers,
    by_skops,
    fitted_on_data,
    make_data,
    make_features,
    make_model,
    make_targets,
)
from mixed_tables import as_polars, make_frame
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skops.io.exceptions import UntrustedTypesFoundException
from splitters import SPLITTERS_OF_ALL_KINDS

from sklearn_mmoe import MMoEMultiTask, TabularPipeline, make_tabular_pipeline, tasks
from sklearn_mmoe._estimators import parameters
from sklearn_mmoe.export import TRUSTED_TYPES
from sklearn_mmoe.tasks import Binary, Ordinal


def asked_types(model):
    return skops.io.get_untrusted_types(data=skops.io.dumps(model))


def foreign_types(model):
    """What skops asks to trust that `TRUSTED_TYPES` does not name."""
    found = asked_types(model)
    assert found, "at least the estimator itself is asked for"
    return [name for name in found if name not in TRUSTED_TYPES]


def make_table(library):
    X = make_features()
    letters = np.where(X[:, 0] > 0, "p", "q").tolist()
    return library.DataFrame({"a": X[:, 1], "b": X[:, 2], "c": letters})


@all_three
def test_only_our_own_classes_ask_for_trust(name):
    for model in (make_model(name), fitted_on_data(name), fitted_on_data(name, early_stopping=True, n_members=2)):
        assert foreign_types(model) == []


@pytest.mark.parametrize(
    "options",
    [
        *[{"task_weights": scheme} for scheme in ("uncertainty", "dwa", "upgrad", [1.0, 2.0], {"y0": 1, "y1": 2})],
        {"activation": torch.nn.Mish, "optimizer": torch.optim.Adagrad, "device": torch.device("cpu")},
        {"net_params": {"optimizer": torch.optim.NAdam, "lr": 0.02, "module__activation": torch.nn.ELU}},
        {"random_state": np.random.RandomState(0), "dtype": "float64"},
        {"dropout": 0.1, "gate_layer_sizes": np.array([3]), "monitor": {"y0": 0.3, "y1": 0.7}},
    ],
)
def test_only_our_own_classes_ask_for_trust_whatever_the_parameters(options):
    X, y = make_data("regressor")
    model = fitted_on_data("regressor", **options)
    assert foreign_types(model) == []
    other = by_skops(model)
    assert_same_answers(other, model, X)
    assert_same_answers(other.partial_fit(X, y), model.partial_fit(X, y), X)


@pytest.mark.parametrize("limits", [{}, {"KEPT_GRADIENT_BYTES": 0}, {"SPARSE_UPDATE_FEATURES": 1}], ids=str)
def test_only_our_own_classes_ask_for_trust_where_rows_are_sparse(limits, monkeypatch):
    for limit, value in limits.items():
        monkeypatch.setattr(parameters, limit, value)
    X, y = make_data("regressor")
    model = make_model("regressor").fit(csr_array(X), y)
    assert foreign_types(model) == []
    assert_same_answers(by_skops(model), model, csr_array(X))


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_only_our_own_classes_ask_for_trust_where_X_and_y_are_data_frames(library):
    X, y = make_table(library), library.DataFrame({"letter": make_table(library)["c"]})
    model = make_model("multitask", tasks=["multiclass"]).fit(X, y)
    assert foreign_types(model) == []
    assert by_skops(model).predict_frame(X).equals(model.predict_frame(X))


@pytest.mark.parametrize("make", [pd.Series, lambda y: pd.Series(y).astype("category"), pl.Series])
def test_only_our_own_classes_ask_for_trust_where_y_is_a_series(make):
    X = make_features()
    y = make(np.where(X[:, 0] > 0, "p", "q").tolist())
    assert foreign_types(make_model("classifier").fit(X, y)) == []


def test_requests_for_metadata_are_kept():
    with config_context(enable_metadata_routing=True):
        model = fitted_on_data("regressor").set_fit_request(sample_weight=True)
        assert foreign_types(model) == []
        assert by_skops(model).get_metadata_routing().fit.requests["sample_weight"] is True


# --------------------------------------------------------------------------------------------------------------------
# In pipelines and searches


@all_three
def test_only_our_own_classes_ask_for_trust_in_a_pipeline(name):
    X, y = make_features(), make_targets(name)
    model = make_pipeline(StandardScaler(), make_model(name)).fit(X, y)
    assert foreign_types(model) == []
    np.testing.assert_array_equal(by_skops(model).predict(X), model.predict(X))


def test_only_our_own_classes_ask_for_trust_behind_an_encoder():
    X, y = np.round(make_features()), make_targets("regressor")
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), make_model("regressor")).fit(X, y)
    assert foreign_types(model) == []
    np.testing.assert_array_equal(by_skops(model).predict(X), model.predict(X))


def fitted_pipeline(X):
    return make_tabular_pipeline(make_model("regressor")).fit(X, make_targets("regressor"))


@pytest.mark.parametrize("library", [None, pd, pl], ids=["array", "pandas", "polars"])
def test_a_tabular_pipeline_asks_for_one_type_more(library):
    """scikit-learn's SimpleImputer holds a data type of NumPy."""
    X = make_features() if library is None else make_table(library)
    model = make_tabular_pipeline(make_model("regressor", numeric_embeddings=None)).fit(X, make_targets("regressor"))
    assert [name for name in asked_types(model) if not name.startswith("sklearn_mmoe.")] == ["numpy.dtype"]
    assert foreign_types(model) == []
    np.testing.assert_array_equal(by_skops(model).predict(X), model.predict(X))


def test_a_search_comes_back():
    X, y = make_data("regressor")
    search = GridSearchCV(make_model("regressor"), {"n_experts": [1, 2]}, cv=2).fit(X, y)
    np.testing.assert_array_equal(by_skops(search).predict(X), search.predict(X))


# --------------------------------------------------------------------------------------------------------------------
# Trust


def models_of_all_kinds():
    """Together they hold a value of every type that a model or a table pipeline may hold."""
    yield from map(fitted_on_data, ("regressor", "classifier"))
    model = make_model("regressor").fit(make_features(), make_targets("regressor"))
    yield from (copy.copy(model).set_params(validation_split=splitter) for splitter in SPLITTERS_OF_ALL_KINDS)
    X, y = make_data("multitask")
    days = np.array([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)])
    moments = np.array([datetime.datetime(2020, 1, 1, 12), datetime.datetime(2020, 1, 1, 13)])
    up = (X[:, 0] > 0).astype(int)
    more = pd.DataFrame(
        {
            "sum": np.exp(X[:, 0]),
            "up": up,
            "weighed": X[:, 1] > 0,
            "level": pd.Categorical(y["label"], ["low", "middle", "high"], ordered=True),
            "rank": y["label"],
        }
    )
    kinds = {"sum": "positive", "up": "binary", "weighed": Binary(positive_weight=2.0), "level": "ordinal"}
    tasks = DATA_KINDS | kinds | {"rank": Ordinal(categories=["low", "middle", "high"])}
    yield MMoEMultiTask(tasks=tasks, **SMALL).fit(X, y.join(more))
    yield make_model("regressor").fit(make_categories(), make_targets("regressor"))
    yield from (make_model("classifier").fit(X, classes[up]) for classes in (days, moments))
    yield from map(fitted_pipeline, (make_frame(), as_polars(make_frame()), make_features()))
    dates = make_frame().assign(day=pd.date_range("2024-01-01", periods=len(make_frame())))
    yield make_tabular_pipeline(Ridge()).fit(dates, make_targets("regressor"))


def test_the_trusted_types_are_those_that_models_and_table_pipelines_hold():
    assert sorted({name for model in models_of_all_kinds() for name in asked_types(model)}) == list(TRUSTED_TYPES)


def test_trusted_types_are_what_their_names_say():
    """Public classes go by their public module, whatever file they are written in."""
    for name in TRUSTED_TYPES:
        found = resolve_name(name)
        assert f"{found.__module__}.{found.__qualname__}" == name
    public = [*(getattr(tasks, name) for name in tasks.__all__), *ESTIMATORS.values(), TabularPipeline]
    assert {f"{cls.__module__}.{cls.__name__}" for cls in public} <= set(TRUSTED_TYPES)
    assert {cls.__module__ for cls in public} == {"sklearn_mmoe", "sklearn_mmoe.tasks"}


@pytest.mark.parametrize("made", [lambda: fitted_on_data("multitask"), lambda: fitted_pipeline(make_table(pd))])
def test_a_file_opens_by_the_trusted_types(made):
    model = made()
    again = skops.io.loads(skops.io.dumps(model), trusted=TRUSTED_TYPES)
    X = make_features() if isinstance(model, MMoEMultiTask) else make_table(pd)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_nothing_is_loaded_without_trust():
    file = skops.io.dumps(fitted_on_data("regressor"))
    with pytest.raises(UntrustedTypesFoundException, match=r"sklearn_mmoe\._training\.net\.MMoENet"):
        skops.io.loads(file)


def test_what_is_the_users_own_asks_for_trust():
    model = fitted_on_data("regressor", callbacks=[Counter()])
    assert foreign_types(model) == ["helpers.Counter"]
    other = by_skops(model)
    assert isinstance(other.callbacks[0], Counter)
    assert_same_answers(other, model, make_features())


@all_three
def test_a_file_on_disk_comes_back(name, tmp_path):
    model = fitted_on_data(name)
    skops.io.dump(model, tmp_path / "model.skops")
    types = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    assert_same_answers(skops.io.load(tmp_path / "model.skops", trusted=types), model, make_data(name)[0])
