"""Sparse X: the product against the dense one, the same model for sparse and dense, nothing dense ever built."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    N_ROWS,
    all_three,
    answers_of,
    assert_fit_refuses,
    assert_same_answers,
    assert_unfitted,
    by_joblib,
    by_pickle,
    make_model,
    make_targets,
    outputs_of,
)
from operators import Operators, operators_of_an_epoch
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sklearn_mmoe import MMoEClassifier, MMoERegressor
from sklearn_mmoe._estimators import parameters
from sklearn_mmoe._features import tensors
from sklearn_mmoe.metrics import make_task_scorer, task_scores, transfer_report
from sklearn_mmoe.nn import MMoE
from sklearn_mmoe.nn._rows import SparseRows
from sklearn_mmoe.nn._sparse import sparse_linear, sparse_product

N_FEATURES = 30
LEARNS = {"batch_size": 200, "max_epochs": 60, "learning_rate": 0.02, "early_stopping": False}
FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]


def make_sparse(n_rows=N_ROWS, n_features=N_FEATURES):
    """A tenth of the cells is filled; some rows and columns are empty."""
    X = sparse.random_array((n_rows, n_features), density=0.1, random_state=np.random.default_rng(0), format="lil")
    X[[0, 7]] = 0
    return X.tocsr()


def rows_of(X, dtype=torch.float64):
    X = sparse.csr_array(X)
    indptr, indices = torch.from_numpy(X.indptr.astype(np.int64)), torch.from_numpy(X.indices)
    return SparseRows(indptr, indices, torch.from_numpy(X.data).to(dtype), X.shape[1])


def dense_of(rows):
    out = torch.zeros(rows.shape, dtype=rows.values.dtype)
    for i in range(len(rows)):
        for place in range(int(rows.indptr[i]), int(rows.indptr[i + 1])):
            out[i, rows.indices[place]] += rows.values[place]
    return out


@pytest.fixture
def sparse_gradients(monkeypatch):
    monkeypatch.setattr(parameters, "SPARSE_UPDATE_FEATURES", N_FEATURES - 1)


# --------------------------------------------------------------------------------------------------------------------
# Rows


@pytest.mark.parametrize(
    "chosen",
    [
        slice(3, 9),
        slice(0, 1),
        slice(50, 1000),
        slice(5, 5),
        slice(9, 3),
        slice(None, None, 2),
        torch.tensor([7, 3, 3, 0, 59]),
        torch.arange(N_ROWS) % 3 == 0,
        np.array([4, 2]),
        torch.tensor([], dtype=torch.int64),
    ],
    ids=str,
)
def test_rows_are_cut_as_those_of_a_tensor(chosen):
    X = make_sparse()
    found, expected = rows_of(X)[chosen], torch.from_numpy(X.toarray())[chosen]
    assert torch.equal(dense_of(found), expected)
    assert found.shape == tuple(expected.shape)
    assert found.indptr[0] == 0


def test_batches_of_rows_in_any_order():
    X = make_sparse()
    order = torch.from_numpy(np.random.default_rng(1).permutation(N_ROWS))
    assert torch.equal(dense_of(rows_of(X).index_select(0, order)), torch.from_numpy(X.toarray())[order])


def test_more_values_than_an_int32_counts():
    """One value that stands for 2**31 + 3, so that it costs no memory."""
    n_values = 2**31 + 3
    indptr = torch.tensor([0, 2**31, n_values])
    indices, values = torch.tensor([1], dtype=torch.int32).expand(n_values), torch.tensor([0.5]).expand(n_values)
    rows = SparseRows(indptr, indices, values, 2)
    for found in (rows[1:], rows[torch.tensor([1])]):
        assert found.indptr.tolist() == [0, 3]
        assert dense_of(found).tolist() == [[0, 1.5]]


def test_features_that_a_row_names_twice_are_summed():
    X = sparse.csr_array((np.array([1.0, 2.0, 4.0]), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    weight = torch.eye(2, dtype=torch.float64).unsqueeze(0)
    assert sparse_product(rows_of(X), weight, sparse_gradient=False).tolist() == [[[0, 3], [4, 0]]]


# --------------------------------------------------------------------------------------------------------------------
# Products


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("sparse_gradient", [False, True])
def test_product_equals_the_dense_one(sparse_gradient, index):
    X = make_sparse()
    X.indices = X.indices.astype(index)
    dense = torch.from_numpy(X.toarray())
    weight = torch.randn(3, N_FEATURES, 5, dtype=torch.float64, requires_grad=True)
    sign = torch.randn(3, N_ROWS, 5, dtype=torch.float64)
    out = sparse_product(rows_of(X), weight, sparse_gradient=sparse_gradient)
    torch.testing.assert_close(out, torch.stack([dense @ own for own in weight]))
    (gradient,) = torch.autograd.grad((out * sign).sum(), weight)
    assert gradient.is_sparse == sparse_gradient
    torch.testing.assert_close(gradient.to_dense(), torch.stack([dense.T @ own for own in sign]))
    if sparse_gradient:
        assert gradient.values().shape == (3 * len(np.unique(X.indices)), 5)


@pytest.mark.parametrize("sparse_gradient", [False, True])
def test_linear_layer_equals_the_dense_one(sparse_gradient):
    X = make_sparse()
    dense = torch.from_numpy(X.toarray())
    layer = torch.nn.Linear(N_FEATURES, 4, dtype=torch.float64)
    sign = torch.randn(N_ROWS, 4, dtype=torch.float64)
    out = sparse_linear(rows_of(X), layer.weight, layer.bias, sparse_gradient=sparse_gradient)
    torch.testing.assert_close(out, layer(dense))
    gradients = torch.autograd.grad((out * sign).sum(), [layer.weight, layer.bias])
    assert gradients[0].is_sparse == sparse_gradient
    torch.testing.assert_close(gradients[0].to_dense(), sign.T @ dense)
    torch.testing.assert_close(gradients[1], sign.sum(0))


@pytest.mark.parametrize("sparse_gradients", [False, True])
def test_module_gives_the_same_outputs(sparse_gradients):
    X = make_sparse()
    module = MMoE(N_FEATURES, [1, 3], gate_layer_sizes=(6,), sparse_gradients=sparse_gradients).double()
    dense = torch.from_numpy(X.toarray())
    for function in (module, module.gate_weights):
        torch.testing.assert_close(function(rows_of(X)), function(dense))
    module(rows_of(X)).sum().backward()
    assert {name for name, parameter in module.named_parameters() if parameter.grad.is_sparse} == (
        {"expert_layers.0.weight", "gate_input_layer.weight"} if sparse_gradients else set()
    )


@pytest.mark.parametrize("sparse_gradient", [False, True])
def test_batches_without_any_value(sparse_gradient):
    weight = torch.randn(2, 3, 4, requires_grad=True)
    x = rows_of(sparse.csr_array((5, 3)), torch.float32)
    out = sparse_product(x, weight, sparse_gradient=sparse_gradient)
    assert torch.equal(out, torch.zeros(2, 5, 4))
    out.sum().backward()
    assert not weight.grad.to_dense().any()


# --------------------------------------------------------------------------------------------------------------------
# Models


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", torch.optim.LBFGS], ids=["adamw", "sgd", "lbfgs"])
@all_three
def test_a_fit_on_sparse_rows_is_a_fit_on_dense_ones(monkeypatch, name, optimizer, kept):
    monkeypatch.setattr(parameters, "KEPT_GRADIENT_BYTES", 0 if kept else 2**25)
    X, y = make_sparse(), make_targets(name)
    few_passes = {"max_epochs": 2, "net_params": {"optimizer__max_iter": 4}}
    own = few_passes if optimizer is torch.optim.LBFGS else {"max_epochs": 3, "weight_decay": 0.1}
    options = {"weight_decay": 0.0, "dtype": "float64", "batch_size": 16, "early_stopping": True, **own}
    options["numeric_embeddings"] = None  # which sparse rows have none of
    one = make_model(name, optimizer=optimizer, **options).fit(X, y)
    other = make_model(name, optimizer=optimizer, **options).fit(X.toarray(), y)
    assert one.module_.gate_input_layer.sparse == kept
    np.testing.assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-8)
    np.testing.assert_allclose(outputs_of(one, X), outputs_of(other, X.toarray()), rtol=1e-5, atol=1e-8)
    assert one.n_features_in_ == N_FEATURES


@all_three
def test_one_model_answers_alike_for_every_form(name):
    X, y = make_sparse(), make_targets(name)
    model = make_model(name).fit(X, y)
    expected = answers_of(model, X.toarray())
    for kind in FORMATS:
        for form in (sparse.csr_array(X).asformat(kind), sparse.csr_matrix(X).asformat(kind)):
            for key, found in answers_of(model, form).items():
                np.testing.assert_allclose(found, expected[key], rtol=1e-5, atol=1e-6, err_msg=f"{kind} {key}")
    assert model.score(X, y) == pytest.approx(model.score(X.toarray(), y), abs=1e-6)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_fitted_alike(kind):
    X, y = make_sparse(), make_targets("regressor")
    expected = make_model("regressor").fit(X, y).predict(X)
    model = make_model("regressor").fit(X.asformat(kind), y)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, bool])
def test_values_of_any_type_and_wide_indices(dtype):
    X, y = make_sparse(), make_targets("regressor")
    X.data[:] = 1
    expected = make_model("regressor").fit(X, y).predict(X)
    X = X.astype(dtype)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    np.testing.assert_array_equal(make_model("regressor").fit(X, y).predict(X), expected)


def test_frames_of_sparse_columns():
    X, y = make_sparse(), make_targets("regressor")
    frame = pd.DataFrame.sparse.from_spmatrix(X, columns=[f"f{i}" for i in range(N_FEATURES)])
    model = make_model("regressor").fit(frame, y)
    np.testing.assert_array_equal(model.predict(frame), make_model("regressor").fit(X, y).predict(X))
    assert model.feature_names_in_[3] == "f3"


@pytest.mark.usefixtures("sparse_gradients")
@all_three
def test_many_features_are_learned_by_what_is_touched(name):
    X = make_sparse(200)
    signal = np.asarray(X[:, :10].sum(axis=1)) > 0.5
    y = np.column_stack([signal] * make_targets(name).shape[1]).astype(float)
    model = make_model(name, **LEARNS).fit(X, y)
    assert model.net_._optimizers == ["optimizer", "sparse_optimizer"]
    assert model.score(X, y) > 0.9
    assert_same_answers(by_pickle(model), model, X)


@pytest.mark.usefixtures("sparse_gradients")
def test_one_step_changes_only_the_features_it_touches():
    X, y = make_sparse(), make_targets("regressor")
    model = make_model("regressor", weight_decay=0.1).fit(X, y)
    weights = [model.module_.expert_layers[0].weight, model.module_.gate_input_layer.weight]
    before = [weight.detach().clone() for weight in weights]
    model.partial_fit(X[3:5], y[3:5])
    weights = [model.module_.expert_layers[0].weight, model.module_.gate_input_layer.weight]
    touched = np.unique(X[3:5].indices).tolist()
    for old, new in zip(before, weights, strict=True):
        changed = (old != new).transpose(0, 1).flatten(1).any(dim=1)
        assert changed.nonzero().flatten().tolist() == touched


@pytest.mark.usefixtures("sparse_gradients")
@pytest.mark.parametrize("begin_dense", [False, True])
def test_sparse_and_dense_chunks_may_follow_each_other(begin_dense):
    """What the first were decides whether numbers are embedded."""
    X, y = make_sparse(), make_targets("regressor")
    first, second = (X.toarray(), X) if begin_dense else (X, X.toarray())
    model = make_model("regressor", warm_start=True).fit(first, y)
    model.partial_fit(second, y)
    assert model.net_._optimizers == ["optimizer"]
    by_joblib(model.partial_fit(first, y)).fit(second, y).fit(first, y, X_val=second, y_val=y)
    assert model.n_iter_ == 5
    assert (model.module_.numeric_embeddings is not None) == begin_dense
    np.testing.assert_allclose(model.predict(second), model.predict(first), rtol=1e-5)


def test_rule_for_sparse_gradients():
    """By number of features who updates the first layers, by their size how the gradient gets there."""

    def found(n_features, units):
        X = sparse.csr_array(([1.0], ([0], [0])), shape=(4, n_features))
        model = make_model("regressor", expert_layer_sizes=units, max_epochs=1).fit(X, np.arange(4.0))
        return model.net_._optimizers, model.module_.expert_layers[0].sparse

    limit = parameters.SPARSE_UPDATE_FEATURES
    assert found(limit + 1, 1) == (["optimizer", "sparse_optimizer"], True)
    assert found(limit, 1) == (["optimizer"], False)
    assert found(2**16, 64) == (["optimizer"], False)  # two experts of 64 units: 2**25 bytes
    assert found(2**16 + 1, 64) == (["optimizer"], True)


@pytest.mark.parametrize("limit", ["KEPT_GRADIENT_BYTES", "SPARSE_UPDATE_FEATURES"])
@pytest.mark.parametrize("scheme", ["uncertainty", "dwa", "upgrad"])
def test_adaptive_weights_take_sparse_rows(monkeypatch, scheme, limit):
    if scheme == "upgrad":
        pytest.importorskip("torchjd")
    monkeypatch.setattr(parameters, limit, 0)
    X, y = make_sparse(), make_targets("regressor")
    options = {"task_weights": scheme, "gate_balance": 0.1, "dtype": "float64", "early_stopping": True}
    options["numeric_embeddings"] = None
    model = make_model("regressor", **options, monitor=make_task_scorer("r2")).fit(X.tocoo(), y)
    dense = make_model("regressor", **options, monitor=make_task_scorer("r2")).fit(X.toarray(), y)
    if scheme == "upgrad" or limit == "KEPT_GRADIENT_BYTES":  # else a SparseAdam takes other steps
        np.testing.assert_allclose(model.predict(X), dense.predict(X), rtol=1e-5, atol=1e-8)
    assert model.expert_usage_.shape == (2, 2)


def test_validation_data_may_be_of_another_form():
    X, y = make_sparse(), make_targets("regressor")
    for form in (sparse.csr_array, np.asarray):
        one, other = (
            make_model("regressor").fit(form(X.toarray()), y, X_val=X_val, y_val=y)
            for X_val in (X.toarray(), sparse.csc_matrix(X))
        )
        np.testing.assert_allclose(one.validation_scores_, other.validation_scores_, rtol=1e-5)


@pytest.mark.parametrize("names", [("PREDICT_ROWS", 7), ("PREDICT_VALUES", 20)])
def test_answers_in_chunks(monkeypatch, names):
    X, y = make_sparse(), make_targets("regressor")
    model = make_model("regressor").fit(X, y)
    expected = model.predict(X)
    monkeypatch.setattr(tensors, *names)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5)
    sizes = []
    model.module_.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    model.predict(X)
    assert sum(sizes) == N_ROWS
    assert max(sizes) <= 7
    monkeypatch.setattr(tensors, "PREDICT_VALUES", 1)
    assert tensors.rows_at_once(rows_of(X)) == 1


def test_text_and_one_hot_columns_in_a_pipeline():
    words = np.random.default_rng(0).choice(["good", "bad", "fair", "poor"], (200, 3))
    texts = [" ".join(own) for own in words]
    y = np.column_stack([(words == word).any(axis=1) for word in ("good", "bad")])
    for first, X in [(HashingVectorizer(n_features=2**16), texts), (OneHotEncoder(), words)]:
        model = make_pipeline(
            first, MMoEClassifier(n_members=1, n_experts=2, expert_layer_sizes=(8,), random_state=0, **LEARNS)
        ).fit(X, y)
        assert model.score(X, y) > 0.95
        assert sparse.issparse(first.transform(X))


def test_searches_and_metrics_take_sparse_rows():
    X, y = make_sparse(), make_targets("regressor")
    search = GridSearchCV(make_model("regressor"), {"n_experts": [1, 2]}, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    for form in (X, X.tocoo()):
        assert np.isfinite(transfer_report(make_model("regressor"), form, y, cv=KFold(2))["gain"]).all()
    assert task_scores(search, X, y)["y0"]["n_labels"] == N_ROWS


def test_operators_do_not_grow_with_values():
    def operators(density):
        X = sparse.random_array((200, 20), density=density, random_state=np.random.default_rng(0), format="csr")
        return operators_of_an_epoch(make_model("regressor", batch_size=50), X, np.arange(200.0))

    assert operators(0.05) == operators(0.5)


@pytest.mark.parametrize(
    "limits", [{}, {"KEPT_GRADIENT_BYTES": 0}, {"SPARSE_UPDATE_FEATURES": 10}], ids=["plain", "kept", "sparse"]
)
def test_dense_rows_are_never_built(monkeypatch, limits):
    """No tensor of a fit and a prediction comes near the table, nor the batch, of a wide X."""
    for name, limit in limits.items():
        monkeypatch.setattr(parameters, name, limit)
    n_rows, n_features, batch = 2000, 20_000, 500
    X = sparse.random_array((n_rows, n_features), density=3e-4, random_state=np.random.default_rng(0), format="csr")
    model = MMoERegressor(
        n_members=1, n_experts=2, expert_layer_sizes=(8,), batch_size=batch, max_epochs=2, random_state=0
    )
    with Operators() as operators:
        model.fit(X, np.arange(n_rows, dtype=float)).predict(X)
    weights = 2 * n_features * 8 * 4
    assert operators.largest <= weights < batch * n_features * 4


# --------------------------------------------------------------------------------------------------------------------
# Errors


@pytest.mark.parametrize(
    ("value", "kind", "advice"),
    [
        (np.nan, "NaN", "SimpleImputer"),
        (np.inf, "infinity", "clip the values"),
        (1e300, r"a number, 1e\+300, that is too large", "Rescale"),
    ],
)
@all_three
def test_bad_values_name_their_columns(name, value, kind, advice):
    X = make_sparse().tolil()
    X[3, 2] = X[9, 5] = value
    for kind_of_matrix in ("csr", "csc"):
        assert_fit_refuses(name, rf"Input X contains {kind}.* in columns 2, 5\..*{advice}", X.asformat(kind_of_matrix))


def test_values_whose_sum_overflows_are_not_taken_for_infinity():
    X = sparse.csr_array(np.full((5, 4), 1e308))
    model = make_model("regressor", dtype="float64").fit(make_sparse(n_features=4), make_targets("regressor"))
    assert model.gate_weights(X).shape[0] == 5


@all_three
def test_categories_need_a_dense_X(name):
    X, y = make_sparse(), make_targets(name)
    model = make_model(name, categorical_features=[1, 3])
    with pytest.raises(ValueError, match=r"categorical_features needs a dense X, got a sparse one: give a data frame"):
        model.fit(X, y)
    assert_unfitted(model)
    model.fit(np.round(X.toarray()), y)
    with pytest.raises(ValueError, match="categorical_features needs a dense X, got a sparse one"):
        model.predict(X)


@all_three
def test_another_number_of_columns_and_no_rows(name):
    X, y = make_sparse(), make_targets(name)
    model = make_model(name).fit(X, y)
    with pytest.raises(ValueError, match=r"X has 29 features, but MMoE.* is expecting 30 features as input"):
        model.predict(X[:, :29])
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        model.predict(X[:0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X[:5], y)
