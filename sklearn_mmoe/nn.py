"""The network: experts, gates and towers as one torch module.

Nothing here loops over experts or tasks: a layer of all experts (of all gates, of all towers) is one matmul.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from sklearn_mmoe._embeddings import Embeddings
from sklearn_mmoe._rows import SparseRows
from sklearn_mmoe._sparse import sparse_linear, sparse_product

__all__ = ["MMoE"]

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "tanh": nn.Tanh}


class MMoE(nn.Module):
    r"""Multi-gate Mixture-of-Experts [1]_, the bare module.

    With experts :math:`f_k`, gates :math:`g_t` and towers :math:`h_t`, task :math:`t` gets

    .. math:: o_t = h_t\Big(\sum_k \mathrm{softmax}(g_t(x))_k \, f_k(x)\Big)

    Parameters
    ----------
    n_features : int
        Number of input features.
    task_outputs : sequence of int
        Output width of each task: 1 for a regression or a binary logit, the number of classes for a multiclass task.
    n_experts : int, default=8
        Number of experts. One expert makes the network a shared-bottom network.
    expert_layer_sizes : sequence of int, default=(64, 64)
        Units of each expert's layers; at least one layer.
    gate_layer_sizes : sequence of int, default=()
        Hidden units of each gate before its softmax. Empty: one linear layer, as in the paper.
    tower_layer_sizes : sequence of int, default=(32,)
        Hidden units of each tower. Empty: one linear layer.
    gating : {"per_task", "shared"}, default="per_task"
        One gate per task (MMoE), or one gate for all tasks (OMoE).
    activation : {"relu", "silu", "gelu", "tanh"} or a torch.nn.Module class, default="relu"
        Activation of all hidden layers.
    dropout : float, default=0.0
        Probability with which a hidden unit is dropped in training.
    gate_dropout : float, default=0.0
        Probability with which a whole expert is dropped for a row in training. The weights of the experts that are
        left are renormalised; a row that would lose all its experts keeps them all.
    final_expert_activation : bool, default=True
        Whether the last layer of each expert is followed by the activation, too.
    n_categories : sequence of int, default=()
        Number of categories of each categorical column, for `forward(x, codes)`. Each column gets an embedding that
        is ``min(50, round(1.6 * n_categories ** 0.56))`` wide, read by experts and gates beside the features. Code 0
        is a missing or unknown category, 1 to n are the n categories. Tables of equally wide columns are held as one,
        with sparse gradients where it has more than 30,000 rows: give these to `torch.optim.SparseAdam`.
    sparse_gradients : bool, default=False
        Whether the weights of the first layers have sparse gradients where x is sparse: give these to
        `torch.optim.SparseAdam`, too.

    Attributes
    ----------
    n_tasks : int
        Number of tasks.

    References
    ----------
    .. [1] Ma, J., Zhao, Z., Yi, X., Chen, J., Hong, L., & Chi, E. H. (2018). Modeling Task Relationships in
       Multi-task Learning with Multi-gate Mixture-of-Experts. KDD.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mmoe.nn import MMoE
    >>> module = MMoE(128, [1, 1, 1], n_experts=4, final_expert_activation=False)
    >>> module(torch.randn(32, 128)).shape
    torch.Size([32, 3])
    >>> module.gate_weights(torch.randn(32, 128)).shape
    torch.Size([32, 3, 4])

    Two numbers beside two categorical columns, of 12 and of 300 categories:

    >>> module = MMoE(2, [1, 1], n_categories=[12, 300])
    >>> module(torch.randn(32, 2), torch.randint(0, 13, (32, 2))).shape
    torch.Size([32, 2])
    """

    def __init__(
        self,
        n_features: int,
        task_outputs: Sequence[int],
        *,
        n_experts: int = 8,
        expert_layer_sizes: Sequence[int] = (64, 64),
        gate_layer_sizes: Sequence[int] = (),
        tower_layer_sizes: Sequence[int] = (32,),
        gating: str = "per_task",
        activation: str | Callable[[], nn.Module] = "relu",
        dropout: float = 0.0,
        gate_dropout: float = 0.0,
        final_expert_activation: bool = True,
        n_categories: Sequence[int] = (),
        sparse_gradients: bool = False,
    ) -> None:
        super().__init__()
        self.embeddings = Embeddings(n_categories) if len(n_categories) else None
        if self.embeddings is not None:
            n_features += self.embeddings.width
        _check_sizes(n_features, task_outputs, n_experts, expert_layer_sizes, gate_layer_sizes, tower_layer_sizes)
        if gating not in ("per_task", "shared"):
            raise ValueError(f"gating must be 'per_task' or 'shared', got {gating!r}.")
        if isinstance(activation, str):
            if activation not in ACTIVATIONS:
                raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)} or a class, got {activation!r}.")
            activation = ACTIVATIONS[activation]
        if not 0.0 <= gate_dropout < 1.0:
            raise ValueError(f"gate_dropout must be in [0, 1), got {gate_dropout!r}.")

        self.n_experts = n_experts
        self.n_tasks = len(task_outputs)
        self.n_gates = self.n_tasks if gating == "per_task" else 1
        self.gate_dropout = gate_dropout

        def hidden() -> list[nn.Module]:
            return [activation(), nn.Dropout(dropout)] if dropout else [activation()]

        self.expert_layers = nn.Sequential()
        for n_in, n_out in pairwise((n_features, *expert_layer_sizes)):
            sparse = sparse_gradients and not len(self.expert_layers)  # the deeper layers read dense rows
            self.expert_layers.append(_BatchedLinear(n_experts, n_in, n_out, sparse)).extend(hidden())
        if not final_expert_activation:
            del self.expert_layers[-len(hidden())]  # the last activation; a dropout after it stays

        gate_sizes = [*gate_layer_sizes, n_experts]
        self.gate_input_layer = _Linear(n_features, self.n_gates * gate_sizes[0])
        self.gate_input_layer.sparse = sparse_gradients
        self.gate_layers = nn.Sequential()
        for n_in, n_out in pairwise(gate_sizes):
            self.gate_layers.extend(hidden()).append(_BatchedLinear(self.n_gates, n_in, n_out))

        tower_sizes = [expert_layer_sizes[-1], *tower_layer_sizes]
        self.tower_layers = nn.Sequential()
        for n_in, n_out in pairwise(tower_sizes):
            self.tower_layers.append(_BatchedLinear(self.n_tasks, n_in, n_out)).extend(hidden())
        self.heads = _Heads(tower_sizes[-1], task_outputs)

    def forward(self, x: Tensor | SparseRows, codes: Tensor | None = None) -> Tensor:
        """Raw outputs of all tasks, side by side.

        Parameters
        ----------
        x : Tensor or SparseRows of shape (n_rows, n_features)
        codes : Tensor of int64, of shape (n_rows, len(n_categories)), default=None
            Needed if, and only if, there are categorical columns.

        Returns
        -------
        Tensor of shape (n_rows, sum(task_outputs))
            Logits for classifications, plain values for regressions.
        """
        return self.outputs_and_gates(x, codes)[0]

    def outputs_and_gates(self, x: Tensor | SparseRows, codes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raw outputs of all tasks, and the weights that the gates gave, of shape (n_rows, n_gates, n_experts)."""
        x = self._inputs(x, codes)
        gates = self._gates(x)
        experts = self.expert_layers(x if isinstance(x, SparseRows) else x.expand(self.n_experts, -1, -1))
        mixed = torch.bmm(gates, experts.transpose(0, 1)).transpose(0, 1)  # (n_gates, n_rows, units)
        mixed = mixed.expand(self.n_tasks, -1, -1)
        return self.heads(self.tower_layers(mixed)), gates

    def gate_weights(self, x: Tensor | SparseRows, codes: Tensor | None = None) -> Tensor:
        """Weight that each task gives to each expert, row by row.

        Parameters
        ----------
        x : Tensor or SparseRows of shape (n_rows, n_features)
        codes : Tensor of int64, of shape (n_rows, len(n_categories)), default=None

        Returns
        -------
        Tensor of shape (n_rows, n_tasks, n_experts)
            Non-negative, summing to 1 over the experts.
        """
        return self._gates(self._inputs(x, codes)).expand(-1, self.n_tasks, -1)

    def shared_parameters(self) -> list[nn.Parameter]:
        """The parameters that all tasks share: of experts, embeddings, and the gate where there is one for all.

        Tables with sparse gradients are not among them, as these gradients cannot be told apart by task.
        """
        tables = [part for part in self.modules() if isinstance(part, nn.Embedding) and not part.sparse]
        shared: list[nn.Module] = [self.expert_layers, *tables]
        if self.n_gates < self.n_tasks:
            shared += [self.gate_input_layer, self.gate_layers]
        return [parameter for part in shared for parameter in part.parameters()]

    def _inputs(self, x: Tensor | SparseRows, codes: Tensor | None) -> Tensor | SparseRows:
        """What experts and gates read: the features, and the embeddings beside them."""
        if (codes is None) != (self.embeddings is None):
            given = "codes of categories are given, but the module has" if codes is not None else "no codes for"
            raise ValueError(f"{given} {'no' if codes is not None else 'its'} categorical columns (n_categories).")
        if isinstance(x, SparseRows) or self.embeddings is None:
            return x
        return torch.cat([x, self.embeddings(codes)], dim=1)

    def _gates(self, x: Tensor | SparseRows) -> Tensor:
        """(n_rows, n_features) -> (n_rows, n_gates, n_experts)."""
        logits = self.gate_input_layer(x).view(len(x), self.n_gates, -1)
        if len(self.gate_layers):
            logits = self.gate_layers(logits.transpose(0, 1)).transpose(0, 1)
        if self.training and self.gate_dropout:
            logits = self._drop_experts(logits)
        return torch.softmax(logits, dim=-1)

    def _drop_experts(self, logits: Tensor) -> Tensor:
        """Take whole experts away from single rows; the softmax that follows renormalises what is left."""
        dropped = torch.rand(logits.shape[0], 1, self.n_experts, device=logits.device) < self.gate_dropout
        dropped &= ~dropped.all(dim=-1, keepdim=True)
        return logits.masked_fill(dropped, -math.inf)


class _Linear(nn.Linear):
    """A linear layer that takes sparse rows, too."""

    sparse = False  # whether they give its weight a sparse gradient

    def forward(self, x: Tensor | SparseRows) -> Tensor:
        if isinstance(x, SparseRows):
            return sparse_linear(x, self.weight, self.bias, sparse_gradient=self.sparse)
        return linear(x, self.weight, self.bias)


class _BatchedLinear(nn.Module):
    """`n_layers` independent linear layers in one matmul: (n_layers, n_rows, n_in) -> (n_layers, n_rows, n_out).

    Sparse rows are one input for all layers, and give the weight a sparse gradient if `sparse` says so.
    """

    def __init__(self, n_layers: int, n_in: int, n_out: int, sparse: bool = False) -> None:
        super().__init__()
        self.sparse = sparse
        self.weight = nn.Parameter(torch.empty(n_layers, n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_layers, 1, n_out))
        _initialize_as_linear(self.weight, self.bias, n_in)

    def forward(self, x: Tensor | SparseRows) -> Tensor:
        if isinstance(x, SparseRows):
            return self.bias + sparse_product(x, self.weight, sparse_gradient=self.sparse)
        return torch.baddbmm(self.bias, x, self.weight)

    def extra_repr(self) -> str:
        n_layers, n_in, n_out = self.weight.shape
        return f"{n_layers} x ({n_in} -> {n_out})"


class _Heads(nn.Module):
    """The last linear layer of every tower: (n_tasks, n_rows, n_in) -> (n_rows, sum(widths)).

    The parameters are stored side by side, one row per output. Where the widths differ, they are laid out on a grid as
    wide as the widest task for one batched matmul, and the unused cells are left out of the result.
    """

    slots: Tensor | None

    def __init__(self, n_in: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.n_tasks, self.width = len(widths), max(widths)
        self.weight = nn.Parameter(torch.empty(sum(widths), n_in))
        self.bias = nn.Parameter(torch.empty(sum(widths)))
        _initialize_as_linear(self.weight, self.bias, n_in)
        slots = [task * self.width + i for task, width in enumerate(widths) for i in range(width)]
        self.register_buffer("slots", None if min(widths) == self.width else torch.tensor(slots), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if self.slots is not None:
            cells = self.n_tasks * self.width
            weight = weight.new_zeros(cells, weight.shape[1]).index_copy(0, self.slots, weight)
            bias = bias.new_zeros(cells).index_copy(0, self.slots, bias)
        weight = weight.view(self.n_tasks, self.width, -1).transpose(1, 2)
        out = torch.baddbmm(bias.view(self.n_tasks, 1, self.width), x, weight)
        out = out.transpose(0, 1).flatten(1)
        return out if self.slots is None else out.index_select(1, self.slots)

    def extra_repr(self) -> str:
        return f"{self.n_tasks} tasks: {self.weight.shape[1]} -> {self.weight.shape[0]} outputs"


def _initialize_as_linear(weight: nn.Parameter, bias: nn.Parameter, n_in: int) -> None:
    """Draw what `torch.nn.Linear` would: its `kaiming_uniform_(a=sqrt(5))` is uniform within 1 / sqrt(fan in)."""
    bound = 1 / math.sqrt(n_in)
    nn.init.uniform_(weight, -bound, bound)
    nn.init.uniform_(bias, -bound, bound)


def _check_sizes(
    n_features: int,
    task_outputs: Sequence[int],
    n_experts: int,
    expert_layer_sizes: Sequence[int],
    gate_layer_sizes: Sequence[int],
    tower_layer_sizes: Sequence[int],
) -> None:
    sizes = {
        "n_features": [n_features],
        "task_outputs": task_outputs,
        "n_experts": [n_experts],
        "expert_layer_sizes": expert_layer_sizes,
        "gate_layer_sizes": gate_layer_sizes,
        "tower_layer_sizes": tower_layer_sizes,
    }
    for name, values in sizes.items():
        if any(value < 1 for value in values):
            raise ValueError(f"{name} must hold positive integers only, got {values!r}.")
    for name in ("task_outputs", "expert_layer_sizes"):
        if not len(sizes[name]):
            raise ValueError(f"{name} must not be empty.")
