"""Every callback that skorch ships runs in a fit, and does there what it is for."""

import json
from importlib.util import find_spec
from unittest.mock import MagicMock

import numpy as np
import pytest
import skorch.callbacks
import torch
from helpers import by_file, make_features, make_model, make_targets
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    EpochTimer,
    Freezer,
    GradientNormClipping,
    Initializer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
    MlflowLogger,
    ParamMapper,
    PassthroughScoring,
    PrintLog,
    ProgressBar,
    SacredLogger,
    TensorBoard,
    TrainEndCheckpoint,
    Unfreezer,
    WandbLogger,
    WarmRestartLR,
)

from sklearn_mmoe.nn import MMoE

X, Y = make_features(), make_targets("regressor")
N_EPOCHS = 3


def score(net, X, y):
    return 7.0


CALLBACKS = {
    "BatchScoring": lambda folder: BatchScoring(lambda net, X, y: 7.0, name="seven", use_caching=False),
    "Callback": lambda folder: Callback(),
    "Checkpoint": lambda folder: Checkpoint(dirname=folder, monitor=None),
    "EarlyStopping": lambda folder: EarlyStopping(monitor="train_loss", patience=1, threshold=1e9),
    "EpochScoring": lambda folder: EpochScoring(score, name="seven", on_train=True, use_caching=False),
    "EpochTimer": lambda folder: EpochTimer(),
    "Freezer": lambda folder: Freezer("heads.*"),
    "GradientNormClipping": lambda folder: GradientNormClipping(1e-9),
    "Initializer": lambda folder: Initializer("heads.bias", fn=lambda tensor: torch.nn.init.constant_(tensor, 5.0)),
    "InputShapeSetter": lambda folder: InputShapeSetter(param_name="n_features"),
    "LRScheduler": lambda folder: LRScheduler("StepLR", step_size=1, gamma=0.5),
    "LoadInitState": lambda folder: LoadInitState(Checkpoint(dirname=folder)),
    "MlflowLogger": lambda folder: MlflowLogger(run=MagicMock(), client=MagicMock()),
    "ParamMapper": lambda folder: ParamMapper("heads.*", fn=lambda tensor: tensor.data.mul_(1.0), at=1),
    "PassthroughScoring": lambda folder: PassthroughScoring("train_loss", on_train=True),
    "PrintLog": lambda folder: PrintLog(sink=lambda text: None),
    "ProgressBar": lambda folder: ProgressBar(),
    "SacredLogger": lambda folder: SacredLogger(MagicMock()),
    "TensorBoard": lambda folder: TensorBoard(MagicMock()),
    "TrainEndCheckpoint": lambda folder: TrainEndCheckpoint(dirname=folder),
    "Unfreezer": lambda folder: Unfreezer("heads.*", at=2),
    "WandbLogger": lambda folder: WandbLogger(MagicMock(dir=folder), save_model=False),
    "WarmRestartLR": lambda folder: LRScheduler(WarmRestartLR, base_period=2),  # a policy, no callback by itself
}


# Not to be had without a package that the tests do not have; its logger listens to batches and epochs as the others do
NEED_A_PACKAGE = {"NeptuneLogger": "neptune"}
WAYS = {
    "training loss": {"early_stopping": False},
    "a part": {"early_stopping": True},
    "folds of an ensemble": {"n_members": 2},
}


def test_none_is_forgotten():
    assert set(skorch.callbacks.__all__) == CALLBACKS.keys() | NEED_A_PACKAGE.keys()
    assert not any(find_spec(package) for package in NEED_A_PACKAGE.values())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CALLBACKS)
def test_it_runs_in_fits_and_chunks(name, way, tmp_path):
    callback = CALLBACKS[name](str(tmp_path))
    options = {"max_epochs": N_EPOCHS, "learning_rate_schedule": "constant", **WAYS[way]}
    model = make_model("regressor", callbacks=[callback], **options).fit(X, Y)
    assert model.n_iter_ == (2 if name == "EarlyStopping" else N_EPOCHS)
    assert np.isfinite(model.predict(X)).all()
    assert all(row["batches"] == [] for row in model.history_)
    n_epochs = model.n_iter_
    model.set_params(callbacks=[CALLBACKS[name](str(tmp_path / "further"))]).partial_fit(X, Y)
    assert model.n_iter_ == n_epochs + 1
    assert all(row["batches"] == [] for row in model.history_)


def run(*callbacks, **parameters):
    return make_model("regressor", callbacks=list(callbacks), max_epochs=N_EPOCHS, **parameters).fit(X, Y)


def plain(**parameters):
    return make_model("regressor", max_epochs=N_EPOCHS, **parameters).fit(X, Y)


# --------------------------------------------------------------------------------------------------------------------
# What they are for


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("kind", [Checkpoint, TrainEndCheckpoint])
def test_files_of_checkpoints_can_be_read_back(kind, n_members, tmp_path):
    options = {"monitor": None} if kind is Checkpoint else {"fn_prefix": ""}
    callback = kind(dirname=tmp_path, f_pickle="net.pickle", **options)
    model = run(callback, n_members=n_members, early_stopping=False)
    state = torch.load(tmp_path / "params.pt", weights_only=True)
    module = model.module_
    assert state.keys() == module.state_dict().keys()
    assert all(torch.equal(state[key], own) for key, own in module.state_dict().items())
    assert len(json.loads((tmp_path / "history.json").read_text())) == N_EPOCHS
    assert {file.name for file in tmp_path.iterdir()} >= {"optimizer.pt", "criterion.pt", "net.pickle"}


def test_checkpoints_may_be_named_by_epoch_and_batch(tmp_path):
    run(Checkpoint(dirname=tmp_path, monitor=None, f_params="{last_epoch[epoch]}-{last_batch[train_batch_size]}.pt"))
    names = sorted(file.name for file in tmp_path.glob("*-*.pt"))
    assert names == ["1-28.pt", "2-28.pt", "3-28.pt"]  # 60 rows in batches of 32


def test_a_checkpoint_of_the_best_epoch(tmp_path):
    model = run(Checkpoint(dirname=tmp_path, load_best=True, event_name="saved"), early_stopping=True)
    assert [row["saved"] for row in model.history_] == [row["valid_loss_best"] for row in model.history_]


@pytest.mark.parametrize("kind", [Checkpoint, TrainEndCheckpoint])
def test_a_fit_begins_with_the_state_of_a_checkpoint(kind, tmp_path):
    options = {"monitor": None} if kind is Checkpoint else {}
    checkpoint = kind(dirname=tmp_path, **options)
    first = run(checkpoint, LoadInitState(checkpoint), learning_rate=0.01, early_stopping=False)
    second = run(checkpoint, LoadInitState(checkpoint), learning_rate=0.01, early_stopping=False)
    assert second.n_iter_ == 2 * N_EPOCHS
    assert second.loss_curve_[:N_EPOCHS] == pytest.approx(first.loss_curve_)
    assert second.loss_curve_[N_EPOCHS] < first.loss_curve_[-1]


@pytest.mark.parametrize("kind", [EpochScoring, BatchScoring])
def test_scores_are_recorded(kind):
    callback = kind(score, name="seven", on_train=True, use_caching=False)
    assert [row["seven"] for row in run(callback).history_] == [7.0] * N_EPOCHS


def test_losses_of_batches_are_summed_up():
    expected = plain(batch_size=20).loss_curve_
    model = run(PassthroughScoring("train_loss", on_train=True), batch_size=20)
    assert model.loss_curve_ == pytest.approx(expected)
    assert all("train_loss_best" in row for row in model.history_)


def test_learning_rates_follow_their_policy():
    class Rates(Callback):
        def on_train_begin(self, net, **kwargs):
            self.rates_ = []

        def on_epoch_begin(self, net, **kwargs):
            self.rates_.append(net.optimizer_.param_groups[0]["lr"])

    policy = LRScheduler("StepLR", step_size=1, gamma=0.5)
    options = {"learning_rate": 0.4, "learning_rate_schedule": "constant", "numeric_embeddings": None}
    model = run(policy, ("rates", Rates()), **options)
    assert dict(model.net_.callbacks_)["rates"].rates_ == pytest.approx([0.4, 0.2, 0.1])


def test_a_policy_goes_on_with_a_fit_that_goes_on():
    policy = LRScheduler("StepLR", step_size=1, gamma=0.5)
    model = run(policy, warm_start=True, learning_rate_schedule="constant")
    assert model.fit(X, Y).n_iter_ == 2 * N_EPOCHS
    assert by_file(model.set_params(callbacks=None)).partial_fit(X, Y).n_iter_ == 2 * N_EPOCHS + 1


def test_early_stopping_brings_back_its_best_weights():
    stopper = EarlyStopping(monitor="train_loss", patience=1, lower_is_better=False, load_best=True, threshold=1e-9)
    model = run(stopper, early_stopping=False, learning_rate=0.02)
    assert model.n_iter_ == 2
    one = make_model("regressor", max_epochs=1, early_stopping=False, learning_rate=0.02).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), one.predict(X))


def test_weights_that_are_frozen_stay():
    start = make_model("regressor", max_epochs=1, learning_rate=1e-12).fit(X, Y).module_.heads.weight
    frozen = run(Freezer("heads.*"), learning_rate=0.05).module_.heads.weight
    assert torch.equal(frozen, run(Freezer("heads.*"), learning_rate=0.01).module_.heads.weight)
    assert torch.allclose(frozen, start, atol=1e-6)
    thawed = run(Freezer("heads.*", at=1), Unfreezer("heads.*", at=2), learning_rate=0.05).module_.heads.weight
    assert not torch.allclose(thawed, start, atol=1e-6)


def test_weights_begin_as_an_initializer_says():
    bias = run(CALLBACKS["Initializer"](""), learning_rate=1e-9, weight_decay=0.0).module_.heads.bias
    assert torch.allclose(bias, torch.full_like(bias, 5.0), atol=1e-4)


def test_gradients_that_are_clipped_move_little():
    options = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 0.0, "early_stopping": False}
    clipped = run(GradientNormClipping(1e-9), **options).module_.heads.weight
    start = make_model("regressor", max_epochs=1, **{**options, "learning_rate": 1e-12}).fit(X, Y).module_.heads.weight
    assert torch.allclose(clipped, start, atol=1e-6)
    assert not torch.allclose(plain(**options).module_.heads.weight, start, atol=1e-3)


def test_a_shape_that_a_callback_sets_is_that_of_the_features():
    class Own(MMoE):
        def __init__(self, n_features, task_outputs, input_dim=None, **kwargs):
            super().__init__(n_features, task_outputs, **kwargs)
            self.input_dim = input_dim

    model = run(InputShapeSetter(), net_params={"module": Own})
    assert model.module_.input_dim == X.shape[1]


@pytest.mark.parametrize("name", ["MlflowLogger", "SacredLogger", "TensorBoard", "WandbLogger"])
def test_loggers_are_told(name, tmp_path):
    callback = CALLBACKS[name](str(tmp_path))
    run(callback)
    loggers = [held for held in vars(callback).values() if isinstance(held, MagicMock)]
    assert any(logger.mock_calls for logger in loggers)
