"""What the displays share: the estimator inside others, panels to draw in, short names."""

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import SMALL
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe.datasets import make_related_tasks
from sklearn_mmoe.metrics import task_scores
from sklearn_mmoe.metrics._inside import fitted_model
from sklearn_mmoe.plot import (
    GateDisplay,
    LearningCurveDisplay,
    PredictionDisplay,
    TaskAffinityDisplay,
    TaskScoresDisplay,
)
from sklearn_mmoe.plot._common import panels

X, y = make_related_tasks(60, 5, correlation=0.5, random_state=0)


def test_the_model_inside_a_search_over_a_pipeline_and_the_features_it_sees():
    pipeline = make_pipeline(StandardScaler(), MMoERegressor(**SMALL))
    search = GridSearchCV(pipeline, {"mmoeregressor__n_experts": [2]}, cv=2).fit(X, y)
    model, seen = fitted_model(search, X)
    assert model.net_ is search.best_estimator_[-1].net_
    np.testing.assert_array_equal(seen, StandardScaler().fit_transform(X))
    model, seen = fitted_model(search)
    assert model.net_ is search.best_estimator_[-1].net_
    assert seen is None


def test_a_pipeline_of_one_step_hands_the_features_on():
    pipeline = make_pipeline(MMoERegressor(**SMALL)).fit(X, y)
    model, seen = fitted_model(pipeline, X)
    assert model.net_ is pipeline[-1].net_
    assert seen is X


def test_other_estimators_are_refused():
    with pytest.raises(ValueError, match="a pipeline or search that ends in one; got Ridge"):
        fitted_model(make_pipeline(StandardScaler(), Ridge()).fit(X, y))


def test_an_unfitted_estimator_is_said_to_be_unfitted():
    with pytest.raises(NotFittedError):
        fitted_model(MMoERegressor())
    with pytest.raises(NotFittedError):
        fitted_model(GridSearchCV(MMoERegressor(), {"n_experts": [2]}))


@pytest.mark.parametrize(("n_panels", "shape"), [(1, (1, 1)), (3, (1, 3)), (7, (3, 3))])
def test_panels_of_a_figure_of_their_own(n_panels, shape):
    figure, axes = panels(None, n_panels, n_columns=3, panel_size=(2.0, 1.5))
    assert len(figure.axes) == len(axes) == n_panels
    assert axes[0].get_subplotspec().get_gridspec().get_geometry() == shape
    assert tuple(figure.get_size_inches()) == (2.0 * shape[1], 1.5 * shape[0])


def test_panels_in_the_place_of_given_axes():
    figure, (left, right) = plt.subplots(1, 2)
    own, axes = panels(right, 4, n_columns=2, panel_size=(1, 1))
    assert own is figure
    assert not right.axison
    assert min(a.get_position().x0 for a in axes) > left.get_position().x1
    assert axes[0].get_position().y0 > axes[2].get_position().y0


def test_panels_that_are_given():
    figure, grid = plt.subplots(2, 2)
    assert panels(grid, 4, n_columns=3, panel_size=(1, 1)) == (figure, list(grid.ravel()))
    with pytest.raises(ValueError, match="ax must be one Axes or 3 of them, one per panel; got 4"):
        panels(grid, 3, n_columns=3, panel_size=(1, 1))


GATES = GateDisplay(gate_weights=np.full((9, 2, 4), 0.25), task_names=["a", "b"], n_members=1)
AFFINITY = TaskAffinityDisplay(affinity=np.eye(2), task_names=["a", "b"], kind="gates")
CURVES = LearningCurveDisplay(train_loss=[1.0, 0.5], train_losses={"a": [1.0, 0.5]}, best_epochs=[2])
SCORES = TaskScoresDisplay(scores=np.eye(2), task_names=["a", "b"], estimator_names=["one", "other"])


@pytest.mark.parametrize("bad", ["blue", {1: "blue"}, ["color"]], ids=str)
@pytest.mark.parametrize(
    ("display", "options", "style"),
    [
        *[
            (GATES, {"kind": kind}, style)
            for kind in ("mean", "distribution")
            for style in ("im_kw", "text_kw", "box_kw")
        ],
        *[(AFFINITY, {"include_values": values}, style) for values in (True, False) for style in ("im_kw", "text_kw")],
        *[(CURVES, {}, style) for style in ("train_kw", "valid_kw", "best_kw")],
        (SCORES, {}, "errorbar_kw"),
    ],
    ids=lambda part: part if isinstance(part, str) else type(part).__name__,
)
def test_what_can_be_no_style_is_refused_before_a_figure_is_begun(display, options, style, bad):
    with pytest.raises(ValueError, match=f"{style} must be a dict of what matplotlib takes"):
        display.plot(**options, **{style: bad})
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    "look",
    [
        lambda model: GateDisplay.from_estimator(model, X[:20], group=0),
        lambda model: LearningCurveDisplay.from_estimator(model),
        lambda model: PredictionDisplay.from_estimator(model, X[:20], y[:20]),
        lambda model: TaskAffinityDisplay.from_estimator(model, X[:20]),
        lambda model: TaskAffinityDisplay.from_estimator(model, X[:20], y[:20], kind="gradients"),
        lambda model: task_scores(model, X[:20], y[:20]),
        lambda model: model.describe(),
        lambda model: model._repr_html_(),
    ],
    ids=["gates", "curves", "predictions", "affinity", "gradients", "task_scores", "describe", "html"],
)
def test_to_look_at_a_model_does_not_change_it(look):
    model = MMoERegressor(**SMALL).fit(X, y)
    before = pickle.dumps(model)
    look(model)
    assert pickle.dumps(model) == before
