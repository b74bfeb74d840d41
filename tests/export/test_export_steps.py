"""Steps before an estimator as parts of ONNX graphs: they make of new rows what scikit-learn makes of them."""

import numpy as np
import pandas as pd
import pytest
from helpers import make_features, make_model, make_targets
from mixed_tables import as_polars, make_frame
from onnx import TensorProto
from onnx_graphs import assert_answers_alike, session_of
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
from sklearn_mmoe._tables.splines import QuantileSplines
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.export._converters import as_dense
from sklearn_mmoe.export._graph import Graph
from sklearn_mmoe.export._inputs import add_inputs
from sklearn_mmoe.export._steps import Steps

CLIP = FunctionTransformer(np.clip, kw_args={"a_min": -0.5, "a_max": None})


def made_by_graph(step, example, X, float_type=TensorProto.FLOAT):
    """What the graph of a fitted step makes of rows."""
    graph = Graph()
    table, feeds = add_inputs(graph, example, float_type)
    table = Steps(graph, feeds, float_type).add(step, "step", table, example)
    return np.hstack(graph.values(table, add_inputs(Graph(), X, float_type)[1]))


def assert_made_alike(step, train, X, y=None, **options):
    step.fit(train, y)
    found = made_by_graph(step, train, X, **options)
    np.testing.assert_allclose(found.astype(float), as_dense(step.transform(X)).astype(float), rtol=1e-4, atol=1e-5)


def with_holes(X):
    return np.where(np.random.default_rng(5).random(X.shape) < 0.1, np.nan, X)


def new_numbers(n_rows=1000):
    return np.random.default_rng(1).normal(scale=2, size=(n_rows, 4)).astype(np.float32).astype(float)


@pytest.mark.parametrize(
    "step",
    [
        StandardScaler(),
        StandardScaler(with_mean=False),
        RobustScaler(unit_variance=True),
        MinMaxScaler(clip=True),
        MaxAbsScaler(),
        PowerTransformer(),
        QuantileTransformer(n_quantiles=20),
        PolynomialFeatures(),
        PCA(3),
        KMeans(3, n_init=1, random_state=0),
        QuantileSplines(),
        CLIP,
        FunctionTransformer(),
        SimpleImputer(),
        FeatureUnion([("a", StandardScaler()), ("b", "passthrough"), ("c", "drop")], transformer_weights={"a": 0.5}),
        make_pipeline(None, make_pipeline("passthrough", StandardScaler()), CLIP),
    ],
    ids=lambda step: type(step).__name__,
)
def test_numbers(step):
    assert_made_alike(step, make_features(), new_numbers())


@pytest.mark.parametrize(
    "step",
    [
        SimpleImputer(strategy="median", add_indicator=True),
        SimpleImputer(strategy="constant", fill_value=7.0),
        SimpleImputer(missing_values=-1, keep_empty_features=True),
        QuantileSplines(),
        make_pipeline(StandardScaler(), SimpleImputer(keep_empty_features=True), CLIP),
        make_pipeline(StandardScaler(), RobustScaler(unit_variance=True), CLIP),
    ],
)
def test_numbers_with_holes(step):
    train, later = (np.where(X > 1, np.nan, X) for X in (make_features(), new_numbers()))
    if isinstance(step, SimpleImputer) and step.missing_values == -1:
        train, later = (np.nan_to_num(X, nan=-1) for X in (train, later))
    assert_made_alike(step, train, later)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
def test_a_column_without_any_number_is_left_out_as_the_imputer_does():
    train = make_features()
    train[:, 1] = np.nan
    step = SimpleImputer(add_indicator=True).fit(train)
    assert made_by_graph(step, train, new_numbers()).shape == (1000, 4)
    assert_made_alike(step, train, train)


def test_float64_stays_float64():
    X = make_features() + 1e9
    step = make_pipeline(SimpleImputer(), StandardScaler(), QuantileSplines()).fit(X)
    found = made_by_graph(step, X, X + 1e-3, float_type=TensorProto.DOUBLE)
    np.testing.assert_allclose(found, step.transform(X + 1e-3), rtol=0, atol=1e-12)


# --------------------------------------------------------------------------------------------------------------------
# Categories


def make_mixed(n_rows=60, seed=0, unknown=False):
    """Strings with holes, whole numbers, booleans, and numbers that are categories."""
    rng = np.random.default_rng(seed)
    towns = ["Bonn", "Kiel", "Köln", None, *(["Mainz"] if unknown else [])]
    shops = [2**24, 2**24 + 1, 7, *([2**24 + 2] if unknown else [])]
    halves = [0.5, 0.1, np.nan, *([0.7] if unknown else [])]
    frame = pd.DataFrame(
        {
            "town": pd.Series(rng.choice(np.array(towns, dtype=object), n_rows), dtype=object),
            "shop": rng.choice(shops, n_rows),
            "open": rng.random(n_rows) > 0.5,
            "half": rng.choice(halves, n_rows),
        }
    )
    rare = frame.index[:2]
    frame.loc[rare, "town"], frame.loc[rare, "shop"] = "Ulm", 9
    return frame


UNKNOWN = {"handle_unknown": "use_encoded_value", "unknown_value": -5}


@pytest.mark.filterwarnings("ignore:Found unknown categories")
@pytest.mark.parametrize(
    "encoder",
    [
        OneHotEncoder(handle_unknown="ignore"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False, drop="first"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5),
        OneHotEncoder(handle_unknown="warn", max_categories=3),
        OrdinalEncoder(**UNKNOWN),
        OrdinalEncoder(**UNKNOWN, min_frequency=5, encoded_missing_value=-7),
    ],
    ids=str,
)
def test_encoders_with_unknown_categories(encoder):
    assert_made_alike(encoder, make_mixed(), make_mixed(500, seed=1, unknown=True))


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()], ids=str)
def test_an_unknown_category_is_an_error_where_the_encoder_makes_it_one(encoder):
    frame = make_mixed()
    assert_made_alike(encoder, frame, make_mixed(500, seed=1))
    later = frame.assign(shop=11)
    with pytest.raises(ValueError, match="unknown categories"):
        encoder.transform(later)
    with pytest.raises(Exception, match="out of data bounds"):
        made_by_graph(encoder, frame, later)


def test_missing_strings_are_filled_in():
    train, later = (make_mixed(n, seed)[["town"]].astype("str") for n, seed in ((60, 0), (300, 1)))
    for strategy in ("most_frequent", "constant"):
        step = make_pipeline(SimpleImputer(strategy=strategy), OneHotEncoder(handle_unknown="ignore"))
        assert_made_alike(step, train, later)


def test_by_target():
    train, later = make_mixed()[["town"]].fillna("?"), make_mixed(300, 1, unknown=True)[["town"]].fillna("?")
    assert_made_alike(TargetEncoder(target_type="continuous"), train, later, y=make_targets("regressor")[:, 0])


# --------------------------------------------------------------------------------------------------------------------
# Columns


def test_column_transformers_take_columns_by_name_wherever_they_stand():
    step = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["half", "shop"]),
            ("towns", OneHotEncoder(handle_unknown="ignore"), ["town"]),
            ("nothing", "drop", ["open"]),
            ("none", StandardScaler(), []),
        ],
        remainder="passthrough",
        transformer_weights={"towns": 3.0},
    )
    train = make_mixed().assign(more=np.arange(60.0))
    step.fit(train)
    other = train[["more", "open", "town", "half", "shop"]].assign(unread="")
    found = made_by_graph(step, other, other)
    np.testing.assert_allclose(found, as_dense(step.transform(train)), rtol=1e-5, atol=1e-5)


def as_objects(frame):
    return frame.astype(object).where(frame.notna(), None).to_numpy()


@pytest.mark.parametrize("as_given", [lambda frame: frame, as_polars, as_objects], ids=["pandas", "polars", "array"])
@pytest.mark.parametrize("kind", ["auto", None])
def test_the_steps_of_tabular_pipelines(kind, as_given):
    train, later = as_given(make_frame()), as_given(make_frame(500).replace({"word": {"Ulm": "Mainz"}}))
    own = MMoERegressor(categorical_features=None, numeric_embeddings=kind)
    assert_made_alike(make_tabular_pipeline(own)[:-1], train, later)


# --------------------------------------------------------------------------------------------------------------------
# Whole graphs


def test_a_tabular_pipeline_that_embeds_categories():
    frame = make_frame()
    model = make_tabular_pipeline(make_model("multitask")).fit(frame, make_targets("multitask"))
    graph = to_onnx(model, example=frame, gate_weights=True)
    assert [own.name for own in session_of(graph).get_inputs()] == list(frame)
    assert_answers_alike(graph, model, make_frame(500).replace({"word": {"Ulm": "Mainz"}}))


def test_a_search_over_pipelines_within_pipelines():
    X, y = make_features(), make_targets("regressor")
    inner = make_pipeline(PCA(2), make_model("regressor", categorical_features=None))
    search = GridSearchCV(make_pipeline(StandardScaler(), inner), {"pipeline__pca__n_components": [2]}, cv=2)
    graph = to_onnx(search.fit(X, y), example=X)
    assert_answers_alike(graph, search.best_estimator_, new_numbers(), gate_weights=False)


def test_an_estimator_fitted_on_sparse_rows_takes_dense_ones():
    X, y = make_features() * (make_features() > 0), make_targets("regressor")
    model = make_pipeline(MaxAbsScaler(), make_model("regressor")).fit(csr_array(X), y)
    assert_answers_alike(to_onnx(model, example=X), model, new_numbers(), gate_weights=False)


def test_columns_that_nothing_reads_are_no_inputs():
    frame, y = make_mixed(), make_targets("regressor")
    columns = make_column_transformer((OneHotEncoder(), ["town", "shop"]), (StandardScaler(), ["half"]))
    model = make_pipeline(columns, SimpleImputer(), make_model("regressor")).fit(frame, y)
    graph = to_onnx(model, example=frame)
    assert [own.name for own in session_of(graph).get_inputs()] == ["town", "shop", "half"]
    assert_answers_alike(graph, model, make_mixed(200, seed=1), gate_weights=False)
