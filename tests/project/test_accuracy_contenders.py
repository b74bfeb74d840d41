"""Who predicts in the accuracy benchmark. Stand-ins of other packages check what they are given."""

import sys
from types import ModuleType

import _accuracy_contenders as contenders
import _accuracy_peers as peers
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

N_ROWS, N_TEST = 200, 40
KINDS = {"income": "binary", "marital": "multiclass", "weeks": "regression", "hours": "regression"}


class StandIn(BaseEstimator):
    """Takes what its package does, and answers with means or with a constant class."""

    made: list

    def __init__(self, **parameters):
        self.parameters = parameters
        self.made.append(self)

    def fit(self, X, y):
        self.X_, self.y_ = X, y
        self.takes(X, y)
        return self

    def predict(self, X):
        self.takes(X, self.y_)
        answer = np.resize(self.y_.mean(axis=0), (len(X), *self.y_.shape[1:]))
        return answer if self.y_.dtype.kind == "f" else np.full((len(X), 1), self.y_.max())

    def predict_proba(self, X):
        self.takes(X, self.y_)
        return np.tile([0.75, 0.25], (len(X), 1))


class OfCatBoost(StandIn):
    def takes(self, X, y):
        assert self.parameters["thread_count"] == 1
        assert {type(value) for name in self.parameters["cat_features"] for value in X[name]} <= {str}
        numbers = X.drop(columns=self.parameters["cat_features"])
        assert set(numbers.dtypes.map(lambda dtype: dtype.kind)) == {"f"}
        assert self.parameters.get("loss_function") == ("MultiRMSE" if y.ndim == 2 else None)


class OfTrees(StandIn):
    def takes(self, X, y):
        assert self.parameters["n_jobs"] == 1
        assert y.ndim == 1
        _has_categories(X)
        assert not X.columns.str.contains(r"[\[\]<,:{}\"]").any()


class OfPytabkit(StandIn):
    def takes(self, X, y):
        assert self.parameters["n_threads"] == 1
        assert self.parameters["device"] == "cpu"
        _has_categories(X)
        assert X.select_dtypes("number").notna().all(axis=None)


def _has_categories(X):
    assert sorted(dtype.name for dtype in X.dtypes) == ["category", "category", "float64"]
    assert all(column.cat.categories.dtype == int for _, column in X.select_dtypes("category").items())


@pytest.fixture
def stand_ins(monkeypatch):
    """All packages that need not be installed; what was made of them."""
    made = []
    classes = {
        "catboost": (OfCatBoost, ["CatBoostRegressor", "CatBoostClassifier"]),
        "lightgbm": (OfTrees, ["LGBMRegressor", "LGBMClassifier"]),
        "xgboost": (OfTrees, ["XGBRegressor", "XGBClassifier"]),
        "pytabkit": (OfPytabkit, [f"{m}_{k}" for m in ("RealMLP_TD", "TabM_D") for k in ("Regressor", "Classifier")]),
    }
    for package, (base, names) in classes.items():
        module = ModuleType(package)
        for name in names:
            setattr(module, name, type(name, (base,), {"made": made}))
        monkeypatch.setitem(sys.modules, package, module)
    return made


@pytest.fixture
def table():
    """Rows to learn from, some without a value or a label, and rows that bring a new category."""
    rng = np.random.default_rng(0)
    n = N_ROWS + N_TEST
    X = pd.DataFrame({"age [years]": rng.normal(size=n), "job": np.resize(["a", "b", "c", None], n)})
    X["flag"] = rng.random(n) < 0.5
    X.loc[::50, "age [years]"] = np.nan
    X.loc[N_ROWS::3, "job"] = "new"
    X["empty"] = np.where(np.arange(n) < N_ROWS, np.nan, 1.0)
    labels = pd.DataFrame({"income": (X["job"] == "a").to_numpy(float), "marital": np.resize([0.0, 4.0, 2.0], n)})
    labels["weeks"] = np.nan_to_num(X["age [years]"]) * 3
    labels["hours"] = labels["weeks"] + rng.normal(size=n)
    return X[:N_ROWS], labels[:N_ROWS], X[N_ROWS:]


@pytest.fixture
def three_epochs(monkeypatch):
    defaults = contenders.MMoEMultiTask.__init__.__kwdefaults__
    monkeypatch.setattr(contenders.MMoEMultiTask.__init__, "__kwdefaults__", {**defaults, "max_epochs": 3})


@pytest.mark.usefixtures("three_epochs", "stand_ins")
@pytest.mark.parametrize(
    ("name", "missing"),
    [
        *((name, False) for name in contenders.CONTENDERS),
        *((name, True) for name in ("MMoE", "MMoE-single", "CatBoost-joint", "linear")),
    ],
)
def test_every_contender_answers_every_kind(name, missing, table):
    X, labels, X_test = table
    if missing:
        labels = labels.mask(np.arange(N_ROWS)[:, None] % 10 == np.arange(4))
    answers, seconds = contenders.CONTENDERS[name].learn(X, labels, X_test, KINDS, 0)
    assert set(answers) == set(KINDS)
    assert all(answer.shape == (N_TEST,) for answer in answers.values())
    assert ((answers["income"] >= 0) & (answers["income"] <= 1)).all()
    assert set(answers["marital"]) <= {0, 2, 4}
    assert seconds.shape == (2, 2)
    assert (seconds > 0).all()


@pytest.mark.parametrize(
    ("name", "n_fits", "shapes"),
    [
        ("CatBoost", 4, [(N_ROWS,)] * 4),
        ("CatBoost-joint", 3, [(N_ROWS, 2), (N_ROWS,), (N_ROWS,)]),
        ("LightGBM", 4, [(N_ROWS,)] * 4),
        ("XGBoost", 4, [(N_ROWS,)] * 4),
        ("RealMLP", 4, [(N_ROWS,)] * 4),
        ("RealMLP-joint", 3, [(N_ROWS, 2), (N_ROWS,), (N_ROWS,)]),
        ("TabM", 4, [(N_ROWS,)] * 4),
    ],
)
def test_joint_ones_learn_all_regressions_at_once(name, n_fits, shapes, table, stand_ins):
    X, labels, X_test = table
    answers, _ = contenders.CONTENDERS[name].learn(X, labels, X_test, KINDS, 7)
    assert [made.y_.shape for made in stand_ins] == shapes
    assert len(stand_ins) == n_fits
    assert {7} == {made.parameters.get("random_state", made.parameters.get("random_seed")) for made in stand_ins}
    for task in ("weeks", "hours"):
        assert answers[task] == pytest.approx(np.full(N_TEST, labels[task].mean()))
    assert (answers["marital"] == 4).all()  # classes are numbered for the estimator, and come back as they were


def test_a_task_with_one_label_is_no_fit(table):
    X, labels, X_test = table
    answers, seconds = peers.grouped(peers.linear)(X, labels.assign(income=1.0)[["income"]], X_test, KINDS_OF_ONE, 0)
    assert (answers["income"] == 1).all()
    assert (seconds == 0).all()


KINDS_OF_ONE = {"income": "binary"}


def test_groups_of_tasks():
    labels = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0], "c": [0.5, 0.7], "d": [0.1, 0.2]})
    kinds = {"a": "binary", "b": "binary", "c": "regression", "d": "regression"}
    assert peers.groups(labels, kinds, ["regression"]) == [["c", "d"], ["a"], ["b"]]
    assert peers.groups(labels, kinds, ["regression", "binary"]) == [["c", "d"], ["a", "b"]]
    labels.loc[0, "a"] = np.nan
    assert peers.groups(labels, kinds, ["regression", "binary"]) == [["a"], ["b"], ["c"], ["d"]]


def test_shared_bottom_has_as_many_parameters():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 20)))
    kinds = {"a": "regression", "b": "multiclass"}
    labels = pd.DataFrame({"a": X[0], "b": np.resize([0.0, 1.0, 2.0], 30)})
    sizes = contenders.equal_layer_sizes(X, labels, kinds)

    def n_parameters(**parameters):
        model = contenders.MMoEMultiTask(tasks=kinds, max_epochs=1, **parameters)
        module = contenders.make_tabular_pipeline(model).fit(X, labels)[-1].module_
        return sum(parameter.numel() for parameter in module.parameters())

    assert n_parameters(n_experts=1, expert_layer_sizes=sizes) == pytest.approx(n_parameters(), rel=0.02)
