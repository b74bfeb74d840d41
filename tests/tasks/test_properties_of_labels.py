"""Answers are labels, whatever type the labels of each task are of and whatever stands beside them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_types import ARRAYS, NO_LABELS, PANDAS, POLARS
from strategies import TINY
from versions import needs

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask

N_ROWS = 16
X = np.random.default_rng(0).normal(size=(N_ROWS, 2))
QUICK = {**TINY, "max_epochs": 2, "learning_rate": 0.1, "early_stopping": False, "numeric_embeddings": None}


PANDAS_TYPES = PANDAS | {name: pd.Series(labels) for name, labels in ARRAYS.items()}


def mixes_of(types):
    """Some types, each with the codes of its labels in the rows, and where labels are missing."""
    return st.tuples(
        st.lists(st.sampled_from(list(types)), min_size=1, max_size=4), st.integers(0, 2**32 - 1), st.booleans()
    )


def codes_and_holes(mix, types):
    names, seed, has_holes = mix
    rng = np.random.default_rng(seed)
    codes = [rng.permutation(np.resize(np.arange(len(types[name])), N_ROWS)) for name in names]
    holes = rng.random((len(names), N_ROWS)) < 0.2 if has_holes else np.zeros((len(names), N_ROWS), dtype=bool)
    for own, hole in zip(codes, holes, strict=True):
        hole[[np.flatnonzero(own == code)[0] for code in set(own)]] = False  # a label of each class stays
    return zip(names, codes, holes, strict=True)


def array_of(mix):
    """A table of objects, where the columns are of several types or labels are missing, else of their own type."""
    columns = []
    for name, codes, holes in codes_and_holes(mix, ARRAYS):
        column = ARRAYS[name][codes]
        if holes.any() or len(set(mix[0])) > 1:
            own = np.empty(N_ROWS, dtype=object)
            own[:] = list(column)
            own[holes] = None
            column = own
        columns.append(column)
    return np.column_stack(columns)


def pandas_of(mix):
    columns = []
    for name, codes, holes in codes_and_holes(mix, PANDAS_TYPES):
        column = PANDAS_TYPES[name].iloc[codes].reset_index(drop=True)
        if holes.any():
            column = (
                column.astype(object).mask(holes, None)
                if column.dtype.kind in "iub" and isinstance(column.dtype, np.dtype)
                else column.mask(holes)
            )
        columns.append(column.rename(f"task {len(columns)}"))
    return pd.concat(columns, axis=1)


def polars_of(mix):
    columns = {}
    for name, codes, holes in codes_and_holes(mix, POLARS):
        labels = pl.Series(codes).replace_strict(dict(enumerate(POLARS[name])), return_dtype=POLARS[name].dtype)
        columns[f"task {len(columns)}"] = labels.set(pl.Series(holes), None)
    return pl.DataFrame(columns)


def assert_answers_are_labels(y):
    model = MMoEClassifier(**QUICK).fit(X, y)
    predicted = model.predict(X)
    assert predicted.shape == (N_ROWS, y.shape[1])
    classes = model.classes_ if isinstance(model.classes_, list) else [model.classes_]
    for t, own in enumerate(classes):
        assert set(predicted[:, t]) <= set(own)


@given(mixes_of(ARRAYS))
def test_answers_to_arrays_are_labels(mix):
    assert_answers_are_labels(array_of(mix))


@given(mixes_of({name: own for name, own in ARRAYS.items() if own.dtype != np.longdouble}))
def test_answers_to_lists_are_labels(mix):
    """NumPy finds one type for all that stands in a list; labels stay what they are."""
    columns = [ARRAYS[name][codes].tolist() for name, codes, _ in codes_and_holes(mix, ARRAYS)]
    model = MMoEClassifier(**QUICK).fit(X, list(zip(*columns, strict=True)))
    predicted = model.predict(X)
    for t, own in enumerate(columns):
        assert set(predicted[:, t].tolist()) <= set(own)


@given(mixes_of(PANDAS_TYPES))
def test_answers_to_pandas_are_labels(mix):
    assert_answers_are_labels(pandas_of(mix))


@given(mixes_of(POLARS))
def test_answers_to_polars_are_labels(mix):
    assert_answers_are_labels(polars_of(mix))


@given(mixes_of(PANDAS_TYPES))
def test_a_frame_of_answers_holds_labels_in_their_own_type(mix):
    y = pandas_of(mix)
    frame = MMoEMultiTask(**QUICK, tasks=["multiclass"] * y.shape[1]).fit(X, y).predict_frame(X)
    assert list(frame.columns) == list(y.columns)
    for name in y:
        assert frame[name].dtype == y[name].dtype
        assert set(frame[name]) <= set(y[name])


@given(mixes_of(POLARS))
def test_a_polars_frame_of_answers_holds_labels_in_their_own_type(mix):
    y = polars_of(mix)
    frame = MMoEMultiTask(**QUICK, tasks=["multiclass"] * y.shape[1]).fit(X, y).predict_frame(X)
    assert frame.schema == y.schema
    for name in y.columns:
        assert set(frame[name]) <= set(y[name])


def marks_of(kind):
    return needs("scikit-learn", "1.7") if "bytes" in kind or "Binary" in kind else ()  # before, they are deprecated


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=marks_of(kind)) for kind in NO_LABELS])
def test_what_is_no_label_is_refused_by_the_name_of_its_task(kind):
    labels = NO_LABELS[kind]
    y = labels[[0, 1] * 8] if not isinstance(labels, pd.Series) else labels.iloc[[0, 1] * 8]
    with pytest.raises(ValueError, match=r"y0|Task|Complex"):
        MMoEClassifier(**QUICK).fit(X, y)
