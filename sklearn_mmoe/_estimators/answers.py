"""What fitted estimators answer of new rows, by the kinds of their tasks: predictions, probabilities, scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from sklearn_mmoe._estimators.fitted_model import FittedModel, of_one_fit
from sklearn_mmoe.tasks._declared import KINDS, OfNumbers
from sklearn_mmoe.tasks._encoding import as_frame, task_probabilities
from sklearn_mmoe.tasks._fitted import FittedClassification
from sklearn_mmoe.tasks._scores import all_right


class RegressionAnswers(RegressorMixin, FittedModel):
    """Numbers, and how much of them is explained."""

    _explains_r2 = True

    @of_one_fit
    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict the targets.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_tasks), as `y` was
            In the units of `y`.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
        >>> model = MMoERegressor(max_epochs=5, random_state=0).fit(X, y)
        >>> model.predict(X[:3]).shape
        (3, 2)
        """
        return self._predicted(X)

    @of_one_fit
    def score(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Coefficient of determination R2, averaged over the tasks. Missing labels are ignored.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.
        y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks)
            Targets, a column per task; missing labels are left out.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight of each row, or of each label.

        Returns
        -------
        float
            1 is perfect, 0 no better than the mean of `y`. The mean over the tasks that have two or more labels; one
            with a single label is left out with a warning, and there is NaN if there is no other.

        Examples
        --------
        >>> from sklearn_mmoe import MMoERegressor
        >>> from sklearn_mmoe.datasets import make_related_tasks
        >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
        >>> y[::2, 0] = float("nan")  # missing labels
        >>> model = MMoERegressor(max_epochs=5, random_state=0).fit(X, y)
        >>> model.score(X, y) <= 1
        True
        """
        return self._mean_explained(X, y, sample_weight)


class ClassificationAnswers(ClassifierMixin, FittedModel):
    """Classes, their probabilities, and how many are right."""

    @property
    def classes_(self) -> NDArray[Any] | list[NDArray[Any]]:
        """Classes of the task, or of each task where `y` was 2-D."""
        classes = [task.classes for task in self._tasks if isinstance(task, FittedClassification)]
        return classes[0] if self._y_is_1d else classes

    @of_one_fit
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the most probable class of each task.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_tasks), as `y` was
            Labels of the type that they came with; of objects where the tasks' types have nothing in common.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mmoe import MMoEClassifier
        >>> X, species = load_iris(return_X_y=True)
        >>> y = np.column_stack([species, X[:, 0] > 6])
        >>> model = MMoEClassifier(n_members=1, max_epochs=50, random_state=0).fit(X, y)
        >>> model.predict(X[[0, 140]])
        array([[0, 0],
               [2, 1]])
        """
        return self._predicted(X)

    @of_one_fit
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64] | list[NDArray[np.float64]]:
        """Predict the probability of each class of each task.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or a list of such, one per task, where `y` was 2-D
            Columns in the order of `classes_`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mmoe import MMoEClassifier
        >>> X, species = load_iris(return_X_y=True)
        >>> y = np.column_stack([species, X[:, 0] > 6])
        >>> model = MMoEClassifier(n_members=1, max_epochs=50, random_state=0).fit(X, y)
        >>> of_species, of_size = model.predict_proba(X)
        >>> of_species.shape, of_size.shape
        ((150, 3), (150, 2))
        """
        outputs = self._outputs(X)
        probabilities = list(task_probabilities(self._tasks, outputs).values())
        return probabilities[0] if self._y_is_1d else probabilities

    @of_one_fit
    def score(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Share of the rows in which every labelled task is predicted right, as `MultiOutputClassifier` scores.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.
        y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks)
            Targets, a column per task; missing labels are left out.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight of each row, or of each label.

        Returns
        -------
        float
            From 0 to 1.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mmoe import MMoEClassifier
        >>> X, species = load_iris(return_X_y=True)
        >>> y = np.column_stack([species, X[:, 0] > 6])
        >>> model = MMoEClassifier(n_members=1, max_epochs=50, random_state=0).fit(X, y)
        >>> model.score(X, y) > 0.9
        True
        """
        outputs = self._outputs(X)
        targets, weights = self._scored_targets(y, sample_weight, outputs)
        return all_right(self._tasks, targets, outputs, weights)


def _has_classification(estimator: Any) -> bool:
    """Whether there are probabilities to predict, as far as is known before `fit`."""
    if hasattr(estimator, "_tasks"):
        known = [isinstance(task, FittedClassification) for task in estimator._tasks]
    elif isinstance(estimator.tasks, str):
        return True
    else:
        declared = estimator.tasks.values() if isinstance(estimator.tasks, Mapping) else estimator.tasks
        kinds = [KINDS.get(task) if isinstance(task, str) else type(task) for task in declared]
        known = [kind is None or not issubclass(kind, OfNumbers) for kind in kinds]
    if not any(known):
        raise AttributeError("No task is a classification: there are no probabilities to predict.")
    return True


class MixedAnswers(FittedModel):
    """Answers of tasks of different kinds: beside each other, by name, or as a data frame."""

    @property
    def classes_(self) -> dict[Any, NDArray[Any]]:
        """Classes of each classification, by the name of its column in `y`."""
        return {task.name: task.classes for task in self._tasks if isinstance(task, FittedClassification)}

    @of_one_fit
    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict all tasks: numbers for regressions, means for counts and positive numbers, the most probable class.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_tasks), as `y` was
            Of objects where no one type holds the labels of all tasks exactly: where some are no numbers, or whole
            numbers beyond 2**53 stand beside others. `predict_frame` keeps every task's own type.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mmoe import MMoEMultiTask
        >>> X, species = load_iris(return_X_y=True)
        >>> y = pd.DataFrame({"length": X[:, 2], "species": species.astype(str)})
        >>> kinds = ["regression", "multiclass"]
        >>> model = MMoEMultiTask(tasks=kinds, n_members=1, max_epochs=30, random_state=0).fit(X[:, :2], y)
        >>> model.predict(X[:3, :2])[:, 1]
        array(['0', '0', '0'], dtype=object)
        """
        return self._predicted(X)

    @available_if(_has_classification)
    @of_one_fit
    def predict_proba(self, X: ArrayLike) -> dict[Any, NDArray[np.float64]]:
        """Predict the probability of each class of each classification.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.

        Returns
        -------
        dict of task name to ndarray of shape (n_samples, n_classes)
            Names are those of the columns of `y`. Columns in the order of `classes_[name]`. Tasks that are no
            classification have no entry.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mmoe import MMoEMultiTask
        >>> X, species = load_iris(return_X_y=True)
        >>> y = pd.DataFrame({"length": X[:, 2], "species": species.astype(str)})
        >>> kinds = ["regression", "multiclass"]
        >>> model = MMoEMultiTask(tasks=kinds, n_members=1, max_epochs=30, random_state=0).fit(X[:, :2], y)
        >>> {name: chances.shape for name, chances in model.predict_proba(X[:, :2]).items()}
        {'species': (150, 3)}
        """
        outputs = self._outputs(X)
        return task_probabilities(self._tasks, outputs)

    @of_one_fit
    def predict_frame(self, X: ArrayLike) -> Any:
        """Predict all tasks as a data frame.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.

        Returns
        -------
        data frame of the kind that `y` was, pandas if it was none
            A column per task, named as in `y`: classifications in the type that their labels had, regressions as
            floats. A pandas frame has the index of `X`, if `X` is a pandas frame, too.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mmoe import MMoEMultiTask
        >>> X, species = load_iris(return_X_y=True)
        >>> y = pd.DataFrame({"length": X[:, 2], "species": species.astype(str)})
        >>> kinds = ["regression", "multiclass"]
        >>> model = MMoEMultiTask(tasks=kinds, n_members=1, max_epochs=30, random_state=0).fit(X[:, :2], y)
        >>> frame = model.predict_frame(X[:3, :2])
        >>> frame["length"].dtype, frame["species"].tolist()
        (dtype('float64'), ['0', '0', '0'])
        """
        columns = self._decoded(X)
        index = getattr(X, "index", None) if hasattr(X, "iloc") else None  # a list has an `index`, too
        return as_frame(self._tasks, columns, self._y_frame or "pandas", index)

    @of_one_fit
    def score(self, X: ArrayLike, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Share of deviance explained (D2), averaged over the tasks: 1 is perfect, 0 no better than the prior.

        The deviance is that of the task's loss: squared error (R2) for "squared_error" and "huber", absolute error,
        pinball loss of the task's quantile, Poisson deviance for counts, gamma deviance for positive numbers, log-loss
        for classifications, ordinal ones, too. The prior is the best constant: mean, quantile or class shares of `y`.
        Missing labels are ignored.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Features, as `fit` takes them.
        y : array-like, data frame or series of shape (n_samples,) or (n_samples, n_tasks)
            Targets, a column per task; missing labels are left out.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weight of each row, or of each label.

        Returns
        -------
        float
            The mean over the tasks that have labels in `y`. One whose labels define no share, being a single one or of
            a class that was not there in `fit`, is left out with a warning; NaN if there is no other.

        Examples
        --------
        >>> import pandas as pd
        >>> from sklearn.datasets import load_iris
        >>> from sklearn_mmoe import MMoEMultiTask
        >>> X, species = load_iris(return_X_y=True)
        >>> y = pd.DataFrame({"length": X[:, 2], "species": species.astype(str)})
        >>> kinds = ["regression", "multiclass"]
        >>> model = MMoEMultiTask(tasks=kinds, n_members=1, max_epochs=30, random_state=0).fit(X[:, :2], y)
        >>> model.score(X[:, :2], y) > 0.5
        True
        """
        return self._mean_explained(X, y, sample_weight)
