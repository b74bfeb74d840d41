"""
A service
=========

A fitted model behind HTTP, by FastAPI:

    pip install "sklearn_mmoe[service]"
    python examples/service.py model.joblib

To be seen: `POST /predict` answers rows, `GET /health` says which model does, `POST /reload` takes the file anew while
the model that is there goes on answering. The user guide has the whole story: docs/user_guide/service.md.
"""

import argparse
import hashlib
import json
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Protocol

import joblib
import numpy as np
import onnxruntime
import pandas as pd
import torch
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Discriminator, Field, FiniteFloat, Tag
from sklearn.pipeline import Pipeline

import sklearn_mmoe

MAX_ROWS = 10_000

# --------------------------------------------------------------------------------------------------------------------
# What is asked, and what is answered

Value = FiniteFloat | int | bool | str | None  # None, null in JSON, is a value that is missing
Row = Annotated[
    Annotated[list[Value], Tag("list")] | Annotated[dict[str, Value], Tag("object")],
    Discriminator(
        lambda row: {list: "list", dict: "object"}.get(type(row)),
        custom_error_type="row",
        custom_error_message="Input should be a list of values, or an object of values by feature",
    ),
]


Predictions = dict[str, list[Any]]  # by task, a value for each row
Probabilities = dict[str, dict[str, list[float]]]  # by classification, then by class


class Question(BaseModel):
    rows: list[Row] = Field(min_length=1, max_length=MAX_ROWS)


class Answer(BaseModel):
    model: str
    predictions: Predictions
    probabilities: Probabilities


class Refusal(BaseModel):
    detail: str


class Health(BaseModel):
    status: str = "ok"
    model: str
    file: str
    kind: str
    loaded_at: datetime
    features: list[str] | int  # their names, or how many there are
    tasks: list[str]


# --------------------------------------------------------------------------------------------------------------------
# Models, by the kind of their file


class Model(Protocol):
    """What the service needs of a model."""

    kind: str
    feature_names: list[str] | None
    n_features: int
    task_names: list[str]

    def answer(self, X: pd.DataFrame | np.ndarray) -> tuple[Predictions, Probabilities]: ...


class Estimator:
    """A fitted estimator of sklearn_mmoe, alone or as the last step of a pipeline."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator
        last = self.estimator[-1] if isinstance(self.estimator, Pipeline) else self.estimator
        self.kind = type(last).__name__
        if not hasattr(last, "task_names_"):
            raise ValueError(f"It holds a {self.kind}, which is no fitted estimator of sklearn_mmoe.")
        self.task_names = list(map(str, last.task_names_))
        self.n_features = self.estimator.n_features_in_
        names = getattr(self.estimator, "feature_names_in_", None)
        self.feature_names = None if names is None else names.tolist()

    def answer(self, X: pd.DataFrame | np.ndarray) -> tuple[Predictions, Probabilities]:
        predicted = self.estimator.predict(X).reshape(len(X), -1)
        predictions = {name: predicted[:, t].tolist() for t, name in enumerate(self.task_names)}
        if not hasattr(self.estimator, "predict_proba"):
            return predictions, {}
        classes = self._by_task(self.estimator.classes_)
        return predictions, {
            task: {str(label): proba[:, c].tolist() for c, label in enumerate(classes[task])}
            for task, proba in self._by_task(self.estimator.predict_proba(X)).items()
        }

    def _by_task(self, parts: Any) -> dict[str, Any]:
        """A mapping of MMoEMultiTask; of MMoEClassifier a list, or one array of its only task."""
        if isinstance(parts, dict):
            return {str(name): own for name, own in parts.items()}
        return dict(zip(self.task_names, parts if isinstance(parts, list) else [parts], strict=True))


class OnnxGraph:
    """A graph that `sklearn_mmoe.export.to_onnx` has written, run by onnxruntime."""

    kind = "ONNX graph"

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # as torch: requests run side by side
        self.session = onnxruntime.InferenceSession(path, options)
        metadata = self.session.get_modelmeta().custom_metadata_map
        if "tasks" not in metadata:
            raise ValueError("It holds no graph of sklearn_mmoe.export.to_onnx.")
        self.tasks = json.loads(metadata["tasks"])
        self.task_names = list(self.tasks)
        said = {own[key] for own in self.tasks.values() for key in ("prediction", "probabilities") if key in own}
        if not said <= {own.name for own in self.session.get_outputs()}:
            raise ValueError("It names outputs that its graph does not have.")
        self.inputs = self.session.get_inputs()
        is_one_table = [own.name for own in self.inputs] == ["X"]  # else there is an input for each column
        self.feature_names = None if is_one_table else [own.name for own in self.inputs]
        self.n_features = self.inputs[0].shape[1] if is_one_table else len(self.inputs)

    def answer(self, X: pd.DataFrame | np.ndarray) -> tuple[Predictions, Probabilities]:
        columns = [own for _, own in pd.DataFrame(X).infer_objects().items()]
        each = [columns] if self.feature_names is None else [[column] for column in columns]
        feeds = {
            own.name: np.column_stack([as_type(own.type, column) for column in read])
            for own, read in zip(self.inputs, each, strict=True)
        }
        names = [own.name for own in self.session.get_outputs()]
        outputs = dict(zip(names, self.session.run(names, feeds), strict=True))
        refuse_rows_without_answer(outputs, len(X))
        predictions = {task: outputs[own["prediction"]].tolist() for task, own in self.tasks.items()}
        return predictions, {
            task: dict(zip(map(str, own["classes"]), outputs[own["probabilities"]].T.tolist(), strict=True))
            for task, own in self.tasks.items()
            if "classes" in own
        }


def refuse_rows_without_answer(outputs: Mapping[str, np.ndarray], n_rows: int) -> None:
    """A graph does not say what it cannot take: it answers NaN or infinity, where an estimator raises an error."""
    for name, output in outputs.items():
        if output.dtype.kind == "f":
            bad = ~np.isfinite(output.reshape(n_rows, -1)).all(axis=1)
            if bad.any():
                place = f"rows[{bad.argmax()}]"
                raise ValueError(f"{place}: The model has no answer in {name!r}; values may be missing or too large.")


def as_type(name: str, column: pd.Series) -> np.ndarray:
    """A column as an input of a graph wants it, "tensor(float)" or the like."""
    if name == "tensor(string)":
        values = column.astype(object).where(column.notna(), "")
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"Feature {column.name!r} must be a string in each row.")
        return values.to_numpy()
    wanted = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(bool)": np.bool_}.get(name, np.int64)
    try:
        numbers = pd.to_numeric(column)
    except ValueError as error:
        raise ValueError(f"Feature {column.name!r} must be a number in each row.") from error
    if wanted in (np.bool_, np.int64) and not (numbers.notna() & (numbers % 1 == 0)).all():
        raise ValueError(f"Feature {column.name!r} must be a whole number, or true or false, in each row.")
    return numbers.to_numpy(dtype=wanted)


KINDS: dict[str, Callable[[Path], Model]] = {
    ".joblib": lambda path: Estimator(joblib.load(path)),  # runs what is in the file: serve only those that you trust
    ".safetensors": lambda path: Estimator(sklearn_mmoe.load(path)),
    ".onnx": OnnxGraph,
}


@dataclass(frozen=True)
class Loaded:
    """A model with what there is to say of its file."""

    model: Model
    version: str  # the beginning of the SHA-256 of the file
    loaded_at: datetime


def load(path: Path) -> Loaded:
    if path.suffix not in KINDS:
        raise ValueError(f"Models are files that end in {', '.join(KINDS)}.")
    version = version_of(path)
    loaded = Loaded(KINDS[path.suffix](path), version, datetime.now(UTC))
    if version_of(path) != version:
        raise ValueError("The file was changed while it was read: move a new one to its place in one step.")
    return loaded


def version_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


# --------------------------------------------------------------------------------------------------------------------
# The service


def as_table(rows: Sequence[list[Any] | dict[str, Any]], model: Model) -> pd.DataFrame | np.ndarray:
    """Rows as the model was fitted on them; what is wrong with them is told to the client."""
    names = model.feature_names
    table = []
    for i, row in enumerate(rows):
        if isinstance(row, dict):
            if names is None:
                raise HTTPException(
                    422, f"rows[{i}]: The model knows no names; send a list of {model.n_features} values."
                )
            if row.keys() != set(names):
                lacking, unknown = [name for name in names if name not in row], sorted(row.keys() - set(names))
                raise HTTPException(422, f"rows[{i}]: Features that are missing: {lacking}; unknown: {unknown}.")
            row = [row[name] for name in names]
        elif len(row) != model.n_features:
            raise HTTPException(422, f"rows[{i}]: Got {len(row)} values for {model.n_features} features.")
        table.append(row)
    if names is not None:
        return pd.DataFrame(table, columns=names)
    has_words = any(isinstance(value, str) for row in table for value in row)
    return np.array(table, dtype=object if has_words else float)  # to floats, None is NaN


def make_app(path: Path) -> FastAPI:
    app = FastAPI(title=path.name)
    app.state.loaded = load(path)
    reloading = threading.Lock()

    # These are no coroutines: FastAPI runs them in threads, so that a large request does not hold up the others.

    @app.post("/predict", responses={422: {"model": Refusal}})
    def predict(question: Question) -> Answer:
        loaded: Loaded = app.state.loaded  # the same for the whole request
        try:
            predictions, probabilities = loaded.model.answer(as_table(question.rows, loaded.model))
        except (ValueError, TypeError, OverflowError) as error:  # what the model says of rows that it cannot take
            raise HTTPException(422, str(error)) from error
        return Answer(model=loaded.version, predictions=predictions, probabilities=probabilities)

    @app.get("/health")
    def health() -> Health:
        loaded: Loaded = app.state.loaded
        return Health(
            model=loaded.version,
            file=path.name,
            kind=loaded.model.kind,
            loaded_at=loaded.loaded_at,
            features=loaded.model.feature_names or loaded.model.n_features,
            tasks=loaded.model.task_names,
        )

    @app.post("/reload", responses={500: {"model": Refusal}})
    def reload() -> Health:
        with reloading:
            try:
                app.state.loaded = load(path)
            except Exception as error:  # a file may be broken in any way
                still = f"Model {app.state.loaded.version} goes on answering."
                raise HTTPException(500, f"{cannot_load(path, error)} {still}") from error
            return health()

    @app.exception_handler(RequestValidationError)
    def refuse(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": first_of(error)}, status_code=422)

    return app


def cannot_load(path: Path, error: Exception) -> str:
    what = str(error).rstrip(".") or "It is empty, cut off or broken"
    return f"{path.name} cannot be loaded: {what} ({type(error).__name__})."


def first_of(error: RequestValidationError) -> str:
    """The first thing that is wrong. FastAPI's own words repeat the input, and fail on a NaN, which is no JSON."""
    first = error.errors()[0]
    _, *place = first["loc"]
    if place[:1] != ["rows"]:
        return f"The body must be application/json, an object with the key 'rows': {first['msg']}."
    row, cell = place[1:2], place[3:4]  # between them stands the form of the row
    return f"rows{''.join(f'[{key!r}]' for key in row + cell)}: {first['msg']}."


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer questions to a model over HTTP.")
    parser.add_argument("file", type=Path, help="a fitted model, written by joblib.dump, save or to_onnx")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s, this machine only")
    parser.add_argument("--port", type=int, default=8000, help="default: %(default)s; 0 takes one that is free")
    options = parser.parse_args()
    torch.set_num_threads(1)  # requests run side by side; a few rows are not worth several threads
    try:
        app = make_app(options.file)
    except Exception as error:
        sys.exit(cannot_load(options.file, error))
    uvicorn.run(app, host=options.host, port=options.port, access_log=False)


if __name__ == "__main__":
    main()
