"""What public calls are made of: small data, the smallest models, and what errors may call them."""

import copy
from functools import cache, partial

import numpy as np
from bad_calls import Call
from helpers import ESTIMATORS, assert_unfitted

from sklearn_mmoe import make_tabular_pipeline

TINY = {
    "n_members": 1,
    "n_experts": 2,
    "expert_layer_sizes": (4,),
    "tower_layer_sizes": (3,),
    "max_epochs": 1,
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
CLASSES = {"regressor": {}, "classifier": {"classes": [[0, 1], [0, 1]]}, "multitask": {"classes": {"y0": [0, 1]}}}
WEIGHTS = np.linspace(1.0, 2.0, N_ROWS)
GATES = np.random.default_rng(0).dirichlet(np.ones(4), size=(9, 2))


def made(**values):
    """Makers of the same values again and again, afresh."""
    return {name: partial(copy.deepcopy, value) for name, value in values.items()}


def data(name, *names):
    """Makers of X, y and weights of an estimator, or of some of them."""
    own = made(X=FEATURES, y=LABELS[name], sample_weight=WEIGHTS)
    return {key: own[key] for key in names or own}


def validation_data(name):
    return made(X_val=FEATURES, y_val=LABELS[name], sample_weight_val=WEIGHTS)


def new_model(name, **parameters):
    return ESTIMATORS[name](**{**TINY, **OWN[name], **parameters})


@cache
def fitted_model(name):
    return new_model(name).fit(FEATURES, LABELS[name])


@cache
def fitted_pipeline():
    return make_tabular_pipeline(new_model("regressor")).fit(FEATURES, LABELS["regressor"])


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
    *("all negative", "all zero", "all 1e-320", "2**64"),
    *("frame of names that are equal as text", "frame of missing names", "frame of intervals"),
)
FINE_LABELS = (
    *("all negative", "all zero", "all 1e-320", "2**64", "3e38"),
    *("a NaN", "a None", "an entry masked", "pandas.NA", "pandas.NaT", "Decimal NaN"),
)
FINE_WEIGHTS = ("a column too many", "flat", "all 1e-320", "1e300", "3e38", "2**64")
OF_LABELS = ("Task", "task", "labels", "classes")


def table_call(function, arguments, answer=lambda answer: answer, **more):
    """A call with X, y or weights."""
    fine, words = {}, {"estimator": ("pipeline",)}
    for suffix in ("", "_val"):
        fine |= {f"X{suffix}": FINE_NUMBERS, f"y{suffix}": FINE_LABELS, f"sample_weight{suffix}": FINE_WEIGHTS}
        words |= {f"y{suffix}": OF_LABELS}
    return Call(function, arguments, answer, fine=fine, words=words | more.pop("words", {}), **more)
