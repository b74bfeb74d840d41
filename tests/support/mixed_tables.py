"""A table of columns of every kind, for the tests of preprocessing."""

import numpy as np
import pandas as pd
import polars as pl
from helpers import N_ROWS, make_features


def make_frame(n_rows=N_ROWS):
    """Every kind of column, with something missing in most of them."""
    X = make_features(n_rows)
    number = X[:, 0].copy()
    number[::7] = np.nan
    town = np.array(["Bonn", "Kiel", "Ulm"])[np.digitize(X[:, 1], [-0.5, 0.5])]
    member = pd.Series(X[:, 2] > 0, dtype="boolean")
    member[::5] = pd.NA
    return pd.DataFrame(
        {
            "number": number,
            "rooms": pd.Series(np.arange(len(X)) % 4, dtype="Int64").mask(X[:, 3] > 1),
            "town": pd.Series(town, dtype="string").mask(X[:, 0] > 1),
            "shop": pd.Categorical(np.where(X[:, 3] > 0.2, None, town)),
            "word": pd.Series(np.where(X[:, 2] > 1, None, town), dtype=object),
            "flag": X[:, 1] > 0,
            "member": member,
            "constant": 3.0,
            "nothing": np.nan,
        }
    )


def as_polars(frame):
    columns = {}
    for name, values in frame.items():
        own = [None if pd.isna(value) else value for value in values]
        columns[name] = pl.Series(own, dtype=pl.Categorical) if name == "shop" else pl.Series(own)
    return pl.DataFrame(columns)
