"""What the displays draw fits their figures: nothing is cut off, no text runs into another or into a neighbour."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from sklearn_mmoe.plot import (
    GateDisplay,
    LearningCurveDisplay,
    PredictionDisplay,
    TaskAffinityDisplay,
    TaskScoresDisplay,
)

TOUCHING = 0.5  # pixels that are no overlap
NAMES = ["y", "progression of the disease", "arr_delay", "Weight of the left hand in kilograms", "Preis in €"]
KINDS = ["regression", "binary", "multiclass", "positive", "ordinal", "count"]
RANKS = ["low", "neither low nor high", "high"]


def names_of(n_tasks):
    """Short names and long ones."""
    return [NAMES[t % len(NAMES)] + (f" {t}" if t >= len(NAMES) else "") for t in range(n_tasks)]


def gates(n_tasks, n_experts=8, n_members=1):
    weights = np.random.default_rng(0).dirichlet([0.7] * n_experts, size=(24, n_tasks, n_members))
    return weights.reshape(24, n_tasks, -1) / n_members


def draw_gates(names, ax=None, n_experts=8, n_members=1, **how):
    weights = gates(len(names), n_experts, n_members)
    return GateDisplay.from_predictions(weights, task_names=names, n_members=n_members, ax=ax, **how)


def draw_affinity(names, ax=None, **how):
    return TaskAffinityDisplay.from_predictions(gates(len(names)), task_names=names, ax=ax, **how)


def draw_gradients(names, ax=None):
    cosines = np.random.default_rng(0).uniform(-1, 1, size=(len(names), len(names)))
    return TaskAffinityDisplay((cosines + cosines.T) / 2, task_names=names, kind="gradients").plot(ax)


def draw_curves(names, ax=None, n_cols=4, label=None, **arguments):
    rng = np.random.default_rng(0)
    losses = {name: rng.random(5) for name in names}
    display = LearningCurveDisplay(train_loss=rng.random(5), train_losses=losses, best_epochs=[3, 4], **arguments)
    return display.plot(ax, n_cols=n_cols, train_kw={"label": label} if label else None)


def draw_all_curves(names, ax=None, n_cols=4):
    losses = {name: np.linspace(2, t, 5) for t, name in enumerate(names)}
    valid = {"valid_loss": np.linspace(1, 0, 5), "valid_losses": losses, "valid_score": np.linspace(-10, 0, 5)}
    return draw_curves(names, ax, n_cols, task_weights=losses, **valid)


def draw_scores(names, ax=None, estimators=("MMoE", "boosted trees"), score_name="R2"):
    rng = np.random.default_rng(0)
    scores, errors = rng.random((2, len(estimators), len(names)))
    display = TaskScoresDisplay(
        scores=scores, errors=errors, task_names=names, estimator_names=estimators, score_name=score_name
    )
    return display.plot(ax)


def draw_predictions(names, ax=None, kinds=KINDS, scale=1.0, n_classes=3, **how):
    rng = np.random.default_rng(0)
    y, answers, classes = {}, {}, {}
    of = {name: kinds[t % len(kinds)] for t, name in enumerate(names)}
    for name, kind in of.items():
        if kind in ("multiclass", "ordinal"):
            classes[name] = RANKS if kind == "ordinal" else [float(c) for c in range(n_classes)]
            y[name] = rng.choice(classes[name], 40)
            answers[name] = rng.dirichlet(np.ones(len(classes[name])), size=40)
        else:
            y[name] = rng.integers(0, 2, 40) if kind == "binary" else scale * (1 + rng.poisson(2, size=40))
            answers[name] = rng.uniform(0.01, 1, 40) if kind == "binary" else y[name] + scale * rng.random(40)
    return PredictionDisplay.from_predictions(pd.DataFrame(y), answers, kinds=of, classes=classes, ax=ax, **how)


def drawn_texts(figure):
    """All texts that are drawn, each with its box and the axes that it belongs to."""
    found = {}

    def draw(text, renderer):
        if text.get_visible() and text.get_text().strip():
            found[text] = text.get_window_extent(renderer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", draw)
        figure.draw_without_rendering()
    return found


def beyond(box, figure):
    """By how many pixels a box reaches out of a figure."""
    return max(-box.x0, -box.y0, box.x1 - figure.bbox.width, box.y1 - figure.bbox.height)


def overlaps(boxes, others):
    """Which boxes run into which others, as pairs of their places."""
    low, high = (np.array([(box.x0, box.y0, -box.x1, -box.y1) for box in some]) for some in (boxes, others))
    starts = np.maximum(low[:, None], high[None])
    return np.argwhere((starts[..., :2] + starts[..., 2:] < -TOUCHING).all(axis=2)).tolist()


def faults_of(figure):
    """What is cut off or runs into another, in words."""
    drawn = drawn_texts(figure)
    texts, boxes, words = list(drawn), list(drawn.values()), [text.get_text() for text in drawn]
    faults = [f"{word!r} is cut off" for word, box in zip(words, boxes, strict=True) if beyond(box, figure) > TOUCHING]
    everything = figure.get_tightbbox().transformed(figure.dpi_scale_trans)  # from inches
    if beyond(everything, figure) > 1:
        faults.append("something is cut off")
    faults += [f"{words[i]!r} runs into {words[j]!r}" for i, j in overlaps(boxes, boxes) if i < j]
    panels = [ax for ax in figure.axes if ax.axison]  # the others have their place divided
    for i, j in overlaps(boxes, [panel.get_window_extent() for panel in panels]):
        if texts[i].axes not in (None, panels[j], *panels[j].child_axes):
            faults.append(f"{words[i]!r} runs into another panel")
    return faults


PICTURES = {
    "gates": draw_gates,
    "gates of a single expert": lambda names, ax=None: draw_gates(names, ax, n_experts=1),
    "gates of three members": lambda names, ax=None: draw_gates(names, ax, n_experts=4, n_members=3),
    "gates of groups": lambda names, ax=None: draw_gates(names, ax, group=[*["under 50", "over 50"] * 12]),
    "distributions": lambda names, ax=None: draw_gates(names, ax, kind="distribution"),
    "distributions of members": lambda names, ax=None: draw_gates(names, ax, n_members=4, kind="distribution"),
    "affinity": draw_affinity,
    "gradients": draw_gradients,
    "curves": draw_curves,
    "curves and weights": draw_all_curves,
    "scores": draw_scores,
    "predictions": draw_predictions,
    "calibration": lambda names, ax=None: draw_predictions(names, ax, kinds=["binary"], binary="calibration"),
}
MAIN = ["gates", "distributions", "gradients", "curves and weights", "scores", "predictions"]
main_pictures = pytest.mark.parametrize("draw", [PICTURES[name] for name in MAIN], ids=MAIN)


@pytest.mark.no_cover
@pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)
@pytest.mark.parametrize("n_tasks", [1, 3])
def test_a_few_tasks(draw, n_tasks):
    assert faults_of(draw(names_of(n_tasks)).figure_) == []


@pytest.mark.parametrize("draw", [draw_predictions, draw_affinity])
def test_what_is_drawn_again_fits_again(draw):
    """The layout begins with the places that it has found before."""
    display = draw(names_of(3))
    assert [faults_of(display.figure_) for _ in range(3)] == [[], [], []]


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("kind", "n_tasks"),
    [("gates", 30), ("gradients", 30), ("scores", 30), ("curves and weights", 12), ("predictions", 12)],
)
def test_many_tasks(kind, n_tasks):
    assert faults_of(PICTURES[kind](names_of(n_tasks)).figure_) == []


@pytest.mark.parametrize(
    "draw",
    [
        lambda names: draw_gates(names, n_experts=2, n_members=10),
        lambda names: draw_gates(names[:1], n_experts=1, n_members=60),
        lambda names: draw_gates(names[:1], n_experts=60),
        lambda names: draw_gates(names[:2], n_experts=4, n_members=10, kind="distribution"),
        lambda names: draw_gates(names, group=[f"one of a few groups, number {i % 5}" for i in range(24)]),
        lambda names: draw_affinity(names, colorbar=False),
        lambda names: draw_all_curves(names, n_cols=1),
        lambda names: draw_curves(names, n_cols=2, label="training, the mean over all rows of each batch"),
        lambda names: draw_scores(names, estimators=[f"estimator number {i}" for i in range(8)]),
        lambda names: draw_scores(names, score_name="gain in minus the mean absolute error of what is left of the day"),
        lambda names: draw_predictions(names, kinds=["multiclass"], n_classes=6),
        lambda names: draw_predictions(names[:1], kinds=["multiclass"], n_classes=30),
        lambda names: draw_predictions(names, n_cols=1),
        lambda names: draw_predictions(names, kinds=["regression"], scale=1e-5),
        lambda names: draw_predictions(names, kinds=["regression"], scale=-1e4),
        lambda names: draw_predictions(names, kinds=["regression"], scale=1e7),
    ],
)
def test_what_takes_much_room(draw):
    assert faults_of(draw(names_of(3)).figure_) == []


def test_larger_fonts_have_larger_figures():
    with plt.rc_context({"font.size": 14}):
        for draw in (draw_gates, draw_all_curves, draw_scores, draw_predictions):
            assert faults_of(draw(names_of(3)).figure_) == []


@pytest.mark.no_cover
@main_pictures
def test_names_are_no_formulae_and_none_is_hidden(draw):
    """matplotlib reads what stands between dollars, and leaves out of legends what begins with an underscore."""
    names = [r"$\frac$", "_hidden"]
    shown = {text.get_text().split("\n")[0] for text in drawn_texts(draw(names).figure_)}
    assert set(names) <= shown


def test_names_of_estimators_are_no_formulae_and_none_is_hidden():
    names = [r"$\frac$", "_hidden"]
    shown = {text.get_text() for text in drawn_texts(draw_scores(["y"], estimators=names).figure_)}
    assert set(names) <= shown


@main_pictures
def test_a_figure_of_the_user_stays_as_it_is(draw):
    figure, ax = plt.subplots(figsize=(7, 5))
    draw(names_of(3), ax)
    assert figure.get_size_inches().tolist() == [7, 5]
    assert figure.get_layout_engine() is None
