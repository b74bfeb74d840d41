"""A pipeline of one fit that offers what the model at its end can do."""

from __future__ import annotations

import os
from html import escape
from typing import Any, Self

import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, process_routing

from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._estimators.html import HasPage
from sklearn_mmoe._files.saving import save_model
from sklearn_mmoe._files.whole import place_of
from sklearn_mmoe._tables.one_fit import PipelineOfOneFit, if_model_has, is_fitted
from sklearn_mmoe._tables.packed_steps import packed_steps


class TabularPipeline(HasPage, PipelineOfOneFit):
    """A pipeline of scikit-learn's that can do what the model at its end can do.

    :func:`make_tabular_pipeline` makes one. Beyond what a :class:`sklearn.pipeline.Pipeline` does:

    - `partial_fit` goes on with the model, on rows that go through the preprocessing as the first fit has left it.
    - `predict_frame`, `gate_weights`, `describe` and `save` are those of the model, where it has them.
    - `fit` takes validation data as it takes `X`: ``estimator__X_val`` goes through the steps, too, whatever
      `transform_input` says.
    - `fit` begins with new copies of the steps before the model. If it fails or is interrupted, the pipeline stays as
      it was, and predictions of another thread are of one fit, the last one or the new one.
    - `fit` refuses a model with `warm_start` that is fitted already: it would go on from weights that were learned
      behind another preprocessing.

    Parameters
    ----------
    steps : list of tuples
        Names and estimators in the order that the data takes: transformers, and the model last.
    transform_input : list of str, default=None
        Names of metadata that goes through the steps as `X` does, with metadata routing.
    memory : str or object with the joblib.Memory interface, default=None
        Where fitted transformers are kept.
    verbose : bool, default=False
        Whether to print the time that each step takes.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_mmoe import MMoERegressor, TabularPipeline
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> X, y = make_related_tasks(200, 5, correlation=0.5, random_state=0)
    >>> network = MMoERegressor(max_epochs=5, random_state=0)
    >>> model = TabularPipeline([("scale", StandardScaler()), ("model", network)])
    >>> model.fit(X[:100], y[:100]).partial_fit(X[100:], y[100:]).gate_weights(X).shape
    (200, 2, 16)
    """

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit new copies of the transformers one after the other, then the model on what comes out of them.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as the first step takes them.
        y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks), default=None
            Targets, as the model takes them.
        **params : dict of str to object
            Parameters of the steps' own `fit`, as in ``estimator__sample_weight``; with metadata routing, what the
            steps ask for. Validation data of the model, ``estimator__X_val``, is given as `X` is.

        Returns
        -------
        self : object
            The fitted pipeline.

        Raises
        ------
        ValueError
            If the model is fitted and has `warm_start`.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(200, 5, correlation=0.5, random_state=0)
        >>> model = make_tabular_pipeline(MMoERegressor(max_epochs=5, random_state=0))
        >>> model.fit(X[50:], y[50:], estimator__X_val=X[:50], estimator__y_val=y[:50]).predict(X).shape
        (200, 2)
        """
        self._refuse_warm_start()
        twin = self._twin_to_fit(anew=True)
        Pipeline.fit(twin, X, y, **params)
        return self._take_over(twin)

    @if_model_has("partial_fit")
    def partial_fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Go on with the model on more rows, and leave the preprocessing as it is.

        The first call on a pipeline that is not fitted yet fits the preprocessing, too, on its rows: they should be
        many, and of all kinds.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.
        y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks), default=None
            Targets, as the model takes them.
        **params : dict of str to object
            Parameters of the model's `partial_fit`, as in ``estimator__classes`` or ``estimator__sample_weight``; with
            metadata routing, what the model asks for.

        Returns
        -------
        self : object
            The pipeline. If an error or an interrupt ends the call, it stays as it was before.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(200, 5, correlation=0.5, random_state=0)
        >>> model = make_tabular_pipeline(MMoERegressor(max_epochs=5, random_state=0)).fit(X[:100], y[:100])
        >>> model.partial_fit(X[100:], y[100:])[-1].n_samples_seen_
        200
        """
        own = self._parameters_of_partial_fit(params)
        is_first = not is_fitted(self._final_estimator)
        twin = self._twin_to_fit(anew=is_first)
        if len(twin) > 1:
            before = twin[:-1]
            X = before.fit_transform(X, y) if is_first else before.transform(X)
            twin.steps = [*before.steps, twin.steps[-1]]
        twin._final_estimator.partial_fit(X, y, **own)
        return self._take_over(twin)

    @if_model_has("predict_frame")
    def predict_frame(self, X: Any) -> Any:
        """What the model's `predict_frame` says of rows that the steps have transformed.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.

        Returns
        -------
        data frame of shape (n_samples, n_tasks)
            Predictions, a column of its own type for each task. A pandas frame has the index of `X`, if `X` is a
            pandas frame, too.

        Examples
        --------
        >>> from sklearn_mmoe import MMoEMultiTask, make_tabular_pipeline
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(200, 5, correlation=0.5, random_state=0)
        >>> model = make_tabular_pipeline(MMoEMultiTask(max_epochs=5, random_state=0)).fit(X, y)
        >>> model.predict_frame(X[:3]).columns.tolist()
        ['y0', 'y1']
        """
        model, features = self._model_and_features(X)
        frame = model.predict_frame(features)
        # features that come out as an array have lost the index
        return frame.set_axis(X.index) if hasattr(X, "iloc") and hasattr(frame, "iloc") else frame

    @if_model_has("gate_weights")
    def gate_weights(self, X: Any) -> FloatArray:
        """Weight that each task gives to each expert, row by row.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.

        Returns
        -------
        ndarray of shape (n_samples, n_tasks, n_members * n_experts)
            Non-negative, summing to 1 over the experts.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(200, 5, correlation=0.5, random_state=0)
        >>> model = make_tabular_pipeline(MMoERegressor(n_members=1, max_epochs=5, random_state=0)).fit(X, y)
        >>> model.gate_weights(X).shape
        (200, 2, 4)
        """
        model, features = self._model_and_features(X)
        return model.gate_weights(features)

    @if_model_has("describe")
    def describe(self) -> str:
        """Describe the model at the end: its tasks, its size, its training.

        Returns
        -------
        str
            Of features it speaks as they come out of the preprocessing.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(200, 5, correlation=0.5, random_state=0)
        >>> model = make_tabular_pipeline(MMoERegressor(max_epochs=5, random_state=0)).fit(X, y)
        >>> print(model.describe().splitlines()[1])
        fitted on 200 rows of 5 features
        """
        return self._final_estimator.describe()

    @if_model_has("save")
    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted pipeline as a file that runs no code when :func:`sklearn_mmoe.load` opens it.

        Parameters
        ----------
        path : str or path-like
            The file to write, or a symbolic link to it. One that is there is replaced, at once, when all is written;
            it keeps its permissions.

        Raises
        ------
        ValueError
            If a step, or a parameter of the model, is code or an object of your own; the message names it. Or if the
            path leads to a device or a pipe. Nothing is written then.

        Notes
        -----
        The file is that of the model's own `save`, in the safetensors format, with the steps before the model as one
        more array: the bytes of a file of skops. `load` opens it if all in it is of types that skops trusts, or that
        :data:`sklearn_mmoe.export.TRUSTED_TYPES` names. Needs the extra `save`.

        Examples
        --------
        >>> import sklearn_mmoe
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
        >>> own = sklearn_mmoe.MMoERegressor(max_epochs=5, random_state=0)
        >>> model = sklearn_mmoe.make_tabular_pipeline(own).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     model.save(Path(folder) / "model.safetensors")
        ...     again = sklearn_mmoe.load(Path(folder) / "model.safetensors")
        >>> bool((again.predict(X) == model.predict(X)).all())
        True
        """
        place_of(path)  # before the steps are packed, which takes its time
        fitted = self._as_fitted()
        save_model(fitted._final_estimator, path, packed_steps(fitted))

    # ----------------------------------------------------------------------------------------------------------------
    # Parameters of fit and partial_fit

    def _get_metadata_for_step(self, *, step_idx: int, step_params: Any, all_params: Any) -> Any:
        """Take the validation data of the model through the steps before it, unless `transform_input` does."""
        params = super()._get_metadata_for_step(step_idx=step_idx, step_params=step_params, all_params=all_params)
        of_fit = params.get("fit", {})
        is_raw = of_fit.get("X_val") is not None and "X_val" not in (self.transform_input or [])
        if not is_raw or step_idx == 0 or step_idx != len(self) - 1:
            return params
        return {**params, "fit": {**of_fit, "X_val": self[:step_idx].transform(of_fit["X_val"])}}

    def _parameters_of_partial_fit(self, params: dict[str, Any]) -> dict[str, Any]:
        name = self.steps[-1][0]
        if sklearn.get_config()["enable_metadata_routing"]:
            return dict(process_routing(self, "partial_fit", **params)[name]["partial_fit"])
        prefix = f"{name}__"
        others = [own for own in params if not own.startswith(prefix)]
        if others:
            raise ValueError(
                f"partial_fit takes parameters of the model, whose names begin with {prefix!r}, got {others}."
            )
        return {own.removeprefix(prefix): value for own, value in params.items()}

    def get_metadata_routing(self) -> MetadataRouter:
        """What the steps ask for, `partial_fit` of the model included.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            The routing of a pipeline, in which `partial_fit` calls that of the model.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor, make_tabular_pipeline
        >>> routing = make_tabular_pipeline(MMoERegressor()).get_metadata_routing()
        >>> list(routing.consumes("partial_fit", ["sample_weight"]))  # nothing is asked for yet
        []
        """
        router = super().get_metadata_routing()
        for name, route in router:
            if name == self.steps[-1][0]:
                route.mapping.add(caller="partial_fit", callee="partial_fit")
        return router

    # ----------------------------------------------------------------------------------------------------------------
    # What notebooks show

    def _sk_visual_block_(self) -> Any:
        """The diagram names what is known: a ColumnTransformer of ours is one of scikit-learn's."""
        block = super()._sk_visual_block_()
        for i, (name, step) in enumerate(self.steps):
            if isinstance(step, ColumnTransformer):
                block.names = [*block.names[:i], f"{name}: ColumnTransformer", *block.names[i + 1 :]]
        return block

    def _html_repr(self) -> str:
        """A diagram; the text of the pipeline where a step says of itself what scikit-learn cannot draw."""
        try:
            return super()._html_repr()
        except Exception:  # transformers of others, above all those of no column, which have never been fitted
            return f"<pre>{escape(repr(self))}</pre>"
