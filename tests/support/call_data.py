"""What public calls are made of: small data, the smallest models, and what errors may call them."""

import copy
from functools import cache, partial

import numpy as np
from bad_calls import Call
from helpers import ESTIMATORS, assert_unfitted
from spoiled_data import SPARSE_FORMATS

from sklearn_mmoe import make_tabular_pipeline

TINY = {
    "numeric_embeddings": None,  # so that dense and sparse rows make the same model
    "n_members": 1,
    "n_experts": 2,
    "expert_layer_sizes": (4,),
    "tower_layer_sizes": (3,),
    "max_epochs": 1,
    "tol": 10.0,  # where more epochs are asked for, training soon stops
    "random_state": 0,
    "device": "cpu",
}
OWN = {"regressor": {}, "classifier": {}, "multitask": {"tasks": ["binary", "regression"]}}
N_ROWS = 20
FEATURES = np.random.default_rng(0).normal(size=(N_ROWS, 3)).astype(np.float32).astype(float)  # that float32 holds
LABELS = {
    "regressor": FEATURES[:, :2] + 1,
    "classifier": (FEATURES[:, :2] > 0).astype(float),
    "multitask": np.column_stack([FEATURES[:, 0] > 0, FEATURES[:, 1]]),
}
CLASSES = {"regressor": {}, "classifier": {"classes": [[0, 1], [0, 1]]}, "multitask": {"classes": None}}
GROUPS = np.arange(N_ROWS) // 4 / 2
WEIGHTS = np.linspace(1.0, 2.0, N_ROWS)
GATES = np.random.default_rng(0).dirichlet(np.ones(4), size=(9, 2))


def made(**values):
    """Makers of the same values again and again, afresh."""
    return {name: partial(copy.deepcopy, value) for name, value in values.items()}


def data(name, *names):
    """Makers of X, y and weights of an estimator, or of some of them."""
    own = made(X=FEATURES, y=LABELS[name], sample_weight=WEIGHTS)
    return {key: own[key] for key in names or own}


def fit_data(name):
    """Makers of all that `fit` takes."""
    validation = made(X_val=FEATURES, y_val=LABELS[name], sample_weight_val=WEIGHTS)
    return {**data(name), **made(groups=GROUPS), **validation, **made(checkpoint=None)}


def new_model(name, **parameters):
    return ESTIMATORS[name](**{**TINY, **OWN[name], **parameters})


@cache
def fitted_model(name):
    return new_model(name).fit(FEATURES, LABELS[name])


@cache
def fitted_pipeline():
    return make_tabular_pipeline(new_model("multitask")).fit(FEATURES, LABELS["multitask"])


def predictions(model):
    """The numbers that show what a model has learned."""
    return model.predict(FEATURES)


def all_or_nothing(model, method, **arguments):
    """Call `fit` or `partial_fit`, and see that a model which fails stays unfitted."""
    try:
        return getattr(model, method)(**arguments)
    except Exception:
        assert_unfitted(model)
        raise


def nothing(_):
    """Of what is made, no number is of interest."""


# --------------------------------------------------------------------------------------------------------------------
# Calls with tables

FINE_NUMBERS = (
    *("all negative", "all zero", "all 1e-320", "2**64", "3e38"),
    *("frame of names that are equal as text", "frame of missing names", "frame of intervals"),
)
FINE_LABELS = (
    *("all negative", "all zero", "all 1e-320", "2**64", "3e38"),
    *("a NaN", "a None", "an entry masked", "pandas.NA", "pandas.NaT", "Decimal NaN"),
    "Decimal signalling NaN",
)
# What scikit-learn refuses, too
NO_FEATURES = ("matrix", "sparse pandas")
SPARSE = tuple(f"{name} {kind}" for name in SPARSE_FORMATS for kind in ("array", "matrix"))
NO_LABELS = ("matrix", "numbers as words", "numbers as bytes", *SPARSE)
OTHERWISE_PREPROCESSED = ("numbers as words", "numbers as bytes", *SPARSE)  # as categories, without centring
NO_CLASSES = ("Decimals", "Fractions")
OTHER_ROWS = ("a row too few", "a row too many", "one row")
NOT_THERE = ("a NaN", "NaN only", "a None", "Decimal NaN")  # that preprocessing imputes
# Labels to score: huge ones leave a huge error, and those of no class are answered wrong
OTHER_GROUPS = (
    *("an infinity", "1e300", "3e38", "-1e300", "all 1e-320", "all negative", "all zero", "flat", "10**400", "2**64"),
    *("days", "nanoseconds", "hours"),
)
OTHER_LABELS = (
    *("1e300", "-1e300", "10**400", "a word", "a word of 10 MB", "bytes", "a dict", "a list", "a complex object"),
    *("a date", "days", "nanoseconds", "hours", "frame of days", "polars frame of days", "frame of hours"),
    *("frame of lists", "frame of intervals", "frame of periods", "frame of zones", "frame of complex numbers"),
)
FINE_WEIGHTS = ("a column too many", "flat", "all 1e-320", "1e300", "3e38", "2**64")
OF_LABELS = ("Task", "task", "tasks", "labels", "classes")


def table_call(function, arguments, answer=lambda answer: answer, **more):
    """A call with X, y or weights; what is fine or refused of them beyond the usual is given by name."""
    usual = {
        "fine": {"X": FINE_NUMBERS, "y": FINE_LABELS, "sample_weight": FINE_WEIGHTS},
        "refused": {"X": NO_FEATURES, "y": NO_LABELS},
        "words": {"X": ("features",), "y": OF_LABELS, "estimator": ("pipeline",)},
    }
    for key, own in usual.items():
        own |= {f"{name}_val": values for name, values in own.items()}
        more[key] = own | {name: own.get(name, ()) + values for name, values in more.get(key, {}).items()}
    return Call(function, arguments, answer, **more)
