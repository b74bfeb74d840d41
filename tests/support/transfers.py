"""What goes to a device and what comes back, counted."""

import numpy as np
import torch
from category_tables import make_frame
from helpers import make_features, make_model, make_targets, with_missing
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
FORMS = {
    "dense": {},
    "categories": {"categorical_features": "from_dtype"},
    "folds": {"n_members": 2, "early_stopping": "auto"},
    "validation part": {"early_stopping": True},
    "balanced gates": {"gate_balance": 0.1},
    "dropout": {"dropout": 0.1, "gate_dropout": 0.1},
    "uncertainty": {"task_weights": "uncertainty"},
    "dwa": {"task_weights": "dwa"},
    "bf16": {"precision": "bf16"},
}


class Transfers(TorchDispatchMode):
    """Notes how many bytes are sent to a kind of device, one copy after the other, and counts what is read from it."""

    def __init__(self, device_type):
        super().__init__()
        self.device_type = device_type
        self.sent = []
        self.n_read = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is aten._local_scalar_dense.default:
            self.n_read += args[0].device.type == self.device_type
        elif func is aten.lift_fresh.default:  # a tensor of Python's numbers
            self._note("python", result.device.type, result)
        elif func is aten._to_copy.default or func.overloadpacket is aten.to:  # the latter in inference mode
            self._note(args[0].device.type, result.device.type, result)
        elif func is aten.copy_.default:
            self._note(args[1].device.type, args[0].device.type, result)
        return result

    def _note(self, source, target, tensor):
        if source != self.device_type == target:
            self.sent.append(tensor.nbytes)
        self.n_read += source == self.device_type != target


def transfers_of_an_epoch(name, batch_size, device="cpu", **parameters):
    """Bytes sent and numbers read, as what the third epoch adds to a fit of two."""
    X, y = make_features(), with_missing(make_targets(name))
    if "categorical_features" in parameters:
        X = make_frame()
    found = []
    for epochs in (2, 3):
        model = make_model(
            name, **{"early_stopping": False, **parameters}, batch_size=batch_size, max_epochs=epochs, device=device
        )
        with Transfers(device) as transfers:
            model.fit(X, y)
        found.append((sum(transfers.sent), transfers.n_read))
    return tuple(np.subtract(found[1], found[0]))


def assert_epoch_is_sent_and_read_as_much_for_few_batches_as_for_many(name, form, device):
    few, many = (transfers_of_an_epoch(name, batch_size, device, **FORMS[form]) for batch_size in (30, 6))
    assert few == many
    assert many[0] < 100  # weights of batches, not rows
    assert 0 < many[1] < 30
