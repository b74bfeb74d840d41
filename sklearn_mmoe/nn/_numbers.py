"""What experts and gates read in place of plain numbers: themselves on a common scale, and embeddings of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_mmoe._common.arguments import check_positive, checked_size
from sklearn_mmoe._common.memory import require_room
from sklearn_mmoe._common.words import shown
from sklearn_mmoe.nn._arguments import checked_weight
from sklearn_mmoe.nn._quantiles import bulk, quantile_knots

LARGEST = 10.0  # in standard deviations of the bulk; 5 cuts off what heavy tails tell
FUNCTIONS_AT_ONCE = 2**19  # where no gradient needs them: as many as stay in the caches
BEND = 5.0  # the same of what is read of the number alone, in the limit
GAIN_SPEED = 3.0  # how many times as fast as other weights the gain of a feature is learned


class LinearEmbeddings(nn.Module):
    r"""Numbers on a common scale, each member's own weight for a missing one.

    `learn` finds the scale: a number is centred by the median and scaled by the quartiles (by the standard deviation
    where the quartiles coincide), then clipped at -10 and 10. What is read of such a number :math:`z` is

    .. math:: z / \sqrt{1 + (z / 5)^2}

    so that a few numbers far from all others do not drown the rest of many features. NaN is a missing number: it
    becomes the median, and what is learned of missing numbers of its feature is added.

    Parameters
    ----------
    n_features : int
        Number of input features.
    n_members : int, default=1
        Number of members of an ensemble, each of which gets embeddings of its own.

    Attributes
    ----------
    width : int
        Numbers that each feature becomes.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mmoe.nn import LinearEmbeddings
    >>> numbers = torch.tensor([[1.0, 200.0], [3.0, 100.0], [2.0, float("nan")]])
    >>> embeddings = LinearEmbeddings(2)
    >>> embeddings.learn(numbers)
    >>> embeddings(numbers).shape
    torch.Size([1, 3, 2])
    """

    width = 1
    sizes: tuple[str, ...] = ("n_features", "n_members", "numeric_embeddings")  # the arguments that ask for memory
    center: Tensor
    scale: Tensor

    def __init__(self, n_features: int, n_members: int = 1) -> None:
        super().__init__()
        self.n_features, self.n_members = checked_size(n_features, "n_features"), checked_size(n_members, "n_members")
        require_room((self.n_members, self.n_features, self.width), self.sizes)
        # Of each member, as all that a member has: what is kept of one after its best epoch is a part of each tensor
        shape = (self.n_members, self.n_features)
        self.register_buffer("center", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))
        self.missing = nn.Parameter(torch.zeros(*shape, self.width))

    @torch.no_grad()
    def learn(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Take what is known of the features from some of their rows.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            Features; NaN is a missing one.
        weight : Tensor of shape (n_rows,), default=None
            How often each row counts, of which only ratios matter; None: all the same.

        Examples
        --------
        >>> import torch
        >>> from sklearn_mmoe.nn import PeriodicEmbeddings
        >>> embeddings = PeriodicEmbeddings(2)
        >>> embeddings.learn(torch.tensor([[1.0, 50.0], [2.0, 60.0], [3.0, float("nan")]]))
        >>> embeddings.center
        tensor([[ 2., 55.]])
        """
        self._check(x)
        weight = torch.ones(len(x), device=x.device) if weight is None else checked_weight(weight, len(x)).to(x.device)
        # What adds nothing to a sum beside the others must not widen the range either
        counts = weight > weight.max() * torch.finfo(torch.float64).eps
        x, weight = x[counts], weight[counts]
        center, scale = bulk(x.double(), weight.double())
        self.center.copy_(center)
        range_ = torch.finfo(self.scale.dtype)
        self.scale.copy_(scale.clamp(range_.tiny, range_.max))  # of what fills the range of floats it may be beyond
        # What none of them lacks is a median, should it lack
        self.missing.mul_(torch.isnan(x).any(dim=0).unsqueeze(-1))
        self._learn_more(x, weight)

    def _learn_more(self, x: Tensor, weight: Tensor) -> None:
        """Take from the same rows what the scale alone does not say."""

    def forward(self, x: Tensor) -> Tensor:
        """What becomes of the features.

        Parameters
        ----------
        x : Tensor of shape (n_rows, n_features)
            Features; NaN is a missing one.

        Returns
        -------
        Tensor of shape (n_members, n_rows, n_features * width)
            The numbers of each feature side by side.

        Examples
        --------
        >>> import torch
        >>> from sklearn_mmoe.nn import PeriodicEmbeddings
        >>> PeriodicEmbeddings(2, n_members=3, n_outputs=4)(torch.randn(32, 2)).shape
        torch.Size([3, 32, 10])
        """
        self._check(x)
        missing = torch.isnan(x)
        embedded = self._embedded(on_common_scale(x, self).clamp(-LARGEST, LARGEST))
        embedded = embedded + missing.to(x.dtype).unsqueeze(-1) * self.missing.unsqueeze(1)
        return embedded.flatten(2)

    def _check(self, x: Any) -> None:
        if not isinstance(x, Tensor) or x.layout is not torch.strided or x.is_nested:
            raise TypeError(f"x must be a dense tensor of shape (n_rows, {self.n_features}), got {shown(x)}.")
        if x.dim() != 2 or x.shape[1] != self.n_features or not x.dtype.is_floating_point:
            raise ValueError(
                f"x must be of floats, of shape (n_rows, {self.n_features}), got x of {x.dtype}, of shape "
                f"{tuple(x.shape)}."
            )
        if x.device != self.center.device:
            raise ValueError(f"x is on {x.device} and the module on {self.center.device}: move one of them by to().")

    def _embedded(self, z: Tensor) -> Tensor:
        """(n_rows, n_features) -> (n_members or 1, n_rows, n_features, width)."""
        return (z / (1 + (z / BEND).square()).sqrt()).unsqueeze(-1).unsqueeze(0)


def on_common_scale(x: Tensor, embeddings: LinearEmbeddings) -> Tensor:
    """Numbers as embeddings scale them, however far out they are; a missing one is a median."""
    return ((x - embeddings.center[0]) / embeddings.scale[0]).masked_fill(torch.isnan(x), 0.0)


class _FunctionEmbeddings(LinearEmbeddings):
    """Beside each number, linear functions of some of its functions: each member's own."""

    sizes = (*LinearEmbeddings.sizes, "n_outputs")

    def __init__(self, n_features: int, n_members: int, n_functions: int, n_outputs: int) -> None:
        self.width = checked_size(n_outputs, "n_outputs") + 1
        super().__init__(n_features, n_members)
        shape = (self.n_members, self.n_features, n_functions, self.width - 1)
        require_room(shape, self.sizes)
        # A network sees at once which numbers are missing: from zero it would take many steps
        nn.init.normal_(self.missing[..., 1:])
        # Adam moves each weight as far: of a small one that is multiplied, that is more
        self.gain = nn.Parameter(torch.full((self.n_members, self.n_features), 1 / GAIN_SPEED))
        bound = 1 / math.sqrt(n_functions)
        self.weight = nn.Parameter(nn.init.uniform_(torch.empty(shape), -bound, bound))
        self.bias = nn.Parameter(nn.init.uniform_(torch.empty(*shape[:2], 1, shape[3]), -bound, bound))

    def _embedded(self, z: Tensor) -> Tensor:
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self._beside_functions(z)
        rows = max(1, FUNCTIONS_AT_ONCE // self.weight[..., 0].numel())
        return torch.cat([self._beside_functions(part) for part in torch.split(z, rows)], dim=1)

    def _beside_functions(self, z: Tensor) -> Tensor:
        column = z.T.unsqueeze(-1)  # (n_features, n_rows, 1): a matrix for each feature, as matmuls take them
        functions = torch.cat([column.expand(self.n_members, -1, -1, 1), self._outputs(column)], dim=-1)
        return (GAIN_SPEED * self.gain[..., None, None] * functions).transpose(1, 2)

    def _outputs(self, column: Tensor) -> Tensor:
        """(n_features, n_rows, 1) -> (n_members, n_features, n_rows, n_outputs)."""
        raise NotImplementedError


class PeriodicEmbeddings(_FunctionEmbeddings):
    r"""Beside each number, some linear functions of cosines of it, which resolve what a plain number blurs [1]_, [2]_.

    With the number :math:`z` on the scale of `LinearEmbeddings`, frequencies :math:`f`, phases :math:`p`, a matrix
    :math:`W`, a vector :math:`b` and a gain :math:`g` for each feature, all learned, the gain three times as fast [2]_:

    .. math:: z \mapsto g \, [z, \; W \cos(2 \pi (f z + p)) + b]

    Parameters
    ----------
    n_features : int
        Number of input features.
    n_members : int, default=1
        Number of members of an ensemble, each of which gets embeddings of its own.
    n_frequencies : int, default=16
        Number of cosines of each feature.
    n_outputs : int, default=4
        Number of functions beside each number.
    sigma : float, default=0.1
        Standard deviation of the frequencies at first, in waves per standard deviation of the feature: that of the
        middle ones. Those of the others go from a quarter to four times of it in equal ratios, so that some cosines
        bend slowly and some resolve much.

    Attributes
    ----------
    width : int
        Numbers that each feature becomes.

    References
    ----------
    .. [1] Gorishniy, Y., Rubachev, I., & Babenko, A. (2022). On Embeddings for Numerical Features in Tabular Deep
       Learning. NeurIPS.
    .. [2] Holzmueller, D., Grinsztajn, L., & Steinwart, I. (2024). Better by Default: Strong Pre-Tuned MLPs and Boosted
       Trees on Tabular Data. NeurIPS.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mmoe.nn import PeriodicEmbeddings
    >>> PeriodicEmbeddings(2, n_members=3, n_outputs=4)(torch.randn(32, 2)).shape
    torch.Size([3, 32, 10])
    """

    sizes = (*_FunctionEmbeddings.sizes, "n_frequencies")

    def __init__(
        self, n_features: int, n_members: int = 1, *, n_frequencies: int = 16, n_outputs: int = 4, sigma: float = 0.1
    ) -> None:
        n_frequencies = checked_size(n_frequencies, "n_frequencies")
        check_positive(sigma, "sigma")
        super().__init__(n_features, n_members, n_frequencies, n_outputs)
        shape = (self.n_members, self.n_features, 1, n_frequencies)
        spread = torch.logspace(-2, 2, n_frequencies, base=2)
        self.frequencies = nn.Parameter(torch.randn(shape) * float(sigma) * spread)
        self.phases = nn.Parameter(torch.rand(shape) - 0.5)

    def _outputs(self, column: Tensor) -> Tensor:
        waves = torch.cos(2 * math.pi * torch.addcmul(self.phases, column, self.frequencies))
        outputs = torch.baddbmm(self.bias.flatten(0, 1), waves.flatten(0, 1), self.weight.flatten(0, 1))
        return outputs.view(self.n_members, self.n_features, *outputs.shape[1:])


class PiecewiseEmbeddings(_FunctionEmbeddings):
    r"""Beside each number, some piecewise linear functions of it, which bend at its quantiles [1]_.

    With the number :math:`z` on the scale of `LinearEmbeddings`, its quantiles :math:`q_0 < \dots < q_n`, which `learn`
    finds (values that abound end a bin of their own), and a matrix :math:`W`, a vector :math:`b` and a gain :math:`g`
    for each feature, which are learned, the gain three times as fast [2]_:

    .. math:: z \mapsto g \, [z, \; W s(z) + b], \quad s_k(z) = \min(\max((z - q_{k-1}) / (q_k - q_{k-1}), 0), 1)

    Parameters
    ----------
    n_features : int
        Number of input features.
    n_members : int, default=1
        Number of members of an ensemble, each of which gets embeddings of its own.
    n_bins : int, default=32
        Number of bins between quantiles, of each feature.
    n_outputs : int, default=4
        Number of functions beside each number.

    Attributes
    ----------
    width : int
        Numbers that each feature becomes.

    References
    ----------
    .. [1] Gorishniy, Y., Rubachev, I., & Babenko, A. (2022). On Embeddings for Numerical Features in Tabular Deep
       Learning. NeurIPS.
    .. [2] Holzmueller, D., Grinsztajn, L., & Steinwart, I. (2024). Better by Default: Strong Pre-Tuned MLPs and Boosted
       Trees on Tabular Data. NeurIPS.

    Examples
    --------
    >>> import torch
    >>> from sklearn_mmoe.nn import PiecewiseEmbeddings
    >>> numbers = torch.arange(9.0).unsqueeze(1)
    >>> embeddings = PiecewiseEmbeddings(1, n_members=3, n_bins=4, n_outputs=2)
    >>> embeddings.learn(numbers)
    >>> embeddings(numbers).shape
    torch.Size([3, 9, 3])
    """

    sizes = (*_FunctionEmbeddings.sizes, "n_bins")
    knots: Tensor

    def __init__(self, n_features: int, n_members: int = 1, *, n_bins: int = 32, n_outputs: int = 4) -> None:
        n_bins = checked_size(n_bins, "n_bins")
        super().__init__(n_features, n_members, n_bins, n_outputs)
        normal = torch.special.ndtri(torch.linspace(0, 1, n_bins + 1)).clamp(-LARGEST, LARGEST)
        self.register_buffer("knots", normal.expand(self.n_members, self.n_features, -1).clone())

    def _learn_more(self, x: Tensor, weight: Tensor) -> None:
        columns, weights = x.double().cpu().numpy().T, weight.double().cpu().numpy()
        n_knots, there = self.knots.shape[2], ~np.isnan(columns)
        knots = np.stack(
            [quantile_knots(column[own], n_knots, weights[own]) for column, own in zip(columns, there, strict=True)]
        )
        scaled = (torch.from_numpy(knots).to(self.center) - self.center[0, :, None]) / self.scale[0, :, None]
        self.knots.copy_(scaled.clamp(-LARGEST, LARGEST))

    def _outputs(self, column: Tensor) -> Tensor:
        lower, upper = self.knots[0, :, None, :-1], self.knots[0, :, None, 1:]
        shares = ((column - lower) / (upper - lower).clamp(min=torch.finfo(column.dtype).tiny)).clamp(0, 1)
        # What all members read is multiplied once, by the weights of all members side by side
        outputs = torch.bmm(shares, self.weight.permute(1, 2, 0, 3).flatten(2))
        n_rows = outputs.shape[1]
        return outputs.view(self.n_features, n_rows, self.n_members, -1).permute(2, 0, 1, 3) + self.bias


NUMERIC_EMBEDDINGS: dict[str, Callable[[int, int], nn.Module]] = {
    "linear": LinearEmbeddings,
    "periodic": PeriodicEmbeddings,
    "piecewise": PiecewiseEmbeddings,
}


def made_numeric_embeddings(asked: Any, n_features: int, n_members: int) -> Any:
    """The embeddings that an argument asks for; None where it asks for none, or there is no number."""
    if asked is None or not n_features:
        return None
    if isinstance(asked, str) and asked in NUMERIC_EMBEDDINGS:
        return NUMERIC_EMBEDDINGS[asked](n_features, n_members)
    try:
        made = asked(n_features, n_members)
        shape = made(torch.zeros(2, n_features)).shape
        if shape in ((n_members, 2, n_features * made.width), (1, 2, n_features * made.width)):
            return made
        reason = f"gives a tensor of shape {tuple(shape)} for two rows, width={made.width}"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    raise ValueError(
        f"numeric_embeddings must be None, one of {sorted(NUMERIC_EMBEDDINGS)}, or a callable that makes a module from "
        "n_features and n_members, which has a width and gives a tensor of shape (n_members, n_rows, n_features * "
        f"width) for one of shape (n_rows, n_features); got {shown(asked)} ({reason})."
    )
