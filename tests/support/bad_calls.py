"""One bad call at a time: a good call in which one argument is something else, and what is wrong with the outcome.

python tests/support/bad_calls.py MMoERegressor.fit X "with a NaN"
"""

import os
import pickle
import random
import re
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import sklearn
import torch
from bad_values import ANYTHING, FEW
from pandas.api.extensions import ExtensionDtype
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils._param_validation import InvalidParameterError
from spoiled_data import DISGUISED, DISGUISED_TABLES, SPOILED, SPOILED_TABLES
from versions import has

from sklearn_mmoe.exceptions import DivergenceError, RankError

ALLOWED_ERRORS = (ValueError, TypeError, InvalidParameterError, NotFittedError, DivergenceError, RankError)
SECONDS = 20  # a call that takes longer hangs
LONGEST_TEXT = 2_000  # letters of an error
NOTHING = ()
# What an older scikit-learn does not look at where a model was fitted without names, and what its pipelines do not take
UNSEEN, UNKNOWN = ((), ()) if has("scikit-learn", "1.9") else (("frame of doubled names",), ("arrow",))


@dataclass(frozen=True)
class Call:
    """A public function, and what makes arguments of it that are right, by name.

    Parameters
    ----------
    answer : callable
        What is to be finite, and of the same shape whatever is passed, of what the function returns.
    words : dict of str to tuple of str
        What an error may call an argument in place of its name.
    errors : dict of str to tuple of type
        Errors that are allowed, too, where an argument is bad.
    fine : dict of str to tuple of str
        Spoiled data that an argument may be after all.
    refused : dict of str to tuple of str
        Disguises in which good data need not be known.
    shaping : tuple of str
        Arguments that say what shape the answer has.
    untried : dict of str to tuple of str
        What of an argument is not tried.
    only : tuple of str
        The arguments that are made bad; all of them if there is none here.
    few : bool
        Whether the function is so slow that only some of what is bad is tried.
    """

    function: Callable[..., Any]
    arguments: dict[str, Callable[[], Any]]
    answer: Callable[[Any], Any] = lambda answer: answer
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)
    errors: dict[str, tuple[type, ...]] = field(default_factory=dict)
    fine: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: dict[str, tuple[str, ...]] = field(default_factory=dict)
    shaping: tuple[str, ...] = ()
    untried: dict[str, tuple[str, ...]] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    few: bool = False

    @property
    def tried(self):
        return self.only or tuple(self.arguments)

    @cached_property
    def right_answer(self):
        answer, error = outcome(self, self.good_arguments())
        assert error is None, error
        return arrays(answer)

    def good_arguments(self):
        return {name: make() for name, make in self.arguments.items()}


def bad_ways(call, argument):
    """All that is tried of an argument: by name, what makes it of what is right."""
    good = call.arguments[argument]()
    found = {name: lambda _, make=make: make() for name, make in ANYTHING.items() if not call.few or name in FEW}
    if isinstance(good, np.ndarray) and not call.few:
        tables = good.ndim == 2
        found |= {f"with {name}": make for name, make in (SPOILED | SPOILED_TABLES if tables else SPOILED).items()}
        found |= {f"as {name}": make for name, make in (DISGUISED | DISGUISED_TABLES if tables else DISGUISED).items()}
    return {name: make for name, make in found.items() if name not in call.untried.get(argument, NOTHING)}


def fault(call, argument, make, way):
    """What is wrong with the outcome of a call with one bad argument, in words; None if nothing is."""
    arguments = call.good_arguments()
    with warnings.catch_warnings(action="ignore"):  # of what is made, such as nested tensors
        arguments[argument] = make(arguments[argument])
    before, state = images(arguments), global_state()
    answer, error = outcome(call, arguments)
    if global_state() != state:
        return "the global state has changed"
    if changed := [name for name, own in images(arguments).items() if own != before[name]]:
        return f"{changed} has changed"
    return fault_of_answer(answer, argument, way, call) if error is None else fault_of_error(error, argument, way, call)


def outcome(call, arguments):
    """What a call answers, and the error that it ends in."""
    with warnings.catch_warnings(action="ignore"), time_limit():
        try:
            return call.answer(call.function(**arguments)), None
        except Exception as error:
            return None, error


def fault_of_error(error, argument, way, call):
    said = f"{type(error).__name__}: {' '.join(str(error)[:300].split())}"
    if type(error) not in (*ALLOWED_ERRORS, *call.errors.get(argument, NOTHING)):
        return said
    if len(str(error)) > LONGEST_TEXT and not isinstance(error, OSError):  # which says the whole path
        return f"a text of {len(str(error))} letters: {said}"
    names = "|".join((argument, *call.words.get(argument, NOTHING)))
    if not re.search(rf"\b({names})\b", str(error)):
        return f"{argument!r} is not named in {said}"
    if way.startswith("as ") and way.removeprefix("as ") not in (*UNKNOWN, *call.refused.get(argument, NOTHING)):
        return f"good data is refused: {said}"
    return None


def fault_of_answer(answer, argument, way, call):
    found, right = arrays(answer), call.right_answer
    if not all(np.isfinite(own).all() for own in found if own.dtype.kind == "f"):
        return "an answer that is not finite"
    if argument not in call.shaping and [own.shape for own in found] != [own.shape for own in right]:
        return f"an answer of shapes {[own.shape for own in found]} in place of {[own.shape for own in right]}"
    if way.startswith("as ") and not all(map(is_close, found, right)):
        return "another answer to the same data"
    if way.startswith("with ") and way.removeprefix("with ") not in (*UNSEEN, *call.fine.get(argument, NOTHING)):
        return "accepted"
    return None


def is_close(found, right):
    return np.allclose(found, right, rtol=1e-4, atol=1e-5) if right.dtype.kind == "f" else (found == right).all()


def arrays(answer):
    """All arrays and numbers of an answer, however deep."""
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, list | tuple):
        return [own for part in answer for own in arrays(part)]
    return [] if answer is None or isinstance(answer, str | BaseEstimator) else [np.asarray(answer)]


def by_names_of_dtypes(value):
    """Pickled, but for what data types and moments of pandas 2 remember once they were asked."""

    class Pickler(pickle.Pickler):
        def reducer_override(self, own):
            if isinstance(own, pd.arrays.DatetimeArray):
                return tuple, ((str(own.dtype), own.asi8.tobytes()),)
            remembers = isinstance(own, ExtensionDtype) and not isinstance(own, pd.CategoricalDtype)
            return (str, (str(own),)) if remembers else NotImplemented

    Pickler(file := BytesIO()).dump(value)
    return file.getvalue()


PICKLED = pickle.dumps if has("pandas", "3") else by_names_of_dtypes


def images(arguments):
    """What tells whether arguments have changed. Fitted estimators are compared by whoever shares them."""
    return {name: image(value) for name, value in arguments.items() if not isinstance(value, BaseEstimator)}


def image(value):
    """The value as bytes; None of what cannot be pickled."""
    if isinstance(value, np.ma.MaskedArray):  # its views share a flag
        value = np.ma.getdata(value), np.ma.getmaskarray(value)
    if issparse(value) and value.format in ("bsr", "csc", "csr"):  # what it knows of itself is no part of it
        value = value.shape, value.data, value.indices, value.indptr
    try:
        return PICKLED(value)
    except Exception:
        return None


def global_state():
    """What no call may change."""
    name, keys, *rest = np.random.get_state()
    return (
        torch.get_rng_state().numpy().tobytes(),
        (name, keys.tobytes(), *rest),
        random.getstate(),
        (torch.get_default_dtype(), torch.empty(0).device, torch.get_num_threads()),
        (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")),
        torch.are_deterministic_algorithms_enabled(),
        np.geterr(),
        warnings.filters[:],
        sklearn.get_config(),
        os.getcwd(),
    )


@contextmanager
def time_limit():
    if not hasattr(signal, "setitimer"):  # Windows has no such clock
        yield
        return

    def stop(*_):
        raise TimeoutError(f"no answer in {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def try_alone(name, argument, way):
    from public_calls import CALLS

    call = CALLS[name]
    make = bad_ways(call, argument)[way]
    print("fault:", fault(call, argument, make, way))
    arguments = call.good_arguments()
    arguments[argument] = make(arguments[argument])
    print("passed:", repr(arguments[argument])[:1000])
    print("answer:", call.function(**arguments))


if __name__ == "__main__":
    try_alone(*sys.argv[1:])
