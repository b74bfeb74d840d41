"""What the pipeline of `make_tabular_pipeline` can do beyond scikit-learn's: methods of its model, more data later."""

import copy
import threading

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import SMALL, all_three, make_features, make_model, make_targets, outputs_of
from sklearn import config_context
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoEMultiTask, MMoERegressor, TabularPipeline, make_tabular_pipeline

JANUARY, FEBRUARY = 0, 1


def month(which, n=120, holes=True):
    """A month of a table: in February all numbers are larger, another column has holes, and a town is new."""
    rng = np.random.default_rng(which)
    X = pd.DataFrame({"a": rng.normal(50 * which, 1 + which, n), "b": rng.normal(size=n)})
    X["town"] = rng.choice(["Kiel", "Ulm", "Bonn"][: 2 + which], n)
    y = pd.DataFrame({"sum": X["a"] + X["b"], "kiel": (X["town"] == "Kiel").map({True: "yes", False: "no"})})
    if holes:
        X.loc[::5, "ab"[which]] = np.nan
    return X, y


def make_pipeline_of(**parameters):
    tasks = {"sum": "regression", "kiel": "binary"}
    return make_tabular_pipeline(MMoEMultiTask(tasks=tasks, **{**SMALL, "max_epochs": 5, **parameters}))


@pytest.fixture(scope="module")
def fitted():
    return make_pipeline_of().fit(*month(JANUARY))


# --------------------------------------------------------------------------------------------------------------------
# Methods of the model


def test_it_is_a_pipeline_of_scikit_learn(fitted):
    assert isinstance(fitted, Pipeline)
    assert type(fitted) is type(clone(fitted)) is type(fitted[:-1]) is TabularPipeline


def test_methods_of_the_model_take_rows_as_they_come(fitted):
    X, _ = month(FEBRUARY)
    transformed = fitted[:-1].transform(X)
    pd.testing.assert_frame_equal(fitted.predict_frame(X), fitted[-1].predict_frame(transformed))
    np.testing.assert_array_equal(fitted.gate_weights(X), fitted[-1].gate_weights(transformed))
    assert fitted.describe() == fitted[-1].describe()


@pytest.mark.parametrize("categorical_features", ["from_dtype", None])
def test_frames_of_predictions_have_the_index_of_the_rows(categorical_features):
    X, y = month(JANUARY)
    X.index = y.index = pd.date_range("2026-01-01", periods=len(X))
    model = make_pipeline_of(categorical_features=categorical_features).fit(X, y)
    found = model.predict_frame(X[5:8])
    assert found.index.equals(X.index[5:8])
    assert found.dtypes.to_dict() == y.dtypes.to_dict()


def test_frames_of_predictions_are_of_the_library_of_y():
    X, y = month(JANUARY)
    model = make_pipeline_of().fit(X, pl.DataFrame({name: y[name].tolist() for name in y}))
    assert isinstance(model.predict_frame(X), pl.DataFrame)


@pytest.mark.parametrize("method", ["partial_fit", "predict_frame", "gate_weights", "describe", "predict_proba"])
def test_what_the_model_cannot_do_is_no_method(method):
    assert hasattr(make_pipeline_of(), method)
    model = make_tabular_pipeline(Ridge())
    assert not hasattr(model, method)
    with pytest.raises(AttributeError, match=f"'TabularPipeline' has no attribute '{method}'"):
        getattr(model, method)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_frame", "gate_weights", "score"])
def test_before_the_fit_there_are_no_answers(method):
    X, y = month(JANUARY)
    with pytest.raises(NotFittedError):
        getattr(make_pipeline_of(), method)(X, *([y] if method == "score" else []))
    with pytest.raises(NotFittedError):
        make_pipeline_of().describe()


def test_any_steps_may_stand_before_the_model():
    X, y = make_features(), make_targets("regressor")
    alone = TabularPipeline([("model", make_model("regressor"))]).fit(X, y).partial_fit(X, y)
    assert alone.gate_weights(X).shape[0] == len(X)
    steps = [("scale", StandardScaler()), ("nothing", "passthrough"), ("model", make_model("regressor"))]
    model = TabularPipeline(steps).fit(X, y)
    np.testing.assert_array_equal(model.gate_weights(X), model[-1].gate_weights(StandardScaler().fit_transform(X)))


# --------------------------------------------------------------------------------------------------------------------
# Next month's data


def test_partial_fit_goes_on_behind_the_preprocessing_of_the_first_fit(fitted):
    model = copy.deepcopy(fitted)
    X, y = month(FEBRUARY)
    by_hand = copy.deepcopy(fitted[-1]).partial_fit(fitted[:-1].transform(X), y)
    before = fitted[:-1].transform(X)
    assert model.partial_fit(X, y) is model
    pd.testing.assert_frame_equal(model[:-1].transform(X), before)
    np.testing.assert_array_equal(outputs_of(model[-1], before), outputs_of(by_hand, before))


def test_another_month_may_have_holes_elsewhere_or_none():
    for first, later in [(JANUARY, FEBRUARY), (FEBRUARY, JANUARY)]:
        for holes in [(True, True), (True, False), (False, True)]:
            model = make_pipeline_of(max_epochs=1).fit(*month(first, holes=holes[0]))
            width = model[-1].n_features_in_
            assert model.partial_fit(*month(later, holes=holes[1]))[-1].n_features_in_ == width


def test_old_rows_are_still_known_after_more_months():
    """The trial that `warm_start` fails: R2 on the rows of January fell from 1 to below 0."""
    X, y = month(JANUARY, holes=False)
    model = make_tabular_pipeline(MMoERegressor(n_members=1, max_epochs=150, learning_rate=0.01, random_state=0))
    model.fit(X, y[["sum"]])
    before = model.score(X, y[["sum"]])
    later, labels = month(JANUARY + 2, holes=False)
    for _ in range(3):
        model.partial_fit(later.assign(a=later["a"] - 98), labels[["sum"]] - 98)
    assert before > 0.9
    assert model.score(X, y[["sum"]]) > 0.8


def test_the_first_chunk_fits_the_preprocessing_too():
    X, y = month(JANUARY)
    model = make_pipeline_of()
    model.partial_fit(X, y)
    by_hand = clone(model)
    columns, own = by_hand.steps[0][1], by_hand.steps[-1][1]
    own.partial_fit(columns.fit_transform(X, y), y)
    pd.testing.assert_frame_equal(model.predict_frame(X), own.predict_frame(columns.transform(X)))


def test_models_of_others_go_on_too():
    X, y = month(JANUARY)
    model = make_tabular_pipeline(SGDRegressor(random_state=0)).partial_fit(X, y["sum"])
    t = model[-1].t_
    assert model.partial_fit(*month(FEBRUARY)[:1], month(FEBRUARY)[1]["sum"])[-1].t_ > t


def test_partial_fit_takes_parameters_of_the_model():
    X, y = month(JANUARY)
    weights = np.linspace(0.1, 1, len(X))
    given = {"estimator__sample_weight": weights, "estimator__classes": {"kiel": ["no", "yes"]}}
    model = make_pipeline_of().partial_fit(X, y, **given)
    other = make_pipeline_of().partial_fit(X, y)
    assert not np.array_equal(model.gate_weights(X), other.gate_weights(X))
    with config_context(enable_metadata_routing=True):
        routed = make_pipeline_of()
        routed[-1].set_partial_fit_request(sample_weight=True)
        routed.partial_fit(X, y, sample_weight=weights)
        np.testing.assert_array_equal(routed.gate_weights(X), model.gate_weights(X))


@pytest.mark.parametrize("name", ["sample_weight", "columns__sample_weight"])
def test_partial_fit_refuses_parameters_of_anything_else(name):
    X, y = month(JANUARY)
    with pytest.raises(ValueError, match=rf"begin with 'estimator__', got \['{name}'\]"):
        make_pipeline_of().partial_fit(X, y, **{name: np.ones(len(X))})


@pytest.mark.parametrize("fits_before", ["fit", "partial_fit"])
def test_a_warm_start_behind_a_new_preprocessing_is_refused(fits_before):
    X, y = month(JANUARY)
    model = make_pipeline_of(warm_start=True)
    getattr(model, fits_before)(X, y)  # the first fit begins anew anyway
    before = model.predict_frame(X)
    with pytest.raises(ValueError, match=r"warm_start=True: the step 'estimator' is fitted.*call partial_fit\(X, y\)"):
        model.fit(*month(FEBRUARY))
    pd.testing.assert_frame_equal(model.predict_frame(X), before)
    model.set_params(estimator__warm_start=False).fit(*month(FEBRUARY))


def test_a_warm_start_of_another_model_is_refused_and_the_way_out_is_one():
    X, y = month(JANUARY)
    model = make_tabular_pipeline(RandomForestRegressor(n_estimators=2, warm_start=True)).fit(X, y["sum"])
    model.set_params(estimator__n_estimators=4)
    with pytest.raises(ValueError, match=r"model\[-1\].fit\(model\[:-1\].transform\(X\), y\)"):
        model.fit(X, y["sum"])
    assert len(model[-1].fit(model[:-1].transform(X), y["sum"]).estimators_) == 4


def test_a_search_over_models_with_warm_start_fits_each_anew():
    X, y = month(JANUARY)
    search = GridSearchCV(make_pipeline_of(warm_start=True), {"estimator__n_experts": [1, 2]}, cv=2)
    search.fit(X, y)
    search.best_estimator_.partial_fit(*month(FEBRUARY))


# --------------------------------------------------------------------------------------------------------------------
# Failures, threads, validation data


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("breaks", ["labels", "features"])
def test_a_fit_that_fails_leaves_the_pipeline_as_it_was(fitted, method, breaks):
    model = copy.deepcopy(fitted)
    X, y = month(FEBRUARY)
    frame, steps = model.predict_frame(X), list(model.steps)
    wrong = (X, y.assign(sum=np.inf)) if breaks == "labels" else (X.assign(a=np.inf), y)
    with pytest.raises(ValueError, match="inf"):
        getattr(model, method)(*wrong)
    assert all(now is then for now, then in zip(model.steps, steps, strict=True))
    pd.testing.assert_frame_equal(model.predict_frame(X), frame)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_first_fit_that_fails_leaves_nothing(method):
    X, y = month(JANUARY)
    model = make_pipeline_of()
    with pytest.raises(ValueError, match="inf"):
        getattr(model, method)(X, y.assign(sum=np.inf))
    assert not hasattr(model[0], "transformers_")
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_the_model_stays_the_one_that_was_put_in():
    X, y = month(JANUARY)
    own = MMoERegressor(**SMALL)
    model = make_tabular_pipeline(own).fit(X, y[["sum"]])
    assert model[-1] is own
    first = own.net_
    assert model.partial_fit(X, y[["sum"]])[-1] is own
    assert own.net_ is not first


def test_answers_beside_a_fit_are_of_one_fit():
    """January's preprocessing with February's network would be neither: the numbers lie 50 apart."""
    (X, y), later = month(JANUARY, holes=False), month(FEBRUARY, holes=False)
    y, later_y = y[["sum"]], later[1][["sum"]]
    model = make_tabular_pipeline(MMoERegressor(**{**SMALL, "max_epochs": 2}))
    allowed = [model.fit(*data).predict(X).tobytes() for data in ((X, y), (later[0], later_y))]
    done = threading.Event()

    def fits():
        for i in range(6):
            model.fit(*((X, y) if i % 2 else (later[0], later_y)))
        done.set()

    thread = threading.Thread(target=fits)
    thread.start()
    found = []
    while not done.is_set():
        found.append(model.predict(X).tobytes())
    thread.join()
    assert set(found) <= set(allowed)


@all_three
@pytest.mark.parametrize("routing", ["none", "routed", "transform_input"])
def test_validation_data_goes_through_the_preprocessing(name, routing):
    X, y = pd.DataFrame(make_features()).add_prefix("x") * 100 + 7, make_targets(name)
    train, valid = (X[::2], y[::2]), (X[1::2], y[1::2])
    model = make_tabular_pipeline(make_model(name))
    by_hand = clone(model[-1])
    columns = clone(model[0]).fit(train[0])
    by_hand.fit(columns.transform(train[0]), train[1], X_val=columns.transform(valid[0]), y_val=valid[1])
    if routing == "none":
        model.fit(*train, estimator__X_val=valid[0], estimator__y_val=valid[1])
    else:
        with config_context(enable_metadata_routing=True):
            model[-1].set_fit_request(X_val=True, y_val=True)
            if routing == "transform_input":
                model.set_params(transform_input=["X_val"])
            model.fit(*train, X_val=valid[0], y_val=valid[1])
    assert model[-1].validation_scores_ == by_hand.validation_scores_


def test_validation_data_passes_through_where_nothing_stands_before_the_model():
    X, y = make_features(), make_targets("regressor")
    model = TabularPipeline([("model", make_model("regressor"))]).fit(X, y, model__X_val=X, model__y_val=y)
    assert model[-1].validation_scores_ == make_model("regressor").fit(X, y, X_val=X, y_val=y).validation_scores_
