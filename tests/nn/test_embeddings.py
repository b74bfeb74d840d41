"""Embeddings of categorical columns in the bare module, against looking them up row by row."""

import pytest
import torch
from torch import nn

from sklearn_mmoe.nn import MMoE, _embeddings
from sklearn_mmoe.nn._embeddings import Embeddings, embedding_width

SIZES = [3, 300, 1, 3, 2, 0, 1000]  # widths 3, 39, 2, 3, 2, 1, 50: some share a table


def vectors_of(module, column):
    """The embedding of one column, (n_categories + 1, width), found by counting rows; and where its numbers stand."""
    start = 0
    for table in module.tables:
        columns = table.columns.tolist()
        width = table.embedding.embedding_dim
        if column in columns:
            first = sum(SIZES[other] + 1 for other in columns[: columns.index(column)])
            start += columns.index(column) * width
            return table.embedding.weight[first : first + SIZES[column] + 1], slice(start, start + width)
        start += len(columns) * width
    raise AssertionError(column)


def make_codes(n_rows=20, sizes=SIZES):
    torch.manual_seed(1)
    return torch.stack([torch.randint(0, n + 1, (n_rows,)) for n in sizes], dim=1)


@pytest.mark.parametrize(
    ("n_categories", "width"),
    [(0, 1), (1, 2), (2, 2), (3, 3), (10, 6), (100, 21), (300, 39), (1000, 50), (10**6, 50)],
)
def test_width_of_an_embedding(n_categories, width):
    assert embedding_width(n_categories) == width


def test_equals_looking_up_row_by_row():
    module, codes = Embeddings(SIZES), make_codes()
    assert module.width == 3 + 39 + 2 + 3 + 2 + 1 + 50
    out = module(codes)
    assert out.shape == (20, module.width)
    seen = torch.zeros(module.width, dtype=torch.int)
    for column in range(len(SIZES)):
        vectors, own = vectors_of(module, column)
        seen[own] += 1
        for row in range(len(codes)):
            assert torch.equal(out[row, own], vectors[codes[row, column]])
    assert (seen == 1).all()


def test_equally_wide_columns_share_a_table():
    assert len(Embeddings(SIZES).tables) == 5
    assert len(Embeddings([20] * 40).tables) == 1


def test_missing_category_begins_at_zero_and_the_others_small():
    module = Embeddings([4, 4, 2000])
    assert not module(torch.zeros(5, 3, dtype=torch.int64)).any()
    (small, wide) = (table.embedding.weight for table in module.tables)
    assert small.shape == (10, 3)
    assert (small != 0).any(dim=1).tolist() == [False, True, True, True, True] * 2
    assert wide[1:].std().item() == pytest.approx(0.1, rel=0.02)


def test_equals_one_hot_columns_behind_a_linear_layer():
    """On paper: an embedding is the linear map of a one-hot row."""
    module, codes = Embeddings([5]), make_codes(sizes=[5])
    (table,) = module.tables
    one_hot = nn.functional.one_hot(codes[:, 0], 6).float()
    torch.testing.assert_close(module(codes), one_hot @ table.embedding.weight)


def test_large_ids_are_told_apart():
    """Beyond 2**24 a float32 takes neighbours for each other."""
    n = 2**24 + 2
    table = _embeddings._SharedTable([1, n], [0, 1], 1)
    codes = torch.tensor([[1, n - 2], [1, n - 1], [1, n]])
    picked = codes[:, 1] + 2  # the two rows of the first column come first
    assert torch.equal(table(codes)[:, 1], table.embedding.weight[picked, 0])


def test_module_reads_numbers_and_embeddings():
    torch.manual_seed(0)
    module = MMoE(2, [1, 3], n_experts=2, n_categories=SIZES, gate_layer_sizes=(4,))
    plain = MMoE(2 + module.embeddings.width, [1, 3], n_experts=2, gate_layer_sizes=(4,))
    plain.load_state_dict({k: v for k, v in module.state_dict().items() if not k.startswith("embeddings")})
    x, codes = torch.randn(20, 2), make_codes()
    joined = torch.cat([x, module.embeddings(codes)], dim=1)
    assert torch.equal(module(x, codes), plain(joined))
    assert torch.equal(module.gate_weights(x, codes), plain.gate_weights(joined))


def test_module_of_categories_alone():
    assert MMoE(0, [1], n_categories=[3])(torch.empty(4, 0), torch.ones(4, 1, dtype=torch.int64)).shape == (4, 1)
    with pytest.raises(ValueError, match="n_features must be an integer from 1 up"):
        MMoE(0, [1])


def test_codes_are_needed_if_and_only_if_there_are_categories():
    codes = torch.ones(4, 1, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"no codes for its categorical columns \(n_categories\)"):
        MMoE(2, [1], n_categories=[3])(torch.ones(4, 2))
    with pytest.raises(ValueError, match=r"codes of categories are given, but the module has no categorical columns"):
        MMoE(2, [1])(torch.ones(4, 2), codes)


def test_only_large_tables_have_sparse_gradients_and_they_are_the_same(monkeypatch):
    gradients = []
    for rows in (7, 6):
        monkeypatch.setattr(_embeddings, "SPARSE_GRADIENT_ROWS", rows)
        torch.manual_seed(0)
        module = MMoE(0, [1], n_categories=[6])  # with the missing one 7 rows
        module(torch.empty(3, 0), torch.tensor([[1], [5], [1]])).sum().backward()
        gradients.append(module.embeddings.tables[0].embedding.weight.grad)
    assert [gradient.is_sparse for gradient in gradients] == [False, True]
    torch.testing.assert_close(gradients[1].to_dense(), gradients[0])
