"""scikit-learn's own checks."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor

# The checks fit on data that NumPy and scikit-learn warn about
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.no_cover]


def estimators(**parameters):
    return [
        MMoERegressor(**parameters),
        MMoEClassifier(**parameters),
        MMoEMultiTask(tasks=["regression"], **parameters),  # an estimator without a kind
    ]


def expected_to_fail(estimator):
    if estimator.n_members == 1:
        return {}
    reason = "Each member of an ensemble leaves a fold of the rows out, and a row given twice may be in two folds."
    return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in ("dense", "sparse")}


SOON = {"learning_rate": 0.03, "max_epochs": 8}  # what learns enough for the checks
ALL = [*estimators(**SOON), *estimators(n_members=1, dtype="float64", **SOON)]


@parametrize_with_checks(ALL, expected_failed_checks=expected_to_fail)
def test_scikit_learn_checks(estimator, check):
    if check.func.__name__ == "check_methods_sample_order_invariance":
        estimator.set_params(dtype="float64")  # the last digit of a float32 depends on the place of its row
    check(estimator)
