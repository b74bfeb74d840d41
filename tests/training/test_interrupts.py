"""A Ctrl-C at any line of the package: it comes out, and leaves all that is shared as it was.

Lines are traced, and the n-th one that is reached raises, as a signal's handler would. A sample of the lines is quick
enough for every day; `-m slow` takes all.
"""

import pickle
import signal
import sys
import threading
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from helpers import fine_score, make_features, make_model, make_targets, outputs_of
from shared_state import shared_state
from skorch.callbacks import Callback, EarlyStopping
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

import sklearn_mmoe
from sklearn_mmoe._common import device

PACKAGE = str(Path(sklearn_mmoe.__file__).parent)
X, Y = make_features(24), make_targets("regressor")[:24]
TINY = {"max_epochs": 1, "dropout": 0.1, "batch_size": 12, "gate_balance": 0.1}
SAMPLED = 15  # lines of each call


def modes_of_torch():
    """What a block may switch on and off again."""
    autocast = torch.is_autocast_enabled("cpu")
    n_modes = torch._C._len_torch_function_stack(), len(_get_current_dispatch_mode_stack())
    return n_modes, torch.is_grad_enabled(), torch.is_inference_mode_enabled(), autocast


class Interrupted:
    """Raises KeyboardInterrupt at the n-th line of the package that is reached within a block; never, if n is None."""

    def __init__(self, nth=None):
        self.nth = nth
        self.files = []
        self.modes = []

    def _trace(self, frame, event, arg):
        return self._trace_lines if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _trace_lines(self, frame, event, arg):
        if event == "line":
            self.files.append(frame.f_code.co_filename)
            self.modes.append(modes_of_torch())
            if len(self.files) == self.nth:
                raise KeyboardInterrupt
        return self._trace_lines

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *error):
        sys.settrace(self.before)


def state_of(model):
    """The attributes themselves: none is changed, none replaced."""
    weights = [tensor.clone() for tensor in model.net_.tensors()] if hasattr(model, "net_") else []
    return model.__dict__, dict(vars(model)), weights


def assert_unchanged(model, before):
    _, attributes, weights = before
    assert vars(model).keys() == attributes.keys()
    assert all(value is attributes[name] for name, value in vars(model).items())
    assert all(map(torch.equal, weights, model.net_.tensors() if hasattr(model, "net_") else []))


def lock_is_free():
    """Whether another thread gets its turn at the generators."""
    got = []

    def take():
        got.append(device._GENERATORS.acquire(timeout=5))
        device._GENERATORS.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return got == [True]


def fitted(**parameters):
    return make_model("regressor", **{**TINY, **parameters}).fit(X, Y)


FOLDER = TemporaryDirectory()
FILE = Path(FOLDER.name) / "model.safetensors"


def saved():
    model = fitted()
    model.save(FILE)
    return model


class Fits(Callback):
    """Fits another model in the midst of a fit."""

    def on_epoch_end(self, net, **kwargs):
        make_model("regressor", **TINY).fit(X, Y)


PARTS = {"early_stopping": True, "validation_fraction": 0.5}
CALLS = {  # what makes the model, and what is interrupted
    "fit": (lambda: make_model("regressor", **TINY), lambda model: model.fit(X, Y)),
    "fit of an ensemble in bf16": (
        lambda: make_model("regressor", **TINY, n_members=2, precision="bf16"),
        lambda model: model.fit(X, Y),
    ),
    "fit that asks a scorer": (
        lambda: make_model("regressor", **TINY, **PARTS, monitor=fine_score),
        lambda model: model.fit(X, Y),
    ),
    "fit with a fit inside": (
        lambda: make_model("regressor", **TINY, callbacks=[Fits()]),
        lambda model: model.fit(X, Y),
    ),
    "fit of classes": (
        lambda: make_model("classifier", **TINY, **PARTS, class_weight="balanced"),
        lambda model: model.fit(X, np.sign(X[:, :2])),
    ),
    "warm start": (lambda: fitted(warm_start=True), lambda model: model.fit(X, Y)),
    "first chunk": (lambda: make_model("regressor", **TINY), lambda model: model.partial_fit(X, Y)),
    "another chunk": (fitted, lambda model: model.partial_fit(X, Y + 1)),
    "predict": (fitted, lambda model: model.predict(X)),
    "score": (fitted, lambda model: model.score(X, Y)),
    "describe": (fitted, lambda model: model.describe()),
    "save": (fitted, lambda model: model.save(FILE)),
    "load": (saved, lambda model: sklearn_mmoe.load(FILE)),
    "there and back": (fitted, lambda model: pickle.loads(pickle.dumps(model))),
}


def lines_of(call):
    """The lines that a call reaches, and the outputs that it ends with."""
    make, act = CALLS[call]
    act(make())  # what is done once, such as imports, is done now
    model = make()
    with Interrupted() as lines:
        act(model)
    return lines, outputs_of(model, X)


def interrupt(call, numbers, outputs):
    """Interrupt a call at each of some lines."""
    make, act = CALLS[call]
    model = make()
    for nth in numbers:
        torch.manual_seed(nth)
        shared, own = shared_state(), state_of(model)
        with pytest.raises(KeyboardInterrupt), Interrupted(nth):
            act(model)
        assert shared_state() == shared, f"line {nth}"
        assert lock_is_free(), f"line {nth}"
        if model.__dict__ is own[0]:
            assert_unchanged(model, own)
        else:  # all was done but the return
            np.testing.assert_array_equal(outputs_of(model, X), outputs)
            model = make()


@pytest.mark.parametrize("call", CALLS)
def test_at_lines_that_hold_what_is_shared_and_at_some_others(call):
    lines, outputs = lines_of(call)
    n_lines = len(lines.files)
    holding = [nth for nth, file in enumerate(lines.files, start=1) if Path(file).stem in ("device", "surroundings")]
    switching = [nth for nth, own in enumerate(pairwise(lines.modes), start=1) if own[0] != own[1]]
    others = np.linspace(1, n_lines, SAMPLED).astype(int).tolist()
    interrupt(call, sorted({*holding, *switching, *(nth + 1 for nth in switching), *others, n_lines - 1}), outputs)


def test_a_save_that_is_interrupted_leaves_the_old_file_or_the_new_one():
    saved()
    files = lines_of("save")[0].files
    model = fitted(learning_rate=0.02)
    old = FILE.read_bytes()
    for nth in np.linspace(1, len(files), 25).astype(int).tolist():
        with pytest.raises(KeyboardInterrupt), Interrupted(nth):
            model.save(FILE)
        assert FILE.read_bytes() == old or sklearn_mmoe.load(FILE).learning_rate == 0.02
        FILE.write_bytes(old)
        assert [file.name for file in FILE.parent.iterdir()] == [FILE.name], f"line {nth}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file just opened is closed later
@pytest.mark.parametrize("call", CALLS)
def test_at_every_line(call):
    lines, outputs = lines_of(call)
    interrupt(call, range(1, len(lines.files) + 1), outputs)


def test_a_call_that_is_not_interrupted_leaves_what_is_shared_as_it_was():
    for make, act in CALLS.values():
        shared = shared_state()
        act(make())
        assert shared_state() == shared


@pytest.mark.parametrize("nth", [5, 400, 900, 1500])
def test_fits_of_other_threads_go_on_and_end_as_they_do_alone(nth):
    """One thread is interrupted while the others wait for their turns."""
    expected = outputs_of(fitted(), X)
    found = []
    threads = [threading.Thread(target=lambda: found.append(outputs_of(fitted(), X))) for _ in range(3)]
    for thread in threads:
        thread.start()
    with pytest.raises(KeyboardInterrupt), Interrupted(nth):
        make_model("regressor", **TINY).fit(X, Y)
    for thread in threads:
        thread.join(60)
    assert len(found) == 3
    for own in found:
        np.testing.assert_array_equal(own, expected)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such clock")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Python loses one in a weak reference
@pytest.mark.parametrize("call", ["fit", "fit that asks a scorer", "fit with a fit inside", "there and back"])
def test_signals_at_any_time(call):
    """Between the bytes of a line, too, and in the lines of others."""

    def press(number, frame):
        raise KeyboardInterrupt

    make, act = CALLS[call]
    act(make())
    usual = signal.signal(signal.SIGALRM, press)
    shared, interrupted = shared_state(), 0
    rng = np.random.default_rng(0)
    try:
        for _ in range(400):
            model = make()
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 0.03))
                act(model)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                interrupted += 1
            assert shared_state() == shared
            assert lock_is_free()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)
    assert interrupted > 20


class PressCtrlC(Callback):
    """A user who presses Ctrl-C in the epoch in which patience ends."""

    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize("order", [1, -1])
def test_ctrl_c_beside_early_stopping_is_not_taken_for_it(order):
    stopper = EarlyStopping(monitor="train_loss", patience=1, threshold=1e9)
    callbacks = [("stop", stopper), ("press", PressCtrlC())][::order]
    with pytest.raises(KeyboardInterrupt):
        make_model("regressor", callbacks=callbacks).fit(X, Y)
    assert make_model("regressor", callbacks=callbacks[:1] if order == 1 else callbacks[1:]).fit(X, Y).n_iter_ == 2
