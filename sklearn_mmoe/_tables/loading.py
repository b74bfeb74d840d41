"""Opening the file of a saved model, of any of the three estimators."""

from __future__ import annotations

import os
from typing import Any

from sklearn_mmoe._estimators.classifier import MMoEClassifier
from sklearn_mmoe._estimators.multitask import MMoEMultiTask
from sklearn_mmoe._estimators.regressor import MMoERegressor
from sklearn_mmoe._files.saving import load_model
from sklearn_mmoe._tables.packed_steps import pipeline_around

_CLASSES = {cls.__name__: cls for cls in (MMoERegressor, MMoEClassifier, MMoEMultiTask)}


def load(path: str | os.PathLike[str]) -> Any:
    """Open a model, or a pipeline around one, that `save` has written.

    The file is data only: nothing in it is run, and nothing larger is built of it than it has weights for. Its checksum
    finds damage; it is no signature, so of a file from a stranger it says nothing but that it is as the stranger saved
    it.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    MMoERegressor, MMoEClassifier, MMoEMultiTask or TabularPipeline
        With the same parameters, fitted attributes and answers as the one that was saved, on the same device if it is
        here, else on the CPU, with a warning. `partial_fit` and `warm_start` go on as if it had never been saved.

    Raises
    ------
    ValueError
        If the file is none of `save`'s, cut off, altered, of a newer format or of an unknown class, or if it says
        something that no fit leaves.
    ImportError
        If safetensors is missing, skops for a pipeline, or torchjd for a model that balances gradients by it.

    Examples
    --------
    >>> import sklearn_mmoe
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn_mmoe.datasets import make_related_tasks
    >>> X, y = make_related_tasks(100, 5, correlation=0.5, random_state=0)
    >>> model = sklearn_mmoe.MMoERegressor(max_epochs=5, random_state=0).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "model.safetensors")
    ...     again = sklearn_mmoe.load(Path(folder) / "model.safetensors")
    >>> bool((again.predict(X) == model.predict(X)).all())
    True
    """
    return load_model(path, _CLASSES, pipeline_around)
