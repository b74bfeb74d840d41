"""A table with categories, in all forms that X has, for the tests of categorical columns."""

import numpy as np
import pandas as pd
import polars as pl
from helpers import N_ROWS, make_features

TOWNS = ["Bonn", "Kiel", "Ulm"]


def make_frame(n_rows=N_ROWS):
    """Two numbers, then a string, an id and a flag between them."""
    X = make_features(n_rows)
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "age": X[:, 0],
            "town": rng.choice(TOWNS, n_rows),
            "height": X[:, 1],
            "shop": pd.Categorical(rng.integers(0, 20, n_rows) + 2**24),
            "member": X[:, 2] > 0,
        }
    )


def as_polars(frame):
    columns = {key: values.tolist() for key, values in frame.items()}
    columns["shop"] = pl.Series([str(shop) for shop in columns["shop"]], dtype=pl.Categorical)
    return pl.DataFrame(columns)


def as_array(frame):
    return frame.astype(object).to_numpy()
