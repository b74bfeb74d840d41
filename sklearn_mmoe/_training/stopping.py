"""How long training goes on: what is watched, for how long it may stand still, and how fast weights move until then."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from math import cos, pi
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_mmoe._common.names import index_of
from sklearn_mmoe._common.words import shown
from sklearn_mmoe.weighting._schemes import weights_by_task

Scorer = Callable[[], float]  # the score of the net as it is now, greater is better


def monitored_tasks(monitor: Any, task_names: Sequence[Hashable]) -> NDArray[np.float64]:
    """How much each task's loss counts in what is watched, of shape (n_tasks,).

    Parameters
    ----------
    monitor : "mean", name of a task, mapping of task name to float, or callable
        A callable, a scorer, needs no weights: until it is asked, all tasks count the same.
    """
    equal = np.ones(len(task_names))
    if callable(monitor) or (isinstance(monitor, str) and monitor == "mean"):
        return equal
    if isinstance(monitor, str):
        watched = index_of(monitor, task_names)
        if watched is None:
            raise ValueError(
                f"monitor={shown(monitor)} is no task. Allowed are 'mean' and the tasks {list(task_names)}."
            )
        return np.array([float(t == watched) for t in range(len(task_names))])
    if not isinstance(monitor, Mapping):
        raise ValueError(
            f"monitor must be 'mean', the name of a task, a mapping of task names to weights, or a scorer; "
            f"got {shown(monitor)}."
        )
    return weights_by_task(monitor, task_names, "monitor", unnamed=0.0)


def watched_loss(losses: Sequence[float], labelled: Sequence[bool], shares: Sequence[float]) -> float:
    """The weighted mean of the losses of the tasks that have labels; NaN if none of those that count has."""
    counted = [(loss, share) for loss, has, share in zip(losses, labelled, shares, strict=True) if has and share]
    if not counted:
        return float("nan")
    return sum(loss * share for loss, share in counted) / sum(share for _, share in counted)


def as_score(found: Any) -> float:
    """What a scorer has returned, if it is a real number."""
    if isinstance(found, bool | np.bool_) or not isinstance(found, Real):
        raise ValueError(
            f"monitor must return a real number, greater is better, but it has returned {shown(found)} of type "
            f"{type(found).__name__}: let it end with float(...)."
        )
    return float(found)


def checked_score(score: float) -> float:
    """Refuse NaN, which is neither better nor worse than any other score."""
    if not np.isfinite(score):
        raise ValueError(
            f"The validation part has a score of {score} by monitor: it may hold no label of the tasks that monitor "
            "watches. Give X_val and y_val that have some, raise validation_fraction, or choose another monitor."
        )
    return score


class Patience:
    """Counts the epochs since the best loss improved by more than `tol`, as `MLPRegressor` does; member by member."""

    def __init__(self, n_iter_no_change: int, tol: float) -> None:
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.best = np.array([np.inf])
        self.misses = np.array([0])
        self.n_epochs = 0
        self.best_epochs = np.array([0])  # counted from 1

    def update(self, losses: Sequence[float]) -> NDArray[np.bool_]:
        """Take note of an epoch's loss, of one network or of each member; whether it is the best so far."""
        found = np.asarray(losses)
        self.misses = np.where(found > self.best - self.tol, self.misses + 1, 0)
        improved = found < self.best
        self.n_epochs += 1
        self.best_epochs = np.where(improved, self.n_epochs, self.best_epochs)
        self.best = np.minimum(self.best, found)
        return improved

    @property
    def exhausted(self) -> bool:
        return bool((self.misses > self.n_iter_no_change).all())

    @property
    def is_fresh(self) -> bool:
        """Whether less than half of it is gone: what is watched goes on improving."""
        return bool((2 * self.misses < self.n_iter_no_change).any())


class Schedule:
    """Which share of the learning rate each step takes, and which epoch is the last: always all, until patience ends.

    Parameters
    ----------
    patience : Patience
        What is told of every epoch before `ends` is asked.
    n_epochs : int
        Epochs that there may be.
    n_steps : int
        Steps of an epoch.

    Attributes
    ----------
    step : int
        Steps taken.
    restarts : bool
        Whether training goes on from the best weights so far, not from those of now.
    was_improving : bool
        Whether what is watched was improving at the end of the full rate.
    """

    WARM_UP_STEPS = 50  # at most
    STEPS_PER_WARM_UP_STEP = 10  # at least, of those that there may be

    def __init__(self, patience: Patience, n_epochs: int, n_steps: int) -> None:
        self.patience = patience
        self.n_epochs = n_epochs
        self.n_steps = n_steps
        self.step = 0
        self.restarts = False
        self.was_improving = False

    @property
    def is_cut_short(self) -> bool:
        """Whether training ends because there may be no more epochs, and was still improving."""
        return self.was_improving and self.patience.n_epochs >= self.n_epochs

    def progress(self) -> dict[str, Any]:
        """What changes from step to step, besides what patience counts."""
        return {name: value for name, value in vars(self).items() if name not in ("patience", "n_epochs", "n_steps")}

    def next_share(self) -> float:
        """That of the step to come."""
        self.step += 1
        return self._share(self.step)

    def _share(self, step: int) -> float:
        return 1.0

    def _warm_up(self, step: int) -> float:
        rise = min(self.WARM_UP_STEPS, self.n_epochs * self.n_steps // self.STEPS_PER_WARM_UP_STEP)
        return min(1.0, step / max(1, rise))

    def ends(self) -> bool:
        """Whether the epoch that is over is the last one."""
        self.was_improving = self.patience.is_fresh
        return self.patience.exhausted or self.patience.n_epochs >= self.n_epochs


class Cosine(Schedule):
    """A steep rise to the full rate, then half a wave of a cosine down to 0 at the last epoch that there may be [1]_.

    References
    ----------
    .. [1] Loshchilov, I., & Hutter, F. (2017). SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR.
    """

    def _share(self, step: int) -> float:
        return self._warm_up(step) * (1 + cos(pi * (step / (self.n_epochs * self.n_steps + 1)))) / 2

    def ends(self) -> bool:
        return self.patience.n_epochs >= self.n_epochs


class WarmupStableDecay(Schedule):
    """A steep rise to the full rate, which stays until patience ends; from the best weights it then falls to 0.

    Unlike a cosine it need not know the end beforehand [1]_, [2]_: at the full rate weights jump about the minimum, and
    as the rate falls they settle. The fall takes a share of the epochs that the best weights took, and begins so early
    that it ends with the last epoch that there may be.

    References
    ----------
    .. [1] Hu, S., et al. (2024). MiniCPM: Unveiling the Potential of Small Language Models with Scalable Training
       Strategies. COLM.
    .. [2] Haegele, A., et al. (2024). Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations.
       NeurIPS.
    """

    DECAY = 0.3  # of the epochs before it
    DECAY_EPOCHS = (3, 30)  # at least and at most

    def __init__(self, patience: Patience, n_epochs: int, n_steps: int) -> None:
        super().__init__(patience, n_epochs, n_steps)
        self.decay: tuple[int, int] | None = None  # the epochs after which it begins and ends

    def _share(self, step: int) -> float:
        if self.decay is None:
            return self._warm_up(step)
        first, last = (epoch * self.n_steps for epoch in self.decay)
        return self._warm_up(step) * (last + 1 - step) / (last + 1 - first)

    def ends(self) -> bool:
        now, self.restarts = self.patience.n_epochs, False
        if self.decay is None:
            shortest, longest = self.DECAY_EPOCHS
            wished = max(shortest, min(longest, round(self.DECAY * self.patience.best_epochs.mean())))
            if not self.patience.exhausted and now + wished < self.n_epochs:
                return False
            self.was_improving = self.patience.is_fresh
            self.decay = now, min(now + wished, self.n_epochs)
            self.restarts = now < self.n_epochs
        return now >= self.decay[1]


SCHEDULES: dict[str, type[Schedule]] = {"wsd": WarmupStableDecay, "cosine": Cosine, "constant": Schedule}
