"""What a fit asks of the processes that train one model together: a fit alone is a fit of one rank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Group:
    """The processes that train one model together; here, this one alone."""

    rank = 0
    size = 1

    def gather(self, value: T) -> list[T]:
        """What each rank gives, in the order of the ranks."""
        return [value]

    def first(self, value: T) -> T:
        """What rank 0 gives."""
        return value

    def agree(self, what: Callable[[], Mapping[str, Any]]) -> None:
        """Refuse to go on unless all ranks say the same of each thing."""

    def sum(self, tensor: Tensor, *, before_gradients: bool = False) -> Tensor:
        """The sum over the ranks of a tensor without a gradient, which may be changed."""
        return tensor

    def send(self, tensors: Iterable[Tensor]) -> None:
        """Fill tensors with what they hold on rank 0."""

    def weighted_mean(
        self, values: Tensor, weight: Tensor | None, *, before_gradients: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """The mean over the ranks, and the sum of the weights, both the same on all ranks.

        The gradient of the mean is that of this rank's part in it; summed over the ranks, it is whole. If the sum of
        gradients is the next meeting, ranks that have well come to this one, `before_gradients`, promise to come, and
        save themselves the vote.
        """
        return values, weight

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Replace the gradient of each parameter by the sum over the ranks, sparse ones by sparse ones."""

    def share_of(self, n_rows: int) -> int:
        """How many rows of a batch this rank takes."""
        return n_rows

    def own_seed(self, seed: int) -> int:
        """A seed for what each rank draws for itself."""
        return seed

    def own_device(self, device: torch.device) -> torch.device:
        """The device of this rank, where the estimator asks for such a device."""
        return device


ALONE = Group()
