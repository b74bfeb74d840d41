"""The bridge to scikit-learn's callbacks (`sklearn.callback`): a fit is a task, and each of its epochs a sub-task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from skorch.callbacks import Callback

from sklearn_mmoe._common.compat import CallbackSupportMixin


class FitTask(Callback):
    """Tells scikit-learn's callbacks of a fit; as a callback of the net, of its epochs, too.

    What they may ask for (data, a fitted estimator) is made only when one of them does.

    Parameters
    ----------
    estimator : estimator
        The one that the user fits. What it learns stands on a twin until the fit has gone well.
    context : sklearn.callback.CallbackContext
    X, y, sample_weight : as they were given to `fit`

    Attributes
    ----------
    trained_on : callable
        X, y and weights of the rows that are trained on, as they were given.
    attributes : callable
        The attributes of an estimator that answers as the net does now, and keeps to that when training goes on.
    """

    trained_on: Callable[[], Sequence[Any]]
    attributes: Callable[[], dict[str, Any]]

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any, sample_weight: Any) -> None:
        self.estimator = estimator
        self.context = context
        self.X = X
        self.y = y
        self.sample_weight = sample_weight
        context.call_on_fit_task_begin(estimator=estimator, X=X, y=y, metadata=_metadata(sample_weight))

    def end(self, attributes: dict[str, Any]) -> None:
        """The fit has gone well and has led to these attributes, which the estimator does not have yet."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            metadata=_metadata(self.sample_weight),
            reconstruction_attributes=attributes,
        )

    @contextmanager
    def epochs_of(self, net: Any) -> Iterator[None]:
        """Listen to a net while it trains."""
        net.callbacks_.append(("sklearn", self))
        try:
            yield
        finally:  # the net is kept, and what the user has hung on to this fit is not
            net.callbacks_.pop()

    @cached_property
    def _data(self) -> Sequence[Any]:
        return self.trained_on()

    def _epoch(self) -> dict[str, Any]:
        return {
            "estimator": self.estimator,
            "X": lambda: self._data[0],
            "y": lambda: self._data[1],
            "metadata": lambda: _metadata(self._data[2]),
            "reconstruction_attributes": self.attributes,
        }

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.epoch = self.context.subcontext(task_name="epoch").call_on_fit_task_begin(**self._epoch())

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self.epoch.call_on_fit_task_end(**self._epoch()):
            net.stopping_ = True


class CallbackSupport(CallbackSupportMixin):
    """`set_callbacks`, where scikit-learn has it."""

    def _begin_fit_task(self, name: str, X: Any, y: Any, sample_weight: Any, *, max_epochs: int = 0) -> FitTask | None:
        """Set up the callbacks and tell them of the fit; scikit-learn's `_fit_context` tears them down, come what may.

        None if there is none to be told. `max_epochs` is the most there can be: 0 if they are not told of epochs.
        """
        if not hasattr(self, "_init_callback_context"):
            return None
        context = self._init_callback_context(task_name=name, max_subtasks=max_epochs)
        return FitTask(self, context, X, y, sample_weight) if hasattr(self, "_skl_callbacks") else None


def _metadata(sample_weight: Any) -> dict[str, Any] | None:
    return None if sample_weight is None else {"sample_weight": sample_weight}
