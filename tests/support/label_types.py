"""Columns of labels of all types: of NumPy, pandas, polars and plain Python."""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl

BIG = 2**53  # from here on not every integer is a float
DAYS = [datetime.date(2020, 2, 29), datetime.date(1969, 12, 31), datetime.date(2262, 1, 1)]
TIMES = [datetime.datetime(2020, 2, 29, 12, 30), datetime.datetime(1969, 12, 31, 23, 59), datetime.datetime(2200, 1, 1)]
SPANS = [datetime.timedelta(1), datetime.timedelta(seconds=-1), datetime.timedelta(weeks=100)]
WORDS = ["low", "middle", "high"]
INSTANTS = np.array(["2020-02-29T12:30:00", "1969-12-31T23:59:59", "2200-01-01"], dtype="M8[s]")
UNITS = ("s", "ms", "us", "ns")

# The classes of each type, from which labels are drawn
ARRAYS = {
    "bool": np.array([False, True]),
    **{kind: np.array([0, 1, 100], dtype=kind) for kind in ("int8", "uint8", "int32", "int64", "uint64")},
    "large int64": np.array([BIG + 1, BIG + 2, 2**63 - 1]),
    "negative int64": np.array([-BIG - 1, -BIG, -(2**63)]),
    "large uint64": np.array([0, 2**64 - 1, 2**64 - 2], dtype=np.uint64),
    **{kind: np.array([0, 1, 2], dtype=kind) for kind in ("float16", "float32", "float64", "longdouble")},
    "words": np.array(WORDS),
    "words as objects": np.array(WORDS, dtype=object),
    "numbers as objects": np.array([1, 2, 3], dtype=object),
    "large numbers as objects": np.array([BIG + 1, BIG + 2, BIG + 3], dtype=object),
    "bools as objects": np.array([False, True], dtype=object),
    "numbers beyond int64": np.array([-1, 2**63, 2**70], dtype=object),
}
PANDAS = {
    **{
        f"pandas {dtype}": pd.Series([0, 1, 2], dtype=dtype)
        for dtype in ("int16", "uint64", "float32", "Int64", "UInt8", "Float64", "int64[pyarrow]", "double[pyarrow]")
    },
    **{f"pandas {dtype}": pd.Series([False, True], dtype=dtype) for dtype in ("bool", "boolean", "bool[pyarrow]")},
    **{
        f"pandas {dtype}": pd.Series(WORDS, dtype=dtype)
        for dtype in ("object", "str", "string", "string[pyarrow]", "string[python]", "category")
    },
    "pandas large Int64": pd.Series([BIG + 1, BIG + 2, BIG + 3], dtype="Int64"),
    "pandas large UInt64": pd.Series([0, 2**64 - 1, 2**64 - 2], dtype="UInt64"),
    "pandas ordered": pd.Series(WORDS, dtype=pd.CategoricalDtype(WORDS, ordered=True)),
    "pandas category of numbers": pd.Series([3, 1, 2], dtype="category"),
    "pandas category of days": pd.Series(pd.to_datetime(DAYS[:2]), dtype="category"),
    **{f"pandas datetime {unit}": pd.Series(INSTANTS.astype(f"M8[{unit}]")) for unit in UNITS},
    **{f"pandas zone {unit}": pd.Series(INSTANTS.astype(f"M8[{unit}]")).dt.tz_localize("UTC") for unit in UNITS},
    "pandas zone of Berlin": pd.Series(INSTANTS).dt.tz_localize("Europe/Berlin"),
    **{f"pandas timedelta {unit}": pd.Series(SPANS, dtype=f"m8[{unit}]") for unit in UNITS},
    "pandas dates": pd.Series(DAYS, dtype=object),
}
POLARS = {
    **{f"polars {dtype}": pl.Series([0, 1, 2], dtype=dtype) for dtype in (pl.Int8, pl.UInt64, pl.Float32, pl.Int128)},
    "polars Boolean": pl.Series([False, True]),
    "polars String": pl.Series(WORDS),
    "polars Categorical": pl.Series(WORDS, dtype=pl.Categorical),
    "polars Enum": pl.Series(WORDS, dtype=pl.Enum(WORDS)),
    "polars Date": pl.Series(DAYS),
    **{f"polars Datetime {unit}": pl.Series(TIMES, dtype=pl.Datetime(unit)) for unit in UNITS[1:]},
    "polars zone": pl.Series(TIMES, dtype=pl.Datetime("us", "Europe/Berlin")),
    "polars Duration": pl.Series(SPANS),
    "polars Time": pl.Series([datetime.time(1), datetime.time(2)]),
    "polars large UInt64": pl.Series([0, 2**64 - 1, 2**64 - 2], dtype=pl.UInt64),
}

# Neither scikit-learn nor we take these for labels
NO_LABELS = {
    "bytes": np.array([b"low", b"high"]),
    "pandas bytes": pd.Series([b"low", b"high"], dtype=object),
    "polars Binary": pl.Series([b"low", b"high"]),
    "Decimals": np.array([decimal.Decimal("1.5"), decimal.Decimal("2.5")]),
    "polars Decimal": pl.Series([decimal.Decimal("1.5"), decimal.Decimal("2.5")]),
    "lists": pd.Series([[1], [2]]),
    "polars lists": pl.Series([[1], [2]]),
    "complex": np.array([1j, 2j]),
}
