"""The steps before a model as bytes that run no code when they are opened: a file of skops, of trusted types only."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

from sklearn.pipeline import Pipeline

from sklearn_mmoe._common.extras import require
from sklearn_mmoe._common.words import in_one_line, shown
from sklearn_mmoe._tables.trusted_types import TRUSTED_TYPES

PLACE_OF_MODEL = "passthrough"


def packed_steps(pipeline: Pipeline) -> bytes:
    """The pipeline without the model at its end.

    Raises
    ------
    ValueError
        If one of its steps holds something that no file without code can bring along.
    """
    require("save of a pipeline", "skops.io", extra="save")
    import skops.io

    *before, (name, _) = pipeline.steps
    without_model = {**pipeline.get_params(deep=False), "steps": [*before, (name, PLACE_OF_MODEL)]}
    whole = type(pipeline)(**without_model)
    _refuse_caches(whole)
    for step, own in [*before, (type(pipeline).__name__, whole)]:
        try:
            data = skops.io.dumps(own)
            asked = skops.io.get_untrusted_types(data=data)
        except Exception as error:  # whatever skops makes of what it cannot write
            raise ValueError(f"save cannot write {step!r}: {error}. Save the pipeline with joblib.dump.") from error
        foreign = [name for name in asked if name not in TRUSTED_TYPES]
        if foreign:
            raise ValueError(
                f"save cannot write {step!r}: it holds {foreign}, which load would not trust. Save the pipeline with "
                "joblib.dump, or with skops.io.dump and name what you trust when you open it."
            )
    return data


def pipeline_around(model: Any, data: bytes) -> Pipeline:
    """The pipeline of `packed_steps` with a model in its place.

    Raises
    ------
    ValueError
        If the bytes are anything else than that.
    """
    require("Reading a pipeline's file", "skops.io", extra="save")
    import skops.io

    try:
        _refuse_compressed(data)
        if any(name.startswith("skrub.") for name in skops.io.get_untrusted_types(data=data)):
            require("Reading the file of a pipeline with dates", "skrub", extra="dates")
        pipeline = skops.io.loads(data, trusted=list(TRUSTED_TYPES))
        if not isinstance(pipeline, Pipeline) or pipeline.steps[-1][1] != PLACE_OF_MODEL:
            raise ValueError(f"{shown(pipeline)} is no pipeline with a place for the model")
        _refuse_caches(pipeline)
        pipeline.steps = [*pipeline.steps[:-1], (pipeline.steps[-1][0], model)]
    except (ImportError, Warning):  # the message says what to install, or a user has made errors of warnings
        raise
    except Exception as error:  # whoever wrote it may have found something that skops does not know of
        raise ValueError(f"of its preprocessing no pipeline can be made ({in_one_line(error)})") from error
    return pipeline


def _refuse_caches(pipeline: Pipeline) -> None:
    """joblib opens the pickles of its cache: whoever opened the file and fitted would run what lies in a folder."""
    for name, own in pipeline.get_params().items():
        if name.split("__")[-1] == "memory" and own is not None:
            raise ValueError(f"{name} names a cache of this machine, no part of a file: set_params({name}=None) first.")


def _refuse_compressed(data: bytes) -> None:
    """What skops writes is as large as what is read of it: a small file must not fill the memory."""
    with ZipFile(BytesIO(data)) as file:
        if any(entry.compress_type != ZIP_STORED or entry.file_size > len(data) for entry in file.infolist()):
            raise BadZipFile("it is compressed, and skops compresses nothing")
