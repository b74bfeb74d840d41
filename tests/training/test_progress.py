"""What `verbose` shows: one bar, a line where there is no terminal, a table, or nothing."""

import io
import os
import sys
from functools import partial
from types import ModuleType, SimpleNamespace

import pytest
from forks import run_script
from helpers import SMALL, all_three, fitted, make_features, make_model, make_targets
from skorch.callbacks import Callback, EarlyStopping
from tqdm import tqdm

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._training import progress
from sklearn_mmoe.exceptions import DivergenceError


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self):
        return True


class Raises(Callback):
    def __init__(self, error):
        self.error = error

    def on_epoch_end(self, net, **kwargs):
        raise self.error


def as_terminal(monkeypatch):
    """Make stderr a terminal. To be called within the test: pytest puts its own stderr back before each begins."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def last_lines(stream):
    """What a terminal shows in the end: of every line what was written over it last."""
    return [line.split("\r")[-1] for line in stream.getvalue().split("\n") if line]


@all_three
def test_a_silent_fit_prints_nothing(name, capsys):
    fitted(name).partial_fit(make_features(), make_targets(name))
    shown = capsys.readouterr()
    assert shown.out == shown.err == ""


@all_three
def test_a_fit_is_one_bar_on_a_terminal(name, monkeypatch, capsys):
    terminal = as_terminal(monkeypatch)
    model = fitted(name, verbose=1)
    (line,) = last_lines(terminal)
    assert line.startswith("Epoch 3/3 |")
    assert f"loss={model.loss_curve_[-1]:#.3g}" in line
    assert "valid_score" not in line
    assert "kept" not in line
    assert capsys.readouterr().out == ""


@all_three
def test_a_fit_is_one_line_where_there_is_no_terminal(name, capsys):
    model = fitted(name, verbose=1)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("3 epochs [")
    assert shown.err.endswith(f"loss={model.loss_curve_[-1]:#.3g}]\n")
    assert shown.err.count("\n") == 1
    assert "\r" not in shown.err


def test_a_pipe_gets_no_carriage_returns(monkeypatch):
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", newline="") as pipe:
        monkeypatch.setattr(sys, "stderr", pipe)
        fitted("regressor", verbose=1)
        monkeypatch.undo()
    with os.fdopen(reading, "rb") as pipe:
        written = pipe.read()
    assert b"\r" not in written
    assert written.decode().startswith("3 epochs [")


def test_a_training_that_stops_early_ends_its_bar_and_says_what_is_kept(monkeypatch):
    terminal = as_terminal(monkeypatch)
    options = {"early_stopping": True, "max_epochs": 60, "learning_rate": 0.1, "n_iter_no_change": 1}
    options["numeric_embeddings"] = None
    model = fitted("regressor", verbose=1, **options)
    assert model.n_iter_ < 60
    (line,) = last_lines(terminal)
    assert "/60" in terminal.getvalue()
    assert line.startswith(f"Epoch {model.n_iter_}/{model.n_iter_} |")
    scores = model.validation_scores_
    assert f"valid_score={scores[-1]:#.3g}".rstrip(".") in line
    assert f"kept epoch {scores.index(max(scores)) + 1}, " in line


def test_members_keep_epochs_of_their_own(capsys):
    """The weights kept are those of the epoch that is named, member by member."""
    options = {"n_members": 3, "learning_rate": 0.1, "learning_rate_schedule": "constant"}
    options["numeric_embeddings"] = None
    model = fitted("regressor", verbose=1, max_epochs=30, **options)
    kept = model.net_.kept_epochs_
    assert kept.shape == (3,)
    assert kept.min() < kept.max()
    assert f"kept epochs {kept.min()}-{kept.max()}, " in capsys.readouterr().err
    again = fitted("regressor", max_epochs=int(kept.min()), **options)
    member = int(kept.argmin())
    for name, weights in again.module_.state_dict().items():
        blocks = [tensors.view(3, -1)[member] for tensors in (weights, model.module_.state_dict()[name])]
        assert blocks[0].equal(blocks[1])


def test_a_warm_start_counts_its_own_epochs(monkeypatch):
    terminal = as_terminal(monkeypatch)
    model = fitted("regressor", verbose=1, warm_start=True)
    model.fit(make_features(), make_targets("regressor"))
    assert model.n_iter_ == 6
    assert [line[:11] for line in last_lines(terminal)] == ["Epoch 3/3 |"] * 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("press", [False, True])
def test_a_fit_that_fails_leaves_its_bar_and_the_line(error, press, monkeypatch):
    terminal = as_terminal(monkeypatch)
    options = {"callbacks": [Raises(error)]} if press else {"learning_rate": 1e30}
    with pytest.raises(error if press else DivergenceError):
        fitted("regressor", verbose=1, **options)
    assert terminal.getvalue().endswith("\n")
    (line,) = last_lines(terminal)
    assert "/3 |" in line
    assert not tqdm._instances


def test_a_fit_that_fails_adds_no_line_where_there_is_no_terminal(capsys):
    with pytest.raises(DivergenceError):
        fitted("regressor", verbose=1, learning_rate=1e30)
    assert capsys.readouterr().err == ""


def test_a_callback_that_stops_training_ends_the_bar(monkeypatch):
    terminal = as_terminal(monkeypatch)
    stopper = EarlyStopping(monitor="train_loss", patience=1, threshold=1e9, threshold_mode="abs")
    model = fitted("regressor", verbose=1, max_epochs=50, callbacks=[stopper])
    assert model.n_iter_ == 2
    assert last_lines(terminal)[0].startswith("Epoch 2/2 |")


@pytest.mark.parametrize("installed", [True, False])
def test_a_notebook_has_a_widget_where_ipywidgets_is_installed_and_else_a_bar_of_text(installed, monkeypatch, capsys):
    widget = ModuleType("tqdm.notebook")
    widget.tqdm = partial(tqdm, ascii=True, file=sys.stdout)
    monkeypatch.setitem(sys.modules, "tqdm.notebook", widget)
    monkeypatch.setattr(progress, "find_spec", lambda name: object() if installed else None)
    monkeypatch.setattr(progress, "_in_notebook", lambda: True)
    fitted("regressor", verbose=1)
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.rstrip("\n").split("\r")[-1].startswith("Epoch 3/3 |")
    assert ("|##########|" in shown.out) == installed


@pytest.mark.parametrize(("config", "expected"), [({"IPKernelApp": {}}, True), ({}, False), (None, False)])
def test_a_notebook_is_a_shell_in_a_kernel(config, expected, monkeypatch):
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: None if config is None else SimpleNamespace(config=config)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert progress._in_notebook() == expected


@all_three
def test_partial_fit_has_no_bar(name, monkeypatch, capsys):
    terminal = as_terminal(monkeypatch)
    model = make_model(name, verbose=1)
    for _ in range(2):
        model.partial_fit(make_features(), make_targets(name))
    assert terminal.getvalue() == capsys.readouterr().out == ""


@pytest.mark.parametrize("verbose", [2, 3])
@all_three
def test_a_line_per_epoch(name, verbose, monkeypatch, capsys):
    terminal = as_terminal(monkeypatch)
    fitted(name, verbose=verbose)
    out = capsys.readouterr().out
    assert out.split()[:2] == ["epoch", "train_loss"]
    assert len(out.strip().splitlines()) == 2 + 3
    assert "train_losses" not in out
    assert terminal.getvalue() == ""


def test_partial_fit_adds_lines_to_one_table(capsys):
    model = make_model("regressor", verbose=2)
    for _ in range(3):
        model.partial_fit(make_features(), make_targets("regressor"))
    head, rule, *lines = capsys.readouterr().out.strip().splitlines()
    assert head.split()[0] == "epoch"
    assert set(rule) == {"-", " "}
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]


@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize("name", ["epoch_bar", "print_log"])
def test_what_is_shown_can_be_taken_away_by_name(name, verbose, capsys):
    fitted("regressor", verbose=verbose, net_params={f"callbacks__{name}": None})
    shown = capsys.readouterr()
    assert bool(shown.err) == (verbose == 1 and name != "epoch_bar")
    assert bool(shown.out) == (verbose == 2 and name != "print_log")


def test_parameters_of_the_table_are_reached(capsys):
    lines = []
    fitted("regressor", verbose=2, net_params={"callbacks__print_log__sink": lines.append})
    assert len(lines) == 2 + 3
    assert capsys.readouterr().out == ""


def test_bars_of_several_processes_are_whole_lines(tmp_path):
    """As those of a search with n_jobs=2 are, even on a terminal."""
    script = tmp_path / "search.py"
    script.write_text(
        "import numpy as np; from joblib import Parallel, delayed; from sklearn_mmoe import MMoERegressor\n"
        "X = np.random.default_rng(0).normal(size=(60, 4))\n"
        f"model = MMoERegressor(verbose=1, **{SMALL})\n"
        "if __name__ == '__main__':\n"
        "    Parallel(n_jobs=2)(delayed(model.fit)(X, X[:, t]) for t in range(3))\n"
    )
    exit_code, _, noise = run_script(script)
    assert exit_code == 0, noise
    lines = noise.splitlines()
    assert len([line for line in lines if line.startswith("3 epochs [") and line.endswith("]")]) == 3


def test_a_process_of_several_has_no_bar_on_a_terminal_either(monkeypatch):
    terminal = as_terminal(monkeypatch)
    monkeypatch.setattr("sklearn_mmoe._training.progress.parent_process", object)
    fitted("regressor", verbose=1)
    assert "\r" not in terminal.getvalue().removeprefix("\r")
    assert last_lines(terminal)[0].startswith("3 epochs [")


def test_a_fitted_model_keeps_no_bar():
    model = MMoERegressor(verbose=1, **SMALL).fit(make_features(), make_targets("regressor"))
    assert not [name for _, callback in model.net_.callbacks_ for name in vars(callback) if name == "bar_"]
