"""Settings for all tests, those in docstrings, too."""

import gc
import os
import sys
from functools import cache
from importlib import import_module

os.environ.setdefault("MPLBACKEND", "Agg")  # pictures are drawn, not shown
# Before anything imports SciPy: without it scikit-learn skips its array API checks
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # of NumPy, SciPy and processes that tests start: several tests run at once
os.environ["NUMBA_DISABLE_JIT"] = "1"  # what shap compiles takes seconds, and runs for milliseconds here

import pytest
import torch
from hypothesis import settings

gc.disable()  # until all tests are collected: what is made until then stays

# Properties are tried on the same examples each time, on more of them where HYPOTHESIS_PROFILE=long says so
_EVERY_TIME = settings(derandomize=True, deadline=None, database=None, report_multiple_bugs=False)
settings.register_profile("quick", _EVERY_TIME, max_examples=40)
settings.register_profile("long", _EVERY_TIME, max_examples=400)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_collection_finish():
    """Garbage is not looked for among modules and tests: to go through them takes an eighth of a run."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tests are many and small, and several of them run at once."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _one_table_of_operators():
    """Let torch collect its operators for ONNX once: it does so for every graph, for longer than the graph takes."""
    exporter, utils = import_module("torch.onnx._internal.exporter._registration"), import_module("torch._export.utils")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter.ONNXRegistry, "from_torchlib", staticmethod(cache(exporter.ONNXRegistry.from_torchlib)))
        patch.setattr(utils, "_materialize_cpp_cia_ops", cache(utils._materialize_cpp_cia_ops))
        yield


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


def pytest_terminal_summary(terminalreporter):
    """Say how many bad calls were tried, on all workers together."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    properties = [own for report in reports if getattr(report, "when", "") == "call" for own in report.user_properties]
    if n_calls := sum(n for name, n in properties if name == "bad calls"):
        terminalreporter.write_line(f"{n_calls:,} bad calls tried")
