"""Fitted models, with the preprocessing before them, for others: as ONNX graphs, and what files of skops ask for."""

from sklearn_mmoe._common.public import belong_to
from sklearn_mmoe._tables.trusted_types import TRUSTED_TYPES
from sklearn_mmoe.export._onnx import to_onnx

__all__ = ["TRUSTED_TYPES", "to_onnx"]

belong_to(__name__, to_onnx)
