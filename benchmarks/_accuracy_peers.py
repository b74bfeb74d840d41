"""What people would pick instead, in the accuracy benchmark: their estimators, for a task or for several together.

All have their defaults, but for one thread and the few that say why. Categories and missing values go to an estimator
as they are where it takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import pandas as pd
from _bench import clocks
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
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

Kinds = dict[str, str]
Answers = dict[str, np.ndarray]
# A prediction is a number for a regression, the probability of class 1 for a binary task, a class for a multiclass one.
# Seconds have a line for fit and one for predict, and of each those by the wall and those of CPU.
Learn = Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame, Kinds, int], tuple[Answers, np.ndarray]]
Make = Callable[[str, pd.DataFrame, np.ndarray, int], Any]  # kind of task, X, y, seed -> an estimator

NUMBERS = make_column_selector(dtype_include="number")
CATEGORIES = make_column_selector(dtype_exclude="number")


def groups(labels: pd.DataFrame, kinds: Kinds, together: Collection[str]) -> list[list[str]]:
    """Which tasks one estimator learns: all of a kind where it can, each alone where labels are missing."""
    if labels.isna().any(axis=None):
        return [[task] for task in kinds]
    joint = [[task for task, kind in kinds.items() if kind == which] for which in together]
    return [tasks for tasks in joint if tasks] + [[task] for task, kind in kinds.items() if kind not in together]


def grouped(make: Make, together: Collection[str] = ()) -> Learn:
    """Estimators of scikit-learn's kind, one per group of tasks."""

    def learn(X, labels, X_test, kinds, seed):
        answers: Answers = {}
        seconds = np.zeros((2, 2))
        for tasks in groups(labels, kinds, together):
            y = labels[tasks].dropna()
            rows = X.loc[y.index]
            columns = rows.columns[rows.notna().any()]  # boosted trees refuse those without any value
            answer, took = _learn_group(make, rows[columns], y.to_numpy(), X_test[columns], kinds[tasks[0]], seed)
            answers |= zip(tasks, answer.T, strict=True)
            seconds += took
        return answers, seconds

    return learn


def _learn_group(make: Make, X, y: np.ndarray, X_test, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers, a column per task, and seconds."""
    if (y == y[0]).all():  # some refuse to learn that
        return np.tile(y[0], (len(X_test), 1)), np.zeros((2, 2))
    classes = np.unique(y)
    y = y if kind == "regression" else np.searchsorted(classes, y)  # 0 to k - 1, of those that the training rows have
    y = y if y.shape[1] > 1 else y[:, 0]
    model = make(kind, X, y, seed)
    start = clocks()
    model.fit(X, y)
    fitted = clocks()
    answer = model.predict_proba(X_test) if kind == "binary" else model.predict(X_test)
    seconds = np.array([fitted - start, clocks() - fitted])
    if isinstance(answer, list):  # forests give a table per binary task, networks one table with a column per task
        answer = np.stack([table[:, 1] for table in answer], axis=1)
    elif kind == "binary" and y.ndim == 1:
        answer = answer[:, 1]
    answer = np.reshape(answer, (len(X_test), -1))
    return classes[answer.astype(int)] if kind == "multiclass" else answer, seconds


# --------------------------------------------------------------------------------------------------------------------
# What stands before the estimators


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


class AsCategories(TransformerMixin, BaseEstimator):
    """For those who take categories by their dtype; new ones are missing. All take the names of the columns, too."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> AsCategories:
        self.categories_ = {name: pd.Index(X[name].astype(object).dropna().unique()) for name in CATEGORIES(X)}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        codes = {name: known.get_indexer(X[name].astype(object)) for name, known in self.categories_.items()}
        columns = {
            name: pd.Categorical.from_codes(codes[name], range(len(known))) for name, known in self.categories_.items()
        }
        return X.assign(**columns).set_axis([f"x{i}" for i in range(X.shape[1])], axis=1)


def imputed(estimator: Any) -> Pipeline:
    """For networks that take categories, but no missing numbers."""
    numbers = SimpleImputer(keep_empty_features=True)
    columns = make_column_transformer((numbers, NUMBERS), remainder="passthrough", verbose_feature_names_out=False)
    return make_pipeline(AsCategories(), columns.set_output(transform="pandas"), estimator)


def as_text(X: pd.DataFrame) -> pd.DataFrame:
    """For CatBoost, whose categories are text, that they are missing, too."""
    return X.assign(**{name: X[name].astype(object).map(str) for name in CATEGORIES(X)})


# --------------------------------------------------------------------------------------------------------------------
# Those of scikit-learn


def linear(kind: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    return standardised(RidgeCV(np.logspace(-3, 3, 13)) if kind == "regression" else LogisticRegression(max_iter=1_000))


def mlp(kind: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    if kind != "regression":
        return standardised(MLPClassifier(early_stopping=True, max_iter=1_000, random_state=seed))
    network = MLPRegressor(early_stopping=True, max_iter=1_000, random_state=seed)
    return standardised(TransformedTargetRegressor(network, transformer=StandardScaler()))


def boosting(kind: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    """As strong as the published figures: the default of 20 rows to a leaf gives few leaves when there are few rows."""
    cls = HistGradientBoostingRegressor if kind == "regression" else HistGradientBoostingClassifier
    size = {"min_samples_leaf": 5} if len(y) < 1_000 else {"max_iter": 150}
    return make_pipeline(AsCategories(), cls(**size, random_state=seed))


def forest(kind: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    """A regression forest sees all features at every split by default, with which it did worse on andro and enb."""
    if kind == "regression":
        return coded(RandomForestRegressor(max_features=0.5, random_state=seed))
    return coded(RandomForestClassifier(random_state=seed))


def extra_trees(kind: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    cls = ExtraTreesRegressor if kind == "regression" else ExtraTreesClassifier
    return coded(cls(random_state=seed))


# --------------------------------------------------------------------------------------------------------------------
# Those of other packages, which are imported here before the clock runs


def catboost(kind: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    from catboost import CatBoostClassifier, CatBoostRegressor

    cls = CatBoostRegressor if kind == "regression" else CatBoostClassifier
    loss = {"loss_function": "MultiRMSE"} if y.ndim > 1 else {}
    quiet = {"verbose": False, "allow_writing_files": False}
    categories = CATEGORIES(X)
    model = cls(cat_features=categories, thread_count=1, random_seed=seed, **loss, **quiet)
    return make_pipeline(FunctionTransformer(as_text), model)


def lightgbm(kind: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    cls = LGBMRegressor if kind == "regression" else LGBMClassifier
    return make_pipeline(AsCategories(), cls(n_jobs=1, random_state=seed, verbose=-1))


def xgboost(kind: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    from xgboost import XGBClassifier, XGBRegressor

    cls = XGBRegressor if kind == "regression" else XGBClassifier
    return make_pipeline(AsCategories(), cls(n_jobs=1, random_state=seed, enable_categorical=True))


def realmlp(kind: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    cls = RealMLP_TD_Regressor if kind == "regression" else RealMLP_TD_Classifier
    return imputed(cls(device="cpu", n_threads=1, random_state=seed))


def tabm(kind: str, X: pd.DataFrame, y: np.ndarray, seed: int) -> Any:
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    cls = TabM_D_Regressor if kind == "regression" else TabM_D_Classifier
    return imputed(cls(device="cpu", n_threads=1, random_state=seed))
