"""Rows that other libraries bring in chunks are the rows of arrays, and the page on them shows what its code prints."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import all_three, assert_same_answers, make_data, make_model

PAGE = Path(__file__).parents[2] / "docs" / "user_guide" / "larger_than_memory.md"
N_ROWS, ROWS_OF_A_CHUNK = 200, 50
SLICES = [slice(start, start + ROWS_OF_A_CHUNK) for start in range(0, N_ROWS, ROWS_OF_A_CHUNK)]


def data_of(name):
    """Features and targets as frames, and what the first `partial_fit` needs to know of them."""
    X, y = make_data(name, N_ROWS)
    classes = {
        "regressor": {},
        "classifier": {"classes": [["high", "low", "middle"], ["no", "yes"]]},
        "multitask": {"classes": {"label": ["high", "low", "middle"]}},
    }[name]
    kinds = {"tasks": {"label": "multiclass", "value": "regression", "count": "count"}} if name == "multitask" else {}
    X = pd.DataFrame(X.astype(np.float32), columns=[f"x{i}" for i in range(X.shape[1])])
    return X, pd.DataFrame(y).rename(columns=str), classes, make_model(name, **kinds)


def learned(model, chunks, classes):
    for X, y in chunks:
        model.partial_fit(X, y, **classes)
        classes = {}
    return model


@all_three
def test_parquet_batches_are_as_slices(name, tmp_path):
    import pyarrow.parquet as pq

    X, y, classes, model = data_of(name)
    pd.concat([X, y], axis=1).to_parquet(tmp_path / "rows.parquet", row_group_size=70)
    with pq.ParquetFile(tmp_path / "rows.parquet", pre_buffer=False) as file:
        batches = [batch.to_pandas() for batch in file.iter_batches(ROWS_OF_A_CHUNK)]
    assert [len(batch) for batch in batches] == [ROWS_OF_A_CHUNK] * len(SLICES)
    model = learned(model, ((batch[[*X]], batch[[*y]]) for batch in batches), classes)
    expected = learned(data_of(name)[-1], ((X.iloc[rows], y.iloc[rows]) for rows in SLICES), classes)
    assert model.n_samples_seen_ == N_ROWS
    assert_same_answers(model, expected, X)


def test_dask_blocks_are_as_slices():
    import dask
    import dask.array as da

    X, y, _, model = data_of("regressor")
    X, y = X.to_numpy(), y.to_numpy()
    X_blocks, y_blocks = (da.from_array(array, chunks=(ROWS_OF_A_CHUNK, -1)) for array in (X, y))
    blocks = (dask.compute(X_blocks.blocks[i], y_blocks.blocks[i]) for i in range(len(SLICES)))
    expected = learned(data_of("regressor")[-1], ((X[rows], y[rows]) for rows in SLICES), {})
    assert_same_answers(learned(model, blocks, {}), expected, X)


def blocks_and_outputs(kind):
    """Code of the page and what stands below it."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"```{kind}\n(.*?)```\n\n(?:```text\n(.*?)```)?", text, re.DOTALL)


def test_the_page_shows_what_its_code_prints():
    names = {}
    for code, shown in blocks_and_outputs("python"):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert printed.getvalue() == shown


@pytest.mark.slow
def test_ray_batches_as_the_page_takes_them(tmp_path):
    """In a process of its own: Ray starts others, and replaces builtins."""
    [(code, shown)] = blocks_and_outputs("py")
    before = "\n".join(code for code, _ in blocks_and_outputs("python")[:-1])  # but for Dask's
    script = tmp_path / "script.py"
    script.write_text(f"{before}\nprint('here it begins')\n{code}")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith(f"here it begins\n{shown}")
