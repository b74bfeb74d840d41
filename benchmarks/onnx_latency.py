"""One row, and many, through `predict`, the bare module, and the exported graph in onnxruntime, on one thread."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from statistics import median

import numpy as np
import onnxruntime
import pandas as pd
import torch
from _bench import parser, ratio, report, side_by_side, timed
from _contenders import N_EXPERTS, regression_data

from sklearn_mmoe import MMoEMultiTask, MMoERegressor, make_tabular_pipeline
from sklearn_mmoe.export import to_onnx

ROUNDS = 7


def in_onnxruntime(model, X, feeds: dict[str, np.ndarray]) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    graph = to_onnx(model, example=X).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options)
    return lambda: session.run(None, feeds)


def regressions(n_rows: int = 1, **parameters) -> dict[str, Callable[[], object]]:
    X, y = regression_data(max(5000, n_rows))
    model = MMoERegressor(n_experts=N_EXPERTS, max_epochs=1, random_state=0, **parameters).fit(X[:5000], y[:5000])
    rows, tensor = X[:n_rows], torch.from_numpy(X[:n_rows])

    def bare() -> torch.Tensor:
        with torch.inference_mode():
            return model.module_(tensor)

    return {"predict": lambda: model.predict(rows), "module": bare, "onnx": in_onnxruntime(model, X, {"X": rows})}


def mixed_table() -> dict[str, Callable[[], object]]:
    """Ten columns of numbers and two of strings, scaled, splined and embedded; a number and a label to predict."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(5000, 10))).add_prefix("number")
    for name in ("town", "shop"):
        X[name] = rng.choice([f"{name} {i}" for i in range(50)], len(X))
    y = pd.DataFrame({"price": X["number0"], "bought": X["number1"] > 0})
    tasks = {"price": "regression", "bought": "binary"}
    model = make_tabular_pipeline(MMoEMultiTask(tasks=tasks, max_epochs=1, random_state=0)).fit(X, y)
    row = X[:1]
    feeds = {name: row[[name]].to_numpy(np.float32 if name.startswith("number") else object) for name in X}
    return {"predict": lambda: model.predict(row), "onnx": in_onnxruntime(model, X, feeds)}


def main() -> None:
    parser(__doc__).parse_args()
    torch.set_num_threads(1)
    models = {
        "3 regressions, 128 features, 1 member": (regressions(n_members=1), 300),
        "the same, 4 members (default)": (regressions(), 300),
        "table of 12 columns, pipeline, 4 members": (mixed_table(), 10),
        "10,000 rows of 128 features, 4 members": (regressions(10_000), 2),
    }
    rows = []
    for name, (functions, calls) in models.items():
        seconds = side_by_side({key: timed(function, calls) for key, function in functions.items()}, ROUNDS)
        took = {key: f"{1e6 * median(own):,.0f} us" for key, own in seconds.items()}
        faster = f"{ratio(seconds, 'predict', 'onnx'):.1f}"
        rows.append([name, took["predict"], took.get("module", ""), took["onnx"], faster])
    report(
        "onnx_latency",
        "One row, and many: predict, the bare module, the exported graph",
        ["model", "predict", "module", "onnxruntime", "predict / onnxruntime"],
        rows,
        f"onnxruntime {version('onnxruntime')}. The module gives raw outputs, the other two decoded answers.",
    )


if __name__ == "__main__":
    main()
