"""What shards say together, and how they are padded."""

import numpy as np
import pandas as pd
import pytest
import torch
from together import Together

from sklearn_mmoe._arrays.values import distinct, side_by_side
from sklearn_mmoe._features.tensors import RowBatches, TensorRows
from sklearn_mmoe._ranks.group import ALONE
from sklearn_mmoe._ranks.padding import PaddedBatches, Padding
from sklearn_mmoe.tasks._shards import columns_of_all, weights_of_shard
from sklearn_mmoe.tasks._validation import Column, Targets


def column(values, dtype=None):
    labelled = np.ones(len(values), dtype=bool)
    return Column("a", np.asarray(values), labelled, dtype)


def test_a_shorter_shard_is_padded_with_batches_that_count_for_nothing():
    rows = TensorRows(torch.arange(10.0).view(5, 2), torch.ones(5, 4))
    batches = list(PaddedBatches(RowBatches(rows, 2), Together(5)))
    assert len(PaddedBatches(RowBatches(rows, 2), Together(5))) == len(batches) == 5
    assert [isinstance(batch, Padding) for batch in batches] == [False] * 3 + [True] * 2
    X, y = batches[-1]
    assert X.tolist() == [[0, 1]]
    assert y.tolist() == [[0, 0, 0, 0]]
    torch.testing.assert_close(torch.cat([X for X, _ in batches[:3]]), rows.X)


def test_the_longest_shard_is_not_padded():
    rows = TensorRows(torch.zeros(5, 2), torch.ones(5, 4))
    assert [len(X) for X, _ in PaddedBatches(RowBatches(rows, 2), Together(1))] == [2, 2, 1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([3, 1, 3]), [1, 3]),
        (np.array(["b", "a", "b"], dtype=object), ["b", "a"]),
        (np.array([True, "a", None, True], dtype=object), [True, "a", None]),
    ],
)
def test_distinct(values, expected):
    assert distinct(values).tolist() == expected
    assert distinct(values).dtype == values.dtype


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([np.array([1, 2]), np.array([0.5])], np.array([1.0, 2.0, 0.5])),
        ([np.array(["a"]), np.array(["long"])], np.array(["a", "long"])),
        ([np.array([1]), np.array(["a"])], np.array([1, "a"], dtype=object)),
        ([np.array([]), np.array(["a"], dtype=object)], np.array(["a"], dtype=object)),
        ([np.array([], dtype=object)] * 2, np.array([], dtype=object)),
    ],
)
def test_side_by_side_keeps_types_apart_that_do_not_mix(parts, expected):
    result = side_by_side(parts)
    assert result.dtype == expected.dtype
    assert result.tolist() == expected.tolist()


def test_columns_have_the_labels_of_all_ranks_where_they_are_classes():
    own = [column(["a", "b", "a"]), column([1.0, 2.0])]
    classes, numbers = columns_of_all(own, [True, False], Together([(None, np.array(["c"])), (None, np.array([5.0]))]))
    assert sorted(set(classes.values.tolist())) == ["a", "b", "c"]
    assert numbers.values.tolist() == [1, 2]
    assert columns_of_all(own, [True, False], ALONE) is own


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        (np.dtype("int64"), np.dtype("float64"), np.dtype("float64")),
        (pd.CategoricalDtype(["a", "b"]), pd.CategoricalDtype(["a", "b"]), pd.CategoricalDtype(["a", "b"])),
    ],
)
def test_types_of_columns_of_several_ranks(own, other, expected):
    (result,) = columns_of_all([column([1, 2], own)], [True], Together([(other, np.array([1]))]))
    assert result.dtype == expected


def test_a_rank_without_labels_says_nothing_of_their_type():
    own, other = pd.CategoricalDtype(["a", "b"]), np.dtype(object)
    (result,) = columns_of_all([column(["a"], own)], [True], Together([(other, np.array([], dtype=object))]))
    assert result.dtype == own


def test_a_shard_always_has_weights():
    targets = Targets((Column("a", np.array([1.0]), np.array([True, False])),), is_1d=False)
    assert weights_of_shard(targets, None, ALONE, require_labels=True) is None
    weights = weights_of_shard(targets, None, Together((np.array([False]), np.array([False]))), require_labels=True)
    np.testing.assert_array_equal(weights, [[1], [0]])
