"""Public classes and functions name the module that users import them from, and nothing else of them is lost."""

import pickle
from typing import Any, get_type_hints

import pytest

import sklearn_mmoe
from sklearn_mmoe import metrics, tasks, weighting

CLASSES = [
    *[sklearn_mmoe.FitCheckpoint, sklearn_mmoe.MMoERegressor, sklearn_mmoe.MMoEClassifier, sklearn_mmoe.MMoEMultiTask],
    *[sklearn_mmoe.TabularPipeline, sklearn_mmoe.nn.MMoE, *(getattr(tasks, name) for name in tasks.__all__)],
    *(getattr(weighting, name) for name in weighting.__all__),
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_classes_are_found_where_they_say_and_their_hints_are_types(cls):
    assert not cls.__module__.rpartition(".")[2].startswith("_")
    assert pickle.loads(pickle.dumps(cls)) is cls
    assert not any(isinstance(hint, str) for hint in get_type_hints(cls).values())


def test_hints_of_functions_are_those_of_their_own_module():
    assert metrics.task_scores.__module__ == "sklearn_mmoe.metrics"
    assert get_type_hints(metrics.task_scores)["return"] == dict[Any, dict[str, float]]
