"""One task's predictions: the display of scikit-learn that suits its kind, its usual score, and its small panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibrationDisplay, calibration_curve
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PredictionErrorDisplay,
    RocCurveDisplay,
    confusion_matrix,
    d2_pinball_score,
    roc_curve,
)

from sklearn_mmoe._common.names import short_names
from sklearn_mmoe.metrics._responses import LabelledTask, labelled_task
from sklearn_mmoe.metrics._task_scores import scores_of_task
from sklearn_mmoe.plot._common import LITERAL
from sklearn_mmoe.tasks._fitted import TRAITS, Kind, Traits
from sklearn_mmoe.tasks._labels import listed, refuse_classes
from sklearn_mmoe.tasks._validation import Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Binary = Literal["roc_curve", "calibration"]
TaskDisplay: TypeAlias = PredictionErrorDisplay | RocCurveDisplay | CalibrationDisplay | ConfusionMatrixDisplay

N_BINS = 10  # of a calibration curve
MOST_VALUES = 6  # classes up to which the cells of a confusion matrix have room for numbers
LABEL_LENGTH = 12  # characters of a class beside a confusion matrix
MOST_LABELS = 20  # classes up to which each has room for its name
N_TICKS = 4  # of a regression's axes


def declared_task(
    index: int, column: Column, answer: NDArray[Any], kind: Kind | None, classes: Any
) -> tuple[LabelledTask, NDArray[Any], NDArray[Any] | None]:
    """A task of which nothing is known but labels, answers and what the user says.

    Returns
    -------
    task : LabelledTask
    predicted : ndarray of shape (n_rows,)
    probability : ndarray of shape (n_rows,) or (n_rows, n_classes), or None
    """
    if kind is None:
        kind = _kind_of(answer)
    traits = TRAITS[kind]
    if not traits.has_classes:
        refuse_classes(classes, column.name)
        if answer.ndim == 2 or answer.dtype.kind not in "biuf":
            raise ValueError(
                f"y_pred of task {column.name!r}, a {kind}, must hold one number per row; got an array of shape "
                f"{answer.shape} and type {answer.dtype}."
            )
        return labelled_task(index, column, kind, None), answer, None
    probable = answer.ndim == 2 or traits.is_binary
    found = column.values if probable else np.concatenate([column.values, answer])
    classes = np.unique(found) if classes is None else np.asarray(classes)
    if not np.isin(found, classes).all():
        raise ValueError(
            f"Task {column.name!r} has labels or predictions that are not among its classes {classes.tolist()}: "
            f"{listed(np.setdiff1d(found, classes))}."
        )
    wanted = 2 if traits.is_binary else answer.shape[1] if answer.ndim == 2 else len(classes)
    if probable and len(classes) != wanted:
        raise ValueError(
            f"y_pred of task {column.name!r} has probabilities of {wanted} classes, but its classes are "
            f"{classes.tolist()}: give all of them, in the order of the columns, as classes={{{column.name!r}: ...}}."
        )
    task = labelled_task(index, column, kind, classes)
    if not probable:
        return task, answer, None
    codes = answer.argmax(axis=1) if answer.ndim == 2 else (answer > 0.5).astype(int)
    return task, classes[codes], answer


def _kind_of(answer: NDArray[Any]) -> Kind:
    if answer.ndim == 2:
        return "binary" if answer.shape[1] == 2 else "multiclass"
    return "regression" if answer.dtype.kind == "f" else "multiclass"


def usual_scores(
    task: LabelledTask, predicted: NDArray[Any] | None, probability: NDArray[Any] | None
) -> dict[str, float]:
    """The scores in the title of the panel, by the names that they have there."""
    all_scores = scores_of_task(task, predicted, probability)
    if task.quantile is not None and predicted is not None and task.has_labels:
        answers = task.part(predicted)
        shares = {f"P(y ≤ q{task.quantile:g})": float((task.values <= answers).mean())}
        if len(np.unique(task.values)) == 1:
            return shares
        return {"D2": float(d2_pinball_score(task.values, answers, alpha=task.quantile)), **shares}
    name, metric = _usual_metric(task.traits, has_probability=probability is not None)
    return {name: float(all_scores[metric])} if metric in all_scores else {}


def _usual_metric(traits: Traits, *, has_probability: bool) -> tuple[str, str]:
    """What stands in the title, and which of `task_scores` it is."""
    if traits.deviance:
        return f"{traits.deviance.name} D2", traits.deviance.metric
    if not traits.has_classes:
        return "R2", "r2"
    if traits.is_ordered:
        return "quadratic kappa", "quadratic_kappa"
    return ("AUC", "roc_auc") if traits.is_binary and has_probability else ("accuracy", "accuracy")


def task_display(
    task: LabelledTask,
    predicted: NDArray[Any] | None,
    probability: NDArray[Any] | None,
    *,
    binary: Binary,
    subsample: int | None,
    rng: np.random.RandomState,
) -> TaskDisplay | str:
    """The display of a task, not drawn yet, or words that say why it has none."""
    if not task.has_labels:
        return "no label"
    assert predicted is not None
    predicted = task.part(predicted)
    if task.classes is None:
        rows = np.arange(len(predicted))
        if subsample is not None and subsample < len(rows):
            rows = rng.choice(len(rows), subsample, replace=False)
        return PredictionErrorDisplay(y_true=task.values[rows], y_pred=predicted[rows])
    if task.of_no_class is not None:  # neither a row of the matrix nor right or wrong at any threshold
        return "labels that are no class"
    if not task.traits.is_binary or probability is None:
        matrix = confusion_matrix(task.values, predicted, labels=task.classes, normalize="true")
        labels = task.classes if task.ranked is None else task.ranked
        return ConfusionMatrixDisplay(matrix, display_labels=labels)
    positive = task.part(probability)
    positive = positive if positive.ndim == 1 else positive[:, 1]
    hits = task.values == task.classes[1]
    if hits.all() or not hits.any():
        return "labels of one class only"
    if binary == "roc_curve":
        fpr, tpr, _ = roc_curve(hits, positive)
        return RocCurveDisplay(fpr=fpr, tpr=tpr)
    true, mean = calibration_curve(hits, positive, n_bins=N_BINS, strategy="quantile")
    return CalibrationDisplay(true, mean, positive)


# --------------------------------------------------------------------------------------------------------------------
# Drawing


def draw(display: TaskDisplay | str, ax: Axes) -> None:
    """Let a display draw itself, and make what it draws fit a panel of a few inches."""
    ax.tick_params(labelsize="small")
    if isinstance(display, str):
        ax.text(0.5, 0.5, display, ha="center", va="center", transform=ax.transAxes, color="gray")
        ax.set(xticks=[], yticks=[])
        ax.set_box_aspect(1)
    elif isinstance(display, ConfusionMatrixDisplay):
        _draw_confusion_matrix(display, ax)
    elif isinstance(display, PredictionErrorDisplay):
        _draw_prediction_error(display, ax)
    elif isinstance(display, RocCurveDisplay):
        display.plot(ax=ax, plot_chance_level=True, chance_level_kw={"linewidth": 1})
        _remove_legend(ax)
        ax.set(xlabel="False positive rate", ylabel="True positive rate")
    else:
        display.plot(ax=ax, markersize=4)
        _remove_legend(ax)
        ax.set(xlabel="Mean predicted probability", ylabel="Share of positives", aspect="equal")


def _remove_legend(ax: Axes) -> None:
    if legend := ax.get_legend():
        legend.remove()


def _draw_prediction_error(display: PredictionErrorDisplay, ax: Axes) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator, ScalarFormatter

    display.plot(
        ax=ax,
        kind="actual_vs_predicted",
        scatter_kwargs={"s": 9, "alpha": 0.4, "linewidths": 0},
        line_kwargs={"linewidth": 1},
    )
    ax.set_box_aspect(1)
    largest = max(np.abs(display.y_true).max(), np.abs(display.y_pred).max())
    for axis in (ax.xaxis, ax.yaxis):  # its own ticks have as many digits as floats have
        axis.set_major_locator(MaxNLocator(N_TICKS, steps=[1, 2, 5, 10]))
        # a factor such as 1e6 would stand in the way of the title
        plain = largest == 0 or 1e-2 <= largest < 1e5
        axis.set_major_formatter(ScalarFormatter(useOffset=False) if plain else EngFormatter(sep=""))


def _draw_confusion_matrix(display: ConfusionMatrixDisplay, ax: Axes) -> None:
    matrix = display.confusion_matrix
    n_classes = len(matrix)
    display.plot(
        ax=ax,
        cmap="Blues",
        colorbar=False,
        include_values=n_classes <= MOST_VALUES,
        values_format=".2f",
        im_kw={"vmin": 0.0, "vmax": 1.0},
        text_kw={"fontsize": "small"},
    )
    # the display chooses the colour of numbers by the range of the values, not of the colours
    for text, share in zip(display.text_.flat if display.text_ is not None else [], matrix.flat, strict=False):
        text.set_color("white" if share > 0.5 else "black")
    labels = short_names([str(label) for label in display.display_labels], LABEL_LENGTH)
    crowded = sum(len(label) + 1 for label in labels) > 24
    step = -(-n_classes // MOST_LABELS)
    rotation = "vertical" if crowded else "horizontal"
    ax.set_xticks(range(0, n_classes, step), labels[::step], rotation=rotation, **LITERAL)
    ax.set_yticks(range(0, n_classes, step), labels[::step], **LITERAL)
    ax.tick_params(labelsize="small" if n_classes <= 12 else "xx-small")


def keep_outer_labels(axes: list[Axes]) -> None:
    """Take the label of an axis away where the next panel below or to the left says the same."""
    places = {}
    for ax in axes:
        if spec := ax.get_subplotspec():
            places[id(spec.get_gridspec()), spec.rowspan.start, spec.colspan.start] = ax
    labels = {place: (ax.get_xlabel(), ax.get_ylabel()) for place, ax in places.items()}
    for (grid, row, column), ax in places.items():
        x, y = labels[grid, row, column]
        if labels.get((grid, row + 1, column), ("", ""))[0] == x:
            ax.set_xlabel("")
        if labels.get((grid, row, column - 1), ("", ""))[1] == y:
            ax.set_ylabel("")
