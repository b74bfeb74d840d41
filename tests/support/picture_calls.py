"""Calls of the displays of `plot`."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from call_data import FEATURES, GATES, data, fitted_model, made, table_call

from sklearn_mmoe.plot import (
    GateDisplay,
    LearningCurveDisplay,
    PredictionDisplay,
    TaskAffinityDisplay,
    TaskScoresDisplay,
)

NAMED = {"task_names": ["a", "b"]}
HEAT_MAP = {"ax": None, "include_values": False, "colorbar": False, "im_kw": None, "text_kw": None}
LINES = {"ax": None, "n_cols": 4, "train_kw": None, "valid_kw": None, "best_kw": None}
GROUPED = {"group": None, "kind": "distribution", "box_kw": None}
LOSSES = {"y0": [1.0, 0.7], "y1": [1.0, 0.3]}
CURVES = {
    "train_loss": [1.0, 0.5],
    "train_losses": LOSSES,
    "best_epochs": [2],
    "valid_loss": [1.0, 0.5],
    "valid_losses": LOSSES,
    "valid_score": [0.1, 0.2],
    "task_weights": {"y0": [1.0, 1.1], "y1": [1.0, 0.9]},
}
SCORES = {"scores": np.eye(2), "estimator_names": ["one", "other"], "errors": np.ones((2, 2)), "score_name": "score"}
RESULTS = {"one": {"test_a": np.array([0.1, 0.2]), "test_b": np.array([0.3, 0.4])}}
REPORT = {
    "task": ["a", "b"],
    "n_labels": [9, 9],
    "shared": [0.8, 0.6],
    "single": [0.8, 0.4],
    "gain": [0.0, 0.2],
    "gain_std_error": [0.05, 0.06],
}
OF_POINTS = {"binary": "roc_curve", "subsample": 5, "random_state": 0, "n_cols": 2}


def model():
    return fitted_model("regressor")


def draw(display, *of_plot, **arguments):
    """Make a display and draw it."""
    how = {name: arguments.pop(name) for name in of_plot}
    return display(**arguments).plot(**how)


def closed(_):
    plt.close("all")


def picture_call(function, arguments, **more):
    return table_call(function, arguments, closed, few=True, **more)


PICTURE_CALLS = {
    "plot.GateDisplay": picture_call(
        partial(draw, GateDisplay, *HEAT_MAP, "kind", "box_kw"),
        made(gate_weights=GATES, n_members=1, groups=None, kind="mean", box_kw=None, **NAMED, **HEAT_MAP),
    ),
    "plot.GateDisplay.from_estimator": picture_call(
        GateDisplay.from_estimator, {"estimator": model, **data("regressor", "X"), **made(**GROUPED, **HEAT_MAP)}
    ),
    "plot.GateDisplay.from_predictions": picture_call(
        GateDisplay.from_predictions, made(gate_weights=GATES, n_members=1, **NAMED, **GROUPED, **HEAT_MAP)
    ),
    "plot.TaskAffinityDisplay": picture_call(
        partial(draw, TaskAffinityDisplay, *HEAT_MAP, "order"),
        made(affinity=np.eye(2), kind="gates", order="given", **NAMED, **HEAT_MAP),
    ),
    "plot.TaskAffinityDisplay.from_estimator": picture_call(
        TaskAffinityDisplay.from_estimator,
        {
            "estimator": model,
            **data("regressor", "X", "y"),
            **made(kind="gradients", subsample=10, random_state=0, order="given", **HEAT_MAP),
        },
    ),
    "plot.TaskAffinityDisplay.from_predictions": picture_call(
        TaskAffinityDisplay.from_predictions, made(gate_weights=GATES, order="given", **NAMED, **HEAT_MAP)
    ),
    "plot.LearningCurveDisplay": picture_call(
        partial(draw, LearningCurveDisplay, *LINES),
        made(**CURVES, **LINES),
        words={"train_loss": ("task_weights",)},  # that are to be as many
    ),
    "plot.LearningCurveDisplay.from_estimator": picture_call(
        LearningCurveDisplay.from_estimator, {"estimator": model, **made(**LINES)}
    ),
    "plot.PredictionDisplay": picture_call(
        partial(draw, PredictionDisplay, "ax", "n_cols"),
        made(displays=["nothing", "nothing"], scores=[{"r2": 0.5}, {}], ax=None, n_cols=4, **NAMED),
    ),
    "plot.PredictionDisplay.from_estimator": picture_call(
        PredictionDisplay.from_estimator,
        {"estimator": model, **data("regressor", "X", "y"), **made(ax=None, **OF_POINTS)},
    ),
    "plot.PredictionDisplay.from_predictions": picture_call(
        PredictionDisplay.from_predictions,
        made(y_true=FEATURES[:, :2], y_pred=FEATURES[:, 1:], kinds=None, classes=None, ax=None, **OF_POINTS),
        words={"y_true": ("y_pred",)},
    ),
    "plot.TaskScoresDisplay": picture_call(
        partial(draw, TaskScoresDisplay, "ax", "errorbar_kw"),
        made(**SCORES, baseline=0.5, ax=None, errorbar_kw=None, **NAMED),
    ),
    "plot.TaskScoresDisplay.from_cv_results": picture_call(
        TaskScoresDisplay.from_cv_results,
        made(cv_results=RESULTS, error="std", score_name="r2", ax=None, errorbar_kw=None),
    ),
    "plot.TaskScoresDisplay.from_report": picture_call(
        TaskScoresDisplay.from_report, made(report=REPORT, show="gain", score_name="r2", ax=None, errorbar_kw=None)
    ),
}
