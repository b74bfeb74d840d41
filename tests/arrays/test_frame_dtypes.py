"""Data types of data frames, described so that they come back, and needed only where a data frame is asked for."""

import re
import subprocess
import sys
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from helpers import by_file, by_pickle, by_skops, make_features, make_model
from versions import needs

from sklearn_mmoe._arrays.frame_dtypes import FrameDtype, described

PANDAS = [
    *["int64", "float32", "bool", "object", "Int64", "boolean", "Float64", "datetime64[ns]", "datetime64[us, UTC]"],
    *[pd.StringDtype("python"), pd.StringDtype("pyarrow")],
    *[pd.ArrowDtype(pa.string()), pd.ArrowDtype(pa.int64()), pd.ArrowDtype(pa.bool_())],
    *[pd.CategoricalDtype(["b", "a"]), pd.CategoricalDtype(["b", "a"], ordered=True), pd.CategoricalDtype([3, 1])],
    *[pd.CategoricalDtype([date(2020, 1, 1), date(2021, 1, 1)]), pd.CategoricalDtype(pd.to_datetime(["2020-01-01"]))],
    *[pd.CategoricalDtype([]), pd.CategoricalDtype(pd.Index(["a"], dtype=object))],
]
POLARS = [pl.String(), pl.Boolean(), pl.Int8(), pl.UInt64(), pl.Float32(), pl.Date(), pl.Categorical()]


def assert_comes_back(dtype):
    description = described(dtype)
    assert isinstance(description, FrameDtype)
    found = description.native()
    assert found == dtype
    assert repr(found) == repr(dtype)


@pytest.mark.parametrize("dtype", PANDAS, ids=repr)
def test_data_types_of_pandas_come_back(dtype):
    assert_comes_back(pd.api.types.pandas_dtype(dtype))


@needs("pandas", "2.3")
@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_the_strings_of_newer_pandas_come_back(storage):
    assert_comes_back(pd.StringDtype(storage, na_value=np.nan))


@pytest.mark.parametrize("dtype", [*POLARS, pl.Enum(["b", "a"]), pl.Enum([])], ids=repr)
def test_data_types_of_polars_come_back(dtype):
    description = described(dtype)
    assert isinstance(description, FrameDtype)
    assert repr(description.native()) == repr(dtype)


@pytest.mark.parametrize(
    "dtype", [pl.Datetime("us"), pl.Datetime("ms", "UTC"), pl.List(pl.Int8), pd.ArrowDtype(pa.list_(pa.int8())), "any"]
)
def test_a_data_type_that_no_description_leads_back_to_stays_what_it_is(dtype):
    assert described(dtype) is dtype


def test_there_may_be_no_data_type():
    assert described(None) is None


@pytest.mark.parametrize(
    ("library", "name"),
    [
        *[("polars", name) for name in ("read_csv", "not there", "Enum")],
        *[
            ("pandas", name)
            for name in ("not there", "(1,", "arrow:not there", "str:not there", "category", "period[x]")
        ],
    ],
)
def test_a_name_that_is_no_data_type_is_an_error(library, name):
    with pytest.raises(ValueError, match=re.escape(f"{library} has no data type {name!r}")):
        FrameDtype(library, name, categories=np.array([["a"], ["b"]]) if name == "Enum" else None).native()


def labels(dtype):
    """Two classes, as a data frame of the library of a data type."""
    first, second = {"bool": (False, True), "Int64": (1, 2)}.get(str(dtype), ("high", "low"))
    values = np.where(make_features()[:, 0] > 0, first, second).tolist()
    if isinstance(dtype, pl.DataType):
        return pl.DataFrame({"level": pl.Series(values, dtype=dtype)})
    return pd.DataFrame({"level": pd.Series(values, dtype=dtype)})


@pytest.mark.parametrize("there_and_back", [by_pickle, by_skops, by_file])
@pytest.mark.parametrize(
    "dtype",
    [
        *["bool", "Int64", "str", pd.StringDtype("python"), pd.CategoricalDtype(["low", "high"], ordered=True)],
        *[pl.String(), pl.Categorical(), pl.Enum(["low", "high"])],
    ],
    ids=repr,
)
def test_a_frame_of_predictions_keeps_its_types(dtype, there_and_back):
    X, y = make_features(), labels(dtype)
    model = make_model("multitask", tasks=["multiclass"]).fit(X, y)
    expected, found = model.predict_frame(X), there_and_back(model).predict_frame(X)
    assert type(found) is type(y)
    assert expected.equals(found)
    assert list(found.dtypes) == list(expected.dtypes) == list(y.dtypes)


def test_a_model_opens_and_answers_where_pandas_is_missing(tmp_path):
    X, y = make_features(), labels("str")
    model = make_model("multitask", tasks=["multiclass"]).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    np.save(tmp_path / "X.npy", X)
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "import numpy as np, sklearn_mmoe\n"
        f"model = sklearn_mmoe.load(r'{tmp_path / 'model.safetensors'}')\n"
        f"print(*model.predict(np.load(r'{tmp_path / 'X.npy'}')).ravel())\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == model.predict(X).ravel().tolist()


def test_a_frame_of_another_library_is_a_clear_error():
    model = make_model("multitask", tasks=["multiclass"]).fit(make_features(), labels("str"))
    answers = model.predict(make_features())
    model._y_frame = "antigravity"  # as an altered file might have it: importing it would open a web page
    with pytest.raises(ValueError, match="data frames of pandas, polars or pyarrow; y was one of 'antigravity'"):
        model.predict_frame(make_features())
    assert "antigravity" not in sys.modules
    np.testing.assert_array_equal(model.predict(make_features()), answers)


@pytest.mark.parametrize(
    ("library", "name"),
    [*[("polars", name) for name in ("Date", "Time", "Int8")], ("pandas", "V8"), ("pandas", "int8")],
)
def test_a_data_type_that_the_labels_do_not_go_into_is_a_clear_error(library, name):
    """As an altered file might have it."""
    y = {"pandas": pd, "polars": pl}[library].DataFrame({"level": np.where(make_features()[:, 0] > 0, "high", "low")})
    model = make_model("multitask", tasks=["multiclass"], max_epochs=1).fit(make_features(), y)
    model._tasks = (replace(model._tasks[0], dtype=FrameDtype(library, name)),)
    with pytest.raises(ValueError, match="the predictions do not go into the data types"):
        model.predict_frame(make_features())
