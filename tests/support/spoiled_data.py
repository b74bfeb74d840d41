"""Good arrays of numbers, spoiled in all ways, and disguised: of another type, of the same numbers."""

import datetime
import decimal
import fractions

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
import torch


def with_cell(array, value, dtype=float):
    """The array with another first number."""
    array = array.astype(dtype)
    array[(0,) * array.ndim] = value
    return array


def names_of(array):
    return [f"c{i}" for i in range(array.shape[1])]


def as_pandas(array):
    return pd.Series(array) if array.ndim == 1 else pd.DataFrame(array, columns=names_of(array))


def as_polars(array):
    return pl.Series(array) if array.ndim == 1 else pl.DataFrame(array, schema=names_of(array))


def as_arrow(array):
    return pa.array(array) if array.ndim == 1 else pa.table(dict(zip(names_of(array), array.T, strict=True)))


def with_names(array, names):
    return pd.DataFrame(array, columns=names)


def doubled_names(array):
    return with_names(array, ["c"] * array.shape[1])


def broken_csr(array, part, place, value):
    """A sparse matrix of which an index or a pointer leads elsewhere."""
    matrix = sp.csr_array(array)
    getattr(matrix, part)[place] = value
    return matrix


def negative_bit(array):
    """The numbers as a tensor that is a lazy negation of what it holds."""
    return torch.complex(torch.zeros(array.shape), torch.tensor(-array, dtype=torch.float32)).conj().imag.double()


def structured(array):
    return np.array([tuple(row) for row in array], dtype=[(name, float) for name in names_of(array)])


SPOILED = {
    # Of another shape
    "a row too few": lambda array: array[:-1],
    "a row too many": lambda array: np.concatenate([array, array[:1]]),
    "one row": lambda array: array[:1],
    "no row": lambda array: array[:0],
    "no column": lambda array: array.reshape(len(array), -1)[:, :0],
    "a column too many": lambda array: np.column_stack([array.reshape(len(array), -1), np.ones(len(array))]),
    "rows and columns swapped": lambda array: array.reshape(len(array), -1).T,
    "an axis more": lambda array: array[..., None],
    "flat": lambda array: array.ravel(),
    "ragged": lambda array: [row.tolist() for row in array.reshape(len(array), -1)[:-1]] + [[1.0] * 99],
    # Holding what is no number
    "a NaN": lambda array: with_cell(array, np.nan),
    "NaN only": lambda array: np.full(array.shape, np.nan),
    "an infinity": lambda array: with_cell(array, np.inf),
    "1e300": lambda array: with_cell(array, 1e300),
    "3e38": lambda array: with_cell(array, 3e38),
    "-1e300": lambda array: with_cell(array, -1e300),
    "all 1e-320": lambda array: np.full(array.shape, 1e-320),
    "all negative": lambda array: -np.abs(array) - 1,
    "all zero": lambda array: np.zeros(array.shape),
    "a None": lambda array: with_cell(array, None, object),
    "a word": lambda array: with_cell(array, "nonesuch", object),
    "a word of 10 MB": lambda array: with_cell(array, "w" * 10**7, object),
    "bytes": lambda array: with_cell(array, b"nonesuch", object),
    "a dict": lambda array: with_cell(array, {"a": 1}, object),
    "a list": lambda array: with_cell(array, [1.0, 2.0], object),
    "10**400": lambda array: with_cell(array, 10**400, object),
    "2**64": lambda array: with_cell(array, 2**64, object),
    "Decimal NaN": lambda array: with_cell(array, decimal.Decimal("NaN"), object),
    "Decimal signalling NaN": lambda array: with_cell(array, decimal.Decimal("sNaN"), object),
    "pandas.NA": lambda array: with_cell(array, pd.NA, object),
    "pandas.NaT": lambda array: with_cell(array, pd.NaT, object),
    "a complex object": lambda array: with_cell(array, 1j, object),
    "a date": lambda array: with_cell(array, datetime.date(2020, 2, 29), object),
    # Of another type
    "complex": lambda array: array + 1j,
    "days": lambda array: (100 * array).astype(int).astype("M8[D]"),
    "nanoseconds": lambda array: (100 * array).astype(int).astype("M8[ns]"),
    "hours": lambda array: (100 * array).astype(int).astype("m8[h]"),
    "void": lambda array: array.astype("V8"),
    "an entry masked": lambda array: np.ma.masked_array(array, mask=np.arange(array.size).reshape(array.shape) == 0),
    "all masked": lambda array: np.ma.masked_array(array, mask=True),
    "generator": lambda array: (row for row in array.tolist()),
    "dict of columns": lambda array: dict(enumerate(array.reshape(len(array), -1).T)),
    "list of dicts": lambda array: [{"a": 1.0}] * len(array),
    "set": lambda array: set(array.ravel().tolist()),
    "complex tensor": lambda array: torch.tensor(array + 1j),
    "conjugate tensor": lambda array: torch.tensor(array + 1j).conj(),
    "meta tensor": lambda array: torch.tensor(array).to("meta"),
    "nested tensor": lambda array: torch.nested.nested_tensor(list(torch.tensor(array))),
    "quantized tensor": lambda array: torch.quantize_per_tensor(torch.tensor(array).float(), 0.1, 0, torch.qint8),
}
SPOILED_TABLES = {
    "structured": structured,
    "frame of doubled names": doubled_names,
    "frame of names that are equal as text": lambda array: with_names(array, [1, "1", *range(2, array.shape[1])]),
    "frame of missing names": lambda array: with_names(array, [np.nan, None, *range(2, array.shape[1])]),
    "frame of days": lambda array: as_pandas((100 * array).astype(int).astype("M8[D]")),
    "polars frame of days": lambda array: as_polars((100 * array).astype(int).astype("M8[D]")),
    "frame of hours": lambda array: as_pandas((100 * array).astype(int).astype("m8[s]")),
    "frame of lists": lambda array: as_pandas(array).map(lambda value: [value]),
    "polars frame of lists": lambda array: pl.DataFrame({name: [[1.0]] * len(array) for name in names_of(array)}),
    "polars frame of structs": lambda array: pl.DataFrame({name: [{"a": 1}] * len(array) for name in names_of(array)}),
    "frame of intervals": lambda array: as_pandas(array).apply(lambda column: pd.cut(column, 2)),
    "frame of periods": lambda array: with_names(array, names_of(array)).assign(
        c0=pd.period_range("2020", periods=len(array), freq="D")
    ),
    "frame of zones": lambda array: as_pandas(array).assign(
        c0=pd.date_range("2020", periods=len(array), tz="Europe/Berlin")
    ),
    "frame of complex numbers": lambda array: as_pandas(array + 1j),
    "lazy frame": lambda array: as_polars(array).lazy(),
    "sparse with a NaN": lambda array: sp.csr_array(with_cell(array, np.nan)),
    "sparse with an index too large": lambda array: broken_csr(array, "indices", 0, 10**6),
    "sparse with a negative index": lambda array: broken_csr(array, "indices", 0, -7),
    "sparse with a pointer too large": lambda array: broken_csr(array, "indptr", -1, 10**6),
    "sparse with a falling pointer": lambda array: broken_csr(array, "indptr", 1, 10**5),
    "sparse of complex numbers": lambda array: sp.csr_array(array + 1j),
    "sparse tensor": lambda array: torch.tensor(array).to_sparse(),
}

DISGUISED = {
    "list": lambda array: array.tolist(),
    "tuple": lambda array: tuple(array.tolist()),
    "list of arrays": lambda array: list(array),
    "objects": lambda array: array.astype(object),
    "Fortran order": lambda array: np.asfortranarray(array),
    "backwards in memory": lambda array: array[::-1].copy()[::-1],
    "big-endian": lambda array: array.astype(">f8"),
    "long double": lambda array: array.astype(np.longdouble),
    "masked array without a mask": lambda array: np.ma.masked_array(array),
    "numbers as words": lambda array: array.astype(str),
    "numbers as bytes": lambda array: array.astype("S"),
    "Decimals": lambda array: np.vectorize(decimal.Decimal, otypes=[object])(array),
    "Fractions": lambda array: np.vectorize(fractions.Fraction, otypes=[object])(array),
    "tensor": lambda array: torch.tensor(array),
    "tensor with gradient": lambda array: torch.tensor(array, requires_grad=True),
    "negative tensor": negative_bit,
    "pandas": as_pandas,
    "pandas nullable": lambda array: as_pandas(array).convert_dtypes(),
    "pandas of arrow": lambda array: as_pandas(array).convert_dtypes(dtype_backend="pyarrow"),
    "pandas objects": lambda array: as_pandas(array).astype(object),
    "polars": as_polars,
    "arrow": as_arrow,
}
SPARSE_FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
DISGUISED_TABLES = {
    "matrix": lambda array: np.asmatrix(array),
    "MultiIndex": lambda array: with_names(array, pd.MultiIndex.from_product([["a"], range(array.shape[1])])),
    "frame of numbered columns": lambda array: pd.DataFrame(array),
    "sparse pandas": lambda array: as_pandas(array).astype("Sparse[float64]"),
    **{f"{kind} array": lambda array, kind=kind: getattr(sp, f"{kind}_array")(array) for kind in SPARSE_FORMATS},
    **{f"{kind} matrix": lambda array, kind=kind: getattr(sp, f"{kind}_matrix")(array) for kind in SPARSE_FORMATS},
}
