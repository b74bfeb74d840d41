"""What holds of every fit, whatever the tasks are: what weights, missing labels, scales and the order of tasks mean.

Each property is written as slowly and plainly as can be. All fits take whole steps over all rows in float64, so that
two that should learn the same do so up to the order of their sums.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import TextbookMMoE, copy_weights
from skorch.callbacks import Callback
from strategies import REGRESSIONS, WHOLE, problems, weights_of, whole_weights

pytestmark = pytest.mark.no_cover


def answers(model, X):
    """Predictions as numbers, and probabilities, task by task: a list of arrays."""
    frame = model.predict_frame(X)
    chances = model.predict_proba(X) if hasattr(model, "predict_proba") else {}  # no task has classes
    return [chances.get(name, frame[name].to_numpy(dtype=float)) for name in model.task_names_]


def assert_same(found, expected):
    for own, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, right, rtol=1e-6, atol=1e-9 * max(1.0, np.abs(right).max()))


@given(problems(), whole_weights())
def test_whole_weights_equal_repetition(problem, drawn):
    weights = weights_of(problem, drawn)
    weighted = problem.fit(problem.X, problem.y, weights)
    repeated = problem.fit(np.repeat(problem.X, weights, axis=0), np.repeat(problem.y, weights, axis=0))
    assert_same(answers(weighted, problem.X), answers(repeated, problem.X))


@given(problems(), whole_weights(largest=1))
def test_weight_0_equals_leaving_out(problem, drawn):
    weights = weights_of(problem, drawn)
    kept = weights > 0
    weighted = problem.fit(problem.X, problem.y, weights)
    left_out = problem.fit(problem.X[kept], problem.y[kept])
    assert_same(answers(weighted, problem.X), answers(left_out, problem.X))


@given(problems(), st.sampled_from(["float32", "float64"]), st.integers(-900, 900), st.integers(0, 2**32 - 1))
def test_only_ratios_of_weights_matter(problem, dtype, power, seed):
    """To the last bit where the factor is a power of two, however large or small."""
    weights = np.random.default_rng(seed).uniform(0.1, 3.0, len(problem.X))
    own = problem.fit(problem.X, problem.y, weights, dtype=dtype)
    scaled = problem.fit(problem.X, problem.y, weights * 2.0**power, dtype=dtype)
    for found, right in zip(answers(scaled, problem.X), answers(own, problem.X), strict=True):
        assert (found == right).all()


@given(problems(), st.integers(0, 2**32 - 1))
def test_a_missing_label_equals_weight_0(problem, seed):
    there = ~np.isnan(problem.y)
    rng = np.random.default_rng(seed)
    filled = problem.y.copy()
    for t in range(filled.shape[1]):  # with labels of the same task, which are right for it
        filled[~there[:, t], t] = rng.choice(problem.y[there[:, t], t], (~there[:, t]).sum())
    missing = problem.fit(problem.X, problem.y)
    weighted = problem.fit(problem.X, filled, there.astype(float))
    assert_same(answers(weighted, problem.X), answers(missing, problem.X))


@given(problems(kinds=REGRESSIONS), st.integers(-30, 30))
def test_scaling_a_target_by_a_power_of_2_scales_its_predictions(problem, power):
    whole = [kind == "count" for kind in problem.kinds]
    factors = 2.0 ** np.where(whole, abs(power), power)
    own, scaled = problem.fit(problem.X, problem.y), problem.fit(problem.X, problem.y * factors)
    assert np.array_equal(scaled.predict(problem.X), own.predict(problem.X) * factors)


@given(problems(kinds=REGRESSIONS), st.floats(1e-6, 1e6))
def test_scaling_a_target_scales_its_predictions(problem, factor):
    whole = [kind == "count" for kind in problem.kinds]
    factors = np.where(whole, np.ceil(factor), factor)
    own, scaled = problem.fit(problem.X, problem.y), problem.fit(problem.X, problem.y * factors)
    np.testing.assert_allclose(
        scaled.predict(problem.X), own.predict(problem.X) * factors, rtol=1e-6, atol=1e-6 * factor
    )


@given(problems(kinds=("squared error", "absolute error", "huber", "quantile")), st.integers(-1000, 1000))
def test_shifting_a_target_shifts_its_predictions(problem, shift):
    own, shifted = problem.fit(problem.X, problem.y), problem.fit(problem.X, problem.y + shift)
    np.testing.assert_allclose(shifted.predict(problem.X), own.predict(problem.X) + shift, rtol=1e-6, atol=1e-6)


class Begin(Callback):
    """Begin with the weights of a textbook network, towers and gates in the order of the tasks."""

    def __init__(self, textbook):
        self.textbook = textbook

    def on_train_begin(self, net, **kwargs):
        copy_weights(net.module_, self.textbook)


def in_order(textbook, order):
    """The same network with its tasks in another order."""
    other = TextbookMMoE(1, [], 0, [1], [], [])
    other.experts = textbook.experts
    other.gates = torch.nn.ModuleList([textbook.gates[t] for t in order])
    other.towers = torch.nn.ModuleList([textbook.towers[t] for t in order])
    return other


@given(problems(), st.randoms(use_true_random=False))
def test_permuting_tasks_permutes_answers(problem, random):
    """From the same weights on, each tower and gate at the place of its task."""
    order = list(range(len(problem.kinds)))
    random.shuffle(order)
    plain = {"numeric_embeddings": None}  # as the textbook
    widths = [task.width for task in problem.fit(problem.X, problem.y, max_epochs=1)._tasks]
    torch.manual_seed(0)
    textbook = TextbookMMoE(problem.X.shape[1], widths, WHOLE["n_experts"], [4], [], [3]).double()
    own = problem.fit(problem.X, problem.y, callbacks=[Begin(textbook)], **plain)
    permuted = type(problem)(tuple(problem.kinds[t] for t in order), problem.X, problem.y[:, order])
    other = permuted.fit(permuted.X, permuted.y, callbacks=[Begin(in_order(textbook, order))], **plain)
    expected = answers(own, problem.X)
    assert_same(answers(other, problem.X), [expected[t] for t in order])


@given(problems(), st.integers(1, 3), st.data())
def test_batches_and_order_of_rows_change_no_answer(problem, n_members, data):
    model = problem.fit(problem.X, problem.y, n_members=n_members)
    order = np.array(data.draw(st.permutations(range(len(problem.X)))))
    cut = data.draw(st.integers(1, len(problem.X) - 1))
    whole, parts = answers(model, problem.X), [answers(model, problem.X[rows]) for rows in (order[:cut], order[cut:])]
    assert_same([np.concatenate(own) for own in zip(*parts, strict=True)], [own[order] for own in whole])
    assert_same(answers(model, problem.X[:1]), [own[:1] for own in whole])


@given(problems(), st.data())
def test_the_order_of_rows_changes_no_fit(problem, data):
    order = np.array(data.draw(st.permutations(range(len(problem.X)))))
    own, other = problem.fit(problem.X, problem.y), problem.fit(problem.X[order], problem.y[order])
    assert_same(answers(other, problem.X), answers(own, problem.X))


@given(problems(), st.data())
def test_the_order_of_rows_changes_no_score(problem, data):
    order = np.array(data.draw(st.permutations(range(len(problem.X)))))
    model = problem.fit(problem.X, problem.y)
    expected = model.score(problem.X, problem.y)
    np.testing.assert_allclose(model.score(problem.X[order], problem.y[order]), expected, rtol=1e-9)
