"""What callers pass by mistake: values of every kind, and good data that is spoiled or only looks different.

All are made afresh for each call, twice if need be: what is made twice is equal, so that a change can be seen.
"""

import datetime
import decimal
import enum
import fractions
import pathlib
from collections import OrderedDict

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
import torch


class Colour(enum.Enum):
    RED = 1


class Abstract(torch.nn.Module):
    """No module that could be called."""


def numbers_up_to(n):
    yield from range(n)


def list_in_itself():
    own = [1.0]
    own.append(own)
    return own


def csr_with_indices(indices):
    """A sparse matrix whose indices lie outside of it: reading it as it is reads memory of others."""
    matrix = sp.csr_array(np.eye(3))
    matrix.indices = np.array(indices, dtype=matrix.indices.dtype)
    return matrix


ANYTHING = {
    # Nothing
    "None": lambda: None,
    "Ellipsis": lambda: ...,
    "pandas.NA": lambda: pd.NA,
    "pandas.NaT": lambda: pd.NaT,
    "": lambda: "",
    "empty list": list,
    "empty tuple": lambda: (),
    "empty dict": dict,
    "empty set": lambda: set(),
    "empty array": lambda: np.array([]),
    "empty frame": lambda: pd.DataFrame(),
    # Numbers
    "False": lambda: False,
    "True": lambda: True,
    "0": lambda: 0,
    "1": lambda: 1,
    "-1": lambda: -1,
    "2**63": lambda: 2**63,
    "-2**63 - 1": lambda: -(2**63) - 1,
    "10**18": lambda: 10**18,
    "10**400": lambda: 10**400,
    "-0.5": lambda: -0.5,
    "0.5": lambda: 0.5,
    "1e-320": lambda: 1e-320,
    "1e300": lambda: 1e300,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "-inf": lambda: -float("inf"),
    "complex": lambda: 1j,
    "Decimal": lambda: decimal.Decimal("0.5"),
    "Decimal NaN": lambda: decimal.Decimal("NaN"),
    "Fraction": lambda: fractions.Fraction(1, 2),
    "numpy.float64 nan": lambda: np.float64("nan"),
    "numpy.int8": lambda: np.int8(1),
    "numpy.bool": lambda: np.True_,
    # Texts
    "auto": lambda: "auto",
    "a word": lambda: "nonesuch",
    "a number as text": lambda: "1",
    "long text": lambda: "long " * 1000,
    "text with a null": lambda: "a\0b",
    "half a surrogate": lambda: "\ud800",
    "bytes": lambda: b"bytes",
    "bytearray": lambda: bytearray(b"bytes"),
    # Days
    "date": lambda: datetime.date(2020, 2, 29),
    "timedelta": lambda: datetime.timedelta(1),
    "datetime64": lambda: np.datetime64("2020-02-29"),
    "datetime64 NaT": lambda: np.datetime64("NaT"),
    "timedelta64": lambda: np.timedelta64(1, "D"),
    # Collections
    "[None]": lambda: [None],
    "[nan]": lambda: [float("nan")],
    "[-1]": lambda: [-1],
    "[0.5, 2]": lambda: [0.5, 2],
    "[10**400]": lambda: [10**400],
    "[True]": lambda: [True],
    "['a', 1]": lambda: ["a", 1],
    "list of lists": lambda: [[1, 2], [3, 4]],
    "ragged list": lambda: [[1], [2, 3]],
    "list in itself": list_in_itself,
    "pairs": lambda: [("y0", 1.0)],
    "set": lambda: {1},
    "range": lambda: range(1, 3),
    "generator": lambda: numbers_up_to(3),
    "slice": lambda: slice(2),
    "dict of an unknown name": lambda: {"nonesuch": 1},
    "dict of None": lambda: {None: None},
    "dict of words": lambda: {"y0": "a", "y1": "b"},
    "dict of nan": lambda: {"y0": float("nan"), "y1": 1.0},
    "ordered dict": lambda: OrderedDict(y0=1.0),
    # Arrays and frames
    "0-d array": lambda: np.array(1.0),
    "0 rows": lambda: np.empty((0, 3)),
    "0 columns": lambda: np.empty((3, 0)),
    "4-D array": lambda: np.ones((2, 2, 2, 2)),
    "array of objects": lambda: np.array([None, "a", 1], dtype=object),
    "array of nan": lambda: np.full((3, 3), np.nan),
    "array of words": lambda: np.array([["a", "b"], ["c", "d"]]),
    "complex array": lambda: np.array([1j, 2.0]),
    "masked array": lambda: np.ma.masked_array([1.0, 2.0, 3.0], mask=[0, 1, 0]),
    "structured array": lambda: np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]),
    "array of days": lambda: np.array(["2020-02-29"], dtype="M8[D]"),
    "numpy.void": lambda: np.void(b"abc"),
    "sparse matrix": lambda: sp.csr_array(np.eye(3)),
    "sparse matrix out of bounds": lambda: csr_with_indices([0, 99, -7]),
    "frame": lambda: pd.DataFrame({"a": [1.0, 2.0, 3.0]}),
    "frame of doubled names": lambda: pd.DataFrame(np.eye(3), columns=["a", "a", "b"]),
    "series": lambda: pd.Series([1.0, None, 3.0]),
    "index": lambda: pd.Index(["a", "b"]),
    "polars frame": lambda: pl.DataFrame({"a": [1.0, None]}),
    "lazy frame": lambda: pl.LazyFrame({"a": [1.0]}),
    "arrow table": lambda: pa.table({"a": [1.0, 2.0]}),
    "tensor": lambda: torch.ones(3),
    "conjugate tensor": lambda: torch.tensor([1j, 2.0]).conj(),
    "negative tensor": lambda: torch.tensor([1j, 2.0]).conj().imag,
    "meta tensor": lambda: torch.ones(3, device="meta"),
    "nested tensor": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    # Things that are no data
    "object": lambda: STRANGER,
    "lambda": lambda: NOTHING_BACK,
    "built-in": lambda: len,
    "class": lambda: dict,
    "abstract module": lambda: torch.nn.Module,
    "module without forward": lambda: Abstract,
    "module": lambda: torch.nn.Linear(1, 1),
    "numpy": lambda: np,
    "enum": lambda: Colour.RED,
    "path": lambda: pathlib.Path("nowhere"),
    "dtype": lambda: torch.float16,
}
STRANGER = object()
NOTHING_BACK = lambda *_, **__: None  # noqa: E731
FEW = (
    *("None", "Ellipsis", "", "empty list", "empty dict", "empty array", "empty frame", "False", "0", "-1", "2**63"),
    *("10**400", "0.5", "nan", "inf", "complex", "a word", "bytes", "timedelta64", "[None]", "['a', 1]", "ragged list"),
    *(
        "dict of an unknown name",
        "dict of None",
        "generator",
        "4-D array",
        "masked array",
        "conjugate tensor",
        "lambda",
    ),
    *("class", "object"),
)
