"""`describe()`: the numbers behind the text, and the text."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import (
    N_ROWS,
    SMALL,
    OneLayer,
    all_three,
    by_pickle,
    fitted,
    make_features,
    make_labels,
    make_model,
    make_targets,
    with_missing,
)
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from torch.utils.flop_counter import FlopCounterMode
from versions import has

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe._estimators.description import description_of
from sklearn_mmoe.metrics import make_task_scorer
from sklearn_mmoe.tasks import Binary, Multiclass, Ordinal, Regression

WITH_FOLDS = {**SMALL, "n_members": 3, "max_epochs": 60, "learning_rate": 0.01, "n_iter_no_change": 5}
WITH_FOLDS |= {"learning_rate_schedule": "constant", "gate_balance": 0.1}


def columns_of(text, header):
    """The cells of a table in the text, row by row, cut where its header says that columns begin or end."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(header))
    return [re.split(r" {2,}", line.strip()) for line in lines[first : lines.index("", first)]]


@all_three
def test_every_estimator_describes_itself(name):
    model = fitted(name)
    text = model.describe()
    assert type(text) is str
    n_tasks = make_targets(name).shape[1]
    first, second, *_ = text.splitlines()
    assert first == f"{type(model).__name__}: {n_tasks} tasks, 2 experts, a gate for each task"
    assert second == f"fitted on {N_ROWS} rows of 4 features"
    rows = columns_of(text, "task ")
    assert rows[0] == ["task", "kind", "outputs", "labels", "missing", "loss", "weight"]
    assert [row[0] for row in rows[1:]] == model.task_names_
    assert "\nepochs         3\n" in text
    assert "\nbest epoch     3, the last\n" in text
    assert f"\ndevice         {model.net_.device}, float32\n" in text


@all_three
def test_describe_before_fit_is_an_error(name):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        make_model(name).describe()


@all_three
def test_a_pickled_model_describes_itself_in_the_same_words(name):
    model = fitted(name)
    assert by_pickle(model).describe() == model.describe()


@all_three
def test_it_describes_what_was_fitted_not_what_is_set_for_the_next_fit(name):
    model = fitted(name)
    text = model.describe()
    assert model.set_params(n_experts=7, n_members=5, gating="shared", dtype="float64").describe() == text


def test_kinds_and_losses_of_tasks():
    X = make_features()
    y = pd.DataFrame({"up": X[:, 0] > 0, "three": np.digitize(X[:, 1], [-0.5, 0.5])})
    y["two"], y["grade"], y["count"] = y["up"], y["three"], y["three"]
    y["amount"] = y["high"] = np.exp(X[:, 2])
    tasks = {
        "up": Binary(focal_gamma=2.0),
        "three": "multiclass",
        "two": Multiclass(),
        "grade": Ordinal(),
        "count": "count",
        "amount": "positive",
        "high": Regression(loss="quantile", quantile=0.9),
    }
    model = MMoEMultiTask(tasks=tasks, **SMALL).fit(X, y)
    assert [(task.kind, task.n_outputs, task.loss) for task in description_of(model).tasks] == [
        ("binary", 1, "log_loss, focal 2"),
        ("multiclass", 3, "cross_entropy"),
        ("binary", 2, "cross_entropy"),
        ("ordinal", 2, "ordinal"),
        ("count", 1, "poisson"),
        ("positive", 1, "gamma"),
        ("regression", 1, "quantile 0.9"),
    ]


def test_a_1d_y_is_one_task():
    text = MMoEClassifier(**SMALL).fit(make_features(), make_labels()).describe()
    assert "MMoEClassifier: 1 task, 2 experts, one gate" in text
    assert columns_of(text, "task ")[1][1:] == ["binary", "1", str(N_ROWS), "0", "log_loss", "1"]


def test_weights_in_force():
    X, y = make_features(), make_targets("regressor")
    assert [row[-1] for row in columns_of(fitted("regressor", task_weights=[1, 3]).describe(), "task ")] == [
        "weight",
        "0.5",
        "1.5",
    ]
    pytest.importorskip("torchjd")
    model = make_model("regressor", task_weights="cagrad").fit(X, y)
    shown = ["-" if np.isnan(weight) else f"{weight:.3g}" for weight in model.task_weights_]
    assert [row[-1] for row in columns_of(model.describe(), "task ")[1:]] == shown


# --------------------------------------------------------------------------------------------------------------------
# Labels


@all_three
def test_labels_seen_and_missing_are_counted_task_by_task(name):
    y = with_missing(make_targets(name))
    model = make_model(name).fit(make_features(), y)
    labels = [sum(cell == cell for cell in column) for column in y.T.tolist()]
    assert model.n_samples_seen_ == N_ROWS
    assert model.n_labels_seen_.tolist() == labels
    assert len(set(labels)) > 1
    shown = [row[3:5] for row in columns_of(model.describe(), "task ")[1:]]
    assert shown == [[str(n), str(N_ROWS - n)] for n in labels]


@all_three
def test_labels_of_all_chunks_add_up_and_fit_counts_afresh(name):
    X, y = make_features(), with_missing(make_targets(name))
    whole = make_model(name).fit(X, y)
    model = make_model(name).partial_fit(X[:40], y[:40]).partial_fit(X[40:], y[40:])
    assert model.n_samples_seen_ == whole.n_samples_seen_
    np.testing.assert_array_equal(model.n_labels_seen_, whole.n_labels_seen_)
    model.set_params(warm_start=True).fit(X[:50], y[:50])
    assert model.n_samples_seen_ == 50
    assert "fitted on 50 rows" in model.describe()
    assert "\nepochs         5\n" in model.describe(), "two chunks, and three epochs from there on"


@all_three
def test_a_label_that_weighs_nothing_is_a_label(name):
    weights = np.ones(N_ROWS)
    weights[:10] = 0
    model = make_model(name).fit(make_features(), make_targets(name), weights)
    assert set(model.n_labels_seen_.tolist()) == {N_ROWS}


@all_three
def test_a_chunk_that_fails_is_not_counted(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name).partial_fit(X, y)
    with pytest.raises(ValueError, match="infinity"):
        model.partial_fit(np.full_like(X, np.inf), y)
    assert model.n_samples_seen_ == N_ROWS
    assert set(model.n_labels_seen_.tolist()) == {N_ROWS}


# --------------------------------------------------------------------------------------------------------------------
# Size


def flops_on_paper(K, M, G, T, experts, gates, towers, n_out):
    """Twice the multiply-adds of all layers, and of the mixing of K experts for each of G gates, of M members."""

    def layers(sizes):
        return sum(n_in * n_out for n_in, n_out in pairwise(sizes))

    mixing = G * K * experts[-1]
    return 2 * M * (K * layers(experts) + G * layers([experts[0], *gates, K]) + mixing + T * layers([*towers, n_out]))


@pytest.mark.parametrize("gating", ["per_task", "shared"])
@pytest.mark.parametrize("n_members", [1, 3])
def test_parameters_and_flops_are_those_on_paper(gating, n_members):
    options = {"expert_layer_sizes": (8, 6), "gate_layer_sizes": (5,), "tower_layer_sizes": (7,), "n_experts": 4}
    model = MMoERegressor(max_epochs=1, gating=gating, n_members=n_members, numeric_embeddings=None, **options)
    model.fit(make_features(), make_targets("regressor"))
    n_gates = 2 if gating == "per_task" else 1
    description = description_of(model)
    experts = n_members * 4 * ((4 + 1) * 8 + (8 + 1) * 6)
    gates = n_members * n_gates * ((4 + 1) * 5 + (5 + 1) * 4)
    towers = n_members * 2 * ((6 + 1) * 7 + (7 + 1) * 1)
    total = sum(parameter.numel() for parameter in model.module_.parameters())
    assert description.n_parameters == {"experts": experts, "gates": gates, "towers": towers, "total": total}
    assert experts + gates + towers == total
    assert description.flops == flops_on_paper(4, n_members, n_gates, 2, [4, 8, 6], [5], [6, 7], 1)
    assert (description.n_members, description.n_experts, description.n_gates) == (n_members, 4, n_gates)
    assert (description.expert_layer_sizes, description.tower_layer_sizes) == ((8, 6), (7,))


def test_heads_of_different_widths_are_counted_as_wide_as_they_are_computed():
    model = fitted("classifier", numeric_embeddings=None)  # of two classes and of three: 1 and 3 outputs
    assert description_of(model).flops == flops_on_paper(2, 1, 2, 2, [4, 8], [], [8, 4], 3)


def test_numbers_and_their_embeddings():
    """Of each of four: 16 frequencies, as many phases, 4 functions of their cosines, a gain, and what is missing."""
    model = make_model("regressor", numeric_embeddings="periodic").fit(make_features(), make_targets("regressor"))
    assert description_of(model).n_parameters["embeddings"] == 4 * (16 + 16 + 16 * 4 + 4 + 1 + 5)


def test_categories_and_their_embeddings():
    X = pd.DataFrame(make_features(), columns=list("abcd")).assign(city=["x", "y", "z"] * 20)
    model = make_model("regressor", numeric_embeddings=None).fit(X, make_targets("regressor"))
    description = description_of(model)
    assert (description.n_features, description.n_categorical) == (5, 1)
    assert description.n_parameters["embeddings"] == 4 * 3  # three categories and what is unknown; round(1.6 * 3**0.56)
    assert description.flops == flops_on_paper(2, 1, 2, 2, [4 + 3, 8], [], [8, 4], 1)
    assert f"fitted on {N_ROWS} rows of 5 features, 1 of them categorical" in model.describe()


def test_sparse_features_are_counted_as_a_dense_row():
    X, y = make_features(), make_targets("regressor")
    plain = make_model("regressor", numeric_embeddings=None)
    sparse, dense = (description_of(clone(plain).fit(X_, y)) for X_ in (csr_array(X), X))
    assert sparse.flops == dense.flops
    assert sparse.n_parameters == dense.n_parameters


@pytest.mark.parametrize("parameters", [{}, {"n_members": 3, "gating": "shared"}, {"gate_layer_sizes": (5,)}])
def test_flops_are_those_that_torch_counts(parameters):
    model = fitted("multitask", **parameters)
    with FlopCounterMode(display=False) as counter:
        model.module_(torch.zeros(1, 4))
    assert description_of(model).flops == counter.get_total_flops()


def test_a_module_of_the_users_own():
    model = fitted("regressor", n_experts=1, net_params={"module": OneLayer})
    description = description_of(model)
    assert description.n_parameters == {"other": 10, "total": 10}
    assert description.flops == 2 * 4 * 2
    assert "other          10" in model.describe()
    assert ("mmoe-shape" in model._repr_html_()) == has("scikit-learn", "1.9")


# --------------------------------------------------------------------------------------------------------------------
# Training


def test_seconds_are_those_of_all_epochs():
    model = fitted("regressor")
    for row, seconds in zip(model.history_, [1.5, 2.0, 100.25], strict=True):
        row["dur"] = seconds
    assert "\nseconds        104" in model.describe()


def test_best_epoch_of_a_network_with_a_validation_part():
    X, y = make_features(), make_targets("regressor") + 50 * np.random.default_rng(1).normal(size=(N_ROWS, 2))
    options = {"early_stopping": True, "max_epochs": 60, "learning_rate": 0.05, "numeric_embeddings": None}
    model = make_model("regressor", **options).fit(X, y)
    best = int(np.argmax(model.validation_scores_)) + 1
    assert best < model.n_iter_, "the case must overfit"
    assert model.best_epochs_.tolist() == [best]
    assert f"\nbest epoch     {best}\n" in model.describe()


@pytest.fixture(scope="module")
def with_folds():
    X, y = make_features(), make_targets("regressor") + 50 * np.random.default_rng(1).normal(size=(N_ROWS, 2))
    return MMoERegressor(**WITH_FOLDS).fit(X, y), X, y


def test_best_epoch_of_each_member(with_folds):
    """Each member's weights are those that a fit has which ends with its epoch."""
    model, X, y = with_folds
    assert len(set(model.best_epochs_.tolist())) > 1, "members must differ"
    assert model.best_epochs_.max() < model.n_iter_
    gates = model.gate_weights(X).reshape(N_ROWS, 2, 3, 2)
    for member, epoch in enumerate(model.best_epochs_.tolist()):
        shorter = MMoERegressor(**{**WITH_FOLDS, "max_epochs": epoch}).fit(X, y)
        np.testing.assert_array_equal(shorter.gate_weights(X).reshape(gates.shape)[:, :, member], gates[:, :, member])
        assert shorter.best_epochs_[member] == epoch


def test_text_on_the_best_epochs_of_members(with_folds):
    epochs = with_folds[0].best_epochs_.tolist()
    expected = f"{min(epochs)} to {max(epochs)}, by member: {epochs[0]}, {epochs[1]}, {epochs[2]}"
    assert f"\nbest epoch     {expected}\n" in with_folds[0].describe()


def test_a_share_of_a_ridge_regression_is_told_where_there_is_one():
    X = make_features()
    model = make_model("regressor", n_members=1, early_stopping=True, random_state=0).fit(X, X[:, :2] - X[:, 2:4])
    assert model.describe().endswith(f"\nlinear share   {model.linear_share_:.3g}")
    model.linear_share_ = 0.0
    assert "linear" not in model.describe()
    assert "linear" not in make_model("classifier").fit(X, make_targets("classifier")).describe()


def test_a_scorer_has_one_best_epoch_for_all_members():
    X, y = make_features(), make_targets("regressor")
    scorer = make_task_scorer("r2")
    model = make_model("regressor", n_members=3, monitor=scorer, early_stopping=True, max_epochs=5).fit(X, y)
    assert model.best_epochs_.tolist() == [int(np.argmax(model.validation_scores_)) + 1] * 3


def test_epochs_of_a_continued_fit_are_counted_on():
    X, y = make_features(), make_targets("regressor") + 50 * np.random.default_rng(1).normal(size=(N_ROWS, 2))
    model = make_model("regressor", early_stopping=True, warm_start=True).fit(X, y)
    assert model.best_epochs_.tolist() == [int(np.argmax(model.validation_scores_)) + 1]
    model.fit(X, y)
    assert model.best_epochs_.tolist() == [3 + int(np.argmax(model.validation_scores_[3:])) + 1]
    model.partial_fit(X, y)
    assert model.best_epochs_.tolist() == [7], "nothing was held out: the last"
    model.set_params(early_stopping=False).fit(X, y)
    assert model.best_epochs_.tolist() == [10]


# --------------------------------------------------------------------------------------------------------------------
# Layout

LONG = "share_of_customers_who_came_back_within_{}_days_of_their_first_visit"


@pytest.mark.parametrize("n_tasks", [2, 7, 30])
def test_tables_are_aligned_and_not_wide_whatever_the_names(n_tasks):
    X = make_features()
    names = [LONG.format(t) for t in range(n_tasks)]
    y = pd.DataFrame(X @ np.random.default_rng(0).normal(size=(4, n_tasks)), columns=names)
    y.iloc[::3, 0] = np.nan
    lines = make_model("regressor").fit(X, y).describe().splitlines()
    table = lines[lines.index("") + 1 :][: n_tasks + 1]
    assert len({len(line) for line in table}) == 1, "the last column is flush right"
    assert max(map(len, lines)) <= 120
    assert len(set(table)) == n_tasks + 1
    for header in ("kind", "loss"):
        start = table[0].index(header)
        assert {line[start - 2 : start] for line in table} == {"  "}
    for header in ("outputs", "labels", "missing"):
        end = table[0].index(header) + len(header)
        assert all(line[end - 1].isdigit() and line[end : end + 2] == "  " for line in table[1:])


def test_a_name_of_several_lines_takes_one():
    y = pd.DataFrame(make_targets("regressor"), columns=["net\nincome", "tab\tbed"])
    text = make_model("regressor").fit(make_features(), y).describe()
    assert [row[0] for row in columns_of(text, "task ")[1:]] == ["net income", "tab bed"]


def test_a_net_without_a_timer_is_described_all_the_same():
    untimed = {"net_params": {"callbacks__epoch_timer": None}}
    model = MMoEClassifier(**{**SMALL, **untimed}).fit(make_features(), make_labels())
    assert re.search(r"^seconds +nan$", model.describe(), re.MULTILINE)
    assert ("nan s" in model._repr_html_inner()) == has("scikit-learn", "1.9")
