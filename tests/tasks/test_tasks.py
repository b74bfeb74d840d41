"""Labels in, answers out: one task at a time."""

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from sklearn_mmoe._training.losses import TaskLosses
from sklearn_mmoe.tasks import Binary, Count, Multiclass, Ordinal, Positive, Regression
from sklearn_mmoe.tasks._declared import Classification, as_task, infer_task
from sklearn_mmoe.tasks._validation import check_targets


def column(values):
    values = np.asarray(values)
    return check_targets(values.reshape(-1, 1), (len(values), 1), estimator_name="Test").columns[0]


def test_regression_is_standardised_and_put_back():
    y = np.array([1.0, 3.0, 8.0])
    task = Regression().fit(column(y), None)
    assert (task.location, task.scale) == (y.mean(), y.std())
    encoded = task.encode(y)
    assert encoded.mean() == pytest.approx(0)
    assert encoded.std() == pytest.approx(1)
    np.testing.assert_allclose(task.decode(encoded[:, None]), y)


def test_regression_scale_is_weighted_as_if_rows_were_repeated():
    weighted = Regression().fit(column([1.0, 3.0, 8.0]), np.array([1.0, 3.0, 2.0]))
    repeated = Regression().fit(column([1.0, 3.0, 3.0, 3.0, 8.0, 8.0]), None)
    assert weighted.location == pytest.approx(repeated.location)
    assert weighted.scale == pytest.approx(repeated.scale)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, -1e-6])
def test_labels_that_are_all_the_same_are_predicted_whatever_the_network_says(value):
    task = Regression().fit(column([value] * 7), None)
    assert task.is_constant
    assert task.encode(np.full(3, value)).tolist() == [0, 0, 0]
    assert task.decode(np.array([[0.0], [-5.0], [np.inf]])).tolist() == [value] * 3


@pytest.mark.parametrize("declaration", [Count(), Regression(loss="poisson")])
def test_count_is_scaled_by_its_mean_and_predicted_through_an_exponential(declaration):
    y = np.array([0, 2, 4])
    task = declaration.fit(column(y), None)
    np.testing.assert_allclose(task.encode(y), [0, 1, 2])
    np.testing.assert_allclose(task.decode(np.log([[1.0], [3.0]])), [2.0, 6.0])


def test_count_of_zeros_only_fits():
    task = Count().fit(column([0, 0, 0]), None)
    np.testing.assert_allclose(task.encode(np.zeros(3)), 0)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([3, 7, 3]),
        np.array(["no", "yes", "no"]),
        np.array(["no", "yes", "no"], dtype=object),
        np.array([True, False, True]),
        np.array([1.5, -1.0, 1.5]).astype(int),
        np.array([0.0, 1.0, 0.0], dtype=np.float32),
        np.array([0, 1, 0], dtype=np.int8),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_classes_come_back_as_they_went_in(labels):
    task = Binary().fit(column(labels), None)
    answer = task.decode(task.encode(labels)[:, None] - 0.5)
    assert answer.dtype == labels.dtype
    assert answer.tolist() == labels.tolist()


def test_binary_probabilities_are_the_sigmoid_of_one_logit():
    task = Binary().fit(column([0, 1]), None)
    logits = np.array([[-2.0], [0.0], [3.0]])
    np.testing.assert_allclose(task.probabilities(logits)[:, 1], expit(logits[:, 0]))
    np.testing.assert_allclose(task.probabilities(logits).sum(axis=1), 1)
    assert task.width == 1


def test_multiclass_probabilities_are_the_softmax():
    task = Multiclass().fit(column(["c", "a", "b"]), None)
    logits = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(task.probabilities(logits), softmax(logits, axis=1))
    assert task.decode(logits).tolist() == [["a", "b", "c"][i] for i in logits.argmax(axis=1)]
    assert task.width == 3


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_ordinal_probabilities_are_differences_of_sigmoids(n_classes):
    task = Ordinal().fit(column(np.arange(n_classes)), None)
    outputs = np.random.default_rng(0).normal(scale=3, size=(50, n_classes - 1))
    assert task.width == n_classes - 1
    logits = outputs[:, :1] - np.column_stack([np.zeros(50), np.log1p(np.exp(outputs[:, 1:])).cumsum(axis=1)])
    assert (np.diff(logits, axis=1) < 0).all()
    above = np.column_stack([np.ones(50), expit(logits), np.zeros(50)])
    probabilities = task.probabilities(outputs)
    np.testing.assert_allclose(probabilities, above[:, :-1] - above[:, 1:], atol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    assert task.decode(outputs).tolist() == probabilities.argmax(axis=1).tolist()


def test_ordinal_loss_and_probabilities_agree():
    task = Ordinal().fit(column(np.arange(4)), None)
    outputs = np.random.default_rng(0).normal(scale=9, size=(50, 3))
    for code in range(4):
        cells = TaskLosses((task,), torch.float64).groups[0](
            torch.tensor(outputs), torch.full((50, 1), float(code), dtype=torch.float64), None
        )
        np.testing.assert_allclose(np.exp(-cells[:, 0].numpy()), task.probabilities(outputs)[:, code], rtol=1e-9)


def test_ordinal_probabilities_of_extreme_outputs_sum_to_one():
    task = Ordinal().fit(column(np.arange(4)), None)
    outputs = np.array(np.meshgrid(*[[-1e3, 0.0, 1e3]] * 3)).reshape(3, -1).T
    np.testing.assert_allclose(task.probabilities(outputs).sum(axis=1), 1, rtol=1e-12)


def test_ordinal_encodes_by_the_order_of_its_categories():
    task = Ordinal(categories=["low", "middle", "high"]).fit(column(["high", "low"]), None)
    assert task.classes.tolist() == ["low", "middle", "high"]
    assert task.encode(np.array(["middle", "high", "low", "middle"])).tolist() == [1, 2, 0, 1]
    with pytest.raises(ValueError, match=r"not among its classes: 'top'; its classes are 'low', 'middle', 'high'"):
        task.encode(np.array(["low", "top"]))


def test_ordinal_takes_classes_that_say_the_same():
    declaration = Ordinal(categories=["low", "high"])
    assert declaration.fit(column(["low"]), None, classes=["high", "low"]).classes.tolist() == ["low", "high"]
    with pytest.raises(ValueError, match="classes of task 'y0' are 'low', 'top', but its categories are 'low', 'high'"):
        declaration.fit(column(["low"]), None, classes=["low", "top"])


@pytest.mark.parametrize("declaration", [Positive(), Regression(loss="gamma")])
def test_positive_is_scaled_by_its_mean_and_predicted_through_an_exponential(declaration):
    task = declaration.fit(column([1.0, 2.0, 6.0]), None)
    np.testing.assert_allclose(task.encode(np.array([1.0, 6.0])), [1 / 3, 2])
    np.testing.assert_allclose(task.decode(np.log([[1.0], [3.0]])), [3.0, 9.0])


def test_classification_is_binary_for_two_classes_only():
    assert Classification().fit(column([0, 1]), None).width == 1
    assert Classification().fit(column([0, 1, 2]), None).width == 3


def test_given_classes_may_be_more_than_the_labels_show():
    task = Classification().fit(column(["a", "a"]), None, classes=["c", "a", "b"])
    assert task.classes.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r"Task 'y0' has labels that are not among its classes: 'z'"):
        task.encode(np.array(["z", "a"]))


def test_labels_of_another_type_are_unknown_not_a_type_error():
    task = Classification().fit(column([1, 2]), None)
    with pytest.raises(ValueError, match="not among its classes"):
        task.encode(np.array(["a"], dtype=object))


@pytest.mark.parametrize(
    ("declaration", "labels", "words"),
    [
        (Binary(), [0, 1, 2], "declared binary but has 3 classes"),
        (Multiclass(), [1, 1], "has only one class, 1"),
        (Multiclass(), [0.5, 1.2], "Unknown label type: continuous"),
        (Multiclass(), np.array(["a", 1], dtype=object), "mixes labels of types int, str"),
        (Regression(), ["a", "b"], "labels are no numbers: found 'a'"),
        (Regression(), [1e300, -1e300], "labels too large to take the variance of"),
        (Count(), [1, -1], "whole numbers from 0 up, got -1.0"),
        (Count(), [1.5, 1], "whole numbers from 0 up, got 1.5"),
        (Positive(), [1.0, 0.0], "is positive: its labels must be greater than 0, got 0.0"),
        (Ordinal(), ["a", "b"], r"in which order its classes 'a', 'b' stand. Declare Ordinal\(categories=\[...\]\)"),
        (Ordinal(), np.array(["a", 1], dtype=object), "in which order its classes 'a', 1 stand"),
        (Ordinal(), [0.5, 1.2], "Unknown label type: continuous"),
        (Ordinal(), [1, 1], "has only one class, 1"),
    ],
)
def test_labels_that_do_not_fit_are_named(declaration, labels, words):
    with pytest.raises(ValueError, match=f"Task 'y0'.*{words}"):
        declaration.fit(column(labels), None)


def test_regression_refuses_classes():
    with pytest.raises(ValueError, match="no classification"):
        Regression().fit(column([1.0, 2.0]), None, classes=[1, 2])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"loss": "mse"}, "loss of a Regression must be one of"),
        ({"quantile": 0}, "quantile of a Regression must be between 0 and 1"),
        ({"quantile": 1.0}, "quantile of a Regression must be between 0 and 1"),
    ],
)
def test_regression_names_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        Regression(**arguments)


def test_strings_stand_for_declarations():
    assert as_task("regression", "a") == Regression()
    assert as_task("count", "a") == Count()
    assert as_task("binary", "a") == Binary()
    assert as_task("multiclass", "a") == Multiclass()
    assert as_task("positive", "a") == Positive()
    assert as_task("ordinal", "a") == Ordinal()
    assert as_task(Regression("huber"), "a") == Regression("huber")
    with pytest.raises(ValueError, match=r"tasks declares 'a' as 'regresion'\. Allowed are the strings"):
        as_task("regresion", "a")


def test_auto_takes_what_the_type_leaves_no_doubt_about():
    assert infer_task(column([1.5, 2.0])) == Regression()
    assert infer_task(column([True, False])) == Classification()
    assert infer_task(column(["a", "b"])) == Classification()
    assert infer_task(column(np.array(["a", "b"], dtype=object))) == Classification()
    with pytest.raises(ValueError, match=r"cannot tell what column 'y0' of y is.*tasks=\{'y0': 'regression'\}"):
        infer_task(column([1, 2]))
