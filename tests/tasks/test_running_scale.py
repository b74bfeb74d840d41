"""Over the calls of `partial_fit` the scale of a target becomes that of all labels, and predictions do not jump."""

import numpy as np
import pytest
from helpers import (
    OwnHeads,
    all_three,
    assert_same_answers,
    make_data,
    make_features,
    make_model,
    make_targets,
    outputs_of,
    round_trips,
    with_missing,
)
from skorch.callbacks import Callback

from sklearn_mmoe import MMoEMultiTask, MMoERegressor
from sklearn_mmoe.exceptions import DivergenceError
from sklearn_mmoe.tasks._declared import REGRESSION_LOSSES

STILL = {"learning_rate": 1e-12, "weight_decay": 0.0}  # steps that change nothing


def shifted_chunks(loss="squared_error"):
    """A first chunk of labels unlike the second's, which are those that each loss takes."""
    X = make_features()
    rng = np.random.default_rng(1)
    if loss in ("poisson", "gamma"):
        return X, rng.poisson(3, size=(60, 2)) + 1.0, rng.poisson([400, 3], size=(60, 2)) + 1.0
    return X, rng.normal(size=(60, 2)), rng.normal([50, 0], [20, 0.1], size=(60, 2))


def scales(model):
    return [(task.location, task.scale) for task in model._tasks if hasattr(task, "scale")]


def by_hand(y):
    return [(y[:, t].mean(), y[:, t].std()) for t in range(y.shape[1])]


def test_the_scale_is_that_of_all_labels():
    X, first, second = shifted_chunks()
    model = make_model("regressor").partial_fit(X, first)
    np.testing.assert_allclose(scales(model), by_hand(first), rtol=1e-12)
    model.partial_fit(X, second)
    np.testing.assert_allclose(scales(model), by_hand(np.vstack([first, second])), rtol=1e-12)


def test_the_scale_leaves_out_missing_labels_and_counts_weights():
    X, first, second = shifted_chunks()
    y = with_missing(np.vstack([first, second]))
    weights = np.random.default_rng(2).integers(0, 4, size=y.shape).astype(float)
    model = make_model("regressor")
    for rows in (slice(0, 60), slice(60, 100), slice(100, 120)):
        model.partial_fit(np.tile(X, (2, 1))[rows], y[rows], sample_weight=weights[rows])
    expected = []
    for t in range(2):
        repeated = np.repeat(y[:, t], weights[:, t].astype(int))
        expected.append((np.nanmean(repeated), np.nanstd(repeated)))
    np.testing.assert_allclose(scales(model), expected, rtol=1e-12)


def test_a_chunk_without_labels_of_a_task_leaves_its_scale():
    X, first, second = shifted_chunks()
    second[:, 0] = np.nan
    model = make_model("regressor").partial_fit(X, first)
    before = scales(model)
    model.partial_fit(X, second)
    assert scales(model)[0] == before[0]
    assert scales(model)[1] != before[1]


@pytest.mark.parametrize("loss", REGRESSION_LOSSES)
@pytest.mark.parametrize("options", [{}, {"n_members": 3}, {"tower_layer_sizes": (), "gating": "shared"}])
def test_predictions_stay_when_the_scale_moves(loss, options):
    X, first, second = shifted_chunks(loss)
    model = make_model("regressor", loss=loss, **options, learning_rate=0.01)
    for _ in range(5):
        model.partial_fit(X, first)
    before, scale = model.predict(X), scales(model)
    model.set_params(**STILL).partial_fit(X, second)
    assert not np.allclose(scales(model), scale, rtol=0.1)
    # On its new scale, some 20 times the old one, float32 has that many digits fewer of the old values
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_members", [1, 2])
def test_predictions_of_mixed_tasks_stay(n_members):
    """Tasks of one output and of three, the regressions between them."""
    X, y = make_features(), make_targets("multitask")
    kinds = {"up": "binary", "level": "regression", "class": "multiclass", "visits": "count"}
    y = np.column_stack([y[:, :2], np.digitize(X[:, 1], [-0.5, 0.5]), y[:, 2]])
    model = make_model("multitask", tasks=kinds, n_members=n_members, learning_rate=0.01).partial_fit(X, y)
    before = outputs_of(model, X)
    y[:, 1] = 100 - 30 * y[:, 1]
    y[:, 3] += 50
    model.set_params(**STILL).partial_fit(X, y)
    np.testing.assert_allclose(outputs_of(model, X), before, rtol=1e-4, atol=1e-5)


def test_predictions_stay_exactly_enough_over_many_chunks():
    """Rounding does not add up to more than the type of the weights has to lose."""
    X, first, second = shifted_chunks()
    model = make_model("regressor", dtype="float64").partial_fit(X, first)
    before = model.predict(X)
    model.set_params(**STILL)
    for i in range(100):
        model.partial_fit(X, first if i % 3 else second)
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-6)


def test_a_later_pass_over_the_same_chunks_moves_nothing():
    X, first, second = shifted_chunks()
    model = make_model("regressor").partial_fit(X, first).partial_fit(X, second)
    before = scales(model)
    model.partial_fit(X, first).partial_fit(X, second)
    np.testing.assert_allclose(scales(model), before, rtol=1e-12)


def test_labels_that_are_all_the_same_until_they_are_not():
    X, _, second = shifted_chunks()
    model = make_model("regressor").partial_fit(X, np.full((60, 2), 7.0))
    assert scales(model) == [(7.0, 0.0)] * 2
    model.partial_fit(X, np.full((60, 2), 7.0))
    assert scales(model) == [(7.0, 0.0)] * 2
    model.partial_fit(X, second)
    np.testing.assert_allclose(scales(model), by_hand(np.vstack([np.full((120, 2), 7.0), second])), rtol=1e-12)
    assert np.isfinite(model.predict(X)).all()


def test_counts_that_are_all_0_until_they_are_not():
    X, _, second = shifted_chunks("poisson")
    model = make_model("regressor", loss="poisson").partial_fit(X, np.zeros((60, 2)))
    assert scales(model) == [(0.0, 0.0)] * 2
    model.partial_fit(X, second)
    np.testing.assert_allclose([scale for _, scale in scales(model)], second.mean(axis=0) / 2)
    assert np.isfinite(model.predict(X)).all()


def narrow_first(n_rows=4000):
    """A stream whose first chunk has labels of a thirtieth of the spread of the others."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 6))
    X[:250] /= 30
    return X, np.column_stack([X[:, 0] + np.abs(X[:, 1]), 500 + 100 * (X[:, 2] - X[:, 3])])


def test_an_unlike_first_chunk_does_not_decide():
    X, y = narrow_first()
    options = {"n_members": 1, "batch_size": 50, "learning_rate": 2e-3, "numeric_embeddings": None, "random_state": 0}
    moving, kept = MMoERegressor(**options), MMoERegressor(**options, net_params={"module": OwnHeads})
    for model in (moving, kept):
        for start in range(0, 4000, 250):
            model.partial_fit(X[start : start + 250], y[start : start + 250])
    assert moving.score(X[250:], y[250:]) > 0.8
    assert moving.score(X[250:], y[250:]) > kept.score(X[250:], y[250:]) + 0.1


def test_a_module_with_last_layers_of_its_own_keeps_the_scale_of_the_first_call():
    X, first, second = shifted_chunks()
    model = make_model("regressor", net_params={"module": OwnHeads}).partial_fit(X, first)
    before = model.predict(X)
    model.set_params(**STILL).partial_fit(X, second)
    np.testing.assert_allclose(scales(model), by_hand(first), rtol=1e-12)
    np.testing.assert_allclose(model.predict(X), before, rtol=1e-4, atol=1e-6)


def test_warm_start_keeps_the_scale():
    X, first, second = shifted_chunks()
    model = make_model("regressor", warm_start=True).fit(X, first)
    model.fit(X, second)
    np.testing.assert_allclose(scales(model), by_hand(first), rtol=1e-12)


def test_partial_fit_after_fit_goes_on_with_its_labels():
    X, first, second = shifted_chunks()
    model = make_model("regressor").fit(X, first).partial_fit(X, second)
    np.testing.assert_allclose(scales(model), by_hand(np.vstack([first, second])), rtol=1e-12)


@all_three
def test_a_chunk_like_those_before_takes_the_same_step_as_on_a_kept_scale(name):
    """As `warm_start` takes it, whose scale stays."""
    X, y = make_features(), make_targets(name)
    one_epoch = {"max_epochs": 1, "early_stopping": False, "n_members": 1, "learning_rate_schedule": "constant"}
    warm = make_model(name, warm_start=True, **one_epoch).fit(X, y).fit(X, y)
    chunked = make_model(name, **one_epoch).partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_allclose(outputs_of(chunked, X), outputs_of(warm, X), rtol=1e-6)


def test_a_failed_call_leaves_scale_and_answers():
    class Failing(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("no")

    X, first, second = shifted_chunks()
    model = make_model("regressor").partial_fit(X, first)
    before, scale = model.predict(X), scales(model)
    with pytest.raises(RuntimeError, match="no"):
        model.set_params(callbacks=[Failing()]).partial_fit(X, second)
    with pytest.raises(DivergenceError):
        model.set_params(callbacks=None, learning_rate=1e30).partial_fit(X, second)
    with pytest.raises(ValueError, match="'y0' has labels too large to take the variance of"):
        model.partial_fit(X, np.where(second > 0, 1e200, -1e200))
    assert scales(model) == scale
    np.testing.assert_array_equal(model.predict(X), before)


@round_trips
def test_a_saved_model_goes_on_with_what_it_has_seen(there_and_back):
    X, first, second = shifted_chunks()
    model = make_model("regressor").partial_fit(X, first)
    other = there_and_back(model).partial_fit(X, second)
    model.partial_fit(X, second)
    assert scales(other) == scales(model)
    assert_same_answers(other, model, X)


def test_scale_of_tasks_that_are_declared():
    X, y = make_data("multitask")
    model = MMoEMultiTask(tasks={"label": "multiclass", "value": "regression", "count": "count"}, random_state=0)
    model.partial_fit(X[:30], y[:30], classes={"label": ["low", "middle", "high"]}).partial_fit(X[30:], y[30:])
    expected = [(y["value"].mean(), y["value"].std(ddof=0)), (0.0, y["count"].mean())]
    np.testing.assert_allclose(scales(model), expected, rtol=1e-12)
