"""The pipeline for mixed tables: what becomes of each kind of column, and that it is a pipeline as any other."""

from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from helpers import N_ROWS, NAMES, SMALL, all_three, make_features, make_model, make_targets, outputs_of, pickles
from mixed_tables import as_polars, make_frame
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
from sklearn_mmoe.metrics import make_task_scorer

OTHER, OURS = Ridge(), MMoERegressor(categorical_features=None)


def features_of(X, train=None, estimator=OTHER):
    """What arrives at an estimator that knows no categories, by the name of the feature."""
    train = X if train is None else train
    columns = make_tabular_pipeline(estimator)[:-1].fit(train)
    return dict(zip(columns.get_feature_names_out(), np.asarray(columns.transform(X)).T, strict=True))


# --------------------------------------------------------------------------------------------------------------------
# Numbers


either = pytest.mark.parametrize("estimator", [OTHER, OURS], ids=["another", "ours"])


@either
def test_numbers_are_centred_and_scaled_by_their_quartiles(estimator):
    found = features_of(pd.DataFrame({"a": np.arange(101.0)}), estimator=estimator)["numbers__a"]
    np.testing.assert_allclose(found, (np.arange(101) - 50) / (50 / 1.3489795), rtol=1e-6)


@either
def test_outliers_are_clipped_and_leave_the_others_apart(estimator):
    """In front of embeddings, which clip what they read themselves, only what is far beyond all else."""
    a = np.append(np.arange(100.0), [1e9, -1e9])
    found = features_of(pd.DataFrame({"a": a}), estimator=estimator)["numbers__a"]
    assert found[-2:].tolist() == ([1e6, -1e6] if estimator is OURS else [10, -10])
    assert np.ptp(found[:100]) > 2


@either
def test_a_column_that_is_mostly_zero_is_scaled_by_its_standard_deviation(estimator):
    a = np.r_[np.zeros(90), np.full(10, 300.0)]
    found = features_of(pd.DataFrame({"a": a}), estimator=estimator)["numbers__a"]
    # of a coin of chance p it is sqrt(p(1 - p)); all is multiplied by what the quartiles of normal data are apart
    np.testing.assert_allclose(found, 1.3489795 * a / (300 * 0.3))


def test_missing_numbers_are_the_median_and_said_to_be_missing():
    found = features_of(pd.DataFrame({"a": [1.0, np.nan, 2.0, 3.0, None], "b": np.arange(5.0)}))
    assert found["numbers__a"][[1, 4]].tolist() == [0, 0]
    said = found["numbers__missingindicator_a"]
    assert said[1] == said[4] > said[0] == said[2]
    assert "numbers__missingindicator_b" not in found


def test_missing_numbers_stay_missing_where_they_are_embedded():
    a = np.r_[np.nan, np.arange(101.0), np.nan]
    found = features_of(pd.DataFrame({"a": a, "b": np.arange(103.0)}), estimator=OURS)
    assert list(found) == ["numbers__a", "numbers__b"]
    np.testing.assert_allclose(found["numbers__a"], (a - 50) / (50 / 1.3489795), rtol=1e-6)


class Squares(torch.nn.Module):
    width = 1  # and of NaN they make NaN

    def __init__(self, n_features, n_members):
        super().__init__()

    def forward(self, x):
        return x.square().unsqueeze(0)


@pytest.mark.parametrize("asked", [None, Squares])
def test_missing_numbers_are_imputed_for_a_network_that_takes_none(asked):
    X = pd.DataFrame({"a": [1.0, np.nan, 2.0, 3.0, None] * 12})
    assert list(features_of(X, estimator=clone(OURS).set_params(numeric_embeddings=asked))) == list(features_of(X))
    model = make_tabular_pipeline(MMoERegressor(numeric_embeddings=asked, **SMALL)).fit(X, make_targets("regressor"))
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("library", [pd, pl])
def test_a_column_without_any_number_is_zero_in_silence(library):
    """Numbers of it that come later are clipped, as all are, and infinity is refused."""
    nothing = pd.array([pd.NA] * 20, dtype="Float64") if library is pd else [None] * 20
    X = library.DataFrame({"a": np.arange(20.0), "nothing": nothing, "floats": np.full(20, np.nan)})
    new = library.DataFrame({"a": [1.0, 2.0], "nothing": [3.0, None], "floats": [float("nan"), 1e9]})
    found = features_of(new, X, OURS)
    assert found["empty__nothing"].tolist() == [3, 0]
    assert found["empty__floats"].tolist() == [0, 10]
    with pytest.raises(ValueError, match="infinity in column 'nothing'"):
        features_of(library.DataFrame({"a": [1.0], "nothing": [np.inf], "floats": [1.0]}), X, OURS)


def test_many_rows_without_a_number_do_not_hide_one():
    found = features_of(pd.DataFrame({"a": np.r_[np.full(11_000, np.nan), 7.0]}), estimator=OURS)
    assert np.isnan(found["numbers__a"]).tolist() == [*[True] * 11_000, False]


def test_a_search_that_drops_embeddings_says_what_to_do_about_missing_numbers():
    X = make_features()
    X[::6, 1] = np.nan
    model = make_tabular_pipeline(MMoERegressor(**SMALL)).set_params(estimator__numeric_embeddings=None)
    with pytest.raises(ValueError, match=r"NaN in column 1\. .*numeric_embeddings='auto'.*make the pipeline anew"):
        model.fit(X, make_targets("regressor"))


def test_splines_have_knots_at_the_quantiles():
    a = np.arange(71.0) ** 3  # the knots are at 0, 10, 20 ... 70 of the cubed
    found = features_of(pd.DataFrame({"a": a}))
    basis = np.column_stack([found[f"splines__a_sp_{k}"] for k in range(8)])
    expected = [np.interp(a, (10.0 * np.arange(8)) ** 3, np.eye(8)[k]) for k in range(8)]
    np.testing.assert_allclose(basis, np.column_stack(expected), atol=1e-12)


def test_values_that_abound_get_knots_of_their_own():
    """More than an eighth of the rows are 0, as many are 50: the other six knots are the quantiles of all others."""
    others = np.r_[np.arange(1.0, 50), np.arange(51.0, 102)]  # quantiles at 1, 20.8, 40.6, 61.4, 81.2, 101
    a = np.r_[np.zeros(800), np.full(200, 50.0), others]
    found = features_of(pd.DataFrame({"a": a}))
    basis = np.column_stack([found[f"splines__a_sp_{k}"] for k in range(8)])
    knots = [0, 1, 20.8, 40.6, 50, 61.4, 81.2, 101]
    np.testing.assert_allclose(basis, np.column_stack([np.interp(a, knots, np.eye(8)[k]) for k in range(8)]), atol=1e-9)


@pytest.mark.parametrize("values", [[0, 1, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8], np.r_[np.zeros(50), -3, 7, 1e6, 1e-6]])
def test_few_values_get_as_many_knots_as_many_do(values):
    found = features_of(pd.DataFrame({"a": np.repeat(values, 3)}))
    basis = np.column_stack([found[f"splines__a_sp_{k}"] for k in range(8)])
    np.testing.assert_allclose(basis.sum(axis=1), 1)
    assert np.linalg.matrix_rank(basis) == min(8, len(np.unique(values)))


def test_splines_stay_as_they_are_beyond_the_last_knots_and_are_zero_where_missing():
    train = pd.DataFrame({"a": np.arange(71.0)})
    found = features_of(pd.DataFrame({"a": [-100.0, 0, 70, 1e6, np.nan]}), train)
    basis = np.column_stack([found[f"splines__a_sp_{k}"] for k in range(8)])
    np.testing.assert_allclose(basis, [np.eye(8)[0], np.eye(8)[0], np.eye(8)[7], np.eye(8)[7], np.zeros(8)], atol=1e-12)


@pytest.mark.parametrize(
    ("column", "has_splines"),
    [
        (np.full(60, 7.0), False),
        (np.arange(60) % 2, False),
        (np.r_[np.zeros(30), np.ones(29), np.nan], False),
        (np.arange(60) % 3, True),
        (np.r_[np.zeros(54), np.arange(6)], True),
    ],
    ids=["constant", "two values", "two and missing", "three values", "mostly zero"],
)
def test_columns_of_two_values_need_no_splines(column, has_splines):
    found = features_of(pd.DataFrame({"a": column}))
    assert any(name.startswith("splines__") for name in found) == has_splines
    assert all(np.isfinite(values).all() for values in found.values())
    if has_splines:  # where quantiles coincide, values stay apart
        basis = np.column_stack([values for name, values in found.items() if name.startswith("splines__")])
        assert len(np.unique(basis, axis=0)) == len(np.unique(column))


def test_many_rows_are_judged_by_some_of_them():
    a = np.arange(25_000) % 40
    found = features_of(pd.DataFrame({"a": a, "b": a % 2}))
    assert {name for name in found if name.startswith("splines__")} == {f"splines__a_sp_{k}" for k in range(8)}


# --------------------------------------------------------------------------------------------------------------------
# Categories


CATEGORIES = ["a"] * 5 + ["b"] * 6 + ["c"] * 2 + [None] * 7


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(CATEGORIES, dtype=object),
        pd.Series(CATEGORIES, dtype=object).where(np.arange(20) < 15, np.nan),
        pd.Series(CATEGORIES, dtype="string"),
        pd.Series(CATEGORIES, dtype="category"),
        pl.Series(CATEGORIES),
        pl.Series(CATEGORIES, dtype=pl.Categorical),
        pl.Series(CATEGORIES, dtype=pl.Enum(["c", "b", "a"])),
    ],
    ids=["objects", "None and NaN", "pandas strings", "categorical", "polars strings", "polars categorical", "enum"],
)
def test_categories_are_one_hot_with_rare_and_unknown_ones_together(column):
    library = pl if isinstance(column, pl.Series) else pd
    train = library.DataFrame({"x": column})
    found = features_of(library.DataFrame({"x": ["a", "b", "c", None, "new"]}), train)
    assert {name: values.tolist() for name, values in found.items()} == {
        "categories__x_a": [1, 0, 0, 0, 0],
        "categories__x_b": [0, 1, 0, 0, 0],
        "categories__x_None": [0, 0, 0, 1, 0],
        "categories__x_infrequent_sklearn": [0, 0, 1, 0, 1],
    }


def test_unknown_categories_are_nothing_where_none_is_rare():
    train = pd.DataFrame({"x": ["a", "b"] * 10})
    found = features_of(pd.DataFrame({"x": ["new", None, "a"]}), train)
    assert found["categories__x_a"].tolist() == [0, 0, 1]
    assert found["categories__x_b"].tolist() == [0, 0, 0]


def test_a_column_of_ids_gets_a_hundred_features():
    rng = np.random.default_rng(0)
    train = pd.DataFrame({"x": rng.permutation(np.repeat([f"id{i}" for i in range(300)], 5))})
    assert len(features_of(train)) == 100


# --------------------------------------------------------------------------------------------------------------------
# Tables of any form


def test_every_kind_of_column_arrives_somewhere_of_what_is_embedded():
    found = make_tabular_pipeline(MMoERegressor())[:-1].fit_transform(make_frame())
    assert list(found.columns) == [
        *("numbers__number", "numbers__rooms", "numbers__flag", "numbers__member", "numbers__constant"),
        *("empty__nothing", "embedded__town", "embedded__shop", "embedded__word"),
    ]
    numbers = found.iloc[:, :5]
    assert list(numbers.columns[numbers.isna().any()]) == ["numbers__number", "numbers__rooms", "numbers__member"]
    assert np.nanmax(np.abs(numbers)) <= 10


def test_every_kind_of_column_arrives_somewhere():
    found = features_of(make_frame())
    kinds = {"numbers": set(), "splines": set(), "categories": set()}
    for name in found:
        kind, feature = name.split("__")
        kinds[kind].add(feature.removeprefix("missingindicator_").split("_")[0])
    assert kinds == {
        "numbers": {"number", "rooms", "flag", "member", "constant", "nothing"},
        "splines": {"number", "rooms"},
        "categories": {"town", "shop", "word"},
    }
    assert all(np.isfinite(values).all() and np.abs(values).max() <= 10 for values in found.values())


@either
def test_polars_is_pandas(estimator):
    frame = make_frame()
    expected, found = (features_of(own, estimator=estimator) for own in (frame, as_polars(frame)))
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@all_three
def test_all_estimators_learn_from_all_columns(name):
    frame, y = make_frame(), make_targets(name)
    model = make_tabular_pipeline(make_model(name)).fit(frame, y)
    assert np.isfinite(outputs_of(model, frame)).all()
    np.testing.assert_array_equal(outputs_of(model, frame[frame.columns[::-1]]), outputs_of(model, frame))
    assert len(model.predict(frame[:1])) == 1
    np.testing.assert_allclose(outputs_of(model, frame[:1]), outputs_of(model, frame)[:1], rtol=1e-5, atol=1e-6)


def test_arrays_are_frames_without_names():
    X, y = make_features(), make_targets("regressor")
    X[::6, 1] = np.nan
    expected = make_tabular_pipeline(MMoERegressor(**SMALL)).fit(pd.DataFrame(X, columns=list("abcd")), y)
    for form in (X, X.tolist(), X.astype(object)):
        model = make_tabular_pipeline(MMoERegressor(**SMALL)).fit(form, y)
        np.testing.assert_array_equal(model.predict(form), expected.predict(pd.DataFrame(X, columns=list("abcd"))))


def test_an_array_of_objects_may_hold_strings():
    X = np.array([[1.0, "Ulm"], [None, "Bonn"], [3.0, None]] * 10, dtype=object)
    found = features_of(X)
    assert [name for name in found if name.startswith("categories")] == [
        "categories__x1_Bonn",
        "categories__x1_Ulm",
        "categories__x1_None",
    ]


def test_a_sparse_matrix_stays_sparse():
    X = make_features() * (make_features() > 0.5) * 100
    columns = make_tabular_pipeline(MMoERegressor())[:-1].fit(csr_array(X))
    found = columns.transform(csr_array(X))
    np.testing.assert_allclose(found.toarray(), X / np.abs(X).max(axis=0))
    model = make_tabular_pipeline(MMoERegressor(**SMALL)).fit(csr_array(X), make_targets("regressor"))
    assert model.predict(csr_array(X[:1])).shape == (1, 2)


# --------------------------------------------------------------------------------------------------------------------
# What cannot be


def test_columns_of_other_types_are_refused_with_what_to_do():
    frame = pd.DataFrame({"n": [1.0, 2.0], "when": pd.period_range("2020-01-01", periods=2)})
    with pytest.raises(ValueError, match=r"neither numbers.*: 'when' \(Unknown.*Turn them.*year, month"):
        features_of(frame)
    with pytest.raises(ValueError, match=r"neither numbers.*: 'lists' \(List"):
        features_of(pl.DataFrame({"n": [1.0, 2.0], "lists": [[1], [2]]}))


def test_a_column_of_nulls_is_a_number_that_is_always_missing():
    found = features_of(pl.DataFrame({"n": np.arange(5.0), "nothing": [None] * 5}))
    assert found["numbers__nothing"].tolist() == [0] * 5


def test_one_dimension_and_infinity_are_refused():
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        features_of(np.arange(5.0))
    with pytest.raises(ValueError, match="infinity"):
        features_of(pd.DataFrame({"a": [1.0, np.inf, 2.0]}))


@pytest.mark.parametrize("estimator", [MMoERegressor(**SMALL), Ridge()])
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, np.asarray, csr_array])
def test_a_table_without_rows_is_said_to_have_none(estimator, frame):
    X, y = make_features(), make_targets("regressor")
    for own in (X[:0], X[:0, :0]):
        with pytest.raises(ValueError, match=r"X has no row: it is of shape \(0, [04]\)"):
            make_tabular_pipeline(estimator).fit(frame(own), y[:0])
    with pytest.raises(ValueError, match=r"X has no column: it is of shape \(60, 0\)"):
        make_tabular_pipeline(MMoERegressor(**SMALL)).fit(pd.DataFrame(X[:, :0]), y)


@pytest.mark.parametrize("estimator", [None, "passthrough", 3, [], {}, object(), Ridge, pd.DataFrame()])
def test_what_is_no_estimator_is_refused(estimator):
    with pytest.raises(TypeError, match="estimator must be an estimator of scikit-learn's kind, got"):
        make_tabular_pipeline(estimator)


NO_TABLES = [None, "x", 3, [], {}, object(), iter([]), np.zeros(4), np.zeros((2, 2, 2))]


def test_what_is_no_table_is_refused_by_name():
    new, fitted = (make_tabular_pipeline(MMoERegressor(**SMALL)) for _ in range(2))
    y = make_targets("regressor")
    fitted.fit(make_features(), y)
    for X in NO_TABLES:
        for call in (partial(new.fit, X, y), partial(fitted.predict, X), partial(fitted.score, X, y)):
            with pytest.raises(ValueError, match=r"Expected 2D array, got .* instead: X must be a data frame"):
                call()
    with pytest.raises(ValueError, match="X has no row"):
        fitted.predict(make_features()[:0])


@pytest.mark.parametrize("n_knots", [1, 0, -1, 2.5, None, "8"])
def test_splines_have_two_knots_or_more(n_knots):
    model = make_tabular_pipeline(Ridge()).set_params(columns__splines__n_knots=n_knots)
    with pytest.raises(ValueError, match="The 'n_knots' parameter of QuantileSplines must be an int in the range"):
        model.fit(make_features(), make_targets("regressor"))


def test_a_missing_column_is_named():
    model = make_tabular_pipeline(MMoERegressor(**SMALL)).fit(make_frame(), make_targets("regressor"))
    with pytest.raises(ValueError, match=r"columns are missing: \{'town'\}"):
        model.predict(make_frame().drop(columns="town"))


# --------------------------------------------------------------------------------------------------------------------
# A pipeline as any other


@pytest.mark.parametrize("estimator", [RandomForestRegressor(5, random_state=0), KNeighborsRegressor()])
def test_other_estimators_fit_in(estimator):
    frame, y = make_frame(), make_targets("regressor")
    model = make_tabular_pipeline(estimator).fit(frame, y)
    assert model[-1] is estimator
    assert model.score(frame, y) > 0.4


def test_sample_weight_reaches_the_estimator():
    frame, y = make_frame(), make_targets("regressor")
    weights = np.where(np.arange(len(frame)) < 30, 1.0, 0.0)
    model = make_tabular_pipeline(MMoERegressor(**SMALL)).fit(frame, y, estimator__sample_weight=weights)
    features = model[:-1].transform(frame)
    np.testing.assert_array_equal(
        model.predict(frame), MMoERegressor(**SMALL).fit(features, y, weights).predict(features)
    )


def test_a_search_over_every_step():
    frame, y = make_frame(), make_targets("regressor")
    grid = {
        "columns__splines__n_knots": [3],
        "columns__numbers__clip__kw_args": [{"a_min": -2, "a_max": 2}],
        "columns__categories__encode__min_frequency": [2, 10],
        "estimator__learning_rate": [0.01],
    }
    model = make_tabular_pipeline(MMoERegressor(categorical_features=None, numeric_embeddings=None, **SMALL))
    search = GridSearchCV(model, grid, cv=2, scoring=make_task_scorer("r2"), error_score="raise").fit(frame, y)
    best = search.best_estimator_
    assert best[-1].learning_rate == 0.01
    assert best[0].named_transformers_["splines"].n_knots == 3
    assert np.abs(best[:-1].transform(frame)).max() == 2


@all_three
@pytest.mark.parametrize("library", [pd, pl])
def test_own_estimators_embed_the_categories_of_frames(name, library):
    frame, y = make_frame(), make_targets(name)
    frame = as_polars(frame) if library is pl else frame
    model = make_tabular_pipeline(make_model(name)).fit(frame, y)
    assert list(model[-1].categories_) == ["embedded__town", "embedded__shop", "embedded__word"]
    assert list(model[-1].categories_["embedded__town"]) == ["Bonn", "Kiel", "Ulm"]
    assert isinstance(model[:-1].transform(frame), library.DataFrame)
    assert np.isfinite(outputs_of(model, frame)).all()


def test_numbers_beside_embedded_categories_are_the_same():
    frame, expected = make_frame(), features_of(make_frame(), estimator=OURS)
    found = make_tabular_pipeline(MMoERegressor())[:-1].fit_transform(frame)
    numbers = [name for name in expected if not name.startswith("categories")]
    assert list(found.columns) == [*numbers, "embedded__town", "embedded__shop", "embedded__word"]
    np.testing.assert_array_equal(found[numbers], np.column_stack([expected[name] for name in numbers]))


def test_one_pipeline_for_frames_arrays_and_sparse_matrices():
    """Whatever the fit before was on."""
    frame, y = make_frame(), make_targets("regressor")
    model = make_tabular_pipeline(MMoERegressor(**SMALL))
    sparse = csr_array(make_features() * (make_features() > 0))
    for X in (frame, make_features(), sparse, as_polars(frame), frame.to_numpy(dtype=object, na_value=None)):
        again = clone(model).fit(X, y)
        np.testing.assert_array_equal(model.fit(X, y).predict(X), again.predict(X))


def test_inside_a_search_categories_are_embedded_too():
    frame, y = make_frame(), make_targets("regressor")
    search = GridSearchCV(MMoERegressor(**SMALL), {"n_experts": [1, 2]}, cv=2)
    model = make_tabular_pipeline(search).fit(frame, y)
    assert list(model[-1].best_estimator_.categories_) == ["embedded__town", "embedded__shop", "embedded__word"]


@pickles
@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_answers_the_same(name, there_and_back):
    frame = make_frame()
    model = make_tabular_pipeline(make_model(name)).fit(frame, make_targets(name))
    np.testing.assert_array_equal(outputs_of(there_and_back(model), frame), outputs_of(model, frame))


def test_clones_are_unfitted_and_fit_alike():
    frame, y = make_frame(), make_targets("regressor")
    model = make_tabular_pipeline(MMoERegressor(**SMALL)).fit(frame, y)
    twin = clone(model)
    assert not hasattr(twin[0], "transformers_")
    np.testing.assert_array_equal(twin.fit(frame, y).predict(frame), model.predict(frame))


@pytest.mark.parametrize("columns", [["number"], ["town"], ["number", "town"]])
@pytest.mark.parametrize("estimator", [MMoERegressor(**SMALL), Ridge()], ids=["ours", "another"])
def test_a_fitted_pipeline_shows_itself_whatever_columns_there_are(columns, estimator):
    table = pd.DataFrame({"number": np.linspace(0, 1, 40), "town": ["Ulm", "Kiel"] * 20})[columns]
    model = make_tabular_pipeline(clone(estimator)).fit(table, np.linspace(0, 1, 40))
    assert "sk-estimator" in model._repr_html_()
    assert "sk-estimator" in make_tabular_pipeline(clone(estimator))._repr_html_()


def test_an_array_of_one_column_shows_itself():
    model = make_tabular_pipeline(MMoERegressor(**SMALL)).fit(np.linspace(0, 1, 40)[:, None], np.linspace(0, 1, 40))
    assert "sk-estimator" in model._repr_html_()


def test_a_diagram_of_all_kinds_of_columns_is_not_wider_than_a_cell_in_a_search_either():
    """The letters beside each other, of 8 pixels in titles and 6 in captions, and the margins of boxes: 760 pixels."""
    table = make_frame().assign(day=pd.date_range("2026-01-01", periods=N_ROWS))
    model = make_tabular_pipeline(Ridge()).fit(table, make_targets("regressor"))
    block = model[0]._sk_visual_block_()
    assert block.names == ["numbers", "splines", "dates", "categories"]
    widths = [max(8 * len(own.names), 6 * len(own.name_caption)) for own in block.estimators]
    n_edges = 3  # of the search, the pipeline and its columns
    assert sum(widths) + 60 * len(widths) + 50 * n_edges < 760


def test_a_diagram_names_columns_where_one_looks():
    model = make_tabular_pipeline(MMoERegressor(**SMALL)).fit(make_frame(), make_targets("regressor"))
    *_, embedded = model[0]._sk_visual_block_().estimators
    assert embedded.name_details == "town\nshop\nword"


def test_a_pipeline_shows_itself_where_scikit_learn_cannot_draw_a_step_of_others():
    """Such as one of no column, that has never been fitted."""
    unused = ColumnTransformer([("log", FunctionTransformer(np.log1p, feature_names_out="one-to-one"), [])])
    model = make_tabular_pipeline(make_pipeline(unused.set_params(remainder="passthrough"), Ridge()))
    html = model.fit(make_features(), make_targets("regressor"))._repr_html_()
    assert "TabularPipeline" in html
