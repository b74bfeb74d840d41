"""A pipeline whose steps are always of one fit, whatever fails, and whatever another thread does."""

from __future__ import annotations

from functools import wraps
from typing import Any, Self

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_mmoe._common.words import shown
from sklearn_mmoe._estimators.base import BaseMMoE, twin_of
from sklearn_mmoe.metrics._inside import as_of_now


def if_model_has(method: str) -> Any:
    """Let a pipeline have a method only where the model at its end has it."""
    return available_if(lambda pipeline: hasattr(pipeline._final_estimator, method))


def _of_one_fit(name: str) -> Any:
    """A method of scikit-learn's pipelines that keeps to the steps of now, whatever becomes of them meanwhile."""
    method = getattr(Pipeline, name)

    @wraps(method)
    def answer(self: PipelineOfOneFit, *args: Any, **kwargs: Any) -> Any:
        return method(self._as_fitted(), *args, **kwargs)

    answer.__doc__ = f"As :meth:`sklearn.pipeline.Pipeline.{name}`; all steps are those of one fit."
    return if_model_has(name)(answer)


class PipelineOfOneFit(Pipeline):
    """A pipeline that is fitted as a twin, which it takes over in the end, and that answers by the steps of now."""

    steps: list[tuple[str, Any]]

    predict, predict_proba, score = map(_of_one_fit, ("predict", "predict_proba", "score"))

    def _as_fitted(self) -> Self:
        """A twin that keeps to the steps of now when this pipeline is fitted again."""
        twin = self._copy_with(self.steps)
        while True:
            steps = self.steps
            *before, (name, model) = steps
            twin.steps = [*before, (name, as_of_now(model))]
            if steps is self.steps:  # no other fit has been taken over meanwhile
                return twin

    def _model_and_features(self, X: Any) -> tuple[Any, Any]:
        twin = self._as_fitted()
        return twin._final_estimator, twin[:-1].transform(X) if len(twin) > 1 else X

    def _twin_to_fit(self, *, anew: bool) -> Self:
        """A twin that can be fitted without a trace here, if its model is ours. `anew`: with new transformers."""
        *before, (name, model) = self.steps
        if anew:
            before = [(step, clone(transformer, safe=False)) for step, transformer in before]
        twin = twin_of(model) if isinstance(model, BaseMMoE) else model  # others are fitted as they are
        return self._copy_with([*before, (name, twin)])

    def _take_over(self, twin: Self) -> Self:
        """Have the steps of a fitted twin; the model stays the one that the user has put in."""
        name, model = self.steps[-1]
        self.steps = twin.steps  # first the whole, by one assignment: see `_as_fitted`
        if isinstance(model, BaseMMoE):
            model.__dict__ = twin._final_estimator.__dict__
            self.steps = [*twin.steps[:-1], (name, model)]
        return self

    def _copy_with(self, steps: list[tuple[str, Any]]) -> Self:
        twin = twin_of(self)
        twin.steps = steps
        return twin

    def _refuse_warm_start(self) -> None:
        name, model = self.steps[-1]
        if not (getattr(model, "warm_start", False) and is_fitted(model)):
            return
        way = "partial_fit(X, y), which leaves the preprocessing as it is"
        if not hasattr(model, "partial_fit"):
            way = f"{shown(name)}'s own fit on transformed rows, model[-1].fit(model[:-1].transform(X), y)"
        raise ValueError(
            f"warm_start=True: the step {name!r} is fitted already, and fit would go on with it behind a preprocessing "
            f"that is fitted anew, which makes other numbers of the same rows. To go on with new rows, call {way}; to "
            f"begin anew, set {name}__warm_start=False."
        )


def is_fitted(estimator: Any) -> bool:
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True
