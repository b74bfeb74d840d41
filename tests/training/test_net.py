"""Training: callbacks, history, stopping, seeds, parameters of the net."""

import itertools
import random

import numpy as np
import pytest
import skorch
import torch
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, GradientNormClipping, LRScheduler

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor
from sklearn_mmoe._features.tensors import RowBatches, TensorRows


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    return X, np.column_stack([X[:, 0], 100 * X[:, 1] * X[:, 2] + 5])


def regressor(**parameters):
    return MMoERegressor(
        **{
            "n_members": 1,
            "n_experts": 2,
            "expert_layer_sizes": (8,),
            "max_epochs": 4,
            "random_state": 0,
            **parameters,
        }
    )


class Recorder(Callback):
    """Notes every event it is told of."""

    def on_train_begin(self, net, **kwargs):
        self.events_ = ["train_begin"]

    def on_epoch_begin(self, net, **kwargs):
        self.events_.append("epoch_begin")

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        self.events_.append(f"batch_begin {training}")

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.events_.append("grad")
        self.gradients_ = [parameter.grad.norm().item() for _, parameter in named_parameters]

    def on_batch_end(self, net, loss=None, y_pred=None, training=None, **kwargs):
        self.events_.append(f"batch_end {training}")
        self.last_loss_ = net.history[-1, "batches", -1, "train_loss" if training else "valid_loss"]

    def on_epoch_end(self, net, **kwargs):
        self.events_.append("epoch_end")

    def on_train_end(self, net, **kwargs):
        self.events_.append("train_end")


def test_callbacks_hear_of_every_event_in_order(data):
    model = regressor(callbacks=[("recorder", Recorder())], max_epochs=2, early_stopping=True, batch_size=256).fit(
        *data
    )
    recorder = dict(model.net_.callbacks_)["recorder"]
    batch = ["batch_begin True", "grad", "batch_end True"]
    validation = ["batch_begin False", "batch_end False"]
    epoch = ["epoch_begin", *batch, *batch, *validation, "epoch_end"]  # 270 rows in batches of 256
    assert recorder.events_ == ["train_begin", *epoch, *epoch, "train_end"]
    assert len(recorder.gradients_) == len(list(model.module_.parameters()))


def test_callbacks_of_the_user_are_not_changed(data):
    callback = Recorder()
    regressor(callbacks=[callback]).fit(*data)
    assert not hasattr(callback, "events_")


def test_history_has_every_task_and_no_batches(data):
    model = regressor(callbacks=[Recorder()], early_stopping=True, task_weights=[1, 3]).fit(*data)
    assert isinstance(model.history_, skorch.history.History)
    row = model.history_[-1]
    assert row["batches"] == []
    assert row["task_weights"] == {"y0": 0.5, "y1": 1.5}
    assert set(row["train_losses"]) == set(row["valid_losses"]) == {"y0", "y1"}
    assert row["train_loss"] == pytest.approx((0.5 * row["train_losses"]["y0"] + 1.5 * row["train_losses"]["y1"]) / 2)
    assert row["valid_loss"] == pytest.approx(np.mean(list(row["valid_losses"].values())))
    assert row["dur"] > 0
    assert model.loss_curve_ == model.history_[:, "train_loss"]
    assert model.validation_scores_ == [-loss for loss in model.history_[:, "valid_loss"]]
    assert model.n_iter_ == len(model.history_)


def test_loss_of_an_epoch_weighs_batches_by_their_rows(data):
    """With a learning rate of almost nothing the epoch's loss is the loss of the whole data, whatever the batches."""
    X, y = data
    parts, whole = (
        regressor(learning_rate=1e-12, max_epochs=1, batch_size=size, dtype="float64").fit(X, y) for size in (64, 300)
    )
    assert parts.loss_curve_[0] == pytest.approx(whole.loss_curve_[0], rel=1e-9)
    y = y.copy()
    y[::3, 0] = np.nan
    parts, whole = (
        regressor(learning_rate=1e-12, max_epochs=1, batch_size=size, dtype="float64").fit(X, y) for size in (64, 300)
    )
    assert parts.history_[0]["train_losses"] == pytest.approx(whole.history_[0]["train_losses"], rel=1e-9)


def test_skorch_early_stopping_stops_and_keeps_the_fit(data):
    stopper = EarlyStopping(monitor="train_loss", patience=2, threshold=1e9)
    model = regressor(callbacks=[stopper], max_epochs=50).fit(*data)
    assert model.n_iter_ == 3
    assert model.predict(data[0]).shape == (300, 2)


@pytest.mark.parametrize("callback", [GradientNormClipping(1e-9), LRScheduler("StepLR", step_size=1, gamma=1e-9)])
def test_callbacks_that_change_training_do(data, callback):
    options = {"optimizer": "sgd", "learning_rate_schedule": "constant"}
    plain, changed = regressor(**options).fit(*data), regressor(**options, callbacks=[callback]).fit(*data)
    assert abs(changed.loss_curve_[-1] - changed.loss_curve_[1]) < abs(plain.loss_curve_[-1] - plain.loss_curve_[1])


def test_learning_rate_per_batch_works(data):
    scheduler = LRScheduler("CosineAnnealingLR", T_max=8, step_every="batch")
    model = regressor(callbacks=[scheduler], learning_rate_schedule="constant", batch_size=150).fit(*data)
    assert model.net_.optimizer_.param_groups[0]["lr"] == pytest.approx(0, abs=1e-6)
    assert model.history_[-1]["batches"] == []


def test_epoch_scoring_sees_the_validation_rows(data):
    def largest_error(net, rows, y=None):
        return float(np.abs(net.predict(rows) - rows[: len(rows)][1].cpu().numpy()).max())

    scoring = EpochScoring(largest_error, name="largest_error", use_caching=False)
    model = regressor(callbacks=[scoring], early_stopping=True).fit(*data)
    assert all(error > 0 for error in model.history_[:, "largest_error"])


def test_net_params_win(data):
    parameters = {"lr": 0.5, "optimizer__betas": (0.5, 0.6), "max_epochs": 2, "module__dropout": 0.25}
    model = regressor(net_params=parameters, numeric_embeddings=None).fit(*data)
    group = model.net_.optimizer_.param_groups[0]
    assert (group["lr"], group["betas"]) == (0.5, (0.5, 0.6))
    assert model.n_iter_ == 2
    assert any(isinstance(m, torch.nn.Dropout) and m.p == 0.25 for m in model.module_.modules())


def test_net_params_with_a_misspelt_name_are_refused(data):
    with pytest.raises((TypeError, ValueError), match="iterator_trian"):
        regressor(net_params={"iterator_trian__shuffle": False}).fit(*data)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "rmsprop", torch.optim.RAdam])
def test_optimizers_learn(data, optimizer):
    model = regressor(optimizer=optimizer, learning_rate=0.01, max_epochs=10, numeric_embeddings=None).fit(*data)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    if isinstance(optimizer, str) and optimizer.startswith("adam"):
        assert model.net_.optimizer_.param_groups[0]["fused"]


def test_optimizer_with_a_closure_works(data):
    options = {"weight_decay": 0, "learning_rate": 0.1, "batch_size": 300, "max_epochs": 3, "numeric_embeddings": None}
    model = regressor(optimizer=torch.optim.LBFGS, **options)
    assert model.fit(*data).loss_curve_[-1] < model.loss_curve_[0]


def test_weight_decay_is_not_silently_dropped(data):
    with pytest.raises(ValueError, match="'weight_decay' parameter of MMoERegressor must be 0 for the optimizer LBFGS"):
        regressor(optimizer=torch.optim.LBFGS).fit(*data)


def test_early_stopping_ends_with_the_best_weights(data):
    X, y = data
    y = y + 50 * np.random.default_rng(1).normal(size=y.shape)  # noise to overfit
    options = {"n_members": 1, "early_stopping": True, "learning_rate": 0.01, "n_iter_no_change": 5, "random_state": 0}
    options["learning_rate_schedule"] = "constant"
    model = MMoERegressor(**options).fit(X, y)
    losses = model.history_[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1, "the case must overfit"
    assert model.n_iter_ < 100
    shorter = MMoERegressor(**options, max_epochs=best + 1).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), shorter.predict(X))
    assert [row["valid_loss_best"] for row in model.history_][best]


def test_training_stops_when_its_loss_stops_falling(data):
    model = regressor(tol=1e9, n_iter_no_change=3, max_epochs=50, learning_rate_schedule="constant").fit(*data)
    assert model.n_iter_ == 5  # the first epoch improves on infinity, then 4 > 3 misses


@pytest.mark.parametrize(("n_rows", "expected"), [(999, False), (1000, True)])
def test_early_stopping_is_on_by_itself_for_enough_rows(n_rows, expected):
    X = np.random.default_rng(0).normal(size=(n_rows, 2))
    model = regressor(max_epochs=1).fit(X, X[:, 0])
    assert (model.validation_scores_ is not None) is expected


def test_validation_data_from_outside_is_used(data):
    X, y = data
    model = regressor(linear_part=False).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    outputs = model.predict(X[200:])
    scale = y[:200].std(axis=0)
    expected = (((outputs - y[200:]) / scale) ** 2).mean()
    assert -max(model.validation_scores_) == pytest.approx(expected, rel=1e-4)


def test_validation_part_is_random_and_keeps_the_share_of_classes():
    """Sorted labels: the tail of the rows would be one class, and a random part would miss the rare one at times."""
    y = np.repeat([0, 1], [950, 50])
    X = np.arange(1000.0)[:, None] / 1000

    class Rows(Callback):
        def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            self.valid_ = dataset_valid.rows.tolist()
            self.train_ = dataset_train.rows.tolist()

    model = MMoEClassifier(max_epochs=1, random_state=0, callbacks=[("rows", Rows())]).fit(X, y)
    rows = dict(model.net_.callbacks_)["rows"]
    assert sorted(rows.valid_ + rows.train_) == list(range(1000))
    assert y[rows.valid_].sum() == 5
    assert min(rows.valid_) < 100 < 900 < max(rows.valid_)


def test_few_rows_of_a_class_do_not_stop_a_fit():
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.arange(60) % 20
    y[0] = 99
    MMoEClassifier(early_stopping=True, max_epochs=1, n_experts=1).fit(X, y)


def test_task_without_labels_in_the_validation_part_does_not_count(data):
    X, y = data
    y_val = y[200:].copy()
    y_val[:, 0] = np.nan
    model = regressor().fit(X[:200], y[:200], X_val=X[200:], y_val=y_val)
    row = model.history_[-1]
    assert np.isnan(row["valid_losses"]["y0"])
    assert row["valid_loss"] == pytest.approx(row["valid_losses"]["y1"])


def test_same_seed_same_model_bit_for_bit(data):
    X, y = data
    one, two, other = (regressor(random_state=seed, dropout=0.1).fit(X, y) for seed in (0, 0, 1))
    assert np.array_equal(one.predict(X), two.predict(X))
    assert not np.array_equal(one.predict(X), other.predict(X))


@pytest.mark.parametrize("random_state", [0, None, "generator"])
def test_global_generators_are_left_alone(data, random_state):
    random_state = np.random.RandomState(0) if random_state == "generator" else random_state
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    model = regressor(dropout=0.5, random_state=random_state).fit(*data)
    model.predict(data[0])
    model.partial_fit(*data)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_equal(np.random.get_state(), before[1])  # the place in the generator's block, too
    assert random.getstate() == before[2]


def test_no_random_state_is_another_model_each_time(data):
    np.random.seed(5)
    one = regressor(random_state=None).fit(*data)
    np.random.seed(5)
    assert not np.array_equal(regressor(random_state=None).fit(*data).predict(data[0]), one.predict(data[0]))


def test_default_dtype_and_threads_are_left_alone(data):
    torch.set_default_dtype(torch.float64)
    try:
        model = regressor().fit(*data)
        assert torch.get_default_dtype() == torch.float64
        assert next(model.module_.parameters()).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_net_is_an_ordinary_skorch_net(data):
    X, y = data
    model = regressor().fit(X, y)
    assert isinstance(model.net_, skorch.NeuralNet)
    outputs = model.net_.predict(X.astype(np.float32))
    predicted = outputs * y.std(axis=0) + y.mean(axis=0)
    np.testing.assert_allclose(predicted, model.predict(X), rtol=1e-4, atol=1e-3)


def test_batches_cover_all_rows_once():
    X = torch.arange(10.0)[:, None]
    rows = torch.tensor([9, 1, 2, 3, 4, 5, 6])
    for dataset, expected in ((TensorRows(X, X), range(10)), (TensorRows(X, X, rows), rows.tolist())):
        for shuffle in (False, True):
            batches = RowBatches(dataset, 4, shuffle)
            parts = [x.flatten().tolist() for x, y in batches if torch.equal(x, y)]
            assert sorted(itertools.chain(*parts)) == sorted(expected)
            assert [len(part) for part in parts[:-1]] == [4] * (len(parts) - 1)
            assert len(batches) == len(parts)


def test_batches_of_plain_rows_are_views():
    X = torch.arange(10.0)[:, None]
    batch, _ = next(iter(RowBatches(TensorRows(X), 4)))
    assert batch.data_ptr() == X.data_ptr()


def test_shuffle_gives_every_epoch_an_order_of_its_own():
    torch.manual_seed(0)
    batches = RowBatches(TensorRows(torch.arange(50.0)[:, None]), 50, shuffle=True)
    first, second = ([x.flatten().tolist() for x, _ in batches] for _ in range(2))
    assert first != second


def test_fit_does_not_copy_the_input(data):
    """C-contiguous float32 goes to the CPU as it is."""
    X = data[0].astype(np.float32)

    class Where(Callback):
        def on_epoch_end(self, net, dataset_train=None, **kwargs):
            self.pointer_ = dataset_train.X.data_ptr()

    model = regressor(callbacks=[("where", Where())], early_stopping=True, device="cpu").fit(X, data[1])
    assert dict(model.net_.callbacks_)["where"].pointer_ == X.ctypes.data


def test_mixed_tasks_train_on_all_kinds():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = np.column_stack([X[:, 0] > 0, X[:, 1], rng.poisson(np.exp(X[:, 2])), np.digitize(X[:, 0], [-1, 0, 1])])
    tasks = {"b": "binary", "r": "regression", "c": "count", "m": "multiclass"}
    model = MMoEMultiTask(tasks=tasks, max_epochs=60, random_state=0).fit(X, y)
    first, last = (model.history_[i]["train_losses"] for i in (0, -1))
    assert all(last[name] < first[name] for name in tasks)


def test_validation_part_leaves_every_task_a_label_to_train_on():
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.column_stack([X[:, 0], np.full(60, np.nan)])
    y[7, 1] = 1.0
    for seed in range(20):
        model = regressor(early_stopping=True, validation_fraction=0.5, max_epochs=1, random_state=seed).fit(X, y)
        assert np.isfinite(model.history_[0]["train_losses"]["y1"])


def test_partial_fit_is_one_epoch_whatever_net_params_say(data):
    model = regressor(net_params={"max_epochs": 5}).partial_fit(*data)
    assert model.n_iter_ == 1
