"""The network written the textbook way: a list of experts, a list of gates, a list of towers, and loops over them."""

from itertools import pairwise

import torch
from torch import nn

from sklearn_mmoe.nn import MMoE


class TextbookMMoE(nn.Module):
    def __init__(
        self, n_features, task_outputs, n_experts, expert_sizes, gate_sizes, tower_sizes, final_activation=True
    ):
        super().__init__()
        self.experts = nn.ModuleList(_mlp([n_features, *expert_sizes], final_activation) for _ in range(n_experts))
        self.gates = nn.ModuleList(_mlp([n_features, *gate_sizes, n_experts], False) for _ in task_outputs)
        self.towers = nn.ModuleList(_mlp([expert_sizes[-1], *tower_sizes, width], False) for width in task_outputs)

    def forward(self, x):
        experts = [expert(x) for expert in self.experts]
        outputs = []
        for gate, tower in zip(self.gates, self.towers, strict=True):
            weights = torch.softmax(gate(x), dim=1)
            mixed = sum(weights[:, k : k + 1] * experts[k] for k in range(len(experts)))
            outputs.append(tower(mixed))
        return torch.cat(outputs, dim=1)

    def gate_weights(self, x):
        return torch.stack([torch.softmax(gate(x), dim=1) for gate in self.gates], dim=1)


def _mlp(sizes, final_activation):
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*(layers if final_activation else layers[:-1]))


def corresponding_parameters(module: MMoE, textbook: TextbookMMoE):
    """Yield ((tensor of the batched module, function that cuts a part out of it), the same part in the textbook)."""
    experts, gates, towers = (
        [_linears(mlp) for mlp in part] for part in (textbook.experts, textbook.gates, textbook.towers)
    )
    yield from _rows(module.gate_input_layer, [mlp[0] for mlp in gates])
    for batched, first, mlps in (
        (module.expert_layers, 0, experts),
        (module.gate_layers, 1, gates),
        (module.tower_layers, 0, towers),
    ):
        for depth, layer in enumerate(_batched(batched), start=first):
            yield from _pairs(layer, [mlp[depth] for mlp in mlps])
    yield from _rows(module.heads, [mlp[-1] for mlp in towers])


def _rows(layer, linears):
    start = 0
    for linear in linears:
        rows = slice(start, start + linear.out_features)
        yield (layer.weight, lambda p, rows=rows: p[rows]), linear.weight
        yield (layer.bias, lambda p, rows=rows: p[rows]), linear.bias
        start = rows.stop


def _pairs(batched, linears):
    for k, linear in enumerate(linears):
        yield (batched.weight, lambda p, k=k: p[k].T), linear.weight
        yield (batched.bias, lambda p, k=k: p[k, 0]), linear.bias


def _linears(mlp):
    return [layer for layer in mlp if isinstance(layer, nn.Linear)]


def _batched(layers):
    return [layer for layer in layers if hasattr(layer, "weight")]


def copy_weights(module: MMoE, textbook: TextbookMMoE) -> None:
    """Give the batched module the weights of the textbook module."""
    with torch.no_grad():
        for (parameter, part), own in corresponding_parameters(module, textbook):
            part(parameter).copy_(own)
