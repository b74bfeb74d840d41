"""What older versions of scikit-learn and torch lack. Each part says with which version it can go."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.metrics import log_loss
from torch.overrides import TorchFunctionMode

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before 1.9; it is experimental: a later one may have it elsewhere

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator that has no `set_callbacks`, and says why."""

        @property
        def set_callbacks(self) -> Any:
            raise AttributeError(
                "set_callbacks needs the callbacks of scikit-learn 1.9 (sklearn.callback), and scikit-learn "
                f"{sklearn.__version__} is installed: upgrade it, or show progress by verbose=1 and use skorch's "
                "callbacks, by the parameter callbacks."
            )


try:
    from sklearn.metrics import d2_brier_score, d2_log_loss_score
except ImportError:  # before 1.8
    d2_brier_score = None

    def d2_log_loss_score(
        codes: NDArray[Any],
        probabilities: NDArray[Any],
        *,
        labels: NDArray[Any],
        sample_weight: NDArray[Any] | None = None,
    ) -> float:
        """The same as scikit-learn's, which before 1.8 takes no classes that none of the labels is of."""
        counts = np.bincount(codes, weights=sample_weight, minlength=len(labels))
        prior = np.tile(counts / counts.sum(), (len(codes), 1))
        found, of_prior = (
            log_loss(codes, answers, sample_weight=sample_weight, labels=labels) for answers in (probabilities, prior)
        )
        return float(1 - found / of_prior)


class _WithoutBaddbmm(TorchFunctionMode):
    """Of torch.baddbmm, torch 2.6 exports no graph in which the number of rows is open."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.baddbmm:
            bias, x, weight = args
            return bias + torch.bmm(x, weight)
        return func(*args, **(kwargs or {}))


def exportable() -> AbstractContextManager[Any]:
    """Around the export of a module to ONNX. Before torch 2.7 it is not empty."""
    return nullcontext() if torch.__version__ >= "2.7" else _WithoutBaddbmm()


__all__ = ["CallbackSupportMixin", "d2_brier_score", "d2_log_loss_score", "exportable"]
