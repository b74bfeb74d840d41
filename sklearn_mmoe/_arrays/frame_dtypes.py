"""Data types of data frames by their names: a model opens where the library is not installed, or another version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_mmoe._common.extras import require


@dataclass(frozen=True, eq=False)
class FrameDtype:
    """The data type of a column of pandas or polars.

    Parameters
    ----------
    library : {"pandas", "polars"}
    name : str
        What `native` makes the data type of.
    categories : ndarray of shape (n_categories,), default=None
        Of a categorical of pandas, or an Enum of polars.
    categories_dtype : FrameDtype or data type of pandas, default=None
        Of a categorical of pandas: the data type of its categories, as `described` gives it.
    ordered : bool, default=False
        Whether the categories of pandas stand in an order.
    """

    library: str
    name: str
    categories: NDArray[Any] | None = None
    categories_dtype: Any = None
    ordered: bool = False

    def native(self) -> Any:
        """The library's own data type.

        Raises
        ------
        ImportError, ValueError
            If the library is not here, or has no such data type.
        """
        try:
            return _of_pandas(self) if self.library == "pandas" else _of_polars(self)
        except ImportError:
            raise
        except Exception as error:  # of many kinds, some of them the library's own
            raise ValueError(f"{self.library} has no data type {self.name!r} of such categories: {error}") from error


def described(dtype: Any) -> Any:
    """The description of a data frame's data type; the data type itself where no description leads back to it."""
    if dtype is None:
        return None
    library = type(dtype).__module__.partition(".")[0]
    description = None
    if isinstance(dtype, np.dtype) or library == "pandas":
        description = _describe_pandas(dtype)
    elif library == "polars":
        description = _describe_polars(dtype)
    try:
        return description if description is not None and description.native() == dtype else dtype
    except (ImportError, ValueError):
        return dtype


def native_dtype(dtype: Any) -> Any:
    """The data type of a description, or the one that is given as it is."""
    return dtype.native() if isinstance(dtype, FrameDtype) else dtype


def _describe_pandas(dtype: Any) -> FrameDtype:
    match type(dtype).__name__:
        case "CategoricalDtype":
            own = dtype.categories
            return FrameDtype("pandas", "category", own.to_numpy(), described(own.dtype), bool(dtype.ordered))
        case "StringDtype":
            return FrameDtype("pandas", f"{'str' if dtype.na_value is np.nan else 'string'}:{dtype.storage}")
        case "ArrowDtype":
            return FrameDtype("pandas", f"arrow:{dtype.pyarrow_dtype}")
        case _:
            return FrameDtype("pandas", str(dtype))


def _of_pandas(description: FrameDtype) -> Any:
    require(f"The data type {description.name!r} of pandas", "pandas")
    import pandas as pd

    kind, _, detail = description.name.partition(":")
    match kind:
        case "category":
            categories = pd.Index(description.categories, dtype=native_dtype(description.categories_dtype))
            return pd.CategoricalDtype(categories, ordered=description.ordered)
        case "str" | "string":
            return _strings_with_nan(pd, detail) if kind == "str" else pd.StringDtype(detail)
        case "arrow":
            require(f"The data type {detail!r} of pandas", "pyarrow")
            import pyarrow as pa

            return pd.ArrowDtype(pa.type_for_alias(detail))
        case _:
            return pd.api.types.pandas_dtype(description.name)


def _strings_with_nan(pd: Any, storage: str) -> Any:
    """The strings of pandas 3, which are objects before pandas 2.3."""
    pd.StringDtype(storage)  # an error where there is no such storage
    try:
        return pd.StringDtype(storage, na_value=np.nan)
    except TypeError:
        return np.dtype(object)


def _describe_polars(dtype: Any) -> FrameDtype | None:
    name = dtype.base_type().__name__
    if name == "Enum":
        return FrameDtype("polars", name, np.array(dtype.categories.to_list(), dtype=object))
    # A data type of polars without its parameters, such as a unit of time, equals each of those with them
    return FrameDtype("polars", name) if str(dtype) == name or name == "Categorical" else None


def _of_polars(description: FrameDtype) -> Any:
    require(f"The data type {description.name!r} of polars", "polars")
    import polars as pl

    if description.name == "Enum":
        return pl.Enum([] if description.categories is None else description.categories.tolist())
    dtype = getattr(pl, description.name, None)
    if not (isinstance(dtype, type) and issubclass(dtype, pl.DataType)):
        raise TypeError("no class of a data type has this name")
    return dtype
