"""Every public function and method with arguments that are right: where bad calls begin."""

import copy
import tempfile
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from bad_calls import Call
from call_data import (
    CLASSES,
    FEATURES,
    GROUPS,
    LABELS,
    NO_CLASSES,
    NOT_THERE,
    OTHER_GROUPS,
    OTHER_LABELS,
    OTHER_ROWS,
    OTHERWISE_PREPROCESSED,
    all_or_nothing,
    data,
    fit_data,
    fitted_model,
    fitted_pipeline,
    made,
    new_model,
    nothing,
    predictions,
    table_call,
)
from helpers import ESTIMATORS, NAMES
from picture_calls import PICTURE_CALLS

from sklearn_mmoe import FitCheckpoint, load, make_tabular_pipeline, model_card, nn, weighting
from sklearn_mmoe.datasets import load_flights, make_related_tasks
from sklearn_mmoe.export import to_onnx
from sklearn_mmoe.metrics import make_task_scorer, multi_task_scoring, task_groups, task_scores, transfer_report
from sklearn_mmoe.tasks import Binary, Multiclass, Ordinal, Regression

SCORING = {"cv": 2, "scoring": "r2", "n_jobs": 1}

# --------------------------------------------------------------------------------------------------------------------
# The estimators


def fit_with(name, **parameters):
    return all_or_nothing(ESTIMATORS[name](**parameters), "fit", X=FEATURES, y=LABELS[name])


def predict_after_setting(name, **parameters):
    """A parameter that is set after a fit waits for the next."""
    return copy.copy(fitted_model(name)).set_params(**parameters).predict(FEATURES)


def train(name, method, **arguments):
    return all_or_nothing(new_model(name), method, **arguments)


def ask(name, method, **arguments):
    return getattr(fitted_model(name), method)(**arguments)


def calls_of_estimator(name):
    parameters = made(**new_model(name).get_params())
    no_classes = {} if name == "regressor" else {"y": NO_CLASSES, "y_val": NO_CLASSES}
    own = tuple(set(parameters) - set(new_model("regressor").get_params()))
    calls = {
        "": Call(partial(fit_with, name), parameters, predictions, few=name != "regressor"),  # the others share most
        ".set_params": Call(partial(predict_after_setting, name), parameters, few=True),
        ".fit": table_call(
            partial(train, name, "fit"),
            fit_data(name),
            predictions,
            fine={"groups": OTHER_GROUPS},
            refused=no_classes,
            words={"checkpoint": ("File",)},
            errors={"checkpoint": (FileExistsError, OSError)},
        ),
        ".partial_fit": table_call(
            partial(train, name, "partial_fit"),
            data(name) | made(**CLASSES[name]),
            predictions,
            refused=no_classes,
            fine={"y": ("a column too many", "NaN only", "all masked")},  # of chunks, some have no label
            shaping=("y",),
        ),
        ".score": table_call(
            partial(ask, name, "score"),
            data(name),
            fine={"y": OTHER_LABELS},
            untried={"y": ("as numbers as words", "as numbers as bytes")},  # of a classifier, these are other labels
        ),
    }
    if own:
        calls["(its own)"] = Call(partial(fit_with, name), parameters, predictions, only=own)
    for method in ("predict", "gate_weights", "predict_proba", "predict_frame"):
        if hasattr(fitted_model(name), method):
            calls[f".{method}"] = table_call(
                partial(ask, name, method), data(name, "X"), fine={"X": OTHER_ROWS}, shaping=("X",)
            )
    return {ESTIMATORS[name].__name__ + way: call for way, call in calls.items()}


# --------------------------------------------------------------------------------------------------------------------
# Files


@cache
def folder():
    return Path(tempfile.mkdtemp())


def new_file():
    return folder() / "own"


@cache
def saved_model():
    fitted_model("regressor").save(folder() / "right")
    return folder() / "right"


OF_FILES = {
    "words": {"path": ("File", "file", "directory")},
    "errors": {"path": (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, OSError)},
}
FILE_CALLS = {
    "load": Call(load, {"path": saved_model}, predictions, **OF_FILES),
    **{
        f"{ESTIMATORS[name].__name__}.save": Call(partial(ask, name, "save"), {"path": new_file}, **OF_FILES)
        for name in NAMES
    },
    "FitCheckpoint": Call(FitCheckpoint, made(folder="states", seconds=60.0), nothing),
    "export.to_onnx": table_call(
        to_onnx,
        {"estimator": lambda: fitted_model("regressor"), **made(path=None, example=FEATURES[:2], gate_weights=False)},
        nothing,
        few=True,
        untried={"path": ("None", "a word"), "gate_weights": ("False",)},  # a graph takes a second to make
        **OF_FILES,
    ),
}

# --------------------------------------------------------------------------------------------------------------------
# Pipelines


def train_pipeline(method, **arguments):
    return all_or_nothing(make_tabular_pipeline(new_model("multitask")), method, **arguments)


def ask_pipeline(method, **arguments):
    return getattr(fitted_pipeline(), method)(**arguments)


OF_TRAINED_PIPELINES = {
    "shaping": ("y",),
    "refused": {"y": NO_CLASSES},
    "untried": {"X": tuple(f"as {name}" for name in OTHERWISE_PREPROCESSED)},
}
PIPELINE_CALLS = {
    "make_tabular_pipeline": Call(make_tabular_pipeline, {"estimator": partial(new_model, "regressor")}, nothing),
    "TabularPipeline.fit": table_call(
        partial(train_pipeline, "fit"),
        data("multitask", "X", "y"),
        predictions,
        fine={"X": NOT_THERE, "y": ("a column too many",)},
        **OF_TRAINED_PIPELINES,
    ),
    "TabularPipeline.partial_fit": table_call(
        partial(train_pipeline, "partial_fit"),
        data("multitask", "X", "y"),
        predictions,
        fine={"X": NOT_THERE, "y": ("a column too many", "NaN only", "all masked")},
        few=True,
        **OF_TRAINED_PIPELINES,
    ),
    **{
        f"TabularPipeline.{method}": table_call(
            partial(ask_pipeline, method),
            data("multitask", "X"),
            fine={"X": (*OTHER_ROWS, *NOT_THERE, "1e300", "-1e300")},  # far out is clipped
            shaping=("X",),
            refused={"X": OTHERWISE_PREPROCESSED},
            few=method != "predict",
        )
        for method in ("predict", "predict_frame", "gate_weights")
    },
    "TabularPipeline.save": Call(partial(ask_pipeline, "save"), {"path": new_file}, few=True, **OF_FILES),
}

# --------------------------------------------------------------------------------------------------------------------
# Metrics, data


def accuracy(y, predicted):
    return float(np.mean(y == predicted))


def score_by_own_scorer(**arguments):
    return make_task_scorer(**arguments)(fitted_model("classifier"), FEATURES, LABELS["classifier"])


def scored(name):
    return {"estimator": lambda: fitted_model(name), **data(name)}


METRIC_CALLS = {
    "metrics.make_task_scorer": Call(
        score_by_own_scorer,
        {"metric": lambda: accuracy}
        | made(task=None, average="macro", response_method="predict", greater_is_better=True),
        errors={"response_method": (AttributeError,)},
        words={"response_method": ("attributes",)},  # scikit-learn's, of methods that are absent
        untried={"metric": ("abstract module", "module without forward", "module")},  # that raise errors of their own
    ),
    "metrics.make_task_scorer()": table_call(
        make_task_scorer("r2"),
        scored("regressor"),
        untried={"y": ("with 1e300", "with -1e300")},  # the square of such an error is an infinity
    ),
    "metrics.multi_task_scoring": Call(multi_task_scoring, made(tasks=["y0", "y1"]), list),
    "metrics.multi_task_scoring()": table_call(
        multi_task_scoring(["y0", "y1"])["mean"], scored("multitask"), fine={"y": OTHER_LABELS}
    ),
    "metrics.task_scores": table_call(
        task_scores,
        scored("multitask"),
        nothing,
        fine={"y": (*OTHER_LABELS, "NaN only", "all masked")},
        refused={"y": NO_CLASSES},
        words={"y": ("target",)},
    ),
    "metrics.transfer_report": table_call(
        transfer_report,
        {"estimator": partial(new_model, "regressor"), **data("regressor"), **made(groups=GROUPS, **SCORING)},
        lambda report: [report["shared"], report["single"]],
        few=True,
        fine={"groups": OTHER_GROUPS},
        words={"scoring": ("metric",)},
        untried={"n_jobs": ("-1", "2**63", "10**400")},  # joblib would start as many processes
    ),
    "metrics.task_groups": table_call(
        task_groups,
        {"estimator": partial(new_model, "regressor"), **data("regressor"), **made(groups=GROUPS, **SCORING)},
        lambda report: [report["shared"], report["single"], report["grouped"]],
        few=True,
        fine={"groups": OTHER_GROUPS},
        words={"scoring": ("metric",)},
        untried={"n_jobs": ("-1", "2**63", "10**400")},  # joblib would start as many processes
    ),
    "model_card": table_call(model_card, scored("multitask"), nothing, few=True),
    "datasets.load_flights": Call(
        load_flights,
        made(return_X_y=True, n_rows=10),
        # it takes a second to read the tables
        untried={"return_X_y": ("False", "True", "numpy.bool"), "n_rows": ("None", "True", "1", "numpy.int8")},
    ),
    "datasets.make_related_tasks": Call(
        make_related_tasks,
        made(n_samples=9, n_features=3, correlation=0.5, n_sines=2, noise=0.1, random_state=0),
        shaping=("n_samples", "n_features"),
    ),
}

# --------------------------------------------------------------------------------------------------------------------
# Declarations and modules


@cache
def module():
    with torch.random.fork_rng([]):
        return nn.MMoE(3, [1, 2], n_experts=2, expert_layer_sizes=(4,), n_categories=(2,)).requires_grad_(False)


def ask_module(method, **arguments):
    return getattr(module(), method)(**arguments)


def new_module(**arguments):
    """torch draws weights from its global generator."""
    with torch.random.fork_rng([]):
        return nn.MMoE(**arguments)


OF_MODULE = {
    "n_features": 3,
    "task_outputs": [1, 2],
    "n_experts": 2,
    "n_task_experts": 1,
    "n_levels": 2,
    "expert_layer_sizes": (4,),
    "gate_layer_sizes": (2,),
    "tower_layer_sizes": (3,),
    "gating": "per_task",
    "activation": "relu",
    "dropout": 0.1,
    "gate_dropout": 0.1,
    "final_expert_activation": True,
    "n_categories": (2,),
    "sparse_gradients": False,
    "n_members": 1,
    "numeric_embeddings": "linear",
    "linear_part": True,
}
EMBEDDINGS = {
    nn.LinearEmbeddings: {},
    nn.PeriodicEmbeddings: {"n_frequencies": 3, "n_outputs": 2, "sigma": 0.1},
    nn.PiecewiseEmbeddings: {"n_bins": 3, "n_outputs": 2},
}


def new_embeddings(kind, **arguments):
    with torch.random.fork_rng([]):
        return kind(**arguments)


def ask_embeddings(kind, method, **arguments):
    with torch.no_grad():
        return getattr(new_embeddings(kind, n_features=3), method)(**arguments)


PART_CALLS = {
    "tasks.Regression": Call(Regression, made(loss="quantile", quantile=0.5), nothing),
    "tasks.Binary": Call(Binary, made(positive_weight=2.0, focal_gamma=1.0), nothing),
    "tasks.Multiclass": Call(Multiclass, made(focal_gamma=1.0), nothing),
    "tasks.Ordinal": Call(Ordinal, made(categories=["low", "high"]), nothing),
    "weighting.FixedWeights": Call(weighting.FixedWeights, made(weights=[1.0, 1.0], dtype=torch.float32), nothing),
    "weighting.UncertaintyWeights": Call(
        weighting.UncertaintyWeights, made(likelihoods=[0.5, 1.0], dtype=torch.float32), nothing
    ),
    "weighting.DynamicWeightAverage": Call(
        weighting.DynamicWeightAverage, made(n_tasks=2, dtype=torch.float32), nothing
    ),
    "nn.MMoE": Call(new_module, made(**OF_MODULE), nothing),
    **{
        f"nn.MMoE.{method}": Call(
            partial(ask_module, method), made(x=torch.ones(9, 3), codes=torch.ones(9, 1, dtype=torch.int64))
        )
        for method in ("forward", "outputs_and_gates", "gate_weights")
    },
    **{
        f"nn.{kind.__name__}": Call(partial(new_embeddings, kind), made(n_features=3, n_members=2, **own), nothing)
        for kind, own in EMBEDDINGS.items()
    },
    **{
        f"nn.{kind.__name__}.forward": Call(
            partial(ask_embeddings, kind, "forward"), made(x=torch.ones(9, 3)), lambda answer: [answer.numpy()]
        )
        for kind in EMBEDDINGS
    },
    **{
        f"nn.{kind.__name__}.learn": Call(
            partial(ask_embeddings, kind, "learn"), made(x=torch.ones(9, 3), weight=torch.ones(9)), nothing
        )
        for kind in EMBEDDINGS
    },
}

CALLS = {key: call for name in NAMES for key, call in calls_of_estimator(name).items()}
CALLS |= FILE_CALLS | PIPELINE_CALLS | METRIC_CALLS | PART_CALLS | PICTURE_CALLS
