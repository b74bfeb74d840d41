"""Long fits survive: the same call after a kill ends with the same weights, bit for bit, as without the kill."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from forks import run_script
from helpers import KINDS, SMALL, all_three, make_features, make_model, make_targets, make_weights
from scipy.sparse import csr_matrix
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, GradientNormClipping, LRScheduler
from versions import needs_ranks

from sklearn_mmoe import FitCheckpoint, MMoEMultiTask, MMoERegressor, make_tabular_pipeline
from sklearn_mmoe._files.model_file import read_model_file, write_model_file
from sklearn_mmoe._files.plain_values import Encoder
from sklearn_mmoe._training.net import MMoENet

X = make_features()
LONG = {**SMALL, "max_epochs": 8, "n_members": 2, "numeric_embeddings": None}


class KilledError(Exception):
    """Stands for a kill: it comes out of the middle of a fit."""


@pytest.fixture
def killed(monkeypatch):
    """Have fits end by a `KilledError` after some epochs, counted over all fits."""

    def after(*epochs):
        end_epoch, seen = MMoENet._end_epoch, []

        def end(net, datasets):
            stopped = end_epoch(net, datasets)
            seen.append(len(net.history))
            if len(seen) in epochs:
                raise KilledError
            return stopped

        monkeypatch.setattr(MMoENet, "_end_epoch", end)

    return after


def fit(model, folder, *args, **kwargs):
    """Make the same call until it comes to its end; how often it was killed."""
    n_killed = 0
    while True:
        try:
            model.fit(*args, checkpoint=FitCheckpoint(folder, seconds=0), **kwargs)
        except KilledError:
            n_killed += 1
        else:
            return n_killed


def without_seconds(history):
    return [{key: value for key, value in row.items() if key not in ("dur", "noted")} for row in history]


def assert_bit_identical(model, other):
    for mine, others in zip(model.net_.tensors(), other.net_.tensors(), strict=True):
        assert torch.equal(mine, others)
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    np.testing.assert_equal(without_seconds(model.history_), without_seconds(other.history_))
    np.testing.assert_array_equal(model.best_epochs_, other.best_epochs_)


FITS = {
    "an ensemble": {},
    "one network": {"n_members": 1},
    "dropout": {"dropout": 0.2, "gate_dropout": 0.2},
    "a validation part": {"early_stopping": True, "learning_rate": 0.05},
    "no early stopping": {"early_stopping": False},
    "patience": {"learning_rate": 0.3, "n_iter_no_change": 2, "max_epochs": 30},
    "learned weights": {"task_weights": "uncertainty"},
    "remembered weights": {"task_weights": "dwa"},
    "balanced gradients": {"task_weights": "upgrad"},
    "gradients at random": {"task_weights": "pcgrad"},
    "momentum": {"optimizer": torch.optim.SGD, "net_params": {"optimizer__momentum": 0.9}, "weight_decay": 0.0},
    "float64": {"dtype": "float64", "optimizer": "rmsprop"},
    "bf16": {"precision": "bf16"},
}


@pytest.mark.parametrize("parameters", FITS.values(), ids=FITS)
def test_a_fit_that_was_killed_twice_ends_as_one_that_was_not(parameters, killed, tmp_path):
    y = make_targets("multitask")
    y[::3, 1] = np.nan
    model, whole = (make_model("multitask", **{**LONG, **parameters}) for _ in range(2))
    whole.fit(X, y)
    killed(3, 5)
    assert fit(model, tmp_path, X, y) == 2
    assert_bit_identical(model, whole)


@pytest.mark.parametrize("name", ["patience", "a validation part", "no early stopping"])
def test_a_fit_goes_on_where_its_learning_rate_falls(name, killed, tmp_path):
    """Killed in the epoch after which the fall begins, with the best weights, and in every one until the end."""
    y = make_targets("multitask")
    parameters = {**LONG, **FITS[name], "learning_rate": 0.1, "n_iter_no_change": 2, "tol": 0.05, "max_epochs": 40}
    model, whole = (make_model("multitask", **parameters) for _ in range(2))
    whole.fit(X, y)
    begin, end = whole.net_.schedule_.decay
    assert end == whole.n_iter_ < 40
    killed(*range(begin, begin + 2 * (end - begin) + 1, 2))  # every epoch is run twice
    assert fit(model, tmp_path, X, y) == end - begin + 1
    assert_bit_identical(model, whole)


def test_a_cosine_goes_on(killed, tmp_path):
    y = make_targets("multitask")
    model, whole = (make_model("multitask", **LONG, learning_rate_schedule="cosine") for _ in range(2))
    whole.fit(X, y)
    killed(2, 4, 6, 10)
    assert fit(model, tmp_path, X, y) == 4
    assert_bit_identical(model, whole)


@all_three
def test_all_estimators_go_on(name, killed, tmp_path):
    y = make_targets(name)
    model, whole = make_model(name, **LONG), make_model(name, **LONG)
    whole.fit(X, y, sample_weight=make_weights(), X_val=X[:20], y_val=y[:20])
    killed(4)
    assert fit(model, tmp_path, X, y, sample_weight=make_weights(), X_val=X[:20], y_val=y[:20]) == 1
    assert_bit_identical(model, whole)


def test_a_fit_without_a_seed_goes_on_with_the_one_that_it_began_with(killed, tmp_path):
    """Its own validation part, too: members that saw other rows would be other members."""
    y = make_targets("regressor")
    model = make_model("regressor", **{**LONG, "random_state": None})
    seeds = []
    killed(2, 4)
    for _ in range(2):
        with pytest.raises(KilledError):
            model.fit(X, y, checkpoint=FitCheckpoint(tmp_path, seconds=0))
        seeds.append(sorted(os.listdir(tmp_path)))
    model.fit(X, y, checkpoint=FitCheckpoint(tmp_path, seconds=0))
    again = make_model("regressor", **LONG)
    again.random_state = RandomStateThatGives(model._seed)
    again.fit(X, y)
    assert_bit_identical(model, again)


class RandomStateThatGives(np.random.RandomState):
    """Gives one number, whatever is drawn."""

    def __init__(self, number):
        super().__init__(0)
        self.number = number

    def randint(self, *args, **kwargs):
        return self.number


def test_a_warm_start_goes_on(killed, tmp_path):
    y = make_targets("regressor")
    first = make_model("regressor", warm_start=True, **LONG).fit(X, y)
    whole, model = first.__class__(**first.get_params()), first
    whole.__setstate__(first.__getstate__())
    whole.fit(X, y)
    killed(3)
    assert fit(model, tmp_path, X, y) == 1
    assert model.n_iter_ == 16
    assert_bit_identical(model, whole)


@pytest.mark.parametrize("form", ["frame", "sparse", "tables"])
def test_features_of_all_forms(form, killed, tmp_path):
    y = make_targets("regressor")
    table = pd.DataFrame(X, columns=list("abcd")).assign(town=np.where(X[:, 0] > 0, "Ulm", "Kiel"))
    features = {"frame": table, "sparse": csr_matrix(np.where(X > 0, X, 0)), "tables": table}[form]
    killed(3)
    model = make_model("regressor", **LONG)
    if form == "tables":
        pipeline = make_tabular_pipeline(model)
        with pytest.raises(KilledError):
            pipeline.fit(features, y, estimator__checkpoint=FitCheckpoint(tmp_path, seconds=0))
        pipeline.fit(features, y, estimator__checkpoint=FitCheckpoint(tmp_path, seconds=0))
        whole = make_tabular_pipeline(make_model("regressor", **LONG)).fit(features, y)
        np.testing.assert_array_equal(pipeline.predict(features), whole.predict(features))
    else:
        assert fit(model, tmp_path, features, y) == 1
        whole = make_model("regressor", **LONG).fit(features, y)
        np.testing.assert_array_equal(model.predict(features), whole.predict(features))


# Real kills --------------------------------------------------------------------------------------------------------

SCRIPT = """
    import os, signal, sys
    import numpy as np
    from skorch.callbacks import Callback
    from sklearn_mmoe import FitCheckpoint, MMoERegressor

    class Kill(Callback):
        def __init__(self, epoch):
            self.epoch = epoch

        def on_batch_end(self, net, **kwargs):
            if len(net.history) == self.epoch:
                os.kill(os.getpid(), signal.SIGKILL)

    folder, result, epochs = sys.argv[1], sys.argv[2], sys.argv[3:]
    X = np.random.default_rng(0).normal(size=(80, 4))
    y = np.column_stack([X[:, 0] + X[:, 1], X[:, 2]])
    for epoch in [*map(int, epochs), 0]:
        if epoch and os.fork():  # the first process of each pair sees its child killed
            _, status = os.wait()
            assert os.WTERMSIG(status) == signal.SIGKILL, status
            continue
        model = MMoERegressor(n_experts=2, expert_layer_sizes=(8,), dropout=0.1, max_epochs=8, random_state=0)
        model.set_params(callbacks=[Kill(epoch)])
        model.fit(X, y, checkpoint=None if folder == "none" else FitCheckpoint(folder, seconds=0))
        np.savez(result, predicted=model.predict(X), losses=model.loss_curve_, epochs=model.best_epochs_)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_a_process_that_is_killed_in_the_middle_of_a_batch_goes_on_in_another(tmp_path):
    script = tmp_path / "fit.py"
    script.write_text(textwrap.dedent(SCRIPT))
    for folder, result, epochs in (("none", "whole.npz", []), ("states", "killed.npz", ["2", "5", "8"])):
        folder = folder if folder == "none" else str(tmp_path / folder)
        exit_code, _, noise = run_script(script, folder, tmp_path / result, *epochs)
        assert exit_code == 0, noise
    whole, killed = (np.load(tmp_path / name) for name in ("whole.npz", "killed.npz"))
    for name in whole:
        np.testing.assert_array_equal(killed[name], whole[name])
    assert not (tmp_path / "states").exists()


RANKS = """
    import os, sys
    import numpy as np
    from sklearn_mmoe import FitCheckpoint, MMoERegressor
    from sklearn_mmoe._training.net import MMoENet

    folder, result, epoch = sys.argv[1:]
    rank, end_epoch = int(os.environ["RANK"]), MMoENet._end_epoch

    def end(net, datasets):
        stopped = end_epoch(net, datasets)
        if len(net.history) == int(epoch):
            os._exit(9)
        return stopped

    MMoENet._end_epoch = end
    X = np.random.default_rng(0).normal(size=(80, 4))[rank::2]
    y = np.column_stack([X[:, 0] + X[:, 1], X[:, 2]])
    model = MMoERegressor(n_experts=2, expert_layer_sizes=(8,), dropout=0.1, max_epochs=8, random_state=0)
    model.fit(X, y, checkpoint=None if folder == "none" else FitCheckpoint(folder, seconds=0))
    np.save(f"{result}.{rank}.npy", model.predict(X))
"""


@needs_ranks
@pytest.mark.slow
def test_ranks_that_were_killed_go_on(tmp_path):
    script = tmp_path / "fit.py"
    script.write_text(textwrap.dedent(RANKS))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script]
    for folder, result, epoch, fails in [("none", "whole", 0, 0), ("states", "no", 5, 1), ("states", "killed", 0, 0)]:
        place = folder if folder == "none" else tmp_path / folder
        done = subprocess.run([*launch, place, tmp_path / result, str(epoch)], check=False, timeout=300)
        assert bool(done.returncode) == bool(fails)
    for rank in range(2):
        whole, killed = (np.load(tmp_path / f"{name}.{rank}.npy") for name in ("whole", "killed"))
        np.testing.assert_array_equal(killed, whole)
    assert not (tmp_path / "states").exists()


# What is in the folder ---------------------------------------------------------------------------------------------


def half_done(killed, folder, after=4, **parameters):
    model, y = make_model("regressor", **{**LONG, **parameters}), make_targets("regressor")
    killed(after)
    with pytest.raises(KilledError):
        model.fit(X, y, checkpoint=FitCheckpoint(folder, seconds=0))
    return model, y


def test_the_folder_holds_two_states_and_is_gone_in_the_end(killed, tmp_path):
    folder = tmp_path / "a" / "b"
    model, y = half_done(killed, folder)
    assert sorted(os.listdir(folder)) == ["epoch-000002.checkpoint", "epoch-000003.checkpoint"]
    model.fit(X, y, checkpoint=str(folder))
    assert not folder.exists()


def test_files_of_others_stay(killed, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    model, y = half_done(killed, tmp_path)
    model.fit(X, y, checkpoint=tmp_path)
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("damage", ["cut off", "a bit turned", "empty", "something else"])
def test_a_torn_file_is_passed_over_for_the_one_before_it(damage, killed, tmp_path):
    model, y = half_done(killed, tmp_path)
    newest = tmp_path / "epoch-000003.checkpoint"
    data = newest.read_bytes()
    turned = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
    newest.write_bytes(
        {"cut off": data[:-100], "a bit turned": turned, "empty": b"", "something else": b"x" * 99}[damage]
    )
    with pytest.warns(UserWarning, match=r"A state of this fit cannot be read, and is passed over: .*epoch-000003"):
        model.fit(X, y, checkpoint=tmp_path)
    assert_bit_identical(model, make_model("regressor", **LONG).fit(X, y))


def test_where_all_are_torn_the_fit_begins_anew(killed, tmp_path):
    model, y = half_done(killed, tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:50])
    with pytest.warns(UserWarning, match="is passed over"):
        model.fit(X, y, checkpoint=tmp_path)
    assert_bit_identical(model, make_model("regressor", **LONG).fit(X, y))


def other_calls():
    y = make_targets("regressor")
    return {
        "X": ({}, X + 1, y, {}),
        "y": ({}, X, y + 1, {}),
        "X_val, y_val": ({}, X, y, {"X_val": X, "y_val": y}),
        "sample_weight": ({}, X, y, {"sample_weight": make_weights()}),
        "learning_rate": ({"learning_rate": 0.1}, X, y, {}),
        "random_state": ({"random_state": 1}, X, y, {}),
        "loss": ({"loss": "huber"}, X, y, {}),
    }


@pytest.mark.parametrize("what", other_calls())
def test_the_state_of_another_fit_is_refused_and_stays(what, killed, tmp_path):
    model, _ = half_done(killed, tmp_path)
    parameters, *data, more = other_calls()[what]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=rf"checkpoint=.* holds a state of another fit, which differed in .*{what}"):
        model.set_params(**parameters).fit(*data, checkpoint=tmp_path, **more)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert not hasattr(model, "net_")


def test_the_saved_model_of_an_estimator_is_no_state(tmp_path):
    y = make_targets("regressor")
    make_model("regressor").fit(X, y).save(tmp_path / "epoch-000001.checkpoint")
    with pytest.raises(ValueError, match="is no state of a fit"):
        make_model("regressor").fit(X, y, checkpoint=tmp_path)


@pytest.mark.parametrize("wrong", [{}, {"seeds": (1, 0)}, {"seeds": (1, 0), "parts": {}}, [1]])
def test_a_state_that_somebody_has_made_up_is_refused(wrong, killed, tmp_path):
    model, y = half_done(killed, tmp_path)
    newest = tmp_path / "epoch-000003.checkpoint"
    document, _ = read_model_file(newest)
    encoder = Encoder()
    write_model_file(newest, {**document, "state": encoder.encode(wrong, "")}, encoder.arrays)
    with pytest.raises(ValueError, match=r"checkpoint.* no state .*Delete it"):
        model.fit(X, y, checkpoint=tmp_path)


def test_states_are_written_by_the_clock(killed, tmp_path):
    model, y = make_model("regressor", **LONG), make_targets("regressor")
    killed(4)
    with pytest.raises(KilledError):
        model.fit(X, y, checkpoint=FitCheckpoint(tmp_path, seconds=3600))
    assert os.listdir(tmp_path) == []


def test_a_full_disk_does_not_end_the_fit(monkeypatch, tmp_path):
    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path))

    monkeypatch.setattr("sklearn_mmoe._files.checkpoint.write_model_file", full)
    y = make_targets("regressor")
    with pytest.warns(UserWarning, match=r"The state after epoch \d could not be kept, and the fit goes on.*No space"):
        model = make_model("regressor", **LONG).fit(X, y, checkpoint=FitCheckpoint(tmp_path, seconds=0))
    assert_bit_identical(model, make_model("regressor", **LONG).fit(X, y))


def test_a_folder_that_goes_away_does_not_end_the_fit(monkeypatch, tmp_path):
    end_epoch, folder, y = MMoENet._end_epoch, tmp_path / "states", make_targets("regressor")

    def end(net, datasets):
        if len(net.history) == 4:
            shutil.rmtree(folder)
        return end_epoch(net, datasets)

    monkeypatch.setattr(MMoENet, "_end_epoch", end)
    with pytest.warns(UserWarning, match=r"could not be (kept|removed)"):
        model = make_model("regressor", **LONG).fit(X, y, checkpoint=FitCheckpoint(folder, seconds=0))
    assert model.n_iter_ == 8


# Callbacks ---------------------------------------------------------------------------------------------------------


class Counter(Callback):
    """Remembers how many epochs it has seen."""

    def on_train_begin(self, net, **kwargs):
        self.n_seen = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_seen += 1
        net.history.record("n_seen", self.n_seen)


def test_what_callbacks_remember_is_kept(killed, tmp_path):
    y = make_targets("regressor")
    callbacks = [Counter(), GradientNormClipping(0.1), EarlyStopping(patience=3, threshold=1e9, sink=lambda text: None)]
    model, whole = (MMoERegressor(**LONG, callbacks=callbacks) for _ in range(2))
    whole.fit(X, y)
    killed(2)
    assert fit(model, tmp_path, X, y) == 1
    assert [row["n_seen"] for row in model.history_] == [1, 2, 3, 4]
    assert_bit_identical(model, whole)


def test_callbacks_that_remember_more_than_plain_values_are_refused_before_training(tmp_path):
    callback = LRScheduler("StepLR", step_size=1)
    model = MMoERegressor(**LONG, callbacks=[callback], learning_rate_schedule="constant")
    with pytest.raises(ValueError, match=r"checkpoint cannot keep .*memories\.callbacks\.LRScheduler\.lr_scheduler_"):
        model.fit(X, make_targets("regressor"), checkpoint=tmp_path)
    assert os.listdir(tmp_path) == []


def test_scores_by_callback_go_on(killed, tmp_path):
    y = make_targets("regressor")
    score = EpochScoring(len_of_history, name="length", on_train=True, use_caching=False)
    model, whole = (MMoERegressor(**LONG, callbacks=[score]) for _ in range(2))
    whole.fit(X, y)
    killed(3)
    assert fit(model, tmp_path, X, y) == 1
    assert_bit_identical(model, whole)


def len_of_history(net, X, y):
    return float(len(net.history))


# Arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpoint", [3, True, ["folder"], b"folder"])
def test_what_is_no_folder_is_refused(checkpoint):
    with pytest.raises(TypeError, match="checkpoint must be a folder"):
        make_model("regressor").fit(X, make_targets("regressor"), checkpoint=checkpoint)


@pytest.mark.parametrize("seconds", [-1, float("nan"), "60", None, True])
def test_seconds_are_a_number(seconds):
    with pytest.raises(ValueError, match="seconds of a FitCheckpoint must be a number from 0 up"):
        FitCheckpoint("folder", seconds)


def test_a_folder_is_a_path():
    with pytest.raises(TypeError, match="folder of a FitCheckpoint must be a str or path-like"):
        FitCheckpoint(3)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        make_model("regressor").fit(X, make_targets("regressor"), checkpoint=tmp_path / "file")


def test_a_mixture_of_tasks_goes_on(killed, tmp_path):
    y = pd.DataFrame(make_targets("multitask"), columns=list(KINDS)).astype({"up": bool})
    model, whole = (MMoEMultiTask(tasks=KINDS, **LONG) for _ in range(2))
    whole.fit(X, y)
    killed(3)
    assert fit(model, tmp_path, X, y) == 1
    pd.testing.assert_frame_equal(model.predict_frame(X), whole.predict_frame(X))
