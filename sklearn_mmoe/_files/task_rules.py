"""Rules for tasks and categories that a fit has left."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklearn_mmoe._arrays.frame_dtypes import FrameDtype
from sklearn_mmoe._features.validation import Categories
from sklearn_mmoe._files.rules import (
    FLAG,
    NAME,
    NUMBER,
    NUMBER_FROM_0,
    Rule,
    Rules,
    are_sorted,
    fields_by,
    is_array,
    is_number,
    is_whole,
    one_of,
    whole_from,
)
from sklearn_mmoe.tasks._declared import REGRESSION_LOSSES
from sklearn_mmoe.tasks._fitted import FITTED, FittedClassification, FittedRegression
from sklearn_mmoe.tasks._running_stats import RunningStats

_A_FRAME_DTYPE = Rule("a data type of a data frame", lambda value, _: FRAME_DTYPE.holds(value, None)).or_none()
FRAME_DTYPE: Rule = fields_by(
    {
        FrameDtype: {
            "library": one_of("pandas", "polars"),
            "name": Rule(
                "the name of a data type",
                lambda value, _: re.fullmatch(r"[a-zA-Z]\w{0,40}(:\w{1,20})?(\[[\w ,./:+-]{1,60}\])?", value),
            ),
            "categories": Rule(
                "the categories, if it has some",
                lambda value, own: (
                    is_array(value, "biufmMO", len(value)) if own.name in ("category", "Enum") else value is None
                ),
            ),
            "categories_dtype": _A_FRAME_DTYPE,
            "ordered": FLAG,
        }
    }
)
STATISTICS = fields_by(
    {
        RunningStats: {
            "weight": NUMBER_FROM_0,
            "mean": NUMBER,
            "deviation": NUMBER_FROM_0,
            "unit": Rule("a number above 0", lambda value, _: is_number(value) and value > 0),
        }
    }
)
CATEGORIES = fields_by(
    {
        Categories: {
            "n_columns": whole_from(1),
            "known": Rule(
                "sorted categories by index of their column",
                lambda value, own: (
                    value
                    and all(map(is_whole, value))
                    and are_sorted(np.array([*value, own.n_columns]))
                    and all(map(are_sorted, value.values()))
                ),
            ),
        }
    }
)
_OF_CLASSES: Rules = {
    "name": NAME,
    "dtype": Rule(
        "a data type of the classes",
        lambda value, task: FRAME_DTYPE.holds(value, None) and _has_classes(value.categories, task.classes),
    ).or_none(),
    "positive_weight": NUMBER_FROM_0,
    "focal_gamma": NUMBER_FROM_0,
}


def _has_classes(categories: NDArray[Any] | None, classes: NDArray[Any]) -> bool:
    return categories is None or set(classes.tolist()) <= set(categories.astype(classes.dtype).tolist())


REGRESSION: dict[type, Rules] = {
    FittedRegression: {
        "name": NAME,
        "loss": one_of(*REGRESSION_LOSSES),
        "location": NUMBER,
        "scale": NUMBER_FROM_0,
        "quantile": Rule("a number between 0 and 1", lambda value, _: 0 < value < 1),
        "seen": STATISTICS,
    }
}
CLASSIFICATION: dict[type, Rules] = {
    FittedClassification: {
        **_OF_CLASSES,
        "classes": Rule("two or more sorted classes", lambda value, _: are_sorted(value) and len(value) >= 2),
        "loss": Rule(
            "'cross_entropy', or, of two classes, 'log_loss'",
            lambda value, task: value == "cross_entropy" or (value == "log_loss" and len(task.classes) == 2),
        ),
    },
}
OTHER_CLASSIFICATIONS: dict[type, Rules] = {
    kind: {
        **_OF_CLASSES,
        "classes": Rule("two or more classes", lambda value, _: are_sorted(np.sort(value)) and len(value) >= 2),
        "loss": one_of(*kind.losses),
    }
    for kind in FITTED
    if issubclass(kind, FittedClassification) and kind is not FittedClassification
}

TASKS_OF = {
    "MMoERegressor": fields_by(REGRESSION),
    "MMoEClassifier": fields_by(CLASSIFICATION),
    "MMoEMultiTask": fields_by({**REGRESSION, **CLASSIFICATION, **OTHER_CLASSIFICATIONS}),
}
