"""Mean and spread of numbers in parts are those of all numbers together."""

import numpy as np
import pytest

from sklearn_mmoe.tasks._running_stats import RunningStats


def merged(parts):
    stats = RunningStats()
    for part in parts:
        stats = stats.merged(RunningStats.of(*part))
    return stats


def assert_stats(stats, values, weights=None, unit=1.0):
    """Those of all numbers, as NumPy has them."""
    weights = np.ones(len(values)) if weights is None else weights
    mean = np.average(values, weights=weights)
    deviation = np.sqrt(np.average((values - mean) ** 2, weights=weights))
    np.testing.assert_allclose(
        [stats.weight * (stats.unit / unit), stats.mean, stats.deviation], [weights.sum(), mean, deviation], rtol=1e-12
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_one_part_is_what_numpy_computes_to_the_last_digit(weighted):
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=1000), rng.random(1000) if weighted else None
    mean = np.average(values, weights=weights)
    stats = RunningStats.of(values, weights)
    assert (stats.mean, stats.deviation) == (mean, np.sqrt(np.average((values - mean) ** 2, weights=weights)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cuts", [[1], [1, 2, 3], [500], [7, 7, 300], [999]])
def test_parts_are_as_the_whole(cuts, weighted):
    rng = np.random.default_rng(0)
    values, weights = rng.normal(3, 5, size=1000), rng.integers(1, 5, size=1000).astype(float)
    parts = zip(np.split(values, cuts), np.split(weights, cuts) if weighted else [None] * 9, strict=False)
    assert_stats(merged(parts), values, weights if weighted else None)


def test_the_order_of_the_parts_does_not_matter():
    parts = [(own,) for own in np.split(np.random.default_rng(0).exponential(size=90), 9)]
    one, other = merged(parts), merged(parts[::-1])
    np.testing.assert_allclose([one.mean, one.deviation], [other.mean, other.deviation], rtol=1e-14)


def test_numbers_far_from_0_keep_their_spread():
    """The difference of two sums of squares would have no digit left."""
    values = 1e9 + np.random.default_rng(0).normal(size=1000)
    stats = merged((part,) for part in np.split(values, 10))
    assert stats.deviation == pytest.approx(np.std(values - 1e9), rel=1e-6)
    assert stats.deviation != pytest.approx(np.sqrt(abs(np.mean(values**2) - np.mean(values) ** 2)), rel=0.1)


def test_float32_is_summed_in_float64():
    values = np.full(1_000_000, 0.1, dtype=np.float32)
    assert RunningStats.of(values).mean == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_what_is_empty_or_weighs_nothing_changes_nothing():
    stats = RunningStats.of(np.array([1.0, 3.0]))
    for nothing in (RunningStats(), RunningStats.of(np.empty(0)), RunningStats.of(np.array([5.0]), np.zeros(1))):
        assert stats.merged(nothing) == nothing.merged(stats) == stats


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
@pytest.mark.parametrize("cuts", [[], [1, 2, 3], [500]])
def test_numbers_whose_squares_no_float_holds_have_their_spread(scale, cuts):
    values = np.random.default_rng(0).normal(3, 5, size=1000)
    stats, tiny = merged((part,) for part in np.split(values, cuts)), np.split(values * scale, cuts)
    found = merged((part,) for part in tiny)
    np.testing.assert_allclose([found.mean / scale, found.deviation / scale], [stats.mean, stats.deviation], rtol=1e-12)


@pytest.mark.parametrize("scale", [5e-324, 1e-320, 1e-300, 1e-46, 1e38, 1e300, 1e308])
@pytest.mark.parametrize("cuts", [[], [1, 2, 3], [500]])
def test_only_ratios_of_weights_matter(scale, cuts):
    rng = np.random.default_rng(0)
    values, weights = rng.normal(3, 5, size=1000), np.full(1000, 1.0) if scale < 1e-310 else rng.random(1000)
    expected = merged(zip(np.split(values, cuts), np.split(weights, cuts), strict=True))
    found = merged(zip(np.split(values, cuts), np.split(weights * scale, cuts), strict=True))
    np.testing.assert_allclose([found.mean, found.deviation], [expected.mean, expected.deviation], rtol=1e-12)


def test_weights_of_parts_keep_their_ratio_however_far_apart():
    light, heavy = np.array([1.0, 3.0]), np.array([10.0, 10.0])
    parts = [(light, np.full(2, 1e-300)), (heavy, np.full(2, 1e300))]
    assert (merged(parts).mean, merged(parts[::-1]).mean) == (10.0, 10.0)
    parts = [(light, np.full(2, 1e300)), (heavy, np.full(2, 3e300))]
    assert_stats(merged(parts), np.r_[light, heavy], np.array([1.0, 1, 3, 3]), unit=1e300)


@pytest.mark.parametrize("value", [0.0, 0.1, 7.0, 1e9, -1e-6, 1e300])
@pytest.mark.parametrize("weighted", [False, True])
def test_numbers_that_are_all_the_same_are_their_mean_exactly(value, weighted):
    weights = np.random.default_rng(0).random(999) if weighted else np.ones(999)
    parts = [(np.full(333, value), own if weighted else None) for own in np.split(weights, 3)]
    for stats in (merged(parts), merged(parts[:1])):
        assert (stats.mean, stats.deviation) == (value, 0.0)


def test_numbers_without_weight_do_not_make_the_others_differ():
    stats = RunningStats.of(np.array([0.1, 0.1, 0.1, 5.0]), np.array([1.0, 2.0, 3.0, 0.0]))
    assert (stats.mean, stats.deviation) == (0.1, 0.0)


def test_numbers_too_large_to_add_up_are_not_finite():
    huge = RunningStats.of(np.array([1.7e308, 1.6e308, 1.7e308]))
    assert not np.isfinite(huge.mean)
    one, other = RunningStats.of(np.array([1.7e308])), RunningStats.of(np.array([-1.7e308]))
    assert not np.isfinite(one.merged(other).mean)
