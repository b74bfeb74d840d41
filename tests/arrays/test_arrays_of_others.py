"""Masked arrays, tensors and tables of pyarrow: as NumPy has them, or refused by name."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from front_door import refuses_as_weights, refuses_as_X
from helpers import (
    N_ROWS,
    SMALL,
    all_three,
    assert_fit_refuses,
    assert_same_model,
    changed,
    make_features,
    make_model,
    make_targets,
    with_missing,
)
from versions import needs

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor

# --------------------------------------------------------------------------------------------------------------------
# Masked arrays


def masked(values, cells):
    array = np.ma.array(values)
    array[cells] = np.ma.masked
    return array


@all_three
def test_a_mask_in_y_is_a_missing_label(name):
    X, y = make_features(), with_missing(make_targets(name))
    expected = make_model(name).fit(X, y)
    hidden = np.ma.array(np.nan_to_num(y, nan=1e6), mask=np.isnan(y))
    for form in (hidden, hidden.astype(object), list(hidden), [list(row) for row in hidden]):
        assert_same_model(make_model(name).fit(X, form), expected)
    assert expected.score(X, hidden) == expected.score(X, y)
    watched = make_model(name).fit(X, y, X_val=X, y_val=hidden).validation_scores_
    assert watched == make_model(name).fit(X, y, X_val=X, y_val=y).validation_scores_


def test_what_is_not_masked_keeps_its_type():
    X = make_features()
    labels = np.column_stack([np.where(X[:, 0] > 0, "yes", "no"), np.where(X[:, 1] > 0, "l", "r")])
    model = MMoEClassifier(**SMALL).fit(X, masked(labels, (slice(0, 5), 1)))
    assert [own.tolist() for own in model.classes_] == [["no", "yes"], ["l", "r"]]
    counts = np.ma.array(np.arange(2 * N_ROWS).reshape(-1, 2) % 3, mask=False)
    counts[4, 1] = np.ma.masked
    assert [own.dtype.kind for own in MMoEClassifier(**SMALL).fit(X, counts).classes_] == ["i", "i"]


@pytest.mark.parametrize("form", [masked, lambda y, cells: list(masked(y, cells))])
@all_three
def test_a_mask_in_a_single_target(name, form):
    y = form((make_features()[:, 0] > 0).astype(float), 3)
    parameters = {"tasks": ["binary"]} if name == "multitask" else {}
    assert_fit_refuses(name, "Input y contains NaN. A single target must be complete", y=y, **parameters)


@pytest.mark.parametrize(
    "form", [np.asanyarray, list, lambda X: [list(row) for row in X]], ids=["array", "rows", "cells"]
)
def test_a_mask_in_features_or_weights_is_refused(form):
    X = form(masked(make_features(), ([3, 4], [1, 2])))
    refuses_as_X("X is a masked array, 2 of whose cells are masked, the first of them in row 3.*SimpleImputer", X)
    weights = form(masked(np.ones((N_ROWS, 2)), (5, 1)))
    refuses_as_weights("is a masked array, 1 of whose cells", weights)
    refuses_as_weights("is a masked array, 1 of whose cells", masked(np.ones(N_ROWS), 5))
    with pytest.raises(ValueError, match="X is a masked array"):
        make_model("regressor", categorical_features=[0]).fit(X, make_targets("regressor"))


def test_a_mask_that_hides_nothing():
    X, y = make_features(), make_targets("regressor")
    model = make_model("regressor").fit(np.ma.array(X), np.ma.array(y), np.ma.array(np.ones(N_ROWS)))
    assert_same_model(model, make_model("regressor").fit(X, y, np.ones(N_ROWS)))
    np.testing.assert_array_equal(model.predict(np.ma.array(X)), model.predict(X))


# --------------------------------------------------------------------------------------------------------------------
# Tensors


def tensors(values):
    X = torch.tensor(values)
    return {
        "negative": torch._neg_view(-X),
        "imaginary part of a conjugate": torch.complex(X, -X).conj().imag,
        "with a gradient": X.clone().requires_grad_(),
        "transposed": X.T.contiguous().T,
        "rows": list(X),
        "rows with gradients": [row.clone().requires_grad_() for row in X],
    }


@pytest.mark.parametrize("kind", tensors(np.zeros((2, 2))))
def test_tensors_of_any_kind_are_their_values(kind):
    X, y = make_features(), make_targets("regressor")
    model = MMoERegressor(**SMALL).fit(tensors(X)[kind], tensors(y)[kind], tensors(np.ones_like(y))[kind])
    assert_same_model(model, MMoERegressor(**SMALL).fit(X, y, np.ones_like(y)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_floats_that_numpy_does_not_have(dtype):
    X, y = (torch.tensor(values).to(dtype) for values in (make_features(), make_targets("regressor")))
    model = MMoERegressor(**SMALL).fit(X, y)
    assert_same_model(model, MMoERegressor(**SMALL).fit(X.float().numpy(), y.float().numpy()))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda n: torch.zeros(N_ROWS, n, device="meta"), "on the device 'meta', where tensors have no values"),
        (lambda n: torch.nested.nested_tensor([torch.zeros(n)] * N_ROWS), "nested, of rows of different lengths"),
        (lambda n: torch.eye(N_ROWS, n).to_sparse(), r"sparse: give its to_dense\(\)"),
        (lambda n: torch.eye(N_ROWS, n).to_sparse_csr(), r"sparse: give its to_dense\(\)"),
        (lambda n: torch.quantize_per_tensor(torch.zeros(N_ROWS, n), 0.1, 0, torch.qint8), r"quantized: give its deq"),
    ],
    ids=["meta", "nested", "sparse", "sparse CSR", "quantized"],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.filterwarnings("ignore:.*quantiz:")
def test_tensors_without_values_of_their_own(make, match):
    refuses_as_X(f"X is a tensor of torch that is {match}", make(4), error=TypeError)
    refuses_as_weights(f"is a tensor of torch that is {match}", make(2), error=TypeError)
    with pytest.raises(
        TypeError, match="y is sparse" if "sparse" in match else f"y is a tensor of torch that is {match}"
    ):
        MMoERegressor(**SMALL).fit(make_features(), make(2))


def test_complex_numbers_are_refused_in_all_forms():
    X, y = make_features(), make_targets("regressor")
    for form in (X * 1j, torch.tensor(X * 1j).conj()):
        refuses_as_X("X: Complex data not supported", form)
        refuses_as_weights("Complex data not supported", form[:, :2])
    refuses_as_X(r"X holds 1j in row 3, column 2, which is no number", changed(X.astype(object), 3, 2, 1j), TypeError)
    with pytest.raises(ValueError, match="Task 'y1' is a regression but its labels are no numbers"):
        MMoERegressor(**SMALL).fit(X, changed(y.astype(object), 3, 1, 1j))


# --------------------------------------------------------------------------------------------------------------------
# Tables of pyarrow


@all_three
def test_tables_of_pyarrow(name):
    X, y = make_features(), with_missing(make_targets(name))
    names = ["up", "level", "visits"][: y.shape[1]]
    table = pa.table({own: pa.array(column, from_pandas=True) for own, column in zip(names, y.T, strict=True)})
    features = pa.table(dict(zip("abcd", X.T, strict=True)))
    model = make_model(name).fit(features, table)
    assert model.task_names_ == names
    assert model.feature_names_in_.tolist() == list("abcd")
    assert_same_model(model.fit(X, table), make_model(name).fit(X, y))
    assert model.score(X, table) == model.score(X, y)


@needs("scikit-learn", "1.7")  # which takes columns of such tables
def test_columns_of_pyarrow_and_words():
    X = make_features()
    words = pa.chunked_array([["yes", "no"] * 15, ["no", "yes"] * 15])
    model = MMoEClassifier(**SMALL).fit(X, words)
    assert_same_model(model, MMoEClassifier(**SMALL).fit(X, words.to_pylist()))
    assert model.task_names_ == ["y0"]
    table = pa.table({"size": X[:, 0], "town": words})
    by_frame = make_model("regressor").fit(table.to_pandas(), make_targets("regressor"))
    by_table = make_model("regressor").fit(table, make_targets("regressor"))
    np.testing.assert_array_equal(by_table.predict(table), by_frame.predict(table.to_pandas()))


def test_predictions_come_back_as_a_table_of_pyarrow():
    X = make_features()
    y = pa.table({"size": X[:, 0], "count": np.arange(N_ROWS, dtype=np.int32) % 3, "word": ["yes", "no"] * 30})
    model = MMoEMultiTask(**SMALL, tasks=["regression", "multiclass", "binary"]).fit(X, y)
    frame = model.predict_frame(X)
    assert frame.column_names == ["size", "count", "word"]
    assert [str(own) for own in frame.schema.types] == ["double", "int32", "string"]
    assert frame["word"].to_pylist() == model.predict(X)[:, 2].tolist()
