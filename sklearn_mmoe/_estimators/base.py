"""What the three estimators share of `fit` and `partial_fit`: a fit is of a twin, whose attributes they take over."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Self, TypeVar

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, _fit_context

from sklearn_mmoe._common.constraints import check_parameters
from sklearn_mmoe._common.surroundings import undisturbed
from sklearn_mmoe._estimators.declaring import DeclaresTasks
from sklearn_mmoe._estimators.fit import Fit, Given
from sklearn_mmoe._estimators.net_params import check_net_params
from sklearn_mmoe._estimators.parameters import AUTO_MAX_EPOCHS, PARAMETER_CONSTRAINTS, asked_max_epochs
from sklearn_mmoe._files.checkpoint import FitCheckpoint, as_checkpoint, forget
from sklearn_mmoe._held_out.splitters import check_validation_split, in_words
from sklearn_mmoe._ranks.distributed import joined
from sklearn_mmoe._training.sklearn_callbacks import CallbackSupport

Estimator = TypeVar("Estimator", bound=BaseEstimator)


class BaseMMoE(CallbackSupport, DeclaresTasks):
    """An estimator that can be fitted; subclasses say what the tasks are and what answers look like."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = PARAMETER_CONSTRAINTS

    def _validate_params(self) -> None:
        check_parameters(type(self).__name__, self._parameter_constraints, self.get_params(deep=False))
        check_validation_split(self.validation_split, type(self).__name__)
        check_net_params(type(self).__name__, self.net_params or {})

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
        checkpoint: str | os.PathLike[str] | FitCheckpoint | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features: numbers, and categories where `categorical_features` says so. NaN (or None, a data frame's null)
            is a missing one, of numbers unless `numeric_embeddings` is None. A sparse matrix or array is taken in CSR
            form (others are converted) and never made dense; its numbers are finite. A memory map of more than a
            quarter of the available memory is read batch by batch.
        y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks)
            Targets, a column per task. In a 2-D `y`, NaN (or None, a data frame's null, a masked cell) marks a missing
            label: such a cell adds nothing to any loss, gradient, target scaling, class list or score.
        sample_weight : array-like, series or data frame of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight of each row, or of each label. Only ratios matter, within each task. The columns of a data frame are
            taken by name.
        groups : array-like or series of shape (n_samples,), default=None
            Group of each row, such as its patient or its day: rows of one group are held out together, so that early
            stopping asks for what is true of new groups. Nothing else depends on them.
        X_val, y_val, sample_weight_val : like X, y, sample_weight, default=None
            Validation data to use for early stopping in place of a part of `X`.
        checkpoint : str, path-like or FitCheckpoint, default=None
            A folder in which the state of the fit is kept as it goes on, every minute or as
            :class:`~sklearn_mmoe.FitCheckpoint` says: the same call goes on from there if this one was killed.

        Returns
        -------
        self : object
            The fitted estimator. If an error or an interrupt ends `fit`, the estimator stays as it was before.

        Raises
        ------
        DivergenceError
            If a loss is not finite in training.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
        >>> y[::2, 0] = float("nan")  # missing labels
        >>> X_val, y_val = X[80:], y[80:]
        >>> model = MMoERegressor(random_state=0).fit(X[:80], y[:80], X_val=X_val, y_val=y_val)
        >>> len(model.validation_scores_) == model.n_iter_
        True
        >>> days = [i // 5 for i in range(100)]
        >>> model = MMoERegressor(random_state=0).fit(X, y, groups=days)  # stopped by days that are not trained on
        """
        if (X_val is None) != (y_val is None):
            there, lacking = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
            raise ValueError(f"{there} is given but {lacking} is not: validation data needs both.")
        if sample_weight_val is not None and X_val is None:
            raise ValueError("sample_weight_val is given but X_val and y_val are not: there is nothing to weigh.")
        if self.validation_split is not None:
            self._refuse_two_answers(X_val)
        validation = None if X_val is None else Given(X_val, y_val, sample_weight_val)
        kept = as_checkpoint(checkpoint)
        given, continuing = Given(X, y, sample_weight), self.warm_start and hasattr(self, "net_")
        asked = asked_max_epochs(self)
        max_epochs = AUTO_MAX_EPOCHS[1] if asked == "auto" else asked  # nobody has counted the rows yet
        train = partial(Fit.train, validation=validation, groups=groups, checkpoint=kept)
        self._take_over(train, "fit", given, continuing=continuing, max_epochs=max_epochs)
        if kept is not None:
            forget(kept)
        return self

    def _refuse_two_answers(self, X_val: Any) -> None:
        """Whether anything else says what decides when to stop, beside `validation_split`."""
        held_out = f"{in_words(self.validation_split)} says which rows are held out"
        if X_val is not None:
            raise ValueError(f"{held_out}, but X_val and y_val are given, too: leave one of both out.")
        if not self.early_stopping:
            raise ValueError(
                f"{held_out}, but early_stopping=False holds none out: set early_stopping='auto', or "
                "validation_split=None."
            )

    def _partial_fit(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None, classes: Any = None) -> Self:
        given, continuing = Given(X, y, sample_weight), hasattr(self, "net_")
        one_epoch = partial(Fit.train_one_epoch, classes=classes)
        return self._take_over(one_epoch, "partial_fit", given, continuing=continuing)

    def _take_over(
        self,
        attributes: Callable[[Fit], dict[str, Any]],
        method: str,
        given: Given,
        *,
        continuing: bool,
        max_epochs: int = 0,
    ) -> Self:
        """Fit a twin and take over its attributes: whatever fails, this estimator stays as it was.

        All ranks call it, and all or none take over. One of them tells scikit-learn's callbacks.
        """

        def fitted() -> dict[str, Any]:
            with joined(self.distributed) as group:
                task = self._begin_fit_task(method, *given, max_epochs=max_epochs) if group.rank == 0 else None
                found = attributes(Fit(twin_of(self), given, group, continuing=continuing, task=task))
            if task is not None:
                task.end(found)
            return found

        self.__dict__ = undisturbed(fitted)
        return self


def twin_of(estimator: Estimator) -> Estimator:
    """Another estimator that has the very same attributes; `copy.copy` asks `__getstate__`, which is made for files."""
    twin: Estimator = object.__new__(type(estimator))
    twin.__dict__.update(estimator.__dict__)
    return twin
