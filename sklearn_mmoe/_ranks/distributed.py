"""One fit on many devices: the ranks that train one model together, each on rows of its own.

torch's `DistributedDataParallel` is not used, as its hooks see `forward` only. `gate_balance` calls another method of
the module, methods of torchjd take several backward passes or none, learned weights of tasks lie outside the module,
and a validation part has no gradients to wait for. What the class does underneath is done here: all begin with the
weights of rank 0, and after a backward pass the gradients are summed over the ranks, in one flat buffer.

Wherever ranks meet, they first vote on whether all are well. So an error on one rank is heard of by the others at their
next meeting, whatever that is about, and ends them, too. A step has two meetings, for the losses and for the gradients.
The second needs no vote: who has come to the first one comes to the second, if only with zeros, before it tells of an
error.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import count
from multiprocessing import parent_process
from threading import RLock, current_thread, main_thread
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist
from torch.torch_version import TorchVersion

from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe.exceptions import RankError

if dist.is_available():
    # The first optimizer imports it, and its functions then hold the group that there is as a default, for good: the
    # group's threads live on after its end, and a process that ends with them may crash
    import torch.distributed.nn.functional

OLDEST = "2.13"  # the end of a group of torch 2.6 was seen to wait for a thread of its own; none between was tried
ROOM = 128  # numbers that go along with a vote, which takes as long without them
T = TypeVar("T")

_FITS = RLock()  # threads of a process take turns: meetings of two fits must not mix
_GROUPS = count()


class Ranks(Group):
    """The ranks of torch's process group, as they are when this is made."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._over = False  # whether an error has ended the fit: then there are no more meetings
        self._gradients: Tensor | None = None  # those of the last step
        self._promised = False  # whether the others count on gradients like these, and will not vote before
        self._made: list[dist.ProcessGroup] = []
        # Votes are counted on the CPU, which NCCL does not know
        self._control = dist.group.WORLD if dist.get_backend() == "gloo" else self._make("gloo")
        self._data = self._control

    def gather(self, value: T) -> list[T]:
        pickled = pickle.dumps(value)  # before the meeting: it may fail
        parts: list[Any] = [None] * self.size
        with self._meeting():
            dist.all_gather_object(parts, pickled, group=self._control)
        return [pickle.loads(part) for part in parts]

    def first(self, value: T) -> T:
        found: Any = self.gather(value if self.rank == 0 else None)[0]
        return found

    def agree(self, what: Callable[[], Mapping[str, Any]]) -> None:
        said = self.gather({name: str(value) for name, value in what().items()})
        for rank, own in enumerate(said):
            for name in said[0]:
                if own.get(name) != said[0][name]:
                    raise ValueError(
                        f"The ranks of a distributed fit must agree on {name}: rank 0 has {said[0][name]}, rank {rank} "
                        f"has {own.get(name)}. Make them the same, or set distributed=False for fits of one rank each."
                    )

    def sum(self, tensor: Tensor, *, before_gradients: bool = False) -> Tensor:
        along = tensor.device.type == "cpu" and tensor.numel() <= ROOM
        vote = _vote()
        if along:
            vote[1 : 1 + tensor.numel()] = tensor.flatten()
        with self._meeting(vote):
            if not along:
                dist.all_reduce(tensor, group=self._group_for(tensor))
            self._promised = before_gradients and self._gradients is not None
        return vote[1 : 1 + tensor.numel()].view_as(tensor).to(tensor.dtype) if along else tensor

    def send(self, tensors: Iterable[Tensor]) -> None:
        with self._meeting(), torch.no_grad():
            for tensor in tensors:
                dist.broadcast(tensor, src=0, group=self._group_for(tensor))

    def weighted_mean(
        self, values: Tensor, weight: Tensor | None, *, before_gradients: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        weight = torch.ones_like(values) if weight is None else weight
        weighted, total = self.sum(torch.stack([values.detach() * weight, weight]), before_gradients=before_gradients)
        divisor = total.clamp(min=torch.finfo(values.dtype).tiny)
        own = values * (weight / divisor)
        return weighted / divisor + (own - own.detach()), total

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        dense: list[tuple[Tensor, Tensor]] = []
        sparse: list[tuple[Tensor, Tensor]] = []
        for parameter in parameters:
            if parameter.grad is not None:
                (sparse if parameter.grad.is_sparse else dense).append((parameter, parameter.grad))
        if dense:
            flat = torch.cat([gradient.flatten() for _, gradient in dense])
            with self._meeting(voting=not self._promised):
                dist.all_reduce(flat, group=self._group_for(flat))
                if self._promised or self._gradients is None:
                    self._gradients = flat
                self._promised = False
            totals = torch.split(flat, [gradient.numel() for _, gradient in dense])
            for (_, gradient), total in zip(dense, totals, strict=True):
                gradient.copy_(total.view_as(gradient))
        for parameter, gradient in sparse:
            parameter.grad = self._sum_sparse(gradient)

    def _sum_sparse(self, gradient: Tensor) -> Tensor:
        total = gradient.coalesce().cpu()  # gloo adds up sparse tensors, NCCL does not
        with self._meeting():
            dist.all_reduce(total, group=self._control)
        return total.to(gradient.device)

    def share_of(self, n_rows: int) -> int:
        return max(1, n_rows // self.size + (self.rank < n_rows % self.size))

    def own_seed(self, seed: int) -> int:
        return int(np.random.SeedSequence([seed, self.rank]).generate_state(1)[0])

    def own_device(self, device: torch.device) -> torch.device:
        if device.type not in ("cpu", "cuda"):
            raise ValueError(f"Ranks train together on 'cpu' or 'cuda', got device={str(device)!r}: set device='cpu'.")
        self.agree(lambda: {"kind of device": device.type})
        if device.type == "cpu":
            return device
        if device.index is None:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", self.rank)) % torch.cuda.device_count())
        places = self.gather((socket.gethostname(), str(torch.cuda.get_device_properties(device).uuid)))
        if len(set(places)) == self.size and dist.is_nccl_available():  # NCCL wants a GPU for each rank
            self._data = self._make("nccl")
        return device

    # ----------------------------------------------------------------------------------------------------------------

    def end_well(self) -> None:
        """The last vote: nobody's fit is done before everybody's is."""
        with self._meeting():
            pass

    def report(self, error: BaseException) -> None:
        """Tell the other ranks, at their next meeting, of an error on this one."""
        if self._over:
            return
        self._over = True
        vote = _vote()
        vote[0] = 1
        try:
            with _uninterrupted():
                if self._promised and self._gradients is not None:
                    dist.all_reduce(torch.zeros_like(self._gradients), group=self._group_for(self._gradients))
                dist.all_reduce(vote, group=self._control)
                self._reports(f"{type(error).__name__}: {error}")
        except RuntimeError:  # another rank is gone: nobody is left to be told
            return
        error.add_note(f"(on rank {self.rank} of {self.size})")

    def leave(self) -> None:
        for group in self._made:
            dist.destroy_process_group(group)
        del self._control, self._data, self._made  # what somebody holds keeps its threads

    @contextmanager
    def _meeting(self, vote: Tensor | None = None, *, voting: bool = True) -> Iterator[None]:
        vote = _vote() if vote is None else vote
        try:
            with _uninterrupted():
                if voting:
                    dist.all_reduce(vote, group=self._control)
                if vote[0] > 0:
                    raise RankError(self._reports(None))
                yield
        except RankError:
            self._over = True
            raise
        except RuntimeError as error:
            self._over = True
            raise RankError(
                f"Rank {self.rank} cannot reach the other ranks of this fit any more. One of them may have been "
                f"killed, or may not have called the fit, as every rank has to. torch says: {error}"
            ) from error

    def _reports(self, own: str | None) -> str:
        reports: list[Any] = [None] * self.size
        dist.all_gather_object(reports, own, group=self._control)
        rank, report = next((rank, report) for rank, report in enumerate(reports) if report is not None)
        return f"Rank {rank} of {self.size} has ended this fit, which all ranks do together. {report}"

    def _group_for(self, tensor: Tensor) -> dist.ProcessGroup | None:
        return self._control if tensor.device.type == "cpu" else self._data

    def _make(self, backend: str) -> dist.ProcessGroup:
        self._made.append(dist.new_group(backend=backend))
        return self._made[-1]


@contextmanager
def joined(distributed: bool | str) -> Iterator[Group]:
    """The ranks that a fit is done together with: those of torch's process group, or of the launcher's environment.

    A group that the user has initialised is left as it is. One that is made here lasts as long as the fit.
    """
    if distributed is False or not _is_launched():
        yield ALONE
        return
    with _FITS:
        made = not dist.is_initialized()
        if made:
            _initialize()
        try:
            group = Ranks()
            try:
                yield group
                group.end_well()
            except BaseException as error:
                group.report(error)
                raise
            finally:
                group.leave()
        finally:
            if made:
                dist.destroy_process_group()


def _is_launched() -> bool:
    if not dist.is_available():
        return False
    if dist.is_initialized():
        return dist.get_world_size() > 1
    # Worker processes, such as joblib's, inherit the variables of the rank that has started them, but are no ranks
    if parent_process() is not None or not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        return False
    return int(os.environ["WORLD_SIZE"]) > 1


def _initialize() -> None:
    """Make torch's process group of the ranks that the environment tells of."""
    if TorchVersion(torch.__version__) < OLDEST:
        raise ValueError(
            "A fit of several ranks ends the process group that it makes, and this may wait for ever with torch "
            f"{torch.__version__}; {OLDEST} was tried and does not. Upgrade torch, or make a group before the fit, by "
            "torch.distributed.init_process_group('gloo'), or set distributed=False for fits of one rank each."
        )
    from torch.distributed.distributed_c10d import PrefixStore  # not there in builds of torch without it

    store, rank, size = _rendezvous()
    own = PrefixStore(f"sklearn_mmoe/{next(_GROUPS)}", store)  # what earlier groups have left there is not read
    hook = sys.excepthook
    dist.init_process_group("gloo", store=own, rank=rank, world_size=size)
    sys.excepthook = hook  # torch puts one of its own in front, each time, and leaves it there


@cache
def _rendezvous() -> tuple[Any, int, int]:
    """The store by which ranks find each other, and which rank this is; one for all fits of a process."""
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://"))
    return store, rank, size


def _vote() -> Tensor:
    """How many ranks have failed, none so far; then room for numbers."""
    return torch.zeros(1 + ROOM, dtype=torch.float64)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let a Ctrl-C wait until a meeting is over: who leaves in the middle leaves the others waiting."""
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    pressed: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt
