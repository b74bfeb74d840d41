"""Operators of torch, counted."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Operators(TorchDispatchMode):
    """Counts operators, and notes the largest tensor that one of them made anew."""

    def __init__(self):
        super().__init__()
        self.n = 0
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += 1
        given = {storage.data_ptr() for storage in storages(args)}
        result = func(*args, **(kwargs or {}))
        made = [storage.nbytes() for storage in storages(result) if storage.data_ptr() not in given]
        self.largest = max(self.largest, *made, 0)
        return result


def storages(values):
    """Where the tensors among some values lie, of sparse ones their filled part."""
    tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]
    return [(leaf._values() if leaf.is_sparse else leaf).untyped_storage() for leaf in tensors]


def operators_of_an_epoch(model, X, y):
    """What the third epoch adds to a fit of two, of a few batches."""
    rows, counts = slice(0, 5 * model.batch_size), []
    for epochs in (2, 3):
        with Operators() as operators:
            model.set_params(max_epochs=epochs, early_stopping=False).fit(X[rows], y[rows])
        counts.append(operators.n)
    assert counts[1] > counts[0]
    return counts[1] - counts[0]
