"""Other packages' MMoE, used as their documentation does: functions that give the seconds of one epoch.

Both are told the features column by column. Each also takes all columns as one wide feature, which is the fastest that
it can be made; that is measured, too.
"""

from __future__ import annotations

import contextlib
import io
import time

import numpy as np
from _contenders import EXPERT_SIZES, N_EXPERTS, RATE, TOWER_SIZES, Epoch

BATCH = 256


def deepctr_torch(X: np.ndarray, y: np.ndarray, *, wide: bool) -> Epoch:
    """`MMOE.fit` for one epoch, without its progress bar."""
    with contextlib.redirect_stdout(io.StringIO()):  # it looks for newer versions of itself and says so
        from deepctr_torch.inputs import DenseFeat
        from deepctr_torch.models import MMOE
    names = [f"y{i}" for i in range(y.shape[1])]
    features = {"x": X} if wide else {f"x{i}": X[:, i] for i in range(X.shape[1])}
    model = MMOE(
        [DenseFeat(name, values.shape[1] if wide else 1) for name, values in features.items()],
        num_experts=N_EXPERTS,
        expert_dnn_hidden_units=EXPERT_SIZES,
        gate_dnn_hidden_units=(),
        tower_dnn_hidden_units=TOWER_SIZES,
        task_types=["regression"] * y.shape[1],
        task_names=names,
    )
    model.compile("adam", loss=["mse"] * y.shape[1])

    def epoch() -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            start = time.perf_counter()
            model.fit(dict(features), y, batch_size=BATCH, epochs=1, verbose=0)
            return time.perf_counter() - start

    return epoch


def torch_rechub(X: np.ndarray, y: np.ndarray, *, wide: bool) -> Epoch:
    """`MTLTrainer.train_one_epoch`, its progress bar written to nowhere."""
    from torch_rechub.basic.features import DenseFeature
    from torch_rechub.models.multi_task import MMOE
    from torch_rechub.trainers import MTLTrainer
    from torch_rechub.utils.data import DataGenerator

    tasks = ["regression"] * y.shape[1]
    columns = {"x": X} if wide else {f"x{i}": X[:, i] for i in range(X.shape[1])}
    model = MMOE(
        [DenseFeature(name, X.shape[1] if wide else 1) for name in columns],
        tasks,
        N_EXPERTS,
        expert_params={"dims": list(EXPERT_SIZES)},
        tower_params_list=[{"dims": list(TOWER_SIZES)} for _ in tasks],
    )
    trainer = MTLTrainer(model, tasks, optimizer_params={"lr": RATE}, n_epoch=1)
    few = {name: values[:BATCH] for name, values in columns.items()}
    loader, *_ = DataGenerator(columns, y).generate_dataloader(few, y[:BATCH], few, y[:BATCH], batch_size=BATCH)

    def epoch() -> float:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            start = time.perf_counter()
            trainer.train_one_epoch(loader)
            return time.perf_counter() - start

    return epoch


PEERS = {"deepctr-torch": deepctr_torch, "torch-rechub": torch_rechub}
