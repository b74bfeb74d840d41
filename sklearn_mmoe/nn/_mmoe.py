"""The network: experts, gates and towers as one torch module.

Nothing here loops over experts or tasks: a layer of all experts (of all gates, of all towers) is one matmul.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_mmoe._common.arguments import check_flag, check_option, check_share, checked_size, checked_sizes
from sklearn_mmoe._common.words import shown
from sklearn_mmoe.nn._arguments import activation_class, checked_codes
from sklearn_mmoe.nn._embeddings import Embeddings
from sklearn_mmoe.nn._layers import BatchedLinear, Heads
from sklearn_mmoe.nn._level import MOST_LEVELS, Level, Plan, repeated
from sklearn_mmoe.nn._linear_part import LinearPart
from sklearn_mmoe.nn._numbers import LinearEmbeddings, made_numeric_embeddings
from sklearn_mmoe.nn._rows import SparseRows


class MMoE(Level):
    r"""Multi-gate Mixture-of-Experts [1]_, the bare module.

    With experts :math:`f_k`, gates :math:`g_t` and towers :math:`h_t`, task :math:`t` gets

    .. math:: o_t = h_t\Big(\sum_k \mathrm{softmax}(g_t(x))_k \, f_k(x)\Big)

    Parameters
    ----------
    n_features : int
        Number of input features.
    task_outputs : sequence of int
        Output width of each task: 1 for a regression or a binary logit, the number of classes for a multiclass task.
    numeric_embeddings : {"linear", "periodic", "piecewise"}, callable or None, default=None
        What experts and gates read in place of each feature: itself on a common scale, that beside functions of it that
        bend at its quantiles, or that beside functions of cosines of it: `LinearEmbeddings`, `PiecewiseEmbeddings`,
        `PeriodicEmbeddings`. With these, NaN is a missing number. A callable makes a module of its own kind from
        `n_features` and `n_members`. None: the features as they are.
    linear_part : bool, default=False
        Whether outputs are the sum of what the towers give and of a linear function of numbers on a common scale and of
        categories (of columns that have at most 50), which `linear_part.set` takes; it is zero at first, and not
        trained. It needs `numeric_embeddings`.
    n_members : int, default=1
        Number of networks that stand side by side, an ensemble [2]_. Each has embeddings, experts, gates and towers of
        its own and answers for itself; together they are as few matmuls as one. In all parameters the first dimension
        goes from member to member.
    n_experts : int, default=8
        Number of experts of each member. 1 makes it a shared-bottom network.
    n_task_experts : int, default=0
        Number of experts of each member that a single task has for itself, beside the shared ones: Customized Gate
        Control [3]_. A gate goes over the shared experts and its own.
    n_levels : int, default=1
        Number of levels of experts and gates, one behind the other, up to 100: with `n_task_experts`, Progressive
        Layered Extraction [3]_. What the gate of a task lets through is read by that task's experts and gate of the
        next level, what a gate over all experts lets through by the shared ones.
    expert_layer_sizes : sequence of int, default=(64, 64)
        Units of each expert's layers; at least one layer.
    gate_layer_sizes : sequence of int, default=()
        Hidden units of each gate before its softmax. Empty: one linear layer, as in the paper.
    tower_layer_sizes : sequence of int, default=(32,)
        Hidden units of each task's tower. Empty: one linear layer.
    gating : {"per_task", "shared"}, default="per_task"
        One gate per task (MMoE), or one gate for all tasks (OMoE).
    activation : {"relu", "silu", "gelu", "tanh"} or torch.nn.Module class, default="relu"
        Activation of the hidden layers.
    dropout : float in [0, 1), default=0.0
        Probability with which a hidden unit is dropped in training.
    gate_dropout : float in [0, 1), default=0.0
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
    .. [2] Lakshminarayanan, B., Pritzel, A., & Blundell, C. (2017). Simple and Scalable Predictive Uncertainty
       Estimation using Deep Ensembles. NeurIPS.
    .. [3] Tang, H., Liu, J., Zhao, M., & Gong, X. (2020). Progressive Layered Extraction (PLE): A Novel Multi-Task
       Learning (MTL) Model for Personalized Recommendations. RecSys.

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

    An ensemble of five, each with four experts:

    >>> MMoE(128, [1, 1, 1], n_experts=4, n_members=5)(torch.randn(32, 128)).shape
    torch.Size([5, 32, 3])
    """

    levels: Any  # torch.nn.ModuleList of Level, those after the first one, or None

    def __init__(
        self,
        n_features: int,
        task_outputs: Sequence[int],
        *,
        numeric_embeddings: str | Callable[[int, int], nn.Module] | None = None,
        linear_part: bool = False,
        n_members: int = 1,
        n_experts: int = 8,
        n_task_experts: int = 0,
        n_levels: int = 1,
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
        task_outputs = checked_sizes(task_outputs, "task_outputs", n_at_least=1)
        n_experts, n_members = checked_size(n_experts, "n_experts"), checked_size(n_members, "n_members")
        n_task_experts = checked_size(n_task_experts, "n_task_experts", at_least=0)
        n_levels = checked_size(n_levels, "n_levels", at_most=MOST_LEVELS)
        expert_layer_sizes = checked_sizes(expert_layer_sizes, "expert_layer_sizes", n_at_least=1)
        gate_layer_sizes = checked_sizes(gate_layer_sizes, "gate_layer_sizes")
        tower_layer_sizes = checked_sizes(tower_layer_sizes, "tower_layer_sizes")
        n_categories = checked_sizes(n_categories, "n_categories", at_least=0)
        n_features = checked_size(n_features, "n_features", at_least=0 if n_categories else 1)
        check_option(gating, "gating", ("per_task", "shared"))
        for name, is_asked in (("n_task_experts", n_task_experts > 0), ("n_levels", n_levels > 1)):
            if is_asked and gating == "shared":
                raise ValueError(f"{name} is for gates of single tasks: set gating='per_task', or leave {name} out.")
        check_share(dropout, "dropout")
        check_share(gate_dropout, "gate_dropout")
        check_flag(final_expert_activation, "final_expert_activation")
        check_flag(linear_part, "linear_part")
        check_flag(sparse_gradients, "sparse_gradients")
        activation = activation_class(activation)

        self._n_features = n_features
        self.numeric_embeddings = made_numeric_embeddings(numeric_embeddings, n_features, n_members)
        self.linear_part = None
        if linear_part:
            if n_features and not isinstance(self.numeric_embeddings, LinearEmbeddings):
                raise ValueError(
                    "linear_part needs numbers on a common scale: set numeric_embeddings to 'linear', 'periodic' or "
                    f"'piecewise', got {shown(numeric_embeddings)}."
                )
            self.linear_part = LinearPart(self._n_features, n_categories, n_members, sum(task_outputs))
        if self.numeric_embeddings is not None:
            n_features *= self.numeric_embeddings.width
        self.embeddings = Embeddings(n_categories, n_members) if n_categories else None
        if self.embeddings is not None:
            n_features += self.embeddings.width
        plan = Plan(
            n_members,
            len(task_outputs),
            len(task_outputs) if gating == "per_task" else 1,
            n_experts,
            n_task_experts,
            tuple(expert_layer_sizes),
            tuple(gate_layer_sizes),
            lambda: [activation(), nn.Dropout(dropout)] if dropout else [activation()],
            final_expert_activation,
            gate_dropout,
        )
        # A gate that reads several numbers of each feature learns as fast as of one: in as many steps as tell which
        # expert is good, and not which one moved first
        gate_scale = 1.0 if self.numeric_embeddings is None else 1 / self.numeric_embeddings.width
        self._build(plan, n_features, goes_on=n_levels > 1, sparse=sparse_gradients, gate_scale=gate_scale)
        further = [Level()._build(plan, expert_layer_sizes[-1], goes_on=n < n_levels) for n in range(2, n_levels + 1)]
        self.levels = nn.ModuleList(further) if further else None

        tower_sizes = [expert_layer_sizes[-1], *tower_layer_sizes]
        self.tower_layers = nn.Sequential()
        for n_in, n_out in pairwise(tower_sizes):
            self.tower_layers.append(BatchedLinear(n_members * self.n_tasks, n_in, n_out)).extend(plan.hidden())
        self.heads = Heads(tower_sizes[-1], [*task_outputs] * n_members)

    def forward(self, x: Tensor | SparseRows, codes: Tensor | None = None) -> Tensor:
        """Raw outputs of all tasks, side by side.

        Parameters
        ----------
        x : Tensor or SparseRows of shape (n_rows, n_features)
            Features.
        codes : Tensor of int64, of shape (n_rows, len(n_categories)), default=None
            Codes of the categories; needed if, and only if, there are categorical columns. None may be greater than the
            number of categories of its column: to look for that would be to wait for a GPU.

        Returns
        -------
        Tensor of shape (n_rows, sum(task_outputs)), with several members (n_members, n_rows, sum(task_outputs))
            Logits for classifications, plain values for regressions.

        Examples
        --------
        >>> import torch
        >>> from sklearn_mmoe.nn import MMoE
        >>> module = MMoE(8, [1, 3])  # a regression and three classes
        >>> regression, logits = module(torch.randn(32, 8)).split([1, 3], dim=1)
        >>> regression.shape, logits.shape
        (torch.Size([32, 1]), torch.Size([32, 3]))
        """
        return self.outputs_and_gates(x, codes)[0]

    def outputs_and_gates(self, x: Tensor | SparseRows, codes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raw outputs of all tasks, and the weights of the gates, from one pass.

        Parameters
        ----------
        x : Tensor or SparseRows of shape (n_rows, n_features)
            Features.
        codes : Tensor of int64, of shape (n_rows, len(n_categories)), default=None
            Codes of the categories; needed if, and only if, there are categorical columns. None may be greater than the
            number of categories of its column: to look for that would be to wait for a GPU.

        Returns
        -------
        outputs : Tensor of shape (n_rows, sum(task_outputs)), or (n_members, n_rows, sum(task_outputs))
            As `forward` gives them.
        gates : Tensor of shape (n_rows, n_members * n_gates, n_experts)
            Weights of each gate, summing to 1 over the experts of its member; one gate per task, or one for all.

        Examples
        --------
        >>> import torch
        >>> from sklearn_mmoe.nn import MMoE
        >>> outputs, gates = MMoE(8, [1, 3], n_experts=4).outputs_and_gates(torch.randn(32, 8))
        >>> outputs.shape, gates.shape
        (torch.Size([32, 4]), torch.Size([32, 2, 4]))
        """
        given, x = x, self._inputs(x, codes)
        mixed, gates = self._mixed_and_gates(x)
        outputs = self.heads(self.tower_layers(repeated(mixed, self.n_tasks // self.n_gates)))
        if self.n_members > 1:
            outputs = outputs.view(outputs.shape[0], self.n_members, outputs.shape[1] // self.n_members).transpose(0, 1)
        if self.linear_part is not None:
            linear = self.linear_part(given, codes, self.numeric_embeddings)
            outputs = outputs + (linear if self.n_members > 1 else linear[0])
        return outputs, gates

    def gate_weights(self, x: Tensor | SparseRows, codes: Tensor | None = None) -> Tensor:
        """Weight that each task gives to each expert, row by row.

        Parameters
        ----------
        x : Tensor or SparseRows of shape (n_rows, n_features)
            Features.
        codes : Tensor of int64, of shape (n_rows, len(n_categories)), default=None
            Codes of the categories; needed if, and only if, there are categorical columns. None may be greater than the
            number of categories of its column: to look for that would be to wait for a GPU.

        Returns
        -------
        Tensor of shape (n_rows, n_tasks, n_members * n_experts)
            Non-negative, summing to 1 over the experts, of which the first n_experts are those of the first member;
            with `n_task_experts`, those of each task stand behind them.

        Examples
        --------
        >>> import torch
        >>> from sklearn_mmoe.nn import MMoE
        >>> MMoE(8, [1, 3], n_experts=4).gate_weights(torch.randn(32, 8)).shape
        torch.Size([32, 2, 4])
        """
        x = self._inputs(x, codes)
        gates = self._first_gates(x) if self.levels is None else self._mixed_and_gates(x)[1]
        return (self if self.levels is None else self.levels[-1])._gates_over_all(gates)

    def shared_parameters(self) -> list[nn.Parameter]:
        """The parameters that all tasks share: of experts, embeddings, and the gate where there is one for all.

        Tables with sparse gradients are not among them, as these gradients cannot be told apart by task.

        Returns
        -------
        list of torch.nn.Parameter
            In the order of the layers.

        Examples
        --------
        >>> from sklearn_mmoe.nn import MMoE
        >>> [tuple(weights.shape) for weights in MMoE(8, [1, 3], n_experts=4).shared_parameters()]
        [(4, 8, 64), (4, 1, 64), (4, 64, 64), (4, 1, 64)]
        """
        tables = [part for part in self.modules() if isinstance(part, nn.Embedding) and not part.sparse]
        levels: list[Level] = [self, *(self.levels or ())]
        shared: list[nn.Module] = [*(level.expert_layers for level in levels), *tables]
        if self.n_gates < self.n_tasks:
            shared += [self.gate_input_layer, self.gate_layers]
        for level in levels[:-1]:
            shared += [level.shared_gate_input_layer, level.shared_gate_layers]
        return [parameter for part in shared for parameter in part.parameters()]

    def _mixed_and_gates(self, x: Tensor | SparseRows) -> tuple[Tensor, Tensor]:
        """What the towers read, and the weights of the gates that let it through, from what `_inputs` gives."""
        gates = self._first_gates(x)
        mixed, shared = self._mixed(x, x, gates)
        for level in self.levels or ():
            gates = level._gates(mixed)
            mixed, shared = level._mixed(shared, mixed, gates)
        return mixed, gates

    def _first_gates(self, x: Tensor | SparseRows) -> Tensor:
        try:
            return self._gates(x)
        except RuntimeError:
            self._check_type(x)  # in words of x, where torch has those of matrices; it costs nothing while all is well
            raise

    def _inputs(self, x: Tensor | SparseRows, codes: Tensor | None) -> Tensor | SparseRows:
        """What experts and gates read: the features, and the embeddings beside them, each member's own."""
        self._check_shape(x)
        if (codes is None) != (self.embeddings is None):
            given = "codes of categories are given, but the module has" if codes is not None else "no codes for"
            raise ValueError(f"{given} {'no' if codes is not None else 'its'} categorical columns (n_categories).")
        if isinstance(x, SparseRows):
            if self.numeric_embeddings is None:
                return x
            x = x.to_dense()
        if self.numeric_embeddings is None and self.embeddings is None:
            return x
        self._check_type(x)
        parts = [x if self.numeric_embeddings is None else self.numeric_embeddings(x)]
        if self.embeddings is not None:
            try:
                parts.append(self.embeddings(checked_codes(codes, x.shape[0], self.embeddings.n_columns)))
            except IndexError as error:
                raise ValueError("codes must be 0, or from 1 to the n_categories of their column.") from error
        if self.n_members > 1:
            parts = [part.expand(self.n_members, -1, -1) for part in parts]
        else:
            parts = [part.flatten(0, -2) for part in parts]
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]

    def _check_shape(self, x: Any) -> None:
        if not isinstance(x, Tensor | SparseRows) or (isinstance(x, Tensor) and x.is_nested):
            raise TypeError(f"x must be a tensor of shape (n_rows, {self._n_features}), got {shown(x)}.")
        if len(x.shape) != 2 or x.shape[1] != self._n_features:
            raise ValueError(f"x must be of shape (n_rows, {self._n_features}), got x of shape {tuple(x.shape)}.")
        if isinstance(x, Tensor) and x.layout is not torch.strided:
            raise ValueError(f"x must be a dense tensor or SparseRows, got a tensor of layout {x.layout}.")

    def _check_type(self, x: Tensor | SparseRows) -> None:
        values, weight = x.values if isinstance(x, SparseRows) else x, self.gate_input_layer.weight
        if values.device != weight.device:
            raise ValueError(f"x is on {values.device} and the module on {weight.device}: move one of them by to().")
        if values.dtype != weight.dtype and not torch.is_autocast_enabled(weight.device.type):
            raise ValueError(f"x is of {values.dtype} and the module of {weight.dtype}: change one of them by to().")
