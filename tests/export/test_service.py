"""The example of a service, examples/service.py, as a real server on this machine."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from _server import served
from helpers import SMALL, fitted, make_features, make_labels, make_model, steep
from numpy.testing import assert_array_equal
from versions import needs

from sklearn_mmoe import MMoEMultiTask, make_tabular_pipeline
from sklearn_mmoe.export import to_onnx

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "examples" / "service.py"

pytestmark = pytest.mark.slow
httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")

N_HOUSES = 80


def make_houses():
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"size": rng.normal(100, 20, N_HOUSES), "rooms": rng.integers(1, 6, N_HOUSES)})
    X["city"] = rng.choice(["Lima", "Oslo"], N_HOUSES)
    y = pd.DataFrame({"price": 3 * X["size"], "sold": np.where(X["rooms"] > 2, "yes", "no")})
    return X, y


def houses_model(**parameters):
    tasks = {"price": "regression", "sold": "binary"}
    return make_tabular_pipeline(MMoEMultiTask(tasks=tasks, **{**SMALL, **parameters})).fit(*make_houses())


@contextmanager
def service_of(model, folder, name="model.joblib", write=joblib.dump):
    """A client of a server of the model, and the file that it serves; afterwards the server has stopped cleanly."""
    file = folder / name
    write(model, file)
    with served(SERVICE, file) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        yield client, file
    assert server.process.returncode == 0
    log = "".join(server.log)
    assert "Finished server process" in log
    assert "Traceback" not in log
    assert "Warning" not in log


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    model = houses_model()
    with service_of(model, tmp_path_factory.mktemp("houses")) as (client, _):
        yield model, client


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A model that was fitted on an array."""
    model = steep(fitted("regressor"))
    with service_of(model, tmp_path_factory.mktemp("numbers")) as (client, _):
        yield model, client


def ask(client, rows):
    response = client.post("/predict", json={"rows": rows})
    assert response.status_code == 200, response.text
    return response.json()


def assert_answers(answer, model, X):
    expected = model.predict(X)
    for t, predictions in enumerate(answer["predictions"].values()):
        assert_array_equal(predictions, expected[:, t])


# --------------------------------------------------------------------------------------------------------------------
# Answers


def test_rows_are_objects_or_lists(houses):
    model, client = houses
    X, _ = make_houses()
    as_objects, as_lists = (ask(client, rows) for rows in (X.to_dict("records"), X.to_numpy().tolist()))
    assert as_objects == as_lists
    assert list(as_objects["predictions"]) == ["price", "sold"]
    assert_answers(as_objects, model, X)
    chances = model.predict_proba(X)["sold"]
    assert as_objects["probabilities"] == {"sold": {"no": chances[:, 0].tolist(), "yes": chances[:, 1].tolist()}}
    one = ask(client, [dict(reversed(X.iloc[7].to_dict().items()))])
    assert_answers(one, model, X.iloc[[7]])


def test_null_is_a_missing_value(houses):
    model, client = houses
    X, _ = make_houses()
    X = X[:3].astype({"rooms": float})
    X.loc[0, "size"], X.loc[1, "rooms"], X.loc[2, "city"] = np.nan, np.nan, None
    rows = X.astype(object).where(X.notna(), None).to_numpy().tolist()
    assert_answers(ask(client, rows), model, X)


def test_a_model_fitted_on_an_array(numbers):
    model, client = numbers
    X = make_features()
    answer = ask(client, X.tolist())
    assert list(answer["predictions"]) == ["y0", "y1"]
    assert answer["probabilities"] == {}
    assert_answers(answer, model, X)


def test_a_classifier_of_several_tasks(tmp_path):
    model, X = fitted("classifier"), make_features()
    with service_of(model, tmp_path) as (client, _):
        answer = ask(client, X.tolist())
    assert_answers(answer, model, X)
    assert {task: list(found) for task, found in answer["probabilities"].items()} == {
        "y0": ["0.0", "1.0"],
        "y1": ["0.0", "1.0", "2.0"],
    }
    for found, expected in zip(answer["probabilities"].values(), model.predict_proba(X), strict=True):
        assert_array_equal(np.column_stack(list(found.values())), expected)


def test_a_classifier_of_one_task(tmp_path):
    X = make_features()
    model = make_model("classifier").fit(X, make_labels())
    with service_of(model, tmp_path) as (client, _):
        answer = ask(client, X.tolist())
    assert answer["predictions"] == {"y0": model.predict(X).tolist()}
    no, yes = model.predict_proba(X).T.tolist()
    assert answer["probabilities"] == {"y0": {"no": no, "yes": yes}}


def test_a_file_that_runs_no_code(tmp_path):
    model, X = fitted("classifier"), make_features()
    with service_of(model, tmp_path, "model.safetensors", lambda model, file: model.save(file)) as (client, _):
        assert_answers(ask(client, X.tolist()), model, X)
        assert client.get("/health").json()["kind"] == "MMoEClassifier"


def test_a_graph_of_a_pipeline(tmp_path):
    model, (X, _) = houses_model(), make_houses()
    with_holes = X.astype({"rooms": float})
    with_holes.loc[0, "size"], with_holes.loc[1, "rooms"], with_holes.loc[2, "city"] = np.nan, np.nan, None
    rows = with_holes.astype(object).where(with_holes.notna(), None)

    def write(model, file):
        to_onnx(model, file, example=with_holes)

    with service_of(model, tmp_path, "model.onnx", write) as (client, _):
        as_objects, as_lists = (ask(client, own) for own in (rows.to_dict("records"), rows.to_numpy().tolist()))
        health = client.get("/health").json()
        refused = [client.post("/predict", json={"rows": [row]}) for row in ([80, "big", "Oslo"], [80, 3, 7])]
    assert as_objects == as_lists
    expected, chances = model.predict(with_holes), model.predict_proba(with_holes)["sold"]
    np.testing.assert_allclose(as_objects["predictions"]["price"], expected[:, 0].astype(float), rtol=1e-5)
    assert as_objects["predictions"]["sold"] == expected[:, 1].tolist()
    found = np.column_stack([as_objects["probabilities"]["sold"][label] for label in ("no", "yes")])
    np.testing.assert_allclose(found, chances, atol=1e-5)
    assert (health["kind"], health["features"], health["tasks"]) == (
        "ONNX graph",
        ["size", "rooms", "city"],
        ["price", "sold"],
    )
    assert [response.status_code for response in refused] == [422, 422]
    assert [response.json()["detail"] for response in refused] == [
        "Feature 'rooms' must be a number in each row.",
        "Feature 'city' must be a string in each row.",
    ]


def test_rows_that_overflow_are_refused(numbers):
    model, client = numbers
    far = [3e38, -3e38, 3e38, -3e38]
    with pytest.raises(ValueError, match="no answer for row 1 of X") as error:
        model.predict([[0.0] * 4, far])
    response = client.post("/predict", json={"rows": [[0.0] * 4, far]})
    assert (response.status_code, response.json()["detail"]) == (422, str(error.value))


def test_a_graph_of_a_model_fitted_on_an_array(tmp_path):
    model, X = steep(fitted("regressor")), make_features()

    def write(model, file):
        to_onnx(model, file, example=X)

    with service_of(model, tmp_path, "model.onnx", write) as (client, _):
        answer = ask(client, X.tolist())
        refused = [
            client.post("/predict", json={"rows": [X[0].tolist(), row]})
            for row in ([1.0, 2.0, 3.0, None], [3e38, -3e38, 3e38, -3e38])
        ]
    predictions = np.column_stack(list(answer["predictions"].values()))
    np.testing.assert_allclose(predictions, model.predict(X), rtol=1e-5, atol=1e-5)
    detail = "rows[1]: The model has no answer in 'y0'; values may be missing or too large."
    assert [(response.status_code, response.json()["detail"]) for response in refused] == [(422, detail)] * 2


def test_many_clients_at_once_get_their_own_answers(houses):
    model, client = houses
    X, _ = make_houses()
    expected = model.predict(X)[:, 0].astype(float)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda row: ask(client, [row]), X.to_dict("records")))
    found = [answer["predictions"]["price"][0] for answer in answers]
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # a row alone or among others: float32 rounds another way


# --------------------------------------------------------------------------------------------------------------------
# What is refused

HOUSE = {"size": 90.0, "rooms": 3, "city": "Oslo"}
REFUSED = {
    "too few values": ('{"rows": [[90, 3, "Oslo"], [90, 3]]}', "rows[1]: Got 2 values for 3 features."),
    "a feature that is missing": (
        '{"rows": [{"size": 90, "city": "Oslo"}]}',
        "rows[0]: Features that are missing: ['rooms']; unknown: [].",
    ),
    "a feature that is unknown": (
        '{"rows": [{"size": 90, "rooms": 3, "city": "Oslo", "color": 1}]}',
        "rows[0]: Features that are missing: []; unknown: ['color'].",
    ),
    "NaN": ('{"rows": [[90, NaN, "Oslo"]]}', "rows[0][1]: Input should be a finite number."),
    "NaN by name": (
        '{"rows": [{"size": NaN, "rooms": 3, "city": "Oslo"}]}',
        "rows[0]['size']: Input should be a finite number.",
    ),
    "infinity": ('{"rows": [[Infinity, 3, "Oslo"]]}', "rows[0][0]: Input should be a finite number."),
    "more than a float holds": ('{"rows": [[1e999, 3, "Oslo"]]}', "rows[0][0]: Input should be a finite number."),
    "a list in a list": ('{"rows": [[[90], 3, "Oslo"]]}', "rows[0][0]: Input should be a valid number."),
    "words for a number": ('{"rows": [["large", 3, "Oslo"]]}', "could not convert string to float: 'large'"),
    "a huge integer": ('{"rows": [[1' + 400 * "0" + ', 3, "Oslo"]]}', "int too large to convert to float"),
    "a row that is none": (
        '{"rows": [90]}',
        "rows[0]: Input should be a list of values, or an object of values by feature.",
    ),
    "rows that are none": ('{"rows": 90}', "rows: Input should be a valid list."),
    "no rows": ('{"rows": []}', "rows: List should have at least 1 item after validation, not 0."),
    "another key": ('{"row": [[90, 3, "Oslo"]]}', "rows: Field required."),
    "a list": ('[[90, 3, "Oslo"]]', "The body must be application/json, an object with the key 'rows'"),
    "no JSON": ('{"rows": ', "JSON decode error"),
    "nothing": ("", "The body must be application/json, an object with the key 'rows'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_told(houses, name):
    _, client = houses
    body, words = REFUSED[name]
    response = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert words in response.json()["detail"]
    assert ask(client, [HOUSE])


def test_there_is_a_limit_of_rows(numbers):
    _, client = numbers
    assert len(ask(client, 10_000 * [[0.0, 0.0, 0.0, 0.0]])["predictions"]["y0"]) == 10_000
    response = client.post("/predict", json={"rows": 10_001 * [[0.0, 0.0, 0.0, 0.0]]})
    assert response.status_code == 422
    assert response.json()["detail"] == "rows: List should have at most 10000 items after validation, not 10001."


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"x0": 0.0}, "rows[0]: The model knows no names; send a list of 4 values."),
        ([0.0, None, 0.0, 0.0], "contains NaN"),
        ([0.0, "high", 0.0, 0.0], "could not convert string to float: 'high'"),
        ([0.0, 10**400, 0.0, 0.0], "int too large to convert to float"),
    ],
)
def test_a_model_fitted_on_an_array_refuses(numbers, row, words):
    _, client = numbers
    response = client.post("/predict", json={"rows": [row]})
    assert response.status_code == 422
    assert words in response.json()["detail"]


@needs("fastapi", "0.165.0")  # older ones were seen to take it
def test_a_body_that_does_not_say_that_it_is_json(houses):
    _, client = houses
    response = client.post("/predict", content='{"rows": [[90, 3, "Oslo"]]}')
    assert response.status_code == 422
    assert response.json()["detail"].startswith("The body must be application/json")


# --------------------------------------------------------------------------------------------------------------------
# Health, and other models


def test_health_says_which_model_answers(houses, numbers):
    for model, client in (houses, numbers):
        health = client.get("/health").json()
        assert (health["status"], health["file"]) == ("ok", "model.joblib")
        assert health["features"] == (["size", "rooms", "city"] if model is houses[0] else 4)
        assert health["tasks"] == (["price", "sold"] if model is houses[0] else ["y0", "y1"])
        assert health["kind"] == ("MMoEMultiTask" if model is houses[0] else "MMoERegressor")
        loaded_at = pd.Timestamp(health["loaded_at"])
        assert pd.Timedelta(0) <= pd.Timestamp.now("UTC") - loaded_at < pd.Timedelta("10min")


def test_the_service_describes_itself_to_programs(houses):
    _, client = houses
    paths = client.get("/openapi.json").json()["paths"]
    assert {path: list(methods) for path, methods in paths.items()} == {
        "/predict": ["post"],
        "/health": ["get"],
        "/reload": ["post"],
    }


def test_reload_takes_the_new_model_while_others_ask(tmp_path):
    models = [houses_model(random_state=seed) for seed in (0, 1)]
    prices = [model.predict(make_houses()[0][:1])[0, 0] for model in models]
    assert prices[0] != prices[1]
    with service_of(models[0], tmp_path) as (client, file):
        row = make_houses()[0][:1].to_dict("records")
        versions = [client.get("/health").json()["model"]]
        joblib.dump(models[1], tmp_path / "new.joblib")
        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask, client, row) for _ in range(20)]
            os.replace(tmp_path / "new.joblib", file)
            reloaded = client.post("/reload")
            asking += [pool.submit(ask, client, row) for _ in range(20)]
        assert reloaded.status_code == 200
        assert reloaded.json() == client.get("/health").json()
        versions.append(reloaded.json()["model"])
        assert versions[0] != versions[1]
        answers = [future.result() for future in asking]
        for answer in answers:
            assert answer["predictions"]["price"] == [prices[versions.index(answer["model"])]]
        assert answers[0]["model"] == versions[0]
        assert answers[-1]["model"] == versions[1]


def cut_in_half(file):
    file.write_bytes(file.read_bytes()[:1000])


def make_empty(file):
    file.write_bytes(b"")


def write_another_thing(file):
    joblib.dump({"a": 1}, file)


def remove(file):
    file.unlink()


def test_the_old_model_goes_on_if_reload_fails(tmp_path):
    model = houses_model()
    with service_of(model, tmp_path) as (client, file):
        before = client.get("/health").json()
        for break_it, words in (
            (cut_in_half, "model.joblib cannot be loaded: "),
            (make_empty, "model.joblib cannot be loaded: It is empty, cut off or broken (EOFError)."),
            (write_another_thing, "holds a dict, which is no fitted estimator of sklearn_mmoe (ValueError)."),
            (remove, "No such file or directory"),
        ):
            break_it(file)
            response = client.post("/reload")
            assert response.status_code == 500
            assert words in response.json()["detail"]
            assert response.json()["detail"].endswith(f" Model {before['model']} goes on answering.")
            assert client.get("/health").json() == before
            assert_answers(ask(client, [HOUSE]), model, pd.DataFrame([HOUSE]))
            joblib.dump(model, file)
        after = client.post("/reload").json()
        assert after["loaded_at"] > before["loaded_at"]
        assert {**after, "loaded_at": None} == {**before, "loaded_at": None}


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("missing.joblib", "missing.joblib cannot be loaded: [Errno 2] No such file"),
        ("model.txt", "model.txt cannot be loaded: Models are files that end in .joblib, .safetensors, .onnx ("),
    ],
)
def test_a_service_without_a_model_does_not_start(file, words, tmp_path):
    (tmp_path / "model.txt").write_text("no model")
    done = subprocess.run([sys.executable, SERVICE, tmp_path / file], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(words)
    assert "Traceback" not in done.stderr


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    """The version would be that of another model than the one that answers."""
    monkeypatch.syspath_prepend(SERVICE.parent)
    import service

    file = tmp_path / "model.joblib"
    file.write_bytes(b"one")
    monkeypatch.setitem(service.KINDS, ".joblib", lambda path: path.write_bytes(b"another"))
    with pytest.raises(ValueError, match="The file was changed while it was read"):
        service.load(file)
