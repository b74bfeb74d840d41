"""Who predicts in the accuracy benchmark: functions of labelled rows that give a prediction per task for others.

A prediction is a number for a regression, the probability of class 1 for a binary task, a class for a multiclass one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from sklearn_mmoe import MMoEMultiTask, make_tabular_pipeline
from sklearn_mmoe.nn import MMoE

Kinds = dict[str, str]
Answers = dict[str, np.ndarray]
Seconds = tuple[float, float]  # of fit, of predict
Contender = Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame, Kinds, int], tuple[Answers, Seconds]]
Make = Callable[[str, int, int], Any]  # kind of task, number of rows, seed -> an estimator

NUMBERS = make_column_selector(dtype_include="number")
CATEGORIES = make_column_selector(dtype_exclude="number")


def standardised(estimator: Any) -> Pipeline:
    """What most people would put before a linear model or a network."""
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS), (one_hot, CATEGORIES)
    )
    return make_pipeline(columns, estimator)


def coded(estimator: Any) -> Pipeline:
    """For forests, which know no categories: numbers as they are, a code per category."""
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return make_pipeline(make_column_transformer((codes, CATEGORIES), remainder="passthrough"), estimator)


def as_categories(X: pd.DataFrame) -> pd.DataFrame:
    """For boosted trees, which take categories by their dtype."""
    return X.astype(dict.fromkeys(X.select_dtypes(exclude="number"), "category"))


# --------------------------------------------------------------------------------------------------------------------
# Ours


def _answers(model: Pipeline, X: pd.DataFrame, kinds: Kinds) -> Answers:
    answers = {name: np.asarray(column) for name, column in zip(kinds, model.predict(X).T, strict=True)}
    if "binary" in kinds.values():
        probabilities = model.predict_proba(X)
        answers.update({name: probabilities[name][:, 1] for name, kind in kinds.items() if kind == "binary"})
    return answers


def jointly(**parameters: Any) -> Contender:
    """One network for all tasks; a parameter may be a function of the training rows."""

    def contender(X, labels, X_test, kinds, seed):
        chosen = {name: value(X, labels, kinds) if callable(value) else value for name, value in parameters.items()}
        start = time.perf_counter()
        model = make_tabular_pipeline(MMoEMultiTask(tasks=kinds, random_state=seed, **chosen)).fit(X, labels)
        fitted = time.perf_counter()
        answers = _answers(model, X_test, kinds)
        return answers, (fitted - start, time.perf_counter() - fitted)

    return contender


def one_by_one(X, labels, X_test, kinds, seed) -> tuple[Answers, Seconds]:
    """The same network for each task alone, on the rows that have its label."""
    answers: Answers = {}
    seconds = np.zeros(2)
    for task, kind in kinds.items():
        there = labels[task].notna()
        answer, took = jointly()(X[there], labels.loc[there, [task]], X_test, {task: kind}, seed)
        answers |= answer
        seconds += took
    return answers, tuple(seconds)


def equal_layer_sizes(X: pd.DataFrame, labels: pd.DataFrame, kinds: Kinds) -> tuple[int, ...]:
    """The layers of a single expert with which the network has as many parameters as the default one.

    With two layers or more that is narrower than all experts side by side, whose layers do not see each other.
    """
    defaults = MMoEMultiTask(tasks=kinds).get_params()
    features = make_tabular_pipeline(MMoEMultiTask(tasks=kinds))[:-1].fit_transform(X.head(10_000), labels.head(10_000))
    categories = features.select_dtypes(exclude="number").nunique().tolist()
    n_features = features.shape[1] - len(categories)
    widths = [labels[task].nunique() if kind == "multiclass" else 1 for task, kind in kinds.items()]

    def n_parameters(n_experts: int, sizes: tuple[int, ...]) -> int:
        towers = {name: defaults[name] for name in ("n_members", "gate_layer_sizes", "tower_layer_sizes")}
        module = MMoE(
            n_features, widths, n_experts=n_experts, expert_layer_sizes=sizes, n_categories=categories, **towers
        )
        return sum(parameter.numel() for parameter in module.parameters())

    wanted = n_parameters(defaults["n_experts"], defaults["expert_layer_sizes"])
    depth = len(defaults["expert_layer_sizes"])
    low, high = 1, defaults["n_experts"] * max(defaults["expert_layer_sizes"])
    while low < high:
        middle = (low + high) // 2
        if n_parameters(1, (middle,) * depth) < wanted:
            low = middle + 1
        else:
            high = middle
    return (low,) * depth


# --------------------------------------------------------------------------------------------------------------------
# What people would pick instead


def groups(labels: pd.DataFrame, kinds: Kinds, together: Collection[str]) -> list[list[str]]:
    """Which tasks one estimator learns: all of a kind where it can, each alone where labels are missing."""
    if labels.isna().any(axis=None):
        return [[task] for task in kinds]
    joint = [[task for task, kind in kinds.items() if kind == which] for which in together]
    return [tasks for tasks in joint if tasks] + [[task] for task, kind in kinds.items() if kind not in together]


def grouped(make: Make, together: Collection[str] = ()) -> Contender:
    """Estimators of scikit-learn, one per group of tasks."""

    def contender(X, labels, X_test, kinds, seed):
        answers: Answers = {}
        fit_seconds = predict_seconds = 0.0
        for tasks in groups(labels, kinds, together):
            kind = kinds[tasks[0]]
            there = labels[tasks[0]].notna()
            y = labels.loc[there, tasks].to_numpy(float if kind == "regression" else int)
            start = time.perf_counter()
            model = make(kind, len(y), seed).fit(X[there], y if len(tasks) > 1 else y[:, 0])
            fitted = time.perf_counter()
            answer = model.predict_proba(X_test) if kind == "binary" else model.predict(X_test)
            predict_seconds += time.perf_counter() - fitted
            fit_seconds += fitted - start
            answers |= zip(tasks, _columns(answer, kind, len(tasks)), strict=True)
        return answers, (fit_seconds, predict_seconds)

    return contender


def _columns(answer: Any, kind: str, n_tasks: int) -> list[np.ndarray]:
    """A column per task. Forests give a table per binary task, networks one table with a column per task."""
    if kind == "binary" and isinstance(answer, list):
        return [table[:, 1] for table in answer]
    if kind == "binary" and n_tasks == 1:
        return [answer[:, 1]]
    return list(np.asarray(answer).reshape(-1, n_tasks).T)


def linear(kind: str, n_rows: int, seed: int) -> Any:
    return standardised(RidgeCV(np.logspace(-3, 3, 13)) if kind == "regression" else LogisticRegression(max_iter=1_000))


def mlp(kind: str, n_rows: int, seed: int) -> Any:
    if kind != "regression":
        return standardised(MLPClassifier(early_stopping=True, max_iter=1_000, random_state=seed))
    network = MLPRegressor(early_stopping=True, max_iter=1_000, random_state=seed)
    return standardised(TransformedTargetRegressor(network, transformer=StandardScaler()))


def boosting(kind: str, n_rows: int, seed: int) -> Any:
    """As strong as the published figures: the default of 20 rows to a leaf gives few leaves when there are few rows."""
    cls = HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier
    size = {"min_samples_leaf": 5} if n_rows < 1_000 else {"max_iter": 150}
    return make_pipeline(FunctionTransformer(as_categories), cls(**size, random_state=seed))


def forest(kind: str, n_rows: int, seed: int) -> Any:
    """A regression forest sees all features at every split by default, with which it did worse on andro and enb."""
    if kind == "regression":
        return coded(RandomForestRegressor(max_features=0.5, random_state=seed))
    return coded(RandomForestClassifier(random_state=seed))


TREES = "HGB"  # one per task: what the paired comparison is against
CONTENDERS: dict[str, Contender] = {
    "MMoE": jointly(),
    "MMoE-single": one_by_one,
    "shared-bottom": jointly(n_experts=1, expert_layer_sizes=equal_layer_sizes),
    "OMoE": jointly(gating="shared"),
    "MLP": grouped(mlp, together=("regression", "binary")),
    TREES: grouped(boosting),
    "forest": grouped(forest, together=("regression", "binary")),
    "linear": grouped(linear, together=("regression",)),
}
