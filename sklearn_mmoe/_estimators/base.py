"""The steps of fit and partial_fit that the three estimators share."""

from __future__ import annotations

import copy
import os
from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing, indexable
from torch import Tensor

from sklearn_mmoe._common.constraints import check_parameters
from sklearn_mmoe._common.device import Turn, resolve_device, seed_generators, with_own_seed
from sklearn_mmoe._common.random import random_generator
from sklearn_mmoe._common.surroundings import undisturbed
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._estimators.fitted_model import FittedModel
from sklearn_mmoe._estimators.net_params import check_net_params
from sklearn_mmoe._estimators.parameters import PARAMETER_CONSTRAINTS, make_net, members_of, ways_to_hold_out
from sklearn_mmoe._estimators.sklearn_callbacks import CallbackSupport, FitTask
from sklearn_mmoe._features.tensors import TensorRows, as_tensor
from sklearn_mmoe._features.validation import Rows, check_rows, learn_categories
from sklearn_mmoe._files.checkpoint import FitCheckpoint, States, as_checkpoint, fit_in_words, forget
from sklearn_mmoe._ranks.distributed import joined
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe._ranks.parameters import parameters_in_words
from sklearn_mmoe._training.gates import expert_usage, gate_entropy, warn_of_collapse
from sklearn_mmoe._training.splits import random_folds, random_split, rows_that_count
from sklearn_mmoe._training.stopping import Scorer, as_score, monitored_tasks
from sklearn_mmoe.tasks._declared import Task
from sklearn_mmoe.tasks._encoding import encode_targets, fit_tasks, update_tasks, weigh_classes
from sklearn_mmoe.tasks._shards import form_of_data, weights_of_shard
from sklearn_mmoe.tasks._validation import Targets, check_targets
from sklearn_mmoe.tasks._weights import check_weights, relative_weights


class BaseMMoE(CallbackSupport, FittedModel):
    """The steps of a fit; subclasses say what the tasks are and what answers look like."""

    _class_weights: Any = None  # of the last fit

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = PARAMETER_CONSTRAINTS

    # ----------------------------------------------------------------------------------------------------------------
    # What a subclass says

    @abstractmethod
    def _declare_tasks(
        self, targets: Targets, classes: Sequence[Any] | None, known: Sequence[Task] | None
    ) -> Sequence[Task]:
        """One declaration per column of y, of which `classes` may be given; `known` are those to go on with."""

    def _parameters_for_task(self, t: int, name: Hashable) -> dict[str, Any]:
        """The parameters to change for a model of one task alone: those that say something task by task."""
        return {"task_weights": None, "monitor": "mean"}

    def _weights_of_classes(self, targets: Targets) -> Any:
        """How much the classes of each task count in its loss, as `weigh_classes` takes it."""
        return None

    def _strata(self, cells: FloatArray) -> NDArray[Any] | None:
        """What validation parts keep the proportions of."""
        return None

    # ----------------------------------------------------------------------------------------------------------------
    # Fitting

    def _validate_params(self) -> None:
        check_parameters(type(self).__name__, self._parameter_constraints, self.get_params(deep=False))
        check_net_params(type(self).__name__, self.net_params or {})

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: Any = None,
        sample_weight_val: ArrayLike | None = None,
        checkpoint: str | os.PathLike[str] | FitCheckpoint | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features: finite numbers, and categories where `categorical_features` says so. A sparse matrix or array is
            taken in CSR form (others are converted) and never made dense. A memory map of more than a quarter of the
            available memory is read batch by batch.
        y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks)
            Targets, a column per task. In a 2-D `y`, NaN (or None, a data frame's null, a masked cell) marks a missing
            label: such a cell adds nothing to any loss, gradient, target scaling, class list or score.
        sample_weight : array-like, series or data frame of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight of each row, or of each label. Only ratios matter, within each task. The columns of a data frame are
            taken by name.
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
        """
        if (X_val is None) != (y_val is None):
            given, lacking = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
            raise ValueError(f"{given} is given but {lacking} is not: validation data needs both.")
        if sample_weight_val is not None and X_val is None:
            raise ValueError("sample_weight_val is given but X_val and y_val are not: there is nothing to weigh.")
        validation = None if X_val is None else (X_val, y_val, sample_weight_val)
        continuing = self.warm_start and hasattr(self, "net_")
        max_epochs: Any = (self.net_params or {}).get("max_epochs", self.max_epochs)
        begin = partial(self._begin_fit_task, "fit", X, y, sample_weight, max_epochs=max_epochs)
        kept = as_checkpoint(checkpoint)
        self._commit(
            "_train", X, y, sample_weight, continuing=continuing, validation=validation, checkpoint=kept, begin=begin
        )
        if kept is not None:
            forget(kept)
        return self

    def _partial_fit(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None, classes: Any = None) -> Self:
        begin = partial(self._begin_fit_task, "partial_fit", X, y, sample_weight)
        return self._commit("_train_one_epoch", X, y, sample_weight, classes, begin=begin)

    def _commit(self, method: str, *args: Any, begin: Callable[[], FitTask | None], **kwargs: Any) -> Self:
        """Call a method on a twin and take over its attributes: whatever fails, this estimator stays as it was.

        All ranks call it, and all or none take over. One of them tells scikit-learn's callbacks.
        """

        def fitted() -> dict[str, Any]:
            with joined(self.distributed) as group:
                task = begin() if group.rank == 0 else None
                twin = type(self).__new__(type(self))
                twin.__dict__.update(self.__dict__)
                getattr(twin, method)(*args, task=task, group=group, **kwargs)
            if task is not None:
                task.end(twin.__dict__)
            return twin.__dict__

        self.__dict__ = undisturbed(fitted)
        return self

    def _train(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: Any,
        *,
        continuing: bool,
        validation: tuple[Any, Any, Any] | None,
        checkpoint: FitCheckpoint | None,
        task: FitTask | None,
        group: Group,
    ) -> None:
        device = self._chosen_device(group)
        given = X, y, sample_weight
        group.agree(lambda: {"method": "fit", "X_val": "none" if validation is None else "some"})
        rows, cells, labelled = self._encode(
            X, y, sample_weight, group, continuing=continuing, require_labels=not continuing
        )
        self._count_labels(labelled, group, adding=False)
        valid = None if validation is None else self._validation_rows(*validation, device, group)
        states = None
        if checkpoint is not None:
            states = self._states(checkpoint, rows, cells, valid, device, group, continuing=continuing)
        seed = self._next_seed()
        train = self._rows_that_count(rows, cells, device)
        if valid is None:
            train, valid = self._held_out(train, cells, seed, group)
        scorer = None
        if callable(self.monitor):
            X_val, y_val, weight = validation or _validation_part(given, valid)
            weights = {} if weight is None else {"sample_weight": weight}
            score = partial(self.monitor, self, X_val, y_val, **weights)
            scorer = partial(_mean_score, score, group)
        if task is not None:
            task.trained_on = partial(_rows_of, given, train)
            task.attributes = partial(self._as_if_stopped, train)
        self._run(
            train,
            valid,
            device,
            seed,
            group,
            continuing=continuing,
            restore_best=valid is not None and bool(self.early_stopping),
            scorer=scorer,
            task=task,
            states=states,
        )
        if group.rank == 0:
            warn_of_collapse(self.expert_usage_, self.task_names_, len(self.best_epochs_))

    def _states(
        self,
        checkpoint: FitCheckpoint,
        rows: Rows,
        cells: FloatArray,
        valid: TensorRows | None,
        device: torch.device,
        group: Group,
        *,
        continuing: bool,
    ) -> States:
        """The states of this fit. Where it was killed, it goes on with the seed that it began with."""
        data = {
            "X": [rows, getattr(self, "feature_names_in_", None)],
            "y": [cells[:, : self.n_outputs_], self._tasks],
            "sample_weight": cells[:, self.n_outputs_ :],
            "X_val, y_val": valid,
            "the model to go on from": self.net_.parts_as_arrays() if continuing else None,
        }
        states = States(checkpoint, fit_in_words(self, data, device), (self._seed, self._n_runs), group)
        self._seed, self._n_runs = states.seeds
        return states

    def _train_one_epoch(
        self, X: ArrayLike, y: Any, sample_weight: Any, classes: Any, *, task: FitTask | None, group: Group
    ) -> None:
        device = self._chosen_device(group)
        group.agree(lambda: {"method": "partial_fit", "classes": classes})
        continuing = hasattr(self, "net_")
        rescaling = continuing and self.net_.can_rescale_outputs
        rows, cells, labelled = self._encode(
            X, y, sample_weight, group, continuing=continuing, classes=classes, rescaling=rescaling
        )
        self._count_labels(labelled, group, adding=continuing)
        table = self._rows_that_count(rows, cells, device)
        seed = self._next_seed()
        self._run(table, None, device, seed, group, continuing=continuing, restore_best=False, epochs=1, task=None)

    def _encode(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: Any,
        group: Group = ALONE,
        *,
        continuing: bool,
        classes: Any = None,
        require_labels: bool = False,
        rescaling: bool = False,
    ) -> tuple[Rows, FloatArray, NDArray[np.bool_]]:
        """Check the data, learn (or keep) what the categories and the tasks are, and encode the targets.

        The third is which labels there are. Of a model that is `continuing` nothing is changed but the scales of its
        tasks: where `rescaling`, of all, else of those that have had no label yet, or only equal ones.
        """
        known = [self._seed, self._n_runs, self.n_samples_seen_, self.loss_curve_[-1]] if continuing else None
        group.agree(lambda: {**parameters_in_words(self), "model to go on from (seed, runs, rows, last loss)": known})
        if not continuing:
            self._categories = learn_categories(X, self.categorical_features, group)
        rows = check_rows(self, X, self._categories, dtype=self.dtype, reset=not continuing)
        alone = group.size == 1  # among several ranks, one may have none of a task
        targets = self._check_targets(y, rows.shape, require_labels=require_labels and alone)
        weights = check_weights(sample_weight, targets, require_labels=require_labels and alone)
        group.agree(lambda: form_of_data(rows, targets, getattr(self, "feature_names_in_", None)))
        weights = weights_of_shard(targets, weights, group, require_labels=require_labels)
        own_classes = self._classes_by_task(classes, targets)
        if continuing:
            self._check_same_tasks(targets)
        declarations = self._declare_tasks(targets, own_classes, self._declarations if continuing else None)
        if continuing:
            self._check_same_declarations(declarations)
            self._tasks = update_tasks(self._tasks, targets, weights, group, known_scales=rescaling)
        else:
            group.agree(lambda: {"kinds of tasks": declarations})
            self._tasks = fit_tasks(declarations, targets, weights, own_classes, group)
            self._declarations = declarations
            self._y_is_1d, self._y_frame = targets.is_1d, targets.frame
            self.task_names_ = list(map(str, targets.names))
            self.n_outputs_ = len(targets.columns)
            seeds = random_generator(self.random_state)
            self._seed, self._n_runs = group.first(int(seeds.randint(np.iinfo(np.int32).max))), 0
        self._class_weights = copy.deepcopy(self._weights_of_classes(targets))
        return rows, self._cells(targets, weights, self.dtype, group), targets.labelled

    def _cells(self, targets: Targets, weights: FloatArray | None, dtype: str, group: Group = ALONE) -> FloatArray:
        """Encoded labels, and the weight of each in the losses."""
        weights = weigh_classes(self._class_weights, self._tasks, targets, relative_weights(weights, group), group)
        weights = relative_weights(weights, group)  # those of classes may be large or small themselves
        return encode_targets(self._tasks, targets, weights, dtype)

    def _known_cells(self, X: Any, y: Any) -> tuple[Rows, FloatArray]:
        """New data as the model was fitted on, checked and encoded: what its losses compare."""
        rows = self._check_X(X)
        targets = self._known_targets(y, rows.shape)
        return rows, self._cells(targets, check_weights(None, targets, require_labels=False), self._fitted_dtype)

    def _check_targets(
        self, y: Any, X_shape: tuple[int, ...], *, name: str = "y", require_labels: bool = True
    ) -> Targets:
        return check_targets(
            y,
            X_shape,
            estimator_name=type(self).__name__,
            name=name,
            task_names=self._declared_names(),
            require_labels=require_labels,
        )

    def _count_labels(self, labelled: NDArray[np.bool_], group: Group, *, adding: bool) -> None:
        """Note the rows and labels of a fit, added to those of the calls before, or afresh."""
        n_samples, n_labels = (self.n_samples_seen_, self.n_labels_seen_) if adding else (0, 0)
        self.n_samples_seen_ = n_samples + sum(group.gather(len(labelled)))
        self.n_labels_seen_ = n_labels + np.sum(group.gather(labelled.sum(axis=0)), axis=0)

    def _classes_by_task(self, classes: Any, targets: Targets) -> Sequence[Any] | None:
        """What the user gave as `classes`, as one entry per task."""
        return None

    def _validation_rows(self, X: Any, y: Any, sample_weight: Any, device: torch.device, group: Group) -> TensorRows:
        X = check_rows(self, X, self._categories, dtype=self.dtype, reset=False, name="X_val")
        targets = self._check_targets(y, X.shape, name="y_val", require_labels=False)
        self._check_same_tasks(targets)
        if not any(group.gather(targets.labelled.any())):
            raise ValueError("y_val has no label at all: there is nothing to validate on.")
        weights = check_weights(sample_weight, targets, name="sample_weight_val", require_labels=False)
        weights = relative_weights(weights_of_shard(targets, weights, group, require_labels=False), group)
        return _on_device(X, encode_targets(self._tasks, targets, weights, self.dtype, name="y_val"), device)

    def _rows_that_count(self, X: Rows, cells: FloatArray, device: torch.device) -> TensorRows:
        """The tables on the device, of which the rows that have a label are trained on: the others teach nothing."""
        table = _on_device(X, cells, device)
        rows = rows_that_count(self._labelled(cells))
        return table if len(rows) == len(cells) else _part(table, rows)

    def _held_out(
        self, table: TensorRows, cells: FloatArray, seed: int, group: Group
    ) -> tuple[TensorRows, TensorRows | None]:
        """What is trained on, and what decides when to stop, if anything does."""
        labelled = self._labelled(cells)
        watched = monitored_tasks(self.monitor, [task.name for task in self._tasks]) > 0
        n_rows = sum(group.gather(int(labelled.any(axis=1).sum())))
        n_labels = np.sum(group.gather(labelled.sum(axis=0)), axis=0)[watched]
        for way in ways_to_hold_out(self, n_rows, int(n_labels.min())) if n_labels.any() else []:
            hold_out = self._with_part if way == "part" else self._with_folds
            if (found := hold_out(table, cells, watched, seed, group)) is not None:
                return found
        if self.early_stopping != "auto" and self.early_stopping:
            raise ValueError(
                f"early_stopping=True sets a part of the rows aside (validation_fraction={self.validation_fraction}), "
                f"but the {n_rows} rows with a label are too few for that, or the part has no label that monitor "
                "watches. Give X_val and y_val, or set early_stopping='auto', which does without where it has to."
            )
        return table, None

    def _with_part(
        self, table: TensorRows, cells: FloatArray, watched: NDArray[np.bool_], seed: int, group: Group
    ) -> tuple[TensorRows, TensorRows] | None:
        """A random validation part, as row numbers into the same tensors; None if it has no label that is watched."""
        labelled = self._labelled(cells)
        strata, own_seed = self._strata(cells), group.own_seed(seed)
        train, valid = random_split(labelled, strata, self.validation_fraction, own_seed)
        if not any(group.gather(bool(labelled[valid][:, watched].any()))):
            return None
        return _part(table, train), _part(table, valid)

    def _with_folds(
        self, table: TensorRows, cells: FloatArray, watched: NDArray[np.bool_], seed: int, group: Group
    ) -> tuple[TensorRows, TensorRows] | None:
        """All rows twice, as each member leaves its own fold out of its loss; None if a rank has too few labels."""
        labelled = self._labelled(cells)
        strata, own_seed = self._strata(cells), group.own_seed(seed)
        folds = random_folds(labelled, strata, members_of(self), watched, own_seed)
        if not all(group.gather(folds is not None)) or folds is None:
            return None
        weights = cells[:, self.n_outputs_ :] if cells.shape[1] > self.n_outputs_ else np.ones_like(cells)
        cells = np.column_stack([cells[:, : self.n_outputs_], weights, folds.astype(cells.dtype)])
        both = TensorRows(table.X, as_tensor(cells).to(table.X.device), table.rows)
        return both, both

    def _labelled(self, cells: FloatArray) -> NDArray[np.bool_]:
        """Which labels there are that weigh anything, of shape (n_rows, n_tasks)."""
        if cells.shape[1] == self.n_outputs_:
            return np.broadcast_to(True, cells.shape)
        return cells[:, self.n_outputs_ :] > 0

    def _run(
        self,
        train: TensorRows,
        valid: TensorRows | None,
        device: torch.device,
        seed: int,
        group: Group,
        *,
        continuing: bool,
        restore_best: bool,
        task: FitTask | None,
        epochs: int | None = None,
        scorer: Scorer | None = None,
        states: States | None = None,
    ) -> None:
        net = make_net(
            self,
            tasks=self._tasks,
            n_features=self.n_features_in_,
            categories=self._categories,
            train=train,
            device=device,
            restore_best=restore_best,
            group=group,
        )

        def trained(turn: Turn) -> None:
            net.initialize()
            if continuing:
                net.resume_from(self.net_)
            group.send(net.tensors())
            if group.size > 1:
                seed_generators(group.own_seed(seed), device)  # from here on each rank draws its own order and dropout
            self.net_ = net  # already now: a scorer asks this estimator for predictions after every epoch
            asked = None if scorer is None else turn.interrupted_by(scorer)
            with nullcontext() if task is None else task.epochs_of(net):
                net.partial_fit(train, dataset_valid=valid, epochs=epochs, scorer=asked, group=group, states=states)

        with_own_seed(seed, device, trained)
        self._sum_up(train, net.kept_epochs_, group)

    def _sum_up(self, train: TensorRows, kept_epochs: NDArray[np.int64], group: Group = ALONE) -> None:
        """The attributes that say what has become of the net, which has the weights of these epochs."""
        self.n_iter_ = len(self.net_.history)
        n_members = getattr(self.module_, "n_members", 1)  # a module of the user's own may know of none
        self.best_epochs_ = np.resize(kept_epochs, n_members)  # of a scorer there is one for all members
        self.task_weights_ = self.net_.weighting_.task_weights().detach().cpu().numpy().copy()
        gates = self._apply(self.module_.gate_weights, _sample(train, 1000 // group.size))
        shares = group.gather(len(gates))
        usage, entropy = group.gather(expert_usage(gates)), group.gather(gate_entropy(gates, n_members))
        self.expert_usage_ = np.average(usage, axis=0, weights=shares)
        self.gate_entropy_ = np.average(entropy, axis=0, weights=shares)

    def _as_if_stopped(self, train: TensorRows) -> dict[str, Any]:
        """The attributes of an estimator with the weights of now, which stay when training goes on."""
        stopped = copy.copy(self)
        stopped.net_ = copy.copy(self.net_)
        stopped._sum_up(train, np.array([len(self.net_.history)]))
        return stopped.__dict__

    def _chosen_device(self, group: Group) -> torch.device:
        device: Any = (self.net_params or {}).get("device", self.device)
        return group.own_device(resolve_device(device))

    def _next_seed(self) -> int:
        """A seed of its own for every run of this model, all from `random_state`."""
        self._n_runs += 1
        return int(np.random.SeedSequence([self._seed, self._n_runs]).generate_state(1)[0])


def _mean_score(score: Scorer, group: Group) -> float:
    """The mean of the scores that all ranks find on their own validation parts."""
    return float(np.mean(group.gather(as_score(score()))))


def _validation_part(given: tuple[Any, Any, Any], valid: TensorRows | None) -> list[Any]:
    """X, y and weights of the validation part as the user gave them, for a scorer."""
    if valid is None or valid.rows is None:
        raise ValueError(
            "monitor is a scorer, which needs a validation part: set early_stopping=True, or give X_val and y_val."
        )
    return _rows_of(given, valid)


def _rows_of(given: tuple[Any, Any, Any], part: TensorRows) -> list[Any]:
    """X, y and weights of a part of the rows, as the user gave them."""
    if part.rows is None:
        return list(given)
    rows = part.rows.cpu().numpy()
    return [None if data is None else _safe_indexing(data, rows) for data in indexable(*given)]


def _part(table: TensorRows, rows: NDArray[np.integer[Any]]) -> TensorRows:
    """Some rows of the same tensors."""
    return TensorRows(table.X, table.y, torch.from_numpy(rows).to(table.X.device))


def _sample(rows: TensorRows, at_most: int) -> Any:
    """The features of some rows, evenly taken."""
    taken = torch.arange(0, len(rows), -(-len(rows) // max(1, at_most)), device=rows.X.device)
    return rows.X.index_select(0, taken if rows.rows is None else rows.rows[taken])


def _on_device(X: Rows | Tensor, cells: FloatArray, device: torch.device) -> TensorRows:
    return TensorRows(as_tensor(X).to(device), as_tensor(cells).to(device))
