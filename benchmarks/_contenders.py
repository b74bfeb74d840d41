"""One epoch of training, by us and by what people use instead: functions that give the seconds it took."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import skorch
import torch
from sklearn.neural_network import MLPRegressor
from torch import nn

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.nn import MMoE

Epoch = Callable[[], float]
N_EXPERTS, EXPERT_SIZES, TOWER_SIZES, RATE = 4, (64, 64), (32,), 1e-3


def regression_data(n_rows: int, n_features: int = 128, n_tasks: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(n_rows, n_features)).astype(np.float32),
        rng.normal(size=(n_rows, n_tasks)).astype(np.float32),
    )


class TextbookMMoE(nn.Module):
    """A list of experts, of gates, of towers, and loops over them, as tutorials write it."""

    def __init__(self, n_features: int, n_tasks: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(n_features, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()) for _ in range(N_EXPERTS)
        )
        self.gates = nn.ModuleList(nn.Linear(n_features, N_EXPERTS) for _ in range(n_tasks))
        self.towers = nn.ModuleList(
            nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1)) for _ in range(n_tasks)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        experts = torch.stack([expert(x) for expert in self.experts], dim=1)
        outputs = []
        for gate, tower in zip(self.gates, self.towers, strict=True):
            weights = torch.softmax(gate(x), dim=1)
            outputs.append(tower((weights.unsqueeze(-1) * experts).sum(dim=1)))
        return torch.cat(outputs, dim=1)


def batched_module(X: np.ndarray, y: np.ndarray, **options) -> MMoE:
    sizes = {"n_experts": N_EXPERTS, "expert_layer_sizes": EXPERT_SIZES, "tower_layer_sizes": TOWER_SIZES}
    return MMoE(X.shape[1], [1] * y.shape[1], **{**sizes, **options})


def hand_loop(module: nn.Module, X: np.ndarray, y: np.ndarray, batch_size: int = 256, epochs: int = 1) -> Epoch:
    """The shortest loop that trains: fused AdamW, whole batches, nothing recorded."""
    x, target = torch.from_numpy(X), torch.from_numpy(y)
    optimizer = torch.optim.AdamW(module.parameters(), lr=RATE, fused=True)

    def epoch() -> float:
        start = time.perf_counter()
        for _ in range(epochs):
            order = torch.randperm(len(x))
            for i in range(0, len(x), batch_size):
                rows = order[i : i + batch_size]
                loss = nn.functional.mse_loss(module(x[rows]), target[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return time.perf_counter() - start

    return epoch


def ours(X: np.ndarray, y: np.ndarray, *, sample_weight=None, cls=MMoERegressor, **parameters) -> Epoch:
    """`fit` for one epoch: the seconds of that epoch from the history, data preparation left out."""
    sizes = {"n_experts": N_EXPERTS, "expert_layer_sizes": EXPERT_SIZES, "tower_layer_sizes": TOWER_SIZES}
    fixed = {"n_members": 1, "max_epochs": 1, "early_stopping": False, "random_state": 0}
    model = cls(**{**sizes, **fixed, **parameters})

    def epoch() -> float:
        return model.fit(X, y, sample_weight).history_[-1]["dur"]

    return epoch


def skorch_default(X: np.ndarray, y: np.ndarray) -> Epoch:
    """skorch as its documentation uses it: one module, its own DataLoader, no validation part."""
    net = skorch.NeuralNetRegressor(
        TextbookMMoE(X.shape[1], y.shape[1]),
        optimizer=torch.optim.AdamW,
        lr=RATE,
        batch_size=256,
        max_epochs=1,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )

    def epoch() -> float:
        return net.fit(X, y).history[-1]["dur"]

    return epoch


def mlp_regressor(X: np.ndarray, y: np.ndarray) -> Epoch:
    model = MLPRegressor(hidden_layer_sizes=(256, 64), batch_size=256, random_state=0)

    def epoch() -> float:
        start = time.perf_counter()
        model.partial_fit(X, y)
        return time.perf_counter() - start

    model.partial_fit(X[:256], y[:256])
    return epoch
