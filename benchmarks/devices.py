"""An epoch on each device that is here, in full precision and in bfloat16, of small networks and of large ones."""

from __future__ import annotations

from statistics import median

import numpy as np
import torch
from _bench import parser, report

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._common.device import available_devices

N_ROWS, N_FEATURES, EPOCHS = 200_000, 100, 3
SIZES = [  # members, hidden units of each expert's two layers, rows of a batch
    (1, 64, 256),
    (4, 64, 256),
    (4, 64, 4096),
    (1, 512, 4096),
    (4, 1024, 8192),
]
PRECISIONS = ("full", "bf16")


def data() -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(0).standard_normal((N_ROWS, N_FEATURES), dtype=np.float32)
    return X, np.column_stack([X[:, 0] + X[:, 1] * X[:, 2], X[:, 3], np.abs(X[:, 4])])


def fitted(device: str, n_members: int, n_units: int, batch_size: int, precision: str) -> MMoERegressor:
    return MMoERegressor(
        n_members=n_members,
        expert_layer_sizes=(n_units, n_units),
        batch_size=batch_size,
        precision=precision,
        max_epochs=EPOCHS,
        early_stopping=False,
        device=device,
        random_state=0,
    ).fit(*data())


def main() -> None:
    parser(__doc__).parse_args()
    kinds = dict.fromkeys(device.partition(":")[0] for device in available_devices())
    rows = []
    for size in SIZES:
        members, units, batch = size
        for device in kinds:
            models = [fitted(device, *size, precision) for precision in PRECISIONS]
            seconds = [f"{median(row['dur'] for row in model.history_):.3f}" for model in models]
            losses = [f"{model.loss_curve_[-1]:.4f}" for model in models]
            rows.append([f"{members}, {units}, {batch:,}", device, *seconds, *losses])
            print(*rows[-1], flush=True)
    name = f", {torch.cuda.get_device_name()}" if "cuda" in kinds else ""
    header = ["members, units, batch", "device", "full, s", "bf16, s", "loss, full", "loss, bf16"]
    report("devices", f"An epoch of {N_ROWS:,} x {N_FEATURES}, 3 tasks{name}", header, rows)


if __name__ == "__main__":
    main()
