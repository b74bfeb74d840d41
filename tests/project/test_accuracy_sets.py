"""Sets of the accuracy benchmark that are public files: found, checked, read without leaks, split as they should be."""

import functools
import hashlib
import http.server
import re
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import _accuracy_sets
import _accuracy_sets_files as files
import _accuracy_sets_tuned as tuned
import numpy as np
import pandas as pd
import pytest
from benchmark_sets import CASES, GROUPS, ROWS, numbers, of_flights

README = (Path(__file__).parents[2] / "benchmarks" / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of small files that look like those of each set, and a table that knows their contents."""
    known = files.FILES.copy()
    for name, (texts, _, _) in CASES.items():
        for file, text in zip(_accuracy_sets.SOURCES[name].files, texts, strict=True):
            (tmp_path / file).write_text(text, encoding="utf-8")
            known.loc[file, "sha256"] = hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
    monkeypatch.setattr(files, "FILES", known)
    monkeypatch.setattr(files, "HOST", "nowhere://")  # all files are there
    monkeypatch.setattr(tuned, "load_flights", of_flights)
    monkeypatch.setattr(tuned, "FLIGHTS", ROWS)
    properties = SimpleNamespace(GetPropertyNames=lambda: ["carbons", "odd"], ComputeProperties=lambda n: [n, n % 2])
    monkeypatch.setitem(sys.modules, "rdkit.Chem", SimpleNamespace(MolFromSmiles=len))
    module = SimpleNamespace(Properties=lambda: properties)
    monkeypatch.setitem(sys.modules, "rdkit.Chem.rdMolDescriptors", module)
    return tmp_path


def test_every_set_of_files_has_a_case():
    assert set(CASES) == set(_accuracy_sets.SOURCES)


@pytest.mark.parametrize("name", list(CASES))
def test_tasks_and_names_of_rows_are_no_features(name, folder):
    _, columns, kinds = CASES[name]
    data = _accuracy_sets.load_set(name, None, folder)
    assert list(data.X) == columns
    assert data.kinds == kinds
    assert list(data.labels) == list(kinds)
    assert set(data.labels.dtypes) == {np.dtype(float)}
    assert data.X.index.equals(pd.RangeIndex(len(data.X)))
    assert data.labels.index.equals(data.X.index)
    for task, kind in kinds.items():
        classes = np.unique(data.labels[task].dropna())
        assert kind == "regression" or list(classes) == list(range(len(classes)))


@pytest.mark.parametrize("name", list(CASES))
def test_each_row_is_in_one_part_and_groups_stay_together(name, folder):
    data = _accuracy_sets.load_set(name, None, folder)
    assert sorted(np.concatenate(list(data.splits.values()))) == list(range(len(data.X)))
    assert (data.groups is not None) == (name in GROUPS)
    few = data.at_most(n_train=5)
    for part in ("valid", "test", "published"):
        runs = list(data.runs(part, 2))
        for (_, fitted, measured), (_, some, as_many) in zip(runs, few.runs(part, 2), strict=True):
            assert not set(fitted) & set(measured)
            assert len(some) == 5 < len(fitted)
            assert set(some) < set(fitted)
            assert list(measured) == list(as_many)
            if name in GROUPS:
                assert not set(data.groups[fitted]) & set(data.groups[measured])
        if not data.n_folds:
            assert [len(measured) for _, _, measured in runs] == [
                len(data.splits["val" if part == "valid" else "test"])
            ] * 2


@pytest.mark.parametrize(("name", "n_groups"), list(GROUPS.items()))
def test_rows_that_hang_together_are_one_group(name, n_groups, folder):
    assert len(np.unique(_accuracy_sets.load_set(name, None, folder).groups)) == n_groups


def test_labels_that_are_missing_stay_missing(folder):
    load = functools.partial(_accuracy_sets.load_set, data=None, files=folder)
    assert load("personality").labels["education"].isna().sum() == 1
    assert load("flights").labels["late"].isna().sum() == ROWS // 3
    assert len(load("weather").X) == ROWS - 3
    assert load("air").labels["CO(GT)"].isna().sum() == load("air").X["T"].isna().sum() == 1
    assert len(load("school").X) == ROWS - 1
    assert load("school").labels["readk"].isna().sum() == load("school").X["birth"].isna().sum() == 1
    assert load("crime").labels["rapesPerPop"].isna().sum() == 1


def test_what_comes_last_is_measured_on(folder):
    years = _accuracy_sets.load_set("turbine", None, folder).splits
    assert [list(rows[[0, -1]]) for rows in years.values()] == [[0, 78], [79, 116], [117, 189]]  # two years, one, two
    hours = _accuracy_sets.load_set("air", None, folder).splits
    assert [list(rows[[0, -1]]) for rows in hours.values()] == [[0, 5], [6, 29], [30, 39]]


def test_labels_are_what_they_say(folder):
    load = functools.partial(_accuracy_sets.load_set, data=None, files=folder)
    assert list(load("drugs").labels["LSD"][:4]) == [0, 0, 1, 1]  # never, long ago, within a year, yesterday
    assert list(load("infarction").labels["LET_IS"][:2]) == [0, 1]
    assert list(load("mice").labels.iloc[0]) == [0, 1, 1]
    assert list(load("care").labels["health"][:3]) == [2, 0, 1]
    assert load("school").X["birth"].iloc[0] == 1979.5
    assert load("care").labels["visits"].max() < np.log(101)


def test_groups_are_whole_in_folds():
    groups = np.repeat(range(10), 3)
    X = numbers("a", rows=30)
    splits = {"train": np.arange(18), "val": np.arange(18, 24), "test": np.arange(24, 30)}
    data = _accuracy_sets.DataSet(X, X.astype(float), {"a": "regression"}, splits, n_folds=5, groups=groups)
    for part, n_measured in (("test", 30), ("valid", 24)):
        runs = list(data.runs(part, 1))
        assert sorted(np.concatenate([measured for _, _, measured in runs])) == list(range(n_measured))
        assert not any(set(groups[fitted]) & set(groups[measured]) for _, fitted, measured in runs)
    few = data.at_most(20, n_train=5)
    assert len(few.groups) == len(few.X) == 20
    assert all(len(fitted) == 5 for _, fitted, _ in few.runs("test", 1))
    assert few.at_most(15).n_train == 5


def test_sets_of_files_are_left_out_without_a_folder():
    assert all(_accuracy_sets.load_set(name, None) is None for name in _accuracy_sets.SOURCES)


def test_files_are_named_once_and_used():
    used = [file for source in _accuracy_sets.SOURCES.values() for file in source.files]
    assert sorted(used) == sorted(files.FILES.index)
    for column, pattern in {
        "repository": r"[\w.-]+/[\w.-]+",
        "commit": "[0-9a-f]{40}",
        "sha256": "[0-9a-f]{64}",
    }.items():
        assert files.FILES[column].str.fullmatch(pattern).all()


def test_the_page_lists_the_sets_as_they_are():
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| (tuned|held out) \|$", README, re.MULTILINE)
    assert [name for name, role in rows if role == "tuned"] == list(_accuracy_sets.TUNED)
    assert [name for name, role in rows if role == "held out"] == list(_accuracy_sets.HELD_OUT)
    assert sorted(_accuracy_sets.NAMES) == sorted(name for name, _ in rows)


@pytest.fixture
def server(tmp_path):
    """Files of a folder by HTTP, on this machine."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "served")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_missing_file_is_fetched_and_its_content_checked(tmp_path, server, monkeypatch):
    source = files.FILES.loc["voices.csv"]
    served = tmp_path.joinpath("served", source["repository"], source["commit"], source["path"])
    served.parent.mkdir(parents=True)
    served.write_text("a,b\n1,2\n")
    monkeypatch.setattr(files, "HOST", server)
    with pytest.raises(ValueError, match="hash of downloaded file"):
        files.find("voices.csv", tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []
    known = files.FILES.copy()
    known.loc["voices.csv", "sha256"] = hashlib.sha256(served.read_bytes()).hexdigest()
    monkeypatch.setattr(files, "FILES", known)
    found = files.find("voices.csv", tmp_path / "folder")
    assert found == tmp_path / "folder" / "voices.csv"
    assert found.read_bytes() == served.read_bytes()
