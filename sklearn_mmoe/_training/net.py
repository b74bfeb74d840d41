"""The skorch net under the estimators: one training step, the epochs, when to stop.

skorch gives the contract (callbacks, history, parameters with double underscores). What its loop does per batch and a
fit does not need is left out: module modes are set once per epoch, losses stay on the device until the epoch ends, and
the history has no entry per batch unless a callback listens to batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from traceback import walk_tb
from typing import Any

import numpy as np
import torch
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochTimer,
    PassthroughScoring,
    TrainEndCheckpoint,
)
from torch import Tensor

from sklearn_mmoe._features.tensors import RowBatches
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe._ranks.padding import PaddedBatches, Padding
from sklearn_mmoe._training.epoch_losses import EpochLosses, SummedLosses, diverged, refuse_infinite
from sklearn_mmoe._training.gates import usage_imbalance, usage_in_batch
from sklearn_mmoe._training.losses import TaskLosses
from sklearn_mmoe._training.net_parts import NetParts
from sklearn_mmoe._training.progress import EpochBar, shown_by
from sklearn_mmoe._training.state import States, Training
from sklearn_mmoe._training.stopping import SCHEDULES, Patience, Schedule, Scorer, checked_score, watched_loss
from sklearn_mmoe.nn._mmoe import MMoE
from sklearn_mmoe.nn._rows import CodedRows, SparseRows, apply_to
from sklearn_mmoe.tasks._answers import averaged
from sklearn_mmoe.tasks._encoding import output_slices
from sklearn_mmoe.weighting._schemes import FixedWeights

OWN_CALLBACKS = ("epoch_bar", "print_log")  # may be spoken of whether `verbose` asks for them or not
READ_BATCHES = (Checkpoint, TrainEndCheckpoint, PassthroughScoring)  # in the history, without listening to them
BATCH_EVENTS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class MMoENet(NetParts):
    """A skorch net for several tasks, fed whole batches.

    Parameters
    ----------
    task_names : sequence of str
    dtype : torch.dtype
        Type of the parameters.
    precision : {"full", "bf16"}
        What training computes outputs in: the type of the parameters, or, by autocast, bfloat16 where that is safe.
    weighting : class of a `Weighting`, which makes one loss of the task losses
    monitor : sequence of float, default=None
        Share of each task's loss in the one that is watched. None: all count the same, or a scorer is asked.
    gate_balance : float
        Weight in the loss of how unequally the gates use the experts.
    n_iter_no_change, tol : int, float
        Patience ends when the watched loss has not improved by `tol` for more than this many epochs.
    learning_rate_schedule : {"wsd", "cosine", "constant"}
        How the learning rate goes, and what follows when patience ends: `SCHEDULES`.
    keep_gradients : bool
        Whether the optimizer updates parameters with sparse gradients as it does all others: these gradients are then
        added to dense ones that are kept from step to step. If not, a SparseAdam updates what a batch touches of them.
    restore_best : bool
        Whether to watch the validation part, not the training, and to end with the weights of the best epoch.
    """

    group_: Group = ALONE  # another one only while ranks train together

    def __init__(
        self,
        module: Any = MMoE,
        *,
        task_names: tuple[str, ...],
        dtype: torch.dtype = torch.float32,
        precision: str = "full",
        criterion: Any = TaskLosses,
        weighting: Any = FixedWeights,
        monitor: Sequence[float] | None = None,
        gate_balance: float = 0.0,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        learning_rate_schedule: str = "constant",
        keep_gradients: bool = False,
        restore_best: bool = False,
        **kwargs: Any,
    ) -> None:
        self.task_names = task_names
        self.dtype = dtype
        self.precision = precision
        self.weighting = weighting
        self.monitor = monitor
        self.gate_balance = gate_balance
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.learning_rate_schedule = learning_rate_schedule
        self.keep_gradients = keep_gradients
        self.restore_best = restore_best
        super().__init__(module, criterion, **kwargs)

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer()), *shown_by(self.verbose)]

    # ----------------------------------------------------------------------------------------------------------------
    # Training

    def partial_fit(
        self,
        X: Any,
        y: Any = None,
        classes: Any = None,
        *,
        dataset_valid: Any = None,
        epochs: int | None = None,
        scorer: Scorer | None = None,
        group: Group = ALONE,
        states: States | None = None,
        **fit_params: Any,
    ) -> MMoENet:
        """Train for `epochs` more epochs, `max_epochs` if None. A KeyboardInterrupt leaves at once.

        With `scorer`, its score of every epoch is watched in place of the validation loss. The ranks of a `group` do
        all of this together, each on rows of its own: losses and gradients are those of the rows of all. With `states`,
        training goes on from the one found there, and its own are kept there.

        Callbacks find in `told_epochs_` whether `epochs` was given; one that sets `stopping_` makes the epoch the last
        one. In the end, `kept_epochs_` says of which epoch the weights of each member are.
        """
        if not self.initialized_:
            self.initialize()
        self.told_epochs_, self.stopping_, self.group_ = epochs is not None, False, group
        epochs_before = len(self.history)
        listening = [callback for _, callback in self.callbacks_]
        self.listeners_ = {
            event: [c for c in listening if getattr(type(c), event) is not getattr(Callback, event)]
            for event in BATCH_EVENTS
        }
        self.recording_ = bool(self.listeners_["on_batch_begin"] or self.listeners_["on_batch_end"]) or any(
            isinstance(callback, READ_BATCHES) for callback in listening
        )
        try:
            training = Training(self, self._schedule(X, y, epochs))
            self.notify("on_train_begin", X=X, y=y)
            training.epochs_before = len(self.history)  # LoadInitState brings those of a checkpoint
            if states is not None:
                states.check(training.state())
                if states.found is not None:
                    training.resume(states.found)
            self.fit_loop(X, y, epochs, dataset_valid=dataset_valid, scorer=scorer, training=training, states=states)
            self._set_training(False)
            self._check_outputs(self.get_dataset(X, y))
            self.notify("on_train_end", X=X, y=y)
            self._forget_batches()
            # What could tell the ranks apart: seconds, what callbacks have noted, statistics of a module of the user's
            self.history_[epochs_before:] = group.first(self.history[epochs_before:])
            group.send(self.tensors())
        finally:
            self.group_ = ALONE
            for callback in listening:
                if isinstance(callback, EpochBar):
                    callback.close()
        return self

    def _schedule(self, X: Any, y: Any, epochs: int | None) -> Schedule:
        """How the learning rate goes: constant where there are so and so many epochs more."""
        kind = self.learning_rate_schedule if epochs is None else "constant"
        n_steps = len(self._batches(self.get_dataset(X, y), training=True))
        patience = Patience(self.n_iter_no_change, self.tol)
        self._begin_schedules(kind)
        return SCHEDULES[kind](patience, self.max_epochs if epochs is None else epochs, n_steps)

    def fit_loop(
        self,
        X: Any,
        y: Any = None,
        epochs: int | None = None,
        *,
        dataset_valid: Any = None,
        scorer: Scorer | None = None,
        training: Training,
        states: States | None = None,
        **fit_params: Any,
    ) -> MMoENet:
        dataset_train = self.get_dataset(X, y)
        train = self._batches(dataset_train, training=True)
        valid = None if dataset_valid is None else self._batches(dataset_valid, training=False)
        datasets = {"dataset_train": dataset_train, "dataset_valid": dataset_valid}
        schedule = self.schedule_ = training.schedule
        for _ in range(training.n_epochs, self.max_epochs if epochs is None else epochs):
            self._forget_batches()
            self.notify("on_epoch_begin", **datasets)
            watched = self.run_single_epoch(train, True, "train", self.train_step)
            if valid is not None:
                valid_losses = self.run_single_epoch(valid, False, "valid", self.validation_step)
                valid_losses = valid_losses if scorer is None else [-scorer()]
                self.history.record("valid_score", checked_score(-sum(valid_losses) / len(valid_losses)))
                watched = valid_losses if self.restore_best else watched
            improved = schedule.patience.update(watched)
            if self.restore_best:
                self.history.record("valid_loss_best", bool(improved.any()))
                training.best = self._best_state(training.best, improved)
            stopped = any(self.group_.gather(self._end_epoch(datasets)))
            if schedule.ends() or stopped:
                break
            if schedule.restarts and training.best is not None:
                self._load_state(training.best)
            if states is not None:
                states.keep(training.state, len(self.history))
        self._set_rates(1.0)
        self.kept_epochs_ = np.array([len(self.history)])
        if training.best is not None:
            self._load_state(training.best)
            self.kept_epochs_ = training.epochs_before + schedule.patience.best_epochs
        return self

    def _batches(self, dataset: Any, training: bool) -> Any:
        batches = self.get_iterator(dataset, training=training)
        return batches if self.group_.size == 1 else PaddedBatches(batches, self.group_)

    def run_single_epoch(
        self,
        iterator: RowBatches | PaddedBatches,
        training: bool,
        prefix: str,
        step_fn: Callable[..., dict[str, Any]],
        **fit_params: Any,
    ) -> list[float]:
        """Run all batches, record the mean losses of the epoch, and return the watched one of each member.

        The device is synchronised once.
        """
        self._set_training(training)
        losses = EpochLosses()
        for batch in iterator:
            n_rows = len(batch[0])
            if self.recording_:
                self.history.new_batch()
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            losses.add(step["task_losses"], step["task_weight"], n_rows)
            if self.recording_:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", n_rows)
            self.notify("on_batch_end", batch=batch, training=training, **step)
        return self._record_losses(prefix, losses.summed_up())

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        self._set_rates(self.schedule_.next_share())
        step: dict[str, Any] = super().train_step(batch, **fit_params)
        return step

    def train_step_single(self, batch: tuple[Tensor, Tensor], **fit_params: Any) -> dict[str, Any]:
        step = self._losses(batch)
        losses, weight = _over_members(step["task_losses"], step["task_weight"])
        loss, n_members = step["loss"], step["task_losses"].numel() // len(losses)
        if n_members > 1:  # each takes the step that it would take alone
            loss, losses = loss * n_members, losses * n_members
        self.weighting_.backward(loss, losses, weight, self.module_, self.group_)
        self.group_.sum_gradients(self.criterion_.parameters())
        return {**step, "task_losses": step["task_losses"].detach()}

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        with self._autocast():
            more_than_a_tensor = isinstance(x, CodedRows | SparseRows)
            outputs: Tensor = apply_to(self.module_, x) if more_than_a_tensor else super().infer(x, **fit_params)
        return outputs.to(self.dtype)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "full":
            return nullcontext()
        # A step uses each weight once: a cache would save nothing, and would outlive the step within another autocast
        return torch.autocast(torch.device(self.device).type, torch.bfloat16, cache_enabled=False)

    def _outputs_and_gates(self, x: Any) -> tuple[Tensor, Tensor]:
        with self._autocast():
            outputs, gates = apply_to(self.module_.outputs_and_gates, x)
        return outputs.to(self.dtype), gates.to(self.dtype)

    def evaluation_step(self, batch: Any, training: bool = False) -> Tensor:
        """The raw outputs of a batch, of an ensemble those that stand for its mean answer."""
        return averaged(self._tasks, super().evaluation_step(batch, training))

    def validation_step(self, batch: tuple[Tensor, Tensor], **fit_params: Any) -> dict[str, Any]:
        with torch.no_grad():
            return self._losses(batch)

    def get_loss(self, y_pred: Tensor, y_true: Tensor, X: Any = None, training: bool = False) -> Tensor:
        """The weighted mean of the task losses of a batch."""
        return self.weighting_(*_over_members(*self.criterion_(y_pred, y_true)))

    def _losses(self, batch: tuple[Tensor, Tensor]) -> dict[str, Any]:
        X, targets = batch
        training = torch.is_grad_enabled()
        balancing = self.gate_balance > 0 and training
        outputs, gates = self._outputs_and_gates(X) if balancing else (self.infer(X), None)
        usage = None
        if gates is not None:
            usage = usage_in_batch(gates, n_members=len(outputs) if outputs.dim() == 3 else 1)
            n_rows = torch.full_like(usage, 0 if isinstance(batch, Padding) else len(gates))
            usage, _ = self.group_.weighted_mean(usage, n_rows)
        losses, weight = self.group_.weighted_mean(*self.criterion_(outputs, targets), before_gradients=training)
        loss = self.weighting_(*_over_members(losses, weight))
        if usage is not None:
            loss = loss + self.gate_balance * usage_imbalance(usage)
        return {"loss": loss, "y_pred": outputs, "task_losses": losses, "task_weight": weight}

    def _record_losses(self, prefix: str, losses: SummedLosses) -> list[float]:
        """Record the mean loss of each task and the one loss they become, and return the watched one of each member.

        In training that is the loss that is minimised; in validation it is the plain mean over the tasks that have
        labels there. What is watched, and returned, is never weighted by `task_weights`: a scheme that chooses its own
        weights would grade itself.
        """
        means = losses.by_task()
        by_task = means.tolist()
        refuse_infinite(by_task, self.task_names, epoch=self.history[-1]["epoch"], validation=prefix == "valid")
        labelled = losses.labelled.any(dim=0).tolist()
        equal = [1.0] * len(by_task)
        if prefix == "train":
            total = self.weighting_(means, losses.weight.sum(dim=0)).item()
            in_force = self.weighting_.end_epoch(means).tolist()
            self.history.record("task_weights", dict(zip(self.task_names, in_force, strict=True)))
        else:
            total = watched_loss(by_task, labelled, equal)
        self.history.record(f"{prefix}_loss", total)
        self.history.record(
            f"{prefix}_losses",
            {n: m if has else float("nan") for n, m, has in zip(self.task_names, by_task, labelled, strict=True)},
        )
        return losses.watched(equal if self.monitor is None else self.monitor)

    def _end_epoch(self, datasets: dict[str, Any]) -> bool:
        """Tell the callbacks that the epoch is over; whether one of them asks to stop.

        skorch's EarlyStopping does so by a KeyboardInterrupt, as a user does; who has raised it, with its patience
        exhausted, tells the two apart.
        """
        try:
            self.notify("on_epoch_end", **datasets)
        except KeyboardInterrupt as interrupt:
            *_, (innermost, _) = walk_tb(interrupt.__traceback__)
            source = innermost.f_locals.get("self")
            if not (isinstance(source, EarlyStopping) and source.misses_ == source.patience):
                raise
            return True
        return self.stopping_

    def _forget_batches(self) -> None:
        """Keep those of no epoch in the history: they are there for callbacks, until the next epoch or the end."""
        if self.history:
            self.history[-1]["batches"] = []

    def _check_outputs(self, dataset: Any) -> None:
        """What the last step did to the weights shows in no loss any more: look at the outputs of some rows."""
        X, _ = next(iter(RowBatches(dataset, self.batch_size)))
        with torch.no_grad():
            outputs = self.infer(X)
        finite = torch.isfinite(outputs.reshape(-1, outputs.shape[-1])).all(dim=0)
        for name, own in zip(self.task_names, output_slices(self._tasks), strict=True):
            if not finite[own].all():
                what = f"outputs of task {name!r} are not finite after epoch {len(self.history)}"
                raise diverged(what)

    # ----------------------------------------------------------------------------------------------------------------
    # Callbacks

    def initialize_callbacks(self) -> MMoENet:
        super().initialize_callbacks()
        names = [name for name, _ in self._uniquely_named_callbacks()]  # also of those that are set to None
        for key in self.get_params_for("callbacks"):
            if key.partition("__")[0] not in [*names, *OWN_CALLBACKS]:
                raise ValueError(f"callbacks__{key} names a callback that is not there; there are {names}.")
        return self

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        if method_name not in BATCH_EVENTS:
            super().notify(method_name, **cb_kwargs)
            return
        for callback in self.listeners_[method_name]:
            getattr(callback, method_name)(self, **cb_kwargs)


def _over_members(losses: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Mean loss and whole weight of each task, of shape (n_tasks,)."""
    if losses.dim() == 1:
        return losses, weight
    return losses.mean(dim=0), None if weight is None else weight.sum(dim=0)
