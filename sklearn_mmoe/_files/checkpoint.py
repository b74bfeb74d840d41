"""States of a fit under way as files, and the fit that goes on from them after it was killed."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from sklearn.base import BaseEstimator

from sklearn_mmoe._common.arguments import as_float
from sklearn_mmoe._common.words import errors_of, shown
from sklearn_mmoe._features.mapped_rows import MappedRows
from sklearn_mmoe._features.tensors import TensorRows
from sklearn_mmoe._files.model_file import read_model_file, write_model_file
from sklearn_mmoe._files.plain_values import Decoder, Encoder, NotPlainError
from sklearn_mmoe._ranks.group import ALONE, Group
from sklearn_mmoe._ranks.parameters import parameters_in_words
from sklearn_mmoe._version import __version__
from sklearn_mmoe.nn._rows import CodedRows, SparseRows

N_KEPT = 2  # the newest state, and the one before it in case that the newest is torn
_FILE = re.compile(r"epoch-(\d+)(-rank-\d+)?\.checkpoint")


@dataclass(frozen=True)
class FitCheckpoint:
    """Where a long `fit` keeps its state, so that the same call goes on from there if it was killed.

    Parameters
    ----------
    folder : str or path-like
        A folder for this one fit, made if it is missing. It holds the last two states and is emptied when the fit has
        gone well. Processes that train one model together need one that all of them see, or each its own.
    seconds : float, default=60.0
        A state is written at the end of the first epoch that ends so long after the one before. 0 is every epoch.

    Notes
    -----
    A state is all that training depends on: weights, the state of the optimizer, random generators (the order of the
    rows, dropout), patience, the best weights of each member, the history. The same call, with the same `X`, `y`,
    weights and parameters, then ends with the same weights, bit for bit, as if it had never been killed; a call with
    others is refused. Files are written whole or not at all, in the format of `save` (extra `save`).

    What skorch's callbacks remember is kept if it is plain: numbers, strings, arrays. Others, such as `LRScheduler`,
    are refused before training begins.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_mmoe import FitCheckpoint, MMoERegressor
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
    >>> with TemporaryDirectory() as folder:
    ...     model = MMoERegressor(max_epochs=5).fit(X, y, checkpoint=FitCheckpoint(folder, seconds=0))
    >>> model.n_iter_
    5
    """

    folder: str | os.PathLike[str]
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if not isinstance(self.folder, str | os.PathLike):
            raise TypeError(f"folder of a FitCheckpoint must be a str or path-like, got {shown(self.folder)}.")
        if isinstance(self.seconds, bool) or not as_float(self.seconds) >= 0:
            raise ValueError(f"seconds of a FitCheckpoint must be a number from 0 up, got {shown(self.seconds)}.")


def as_checkpoint(checkpoint: Any) -> FitCheckpoint | None:
    """What `fit` was given as `checkpoint`: a folder stands for a FitCheckpoint of it."""
    if checkpoint is None or isinstance(checkpoint, FitCheckpoint):
        return checkpoint
    if isinstance(checkpoint, str | os.PathLike):
        return FitCheckpoint(checkpoint)
    raise TypeError(f"checkpoint must be a folder, as a str or path-like, a FitCheckpoint or None; got {checkpoint!r}.")


@dataclass
class States:
    """The states of one fit in its folder.

    Parameters
    ----------
    checkpoint : FitCheckpoint
    fit : dict of str to str
        What tells this fit from others, by what it is called.
    seeds : tuple of int
        What the fit draws its seed from. Of one that goes on they are those that it began with.
    group : Group
        The ranks that fit together; each has files of its own.

    Attributes
    ----------
    found : dict or None
        The state to go on from, if there is one.

    Raises
    ------
    ValueError
        If what is there is the state of another fit.
    """

    checkpoint: FitCheckpoint
    fit: dict[str, str]
    seeds: tuple[int, int]
    group: Group = ALONE
    found: dict[str, Any] | None = field(init=False, default=None)
    _rows: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._written = time.monotonic()
        self._folder = Path(self.checkpoint.folder)
        with errors_of("checkpoint"):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._suffix = "" if self.group.size == 1 else f"-rank-{self.group.rank}"
        self.found = self._newest()
        if self.found is not None:
            self.seeds = self.found.pop("seeds")

    def note_rows(self, held_out: Any) -> None:
        """Take note of the rows that are held out, which the fit to go on from must have held out, too."""
        self._rows = joblib.hash(_arrays(held_out))
        if self.found is not None and self.found.pop("rows", self._rows) != self._rows:
            raise ValueError(
                f"checkpoint={str(self.checkpoint.folder)!r} holds a state of another fit, which held out other rows: "
                "validation_split or groups have changed, or a splitter draws others each time. Make them the same to "
                "go on from there, give this fit a folder of its own, or delete that one."
            )

    def _newest(self) -> dict[str, Any] | None:
        """The last state that is there as a whole, on all ranks; None if there is none."""
        found = {epoch: state for epoch in self._epochs() if (state := self._read(epoch)) is not None}
        common = set.intersection(*map(set, self.group.gather(list(found))))
        return found[max(common)] if common else None

    def check(self, state: Mapping[str, Any]) -> None:
        """Find out whether a state can be written before hours have gone into it."""
        self._encoded(state)

    def keep(self, state: Callable[[], Mapping[str, Any]], epoch: int) -> None:
        """Write the state after an epoch, if it is time to."""
        now = time.monotonic()
        if not self.group.first(now - self._written >= self.checkpoint.seconds):
            return
        document, arrays = self._encoded(state())
        try:
            write_model_file(self._path(epoch), document, arrays)
            for old in self._epochs()[:-N_KEPT]:
                self._path(old).unlink(missing_ok=True)
        except OSError as error:  # a full disk is no reason to lose the fit itself
            _warn(f"The state after epoch {epoch} could not be kept, and the fit goes on: {error}")
        self._written = now

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:06}{self._suffix}.checkpoint"

    def _epochs(self) -> list[int]:
        """The epochs after which there are files, the newest last."""
        names = map(_FILE.fullmatch, os.listdir(self._folder))
        return sorted(int(name[1]) for name in names if name and (name[2] or "") == self._suffix)

    def _encoded(self, state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        encoder = Encoder()
        try:
            whole = encoder.encode({"seeds": self.seeds, "rows": self._rows, **state}, "")
            return {"class": type(self).__name__, "fit": self.fit, "state": whole}, encoder.arrays
        except NotPlainError as error:
            raise ValueError(
                f"checkpoint cannot keep what this fit depends on: {error}. It keeps numbers, strings and arrays. Fit "
                "without that callback or method, or without checkpoint."
            ) from error

    def _read(self, epoch: int) -> dict[str, Any] | None:
        path = self._path(epoch)
        try:
            document, arrays = read_model_file(path)
        except ValueError as error:
            _warn(f"A state of this fit cannot be read, and is passed over: {error}")
            return None
        known = document.get("fit")
        if not isinstance(known, dict) or document.get("class") != type(self).__name__:
            raise ValueError(f"checkpoint: {path} is no state of a fit. Give this fit a folder of its own.")
        if known != self.fit:
            changed = [name for name in {**self.fit, **known} if known.get(name) != self.fit.get(name)]
            raise ValueError(
                f"checkpoint={str(self.checkpoint.folder)!r} holds a state of another fit, which differed in "
                f"{', '.join(changed)}. Make them the same to go on from it, give this fit a folder of its own, or "
                "delete that one."
            )
        try:
            state: dict[str, Any] = Decoder(arrays).decode(document["state"])
            _, _ = state["seeds"]
        except Exception as error:  # its checksum is right: somebody has written it so
            raise ValueError(f"checkpoint: {path} is no state of a fit ({error!r}). Delete it.") from error
        return state


def forget(checkpoint: FitCheckpoint) -> None:
    """Remove the states of a fit that has gone well, and their folder if nothing else is in it."""
    folder = Path(checkpoint.folder)
    try:
        for name in filter(_FILE.fullmatch, os.listdir(folder)):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        _warn(f"The fit has gone well, but its states could not be removed: {error}")
    with suppress(OSError):  # something of somebody else's is there
        folder.rmdir()


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=2)


def fit_in_words(estimator: BaseEstimator, data: Mapping[str, Any], device: torch.device) -> dict[str, str]:
    """What tells a fit from others: parameters, versions, and hashes of its data.

    Parameters
    ----------
    data : mapping of str to rows, tensors, arrays, and lists of such
        By what the user calls it.
    """
    versions = {"the version of sklearn_mmoe": __version__, "the version of torch": str(torch.__version__)}
    hashes = {name: joblib.hash(_arrays(part)) for name, part in data.items()}
    return {**parameters_in_words(estimator), "device": str(device), **versions, **hashes}


def _arrays(data: Any) -> Any:
    """Data as arrays and plain values, as joblib can take a hash of it."""
    if isinstance(data, list):
        return [_arrays(part) for part in data]
    if isinstance(data, TensorRows):
        return _arrays([data.X, data.y, data.rows])
    if isinstance(data, CodedRows):
        return _arrays([data.numbers, data.codes])
    if isinstance(data, SparseRows):
        return _arrays([data.indptr, data.indices, data.values, data.n_features])
    if isinstance(data, MappedRows):
        return [joblib.hash(chunk) for chunk in data.chunks()]
    if isinstance(data, torch.Tensor):
        return data.cpu().numpy()
    return np.ascontiguousarray(data) if isinstance(data, np.ndarray) else data
