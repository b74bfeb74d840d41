"""A fit under way: from X and y as the user gave them to the attributes of a fitted estimator."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import _safe_indexing, indexable

from sklearn_mmoe._arrays.foreign import detached
from sklearn_mmoe._common.device import Turn, resolve_device, seed_generators, with_own_seed
from sklearn_mmoe._common.random import random_generator
from sklearn_mmoe._common.types import FloatArray
from sklearn_mmoe._estimators.declaring import DeclaresTasks
from sklearn_mmoe._estimators.parameters import AUTO_MAX_EPOCHS, asked_max_epochs, make_net, takes_nan, will_take_nan
from sklearn_mmoe._features.tensors import TensorRows
from sklearn_mmoe._features.validation import Rows, check_rows, learn_categories
from sklearn_mmoe._files.checkpoint import FitCheckpoint, States, fit_in_words
from sklearn_mmoe._held_out.blending import blend
from sklearn_mmoe._held_out.groups import RowGroups, check_groups
from sklearn_mmoe._held_out.holding_out import Table, hold_out, hold_out_by, members_of
from sklearn_mmoe._held_out.splitters import splits_by
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe._ranks.parameters import parameters_in_words
from sklearn_mmoe._training.gates import expert_usage, gate_entropy, warn_of_collapse
from sklearn_mmoe._training.sklearn_callbacks import FitTask
from sklearn_mmoe._training.stopping import Scorer, as_score
from sklearn_mmoe.nn._numbers import LinearEmbeddings
from sklearn_mmoe.nn._rows import CodedRows
from sklearn_mmoe.tasks._encoding import encode_targets, fit_tasks, update_tasks, weights_of_rows
from sklearn_mmoe.tasks._shards import form_of_data, weights_of_shard
from sklearn_mmoe.tasks._validation import Targets
from sklearn_mmoe.tasks._weights import check_weights, relative_weights

ROWS_TO_LEARN_NUMBERS = 10_000  # of all ranks; quantiles of more are no better known than is needed


class Given(NamedTuple):
    """Data as the user gave it."""

    X: Any
    y: Any
    sample_weight: Any = None

    def part(self, part: TensorRows) -> Given:
        """The same of a part of the rows."""
        if part.rows is None:
            return self
        rows = part.rows.cpu().numpy()
        return Given(*(None if data is None else _safe_indexing(data, rows) for data in indexable(*self)))


class Fit:
    """One fit of one estimator, by all ranks that do it together.

    Parameters
    ----------
    model : DeclaresTasks
        A twin of the estimator, which learns in its place. A fit that fails is thrown away with it.
    given : Given
    group : Group
    continuing : bool
        Whether it goes on from the last fit of the model.
    task : FitTask or None
        What tells scikit-learn's callbacks of it.
    """

    def __init__(
        self, model: DeclaresTasks, given: Given, group: Group, *, continuing: bool, task: FitTask | None
    ) -> None:
        self.model, self.given, self.group = model, given, group
        self.continuing, self.task = continuing, task
        device: Any = (model.net_params or {}).get("device", model.device)
        self.device = group.own_device(resolve_device(device))

    def train(self, validation: Given | None, groups: Any, checkpoint: FitCheckpoint | None) -> dict[str, Any]:
        """Train until something ends it; what `fit` does.

        Returns
        -------
        dict of str to object
            The attributes of the fitted estimator.
        """
        model, group = self.model, self.group
        optional = {"X_val": validation, "groups": groups, "validation_split": model.validation_split}
        group.agree(
            lambda: {"method": "fit", **{name: "none" if own is None else "some" for name, own in optional.items()}}
        )
        table = self._learned(None, adding=False, require_labels=not self.continuing)
        row_groups = check_groups(groups, len(table.cells), group)
        valid = None if validation is None else self._validation_rows(validation)
        states = None if checkpoint is None else self._states(checkpoint, table, valid)
        seed = self._next_seed()
        train = table.rows_that_count()
        if valid is None:
            train, valid = self._held_out(table, row_groups)
        if states is not None:
            states.note_rows([train.rows, None if valid is None else [valid.rows, valid.y]])
        scorer = self._scorer(validation, valid) if callable(model.monitor) else None
        if self.task is not None:
            self.task.trained_on = partial(self.given.part, train)
            self.task.attributes = partial(_as_if_stopped, model, train)
        restore_best = valid is not None and bool(model.early_stopping)
        self._train_net(train, valid, seed, restore_best=restore_best, scorer=scorer, states=states, task=self.task)
        if group.rank == 0:
            n_own = getattr(model.module_, "n_task_experts", 0)
            warn_of_collapse(model.expert_usage_, model.task_names_, len(model.best_epochs_), n_own)
            if restore_best and model.net_.schedule_.is_cut_short and not _is_short_by_rule(model):
                _warn_of_haste(model)
        return model.__dict__

    def train_one_epoch(self, classes: Any) -> dict[str, Any]:
        """Train for one epoch on all rows; what `partial_fit` does.

        Returns
        -------
        dict of str to object
            The attributes of the estimator, one epoch on.
        """
        model, group = self.model, self.group
        group.agree(lambda: {"method": "partial_fit", "classes": classes})
        rescaling = self.continuing and model.net_.can_rescale_outputs
        table = self._learned(classes, adding=self.continuing, rescaling=rescaling)
        self._train_net(table.rows_that_count(), None, self._next_seed(), restore_best=False, epochs=1)
        return model.__dict__

    # ----------------------------------------------------------------------------------------------------------------
    # Data

    def _learned(self, classes: Any, *, adding: bool, require_labels: bool = False, rescaling: bool = False) -> Table:
        """Check the data, learn (or keep) what the categories and the tasks are, and encode the labels.

        Of a model to go on from nothing is changed but the scales of its tasks: where `rescaling`, of all, else of
        those that have had no label yet, or only equal ones. Where `adding`, it has seen these rows beside the others.
        """
        model, group, continuing = self.model, self.group, self.continuing
        known = [model._seed, model._n_runs, model.n_samples_seen_, model.loss_curve_[-1]] if continuing else None
        group.agree(lambda: {**parameters_in_words(model), "model to go on from (seed, runs, rows, last loss)": known})
        if not continuing:
            model._categories = learn_categories(self.given.X, model.categorical_features, group)
        rows = self._checked_rows(self.given.X)
        alone = group.size == 1  # among several ranks, one may have none of a task
        targets = model._check_targets(self.given.y, rows.shape, require_labels=require_labels and alone)
        weights = check_weights(self.given.sample_weight, targets, require_labels=require_labels and alone)
        group.agree(lambda: form_of_data(rows, targets, getattr(model, "feature_names_in_", None)))
        weights = weights_of_shard(targets, weights, group, require_labels=require_labels)
        own_classes = model._classes_by_task(classes, targets)
        if continuing:
            self._keep_tasks(targets, weights, own_classes, rescaling=rescaling)
        else:
            self._learn_tasks(targets, weights, own_classes)
        model._class_weights = copy.deepcopy(model._weights_of_classes(targets))
        cells = model._cells(targets, weights, model.dtype, group)
        self._count_labels(targets, adding=adding)
        return Table(rows, cells, model.n_outputs_, self.device)

    def _checked_rows(self, X: Any, name: str = "X") -> Rows:
        model = self.model
        allow_nan = partial(takes_nan, model.module_) if self.continuing else partial(will_take_nan, model)
        reset = not self.continuing and name == "X"
        return check_rows(model, X, model._categories, dtype=model.dtype, reset=reset, allow_nan=allow_nan, name=name)

    def _learn_tasks(self, targets: Targets, weights: FloatArray | None, classes: Sequence[Any] | None) -> None:
        model, group = self.model, self.group
        declarations = model._declare_tasks(targets, classes, None)
        group.agree(lambda: {"kinds of tasks": declarations})
        model._tasks = fit_tasks(declarations, targets, weights, classes, group)
        model._declarations = declarations
        model._y_is_1d, model._y_frame = targets.is_1d, targets.frame
        model.task_names_ = list(map(str, targets.names))
        model.n_outputs_ = len(targets.columns)
        seeds = random_generator(model.random_state)
        model._seed, model._n_runs = group.first(int(seeds.randint(np.iinfo(np.int32).max))), 0

    def _keep_tasks(
        self, targets: Targets, weights: FloatArray | None, classes: Sequence[Any] | None, *, rescaling: bool
    ) -> None:
        model = self.model
        model._check_same_tasks(targets)
        model._check_same_declarations(model._declare_tasks(targets, classes, model._declarations))
        model._tasks = update_tasks(model._tasks, targets, weights, self.group, known_scales=rescaling)

    def _count_labels(self, targets: Targets, *, adding: bool) -> None:
        """Note the rows and labels of a fit, added to those of the calls before, or afresh."""
        model, labelled = self.model, targets.labelled
        n_samples, n_labels = (model.n_samples_seen_, model.n_labels_seen_) if adding else (0, 0)
        model.n_samples_seen_ = n_samples + sum(self.group.gather(len(labelled)))
        model.n_labels_seen_ = n_labels + np.sum(self.group.gather(labelled.sum(axis=0)), axis=0)

    def _validation_rows(self, validation: Given) -> TensorRows:
        model, group = self.model, self.group
        X = self._checked_rows(validation.X, name="X_val")
        targets = model._check_targets(validation.y, X.shape, name="y_val", require_labels=False)
        model._check_same_tasks(targets)
        if not any(group.gather(targets.labelled.any())):
            raise ValueError("y_val has no label at all: there is nothing to validate on.")
        weights = check_weights(validation.sample_weight, targets, name="sample_weight_val", require_labels=False)
        weights = relative_weights(weights_of_shard(targets, weights, group, require_labels=False), group)
        cells = encode_targets(model._tasks, targets, weights, model.dtype, name="y_val")
        return Table(X, cells, model.n_outputs_, self.device).tensors

    def _held_out(self, table: Table, groups: RowGroups | None) -> tuple[TensorRows, TensorRows | None]:
        """What is trained on and what is held out: of the same rows the same, also where `warm_start` goes on."""
        model, group, seed = self.model, self.group, self._seed_of_run(1)
        if model.validation_split is None:
            return hold_out(model, table, groups, seed, group)
        splits = splits_by(
            model.validation_split,
            detached(self.given.X),
            detached(self.given.y, "y"),
            None if groups is None else groups.labels,
            n_rows=len(table.cells),
            n_members=members_of(model),
            seed=seed,
        )
        return hold_out_by(splits, model, table, groups, group)

    def _scorer(self, validation: Given | None, valid: TensorRows | None) -> Scorer:
        """The user's scorer, of the model as it is and of the validation part as it was given."""
        if validation is None:
            if valid is None or valid.rows is None:
                raise ValueError(
                    "monitor is a scorer, which needs a validation part: set early_stopping=True, or give X_val and "
                    "y_val."
                )
            validation = self.given.part(valid)
        X, y, weight = validation
        weights = {} if weight is None else {"sample_weight": weight}
        return partial(_mean_score, partial(self.model.monitor, self.model, X, y, **weights), self.group)

    # ----------------------------------------------------------------------------------------------------------------
    # Training

    def _next_seed(self) -> int:
        """A seed of its own for every run of this model, all from `random_state`."""
        self.model._n_runs += 1
        return self._seed_of_run(self.model._n_runs)

    def _seed_of_run(self, number: int) -> int:
        return int(np.random.SeedSequence([self.model._seed, number]).generate_state(1)[0])

    def _states(self, checkpoint: FitCheckpoint, table: Table, valid: TensorRows | None) -> States:
        """The states of this fit. Where it was killed, it goes on with the seed that it began with."""
        model, n_tasks = self.model, table.n_tasks
        data = {
            "X": [table.rows, getattr(model, "feature_names_in_", None)],
            "y": [table.cells[:, :n_tasks], model._tasks],
            "sample_weight": table.cells[:, n_tasks:],
            "X_val, y_val": valid,
            "the model to go on from": model.net_.parts_as_arrays() if self.continuing else None,
        }
        states = States(checkpoint, fit_in_words(model, data, self.device), (model._seed, model._n_runs), self.group)
        model._seed, model._n_runs = states.seeds
        return states

    def _train_net(
        self,
        train: TensorRows,
        valid: TensorRows | None,
        seed: int,
        *,
        restore_best: bool,
        epochs: int | None = None,
        scorer: Scorer | None = None,
        states: States | None = None,
        task: FitTask | None = None,
    ) -> None:
        model, group = self.model, self.group
        net = make_net(
            model,
            tasks=model._tasks,
            n_features=model.n_features_in_,
            categories=model._categories,
            train=train,
            device=self.device,
            restore_best=restore_best,
            group=group,
            before=model.net_ if self.continuing else None,
        )

        def trained(turn: Turn) -> None:
            net.initialize()
            if self.continuing:
                net.resume_from(model.net_)
            else:
                self._learn_numbers(net.module_, train)
            group.send(net.tensors())
            if group.size > 1:
                seed_generators(group.own_seed(seed), self.device)  # from here on each rank draws its own
            if not self.continuing and hasattr(model, "linear_part"):
                model.linear_share_ = 0.0
            model.net_ = net  # already now: a scorer asks the model for predictions after every epoch
            asked = None if scorer is None else turn.interrupted_by(scorer)
            with nullcontext() if task is None else task.epochs_of(net):
                net.partial_fit(train, dataset_valid=valid, epochs=epochs, scorer=asked, group=group, states=states)

        with_own_seed(seed, self.device, trained)
        if restore_best and valid is not None and not self.continuing and hasattr(model, "linear_part"):
            model.linear_share_ = blend(model, train, valid, group)
        _sum_up(model, train, net.kept_epochs_, group)

    def _learn_numbers(self, module: torch.nn.Module, train: TensorRows) -> None:
        """Let embeddings see where numbers are, by some rows of all ranks."""
        embeddings = getattr(module, "numeric_embeddings", None)
        if embeddings is None or not hasattr(embeddings, "learn"):  # which are the user's own
            return
        X, y = train.sample(ROWS_TO_LEARN_NUMBERS // self.group.size)
        numbers = X.numbers if isinstance(X, CodedRows) else X
        parts = self.group.gather((numbers.cpu().numpy(), weights_of_rows(y.cpu().numpy(), self.model.n_outputs_)))
        rows, weights = (torch.from_numpy(np.concatenate(own)).to(self.device) for own in zip(*parts, strict=True))
        weighs = isinstance(embeddings, LinearEmbeddings) and bool(weights.any())  # the first chunk may have no label
        embeddings.learn(*((rows, weights) if weighs else (rows,)))


def _sum_up(model: DeclaresTasks, train: TensorRows, kept_epochs: NDArray[np.int64], group: Group = ALONE) -> None:
    """Note what has become of the net, which has the weights of these epochs, as attributes of the model."""
    model.n_iter_ = len(model.net_.history)
    n_members = getattr(model.module_, "n_members", 1)  # a module of the user's own may know of none
    model.best_epochs_ = np.resize(kept_epochs, n_members)  # of a scorer there is one for all members
    model.task_weights_ = model.net_.weighting_.task_weights().detach().cpu().numpy().copy()
    gates = model._apply(model.module_.gate_weights, train.sample(1000 // group.size)[0])
    shares = group.gather(len(gates))
    usage, entropy = group.gather(expert_usage(gates)), group.gather(gate_entropy(gates, n_members))
    model.expert_usage_ = np.average(usage, axis=0, weights=shares)
    model.gate_entropy_ = np.average(entropy, axis=0, weights=shares)


def _is_short_by_rule(model: DeclaresTasks) -> bool:
    """Whether a fit has few epochs since it has many rows."""
    return bool(asked_max_epochs(model) == "auto" and model.net_.max_epochs < AUTO_MAX_EPOCHS[1])


def _warn_of_haste(model: DeclaresTasks) -> None:
    """Warn that a fit was ended by what it was allowed, not by what is held out."""
    warnings.warn(
        f"max_epochs={model.net_.max_epochs} ended the training while what decides when to stop was still improving "
        f"(best epochs: {model.best_epochs_.tolist()}). Raise max_epochs, or learning_rate.",
        ConvergenceWarning,
        stacklevel=2,
    )


def _as_if_stopped(model: DeclaresTasks, train: TensorRows) -> dict[str, Any]:
    """The attributes of an estimator with the weights of now, which stay when training goes on."""
    stopped = copy.copy(model)
    stopped.net_ = copy.copy(model.net_)
    _sum_up(stopped, train, np.array([len(model.net_.history)]))
    return stopped.__dict__


def _mean_score(score: Scorer, group: Group) -> float:
    """The mean of the scores that all ranks find on their own validation parts."""
    return float(np.mean(group.gather(as_score(score()))))
