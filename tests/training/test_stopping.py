"""Patience, and what it looks at, against one plain loop per member."""

import itertools
import math

import numpy as np
import pytest

from sklearn_mmoe._training.stopping import Patience, as_score, checked_score, monitored_tasks, watched_loss


@pytest.mark.parametrize(
    ("monitor", "expected"),
    [
        ("mean", [1, 1, 1]),
        (lambda *args: 0.0, [1, 1, 1]),
        ("late", [0, 1, 0]),
        ("up", [1, 0, 0]),
        ("7", [0, 0, 1]),
        ({"c": 3}, r"^monitor must name each task once. Unknown: \['c'\]"),
        ({"up": 3, 7: 0.5}, [3, 0, 0.5]),
        ({"up": 0, "late": 0}, "^monitor must be finite, 0 or more, and not all 0"),
        ("c", r"monitor='c' is no task. Allowed are 'mean' and the tasks \['up', 'late', 7\]"),
        (2.5, "monitor must be 'mean', the name of a task, a mapping of task names to weights, or a scorer; got 2.5"),
    ],
)
def test_how_much_each_task_counts(monitor, expected):
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            monitored_tasks(monitor, ["up", "late", 7])
    else:
        assert monitored_tasks(monitor, ["up", "late", 7]).tolist() == expected


def test_what_is_watched_is_the_mean_of_the_tasks_that_have_labels_and_count():
    losses = [1.0, 2.0, 4.0]
    for labelled in itertools.product([False, True], repeat=3):
        for shares in itertools.product([0.0, 1.0, 3.0], repeat=3):
            total = weight = 0.0
            for t in range(3):
                if labelled[t]:
                    total += shares[t] * losses[t]
                    weight += shares[t]
            expected = total / weight if weight else math.nan
            assert watched_loss(losses, labelled, shares) == pytest.approx(expected, nan_ok=True)


def test_a_loss_that_does_not_count_may_be_anything():
    """0 times infinity would be NaN."""
    assert watched_loss([1.0, math.inf, math.nan], [True, True, False], [2.0, 0.0, 1.0]) == 1.0


@pytest.mark.parametrize("lengths", list(itertools.product([2, 3], repeat=3)))
def test_losses_labels_and_shares_are_of_the_same_tasks(lengths):
    arguments = [[1.0] * length for length in lengths]
    if len(set(lengths)) == 1:
        assert watched_loss(*arguments) == 1.0
    else:
        with pytest.raises(ValueError, match=r"shorter|longer"):
            watched_loss(*arguments)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(score):
    with pytest.raises(ValueError, match=f"a score of {score} by monitor"):
        checked_score(as_score(score))


def test_finite_scores_stay_what_they_are():
    assert [checked_score(as_score(score)) for score in (-2.5, 0, np.float32(0.5))] == [-2.5, 0.0, 0.5]
    assert type(as_score(np.float32(0.5))) is float


def improvements(losses, tol):
    """Of one member, epoch by epoch, written as on paper: whether the best so far, its epoch, and misses in a row."""
    best, best_epoch, misses = math.inf, 0, 0
    for epoch, loss in enumerate(losses, start=1):
        misses = 0 if loss <= best - tol else misses + 1
        improved = loss < best
        if improved:
            best, best_epoch = loss, epoch
        yield improved, best_epoch, best, misses


@pytest.mark.parametrize("tol", [0.0, 0.25])
@pytest.mark.parametrize("n_members", [1, 3])
def test_patience_equals_a_loop_over_members_and_epochs(n_members, tol):
    losses = np.random.default_rng(0).integers(0, 12, size=(20, n_members)) / 8  # ties, and steps of exactly `tol`
    losses[:6] += np.arange(6, 0, -1)[:, None]
    expected = zip(*(improvements(own, tol) for own in losses.T), strict=True)
    patience = Patience(n_iter_no_change=4, tol=tol)
    ends = []
    for epoch, (found, members) in enumerate(zip(losses, expected, strict=True), start=1):
        improved, best_epochs, best, misses = map(list, zip(*members, strict=True))
        assert patience.update(found.tolist()).tolist() == improved
        assert patience.best_epochs.tolist() == best_epochs
        assert patience.best.tolist() == best
        assert patience.misses.tolist() == misses
        assert patience.n_epochs == epoch
        ends.append(all(n > 4 for n in misses))
        assert patience.exhausted is ends[-1]
    assert set(ends) == {False, True}


def test_patience_counts_as_mlp_regressor_does():
    patience = Patience(n_iter_no_change=2, tol=0.1)
    improved = [patience.update(loss) for loss in (1.0, 0.95, 0.8, 0.75, 0.74, 0.9)]
    assert improved == [True, True, True, True, True, False]
    assert patience.misses == 3
    assert patience.exhausted


def test_patience_ends_when_no_member_improves_any_more():
    patience = Patience(n_iter_no_change=1, tol=0.0)
    ends = []
    for losses in ([1.0, 9.0], [2.0, 8.0], [2.0, 7.0], [2.0, 8.0], [2.0, 8.0]):
        patience.update(losses)
        ends.append(patience.exhausted)
    assert ends == [False, False, False, False, True]


def test_patience_has_seen_nothing_at_first():
    patience = Patience(n_iter_no_change=0, tol=0.0)
    assert not patience.exhausted
    assert (patience.n_epochs, patience.best_epochs.tolist()) == (0, [0])
    assert (patience.best.tolist(), patience.misses.tolist()) == ([math.inf], [0])
