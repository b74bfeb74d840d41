"""Settings for all tests, those in docstrings, too."""

import os
import sys

os.environ.setdefault("MPLBACKEND", "Agg")  # pictures are drawn, not shown
# Before anything imports SciPy: without it scikit-learn skips its array API checks
os.environ["SCIPY_ARRAY_API"] = "1"

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tests are many and small, and several of them run at once."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
