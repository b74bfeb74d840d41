"""What a fitted estimator has and answers: checked new data, outputs, gates, scores, attributes, files."""

from __future__ import annotations

import os
import warnings
from abc import ABC
from collections.abc import Callable, Sequence
from functools import partial, wraps
from inspect import signature
from typing import Any, ClassVar, Concatenate, ParamSpec, Self, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sklearn_mmoe._common.surroundings import undisturbed_answer
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._estimators.description import as_text, description_of
from sklearn_mmoe._estimators.html import HasPage, as_html
from sklearn_mmoe._estimators.parameters import takes_nan
from sklearn_mmoe._features.tensors import apply_in_chunks
from sklearn_mmoe._features.validation import Categories, Rows, check_rows
from sklearn_mmoe._files.saved_state import MEANT_BEFORE
from sklearn_mmoe._files.saving import save_model
from sklearn_mmoe._training.named_types import with_names, with_types
from sklearn_mmoe._training.net import MMoENet
from sklearn_mmoe._version import __version__
from sklearn_mmoe.nn._mmoe import MMoE
from sklearn_mmoe.tasks._answers import averaged, check_answers, check_gates
from sklearn_mmoe.tasks._declared import Task
from sklearn_mmoe.tasks._encoding import Tasks, beside, decode, task_outputs
from sklearn_mmoe.tasks._scores import explained
from sklearn_mmoe.tasks._undefined import mean_of_defined
from sklearn_mmoe.tasks._validation import Targets, check_targets
from sklearn_mmoe.tasks._weights import check_weights

P = ParamSpec("P")
Answer = TypeVar("Answer")
Model = TypeVar("Model", bound="FittedModel")

# What scikit-learn hangs on an estimator while it is fitted, and takes away when that is over
OF_A_FIT_UNDER_WAY = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def of_one_fit(method: Callable[Concatenate[Model, P], Answer]) -> Callable[Concatenate[Model, P], Answer]:
    """Let a method of a fitted estimator see what one fit has left, whatever becomes of the estimator meanwhile.

    `fit` and `partial_fit` change nothing that they find: in the end they replace all attributes by one assignment. So
    a twin with the attributes of now stays as it is while another thread fits the estimator. Nor does it matter what is
    set in torch around the call.
    """

    @wraps(method)
    def answer(self: Model, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return undisturbed_answer(method, self._as_fitted(), *args, **kwargs)

    return answer


class FittedModel(HasPage, BaseEstimator, ABC):
    """An estimator that owns a fitted skorch net, `net_`, and knows the tasks and categories it was fitted on."""

    net_: MMoENet
    _tasks: Tasks
    _declarations: Sequence[Task]
    _categories: Categories | None  # of the columns of X
    _seed: int
    _n_runs: int
    n_samples_seen_: int
    n_labels_seen_: NDArray[np.int64]

    _explains_r2: ClassVar[bool] = False  # whether the deviance that scores explain is the squared error of every task

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def _as_fitted(self) -> Self:
        """A twin that keeps to the attributes of now when this estimator is fitted again."""
        twin = type(self).__new__(type(self))
        twin.__dict__ = attributes = self.__dict__
        if "net_" not in attributes:  # to ask scikit-learn each time takes longer than the rest
            check_is_fitted(twin)
        return twin

    # ----------------------------------------------------------------------------------------------------------------
    # New data, and whether it is of the kind that the model was fitted on

    @property
    def _fitted_dtype(self) -> str:
        """The type of the network's numbers; `dtype` may have been set to another one since."""
        return str(self.net_.dtype).removeprefix("torch.")

    def _check_X(self, X: Any) -> Rows:
        allow_nan = partial(takes_nan, self.module_)
        return check_rows(self, X, self._categories, dtype=self._fitted_dtype, reset=False, allow_nan=allow_nan)

    def _known_targets(self, y: Any, X_shape: tuple[int, ...]) -> Targets:
        """Check new targets, of which labels may be missing, and that they are of the tasks of the fit."""
        names, own = self.task_names_, type(self).__name__
        targets = check_targets(y, X_shape, estimator_name=own, task_names=names, require_labels=False)
        self._check_same_tasks(targets)
        return targets

    def _check_same_tasks(self, targets: Targets) -> None:
        """Compare new targets with those that the model was fitted on."""
        if targets.is_1d != self._y_is_1d or len(targets.columns) != self.n_outputs_:
            shapes = ["1-D" if is_1d else "2-D" for is_1d in (self._y_is_1d, targets.is_1d)]
            raise ValueError(
                f"The model was fitted on a {shapes[0]} y of {self.n_outputs_} tasks, got a {shapes[1]} y of "
                f"{len(targets.columns)}."
            )
        knows_names = self._y_frame is not None or self.task_names_ != [f"y{t}" for t in range(self.n_outputs_)]
        brings_names = targets.frame is not None and not targets.is_1d
        if knows_names and brings_names and list(map(str, targets.names)) != self.task_names_:
            names = [task.name for task in self._tasks]
            raise ValueError(f"The model was fitted on the tasks {names}, got y with {targets.names}.")

    def _check_same_declarations(self, declarations: Sequence[Task]) -> None:
        """A warm start or another chunk keeps what the tasks are."""
        changed = [
            name
            for name, old, new in zip(self.task_names_, self._declarations, declarations, strict=True)
            if old != new
        ]
        if changed:
            raise ValueError(
                f"warm_start and partial_fit go on with the tasks of the last fit, but loss or tasks have changed for "
                f"{changed}. Set them back, or fit a clone."
            )

    # ----------------------------------------------------------------------------------------------------------------
    # Answers

    def _outputs(self, X: ArrayLike) -> NDArray[np.float64]:
        """Raw outputs of all tasks, side by side, of shape (n_samples, sum of widths); those of the mean answer."""

        def answers(*rows: Tensor) -> Tensor:
            return averaged(self._tasks, self.module_(*rows))

        outputs = self._apply(answers, self._check_X(X)).astype(np.float64)
        check_answers(self._tasks, outputs, type(self).__name__)
        return outputs

    def _decoded(self, X: ArrayLike) -> list[NDArray[Any]]:
        """Each task's predictions, of shape (n_samples,)."""
        outputs = self._outputs(X)
        return decode(self._tasks, outputs)

    def _predicted(self, X: ArrayLike) -> NDArray[Any]:
        """The predictions of all tasks, of the shape that y had."""
        columns = self._decoded(X)
        return columns[0] if self._y_is_1d else beside(self._tasks, columns)

    @of_one_fit
    def gate_weights(self, X: ArrayLike) -> FloatArray:
        """Weight that each task gives to each expert, row by row.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.

        Returns
        -------
        ndarray of shape (n_samples, n_tasks, n_members * n_experts)
            Non-negative, summing to 1 over the experts, of which the first `n_experts` are those of the first member;
            with `n_task_experts`, those of each task stand behind them.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
        >>> model = MMoERegressor(n_members=1, n_experts=3, max_epochs=5, random_state=0).fit(X, y)
        >>> weights = model.gate_weights(X)
        >>> weights.shape
        (100, 2, 3)
        >>> bool(abs(weights.sum(axis=2) - 1).max() < 1e-6)
        True
        """
        gates = self._apply(self.module_.gate_weights, self._check_X(X))
        check_gates([task.name for task in self._tasks], gates, type(self).__name__)
        return gates

    def _apply(self, function: Any, X: Rows | Tensor) -> FloatArray:
        if self.module_.training:
            self.module_.eval()
        return apply_in_chunks(function, X, torch.device(self.net_.device))

    def _scored_targets(self, y: Any, sample_weight: Any, outputs: FloatArray) -> tuple[Targets, FloatArray | None]:
        targets = self._known_targets(y, (len(outputs), self.n_features_in_))
        return targets, check_weights(sample_weight, targets, require_labels=False)

    @of_one_fit
    def _shares_explained(self, X: ArrayLike, y: Any, sample_weight: Any) -> dict[int, Callable[[], float]]:
        """How to take the share of deviance explained of each task that has a label in y."""
        outputs = self._outputs(X)
        targets, weights = self._scored_targets(y, sample_weight, outputs)
        shares: dict[int, Callable[[], float]] = {}
        for t, (task, own) in enumerate(task_outputs(self._tasks, outputs)):
            weight = None if weights is None else weights[:, t]
            if targets.columns[t].labelled.any() if weight is None else weight.any():
                shares[t] = partial(explained, task, targets.columns[t], own, weight, as_r2=self._explains_r2)
        if not shares:
            raise ValueError("y has no label at all: there is nothing to score.")
        return shares

    def _mean_explained(self, X: ArrayLike, y: Any, sample_weight: Any) -> float:
        shares = self._shares_explained(X, y, sample_weight)
        return mean_of_defined([self.task_names_[t] for t in shares], list(shares.values()))

    # ----------------------------------------------------------------------------------------------------------------
    # Fitted attributes that the net holds

    @property
    def module_(self) -> MMoE:
        """The fitted torch module."""
        return self.net_.module_

    @property
    def categories_(self) -> dict[Any, NDArray[Any]]:
        """The categories of each categorical feature, sorted, by its name or index; empty if there is none."""
        categories = self._categories
        return {} if categories is None else categories.by_name(getattr(self, "feature_names_in_", None))

    @property
    def history_(self) -> list[dict[str, Any]]:
        """Epoch by epoch: losses, losses of each task, task weights, seconds (skorch's history)."""
        return self.net_.history

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss of each epoch."""
        return [row["train_loss"] for row in self.history_]

    @property
    def validation_scores_(self) -> list[float] | None:
        """Score of each epoch on the validation part, of what `monitor` watches; None without a validation part."""
        return [row["valid_score"] for row in self.history_ if "valid_score" in row] or None

    # ----------------------------------------------------------------------------------------------------------------
    # What it looks like

    @of_one_fit
    def describe(self) -> str:
        """Describe the fitted model: its tasks, its size, its training.

        Returns
        -------
        str
            For each task its kind, number of outputs, labels given and labels missing, loss, and the weight in force
            ("-" where gradients are balanced instead); the number of parameters of each part of the network, of all
            members together; FLOPs per row of a prediction, device, epochs run, the epoch whose weights were kept
            (each member's own), the seconds that the epochs took, and the share of a ridge regression in the
            answers, if there is one (``linear_share_``).

        Notes
        -----
        FLOPs are two for each multiply-add of the matrix products that take one dense row through all members, as
        :class:`torch.utils.flop_counter.FlopCounterMode` counts them: all linear layers, and the mixing of experts by
        gates. Where the tasks' outputs differ in width, the last layers are computed, and counted, as wide as the
        widest. Activations, softmax and look-ups of embeddings are left out. Of a sparse row the first layers cost
        less, as only what is not zero is read.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_mmoe import MMoERegressor
        >>> X = np.random.default_rng(0).normal(size=(200, 5))
        >>> y = np.column_stack([X[:, 0] + X[:, 1], X[:, 2]])
        >>> y[::4, 1] = np.nan
        >>> model = MMoERegressor(max_epochs=2, random_state=0).fit(X, y)
        >>> print(model.describe())  # doctest: +ELLIPSIS
        MMoERegressor: 2 tasks, 4 members with 4 experts each, a gate for each task
        fitted on 200 rows of 5 features
        <BLANKLINE>
        task  kind        outputs  labels  missing  loss           weight
        y0    regression        1     200        0  squared_error       1
        y1    regression        1     150       50  squared_error       1
        <BLANKLINE>
        part        parameters
        embeddings       2,760
        experts         93,184
        gates              832
        towers          16,904
        total          113,680
        <BLANKLINE>
        FLOPs per row  ...
        """
        return as_text(description_of(self))

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """Put tasks and network above the table that scikit-learn shows of a fitted estimator, inside others, too."""
        attributes = super()._get_fitted_attr_html(doc_link)
        if self.__sklearn_is_fitted__():  # a fitted search may show the estimator that it was given
            own, table = as_html(description_of(self._as_fitted())), attributes._html_repr
            attributes._html_repr = lambda: own + table()
        return attributes

    # ----------------------------------------------------------------------------------------------------------------
    # Files

    @of_one_fit
    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted model as a file that runs no code when :func:`sklearn_mmoe.load` opens it.

        Parameters
        ----------
        path : str or path-like
            The file to write, or a symbolic link to it. One that is there is replaced, at once, when all is written;
            it keeps its permissions.

        Raises
        ------
        ValueError
            If a parameter is code or an object of your own: a callable, a callback, a module. joblib and skops save
            such models. Or if the path leads to a device or a pipe. Nothing is written then.

        Notes
        -----
        The file is in the safetensors format (extra `save`): the weights, the state of the optimizer and all other
        arrays of numbers, and in its metadata, as JSON, the parameters, tasks, classes, history and versions.

        Examples
        --------
        >>> import sklearn_mmoe
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
        >>> model = sklearn_mmoe.MMoERegressor(max_epochs=5, random_state=0).fit(X, y)
        >>> with TemporaryDirectory() as folder:
        ...     model.save(Path(folder) / "model.safetensors")
        ...     again = sklearn_mmoe.load(Path(folder) / "model.safetensors")
        >>> again.history_ == model.history_
        True
        """
        save_model(self, path)

    def __getstate__(self) -> dict[str, Any]:
        state = {**with_names(super().__getstate__()), "_version": __version__}
        for name in OF_A_FIT_UNDER_WAY:
            state.pop(name, None)
        if "_metadata_request" in state:  # it holds its owner, a circle that skops cannot follow
            requests = vars(self._metadata_request).items()
            state["_metadata_request"] = {method: own.requests for method, own in requests if method != "owner"}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        version = state.pop("_version", "unknown")
        if version != __version__:
            warnings.warn(
                f"This {type(self).__name__} was saved by sklearn_mmoe {version} and is opened by {__version__}: "
                "its answers may differ. Fit it again, or install the version that saved it.",
                UserWarning,
                stacklevel=2,
            )
        super().__setstate__(with_types(state))
        for parameter in signature(type(self)).parameters.values():
            if parameter.name not in vars(self):  # it is younger than the release that saved the model
                setattr(self, parameter.name, MEANT_BEFORE.get(parameter.name, parameter.default))
        if "_metadata_request" in state:
            self._metadata_request = MetadataRequest(owner=self)
            for method, requests in state["_metadata_request"].items():
                for parameter, request in requests.items():
                    getattr(self._metadata_request, method).add_request(param=parameter, alias=request)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.numeric_embeddings is not None
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags
