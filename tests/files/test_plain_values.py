"""Values as JSON and arrays: each comes back as it was, in value and type, and what is none of them is refused."""

import json
import math
from collections import OrderedDict
from datetime import UTC, date, datetime

import numpy as np
import pytest
import torch
from helpers import assert_identical

from sklearn_mmoe._features.validation import Categories
from sklearn_mmoe._files.plain_values import MANY_ITEMS, Decoder, Encoder, NotPlainError
from sklearn_mmoe._training.named_types import Named
from sklearn_mmoe.tasks import Binary, Ordinal
from sklearn_mmoe.tasks._fitted import FittedRegression


def there_and_back(value):
    encoder = Encoder()
    said = json.loads(json.dumps(encoder.encode(value, "here"), allow_nan=False))
    return Decoder(encoder.arrays).decode(said)


def objects(*items):
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


@pytest.mark.parametrize(
    "value",
    [
        *[None, True, False, 0, -3, 2**70, 0.1, -0.0, 5e-324, math.inf, -math.inf, math.nan, "", 'ü"\\\n', "\ud800"],
        *[b"\x00\xff", date(2020, 2, 29), datetime(2020, 2, 29, 12, 30, 0, 7)],
        *[[], (), {}, [1, (2, [3.5])], ("a",), {"a": [1], "b": {"c": ()}}, {"tuple": [1]}, {"float": "nan"}],
        *[{0: "a", "0": "b", 1.5: "c", (1, 2): "d", None: "e"}, {True: 1.0, False: 2.0}, {np.int64(3): 1}],
        *[np.float32(0.1), np.float64("nan"), np.int8(-5), np.bool_(True), np.str_("a"), np.bytes_(b"a")],
        *[np.arange(3), np.zeros((0, 3)), np.array(2.5), np.array([True, False]), np.arange(4, dtype=np.uint8)],
        *[np.array([0.5], dtype=np.float16), np.arange(6.0).reshape(2, 3)],
        *[np.array(["2020-01-01", "NaT"], dtype="M8[us]"), np.array([3, 4], dtype="m8[D]")],
        *[np.array(["a", "ü"]), np.array([b"a", b"bc"]), np.array([["a"], ["b"]]), np.array([], dtype="U1")],
        *[np.array(["a", "ü"], dtype="U9"), np.array([[b"a"], [b"bc"]], dtype="S5"), np.array("a", dtype="U3")],
        *[objects("a", "b"), objects(1, 2.5, True, None), objects((1, 2), (3, 4)), objects(date(2020, 1, 1))],
        *[Binary(positive_weight=2.0), Ordinal(categories=["low", "high"]), Named("dtype", "float32")],
        FittedRegression("name", "squared_error", 0.1, 2.0),
    ],
    ids=repr,
)
def test_a_value_comes_back_as_it_was(value):
    assert_identical(there_and_back(value), value)


def test_many_strings_stand_in_an_array_and_not_in_the_header():
    strings = objects(*(f"category {i} ü" for i in range(MANY_ITEMS + 1)))
    encoder = Encoder()
    said = encoder.encode(strings, "here")
    assert len(json.dumps(said)) < 100
    assert_identical(Decoder(encoder.arrays).decode(said), strings)


def test_wide_strings_stand_in_an_array_and_make_the_header_no_longer():
    encoder = Encoder()
    said = encoder.encode(np.array(["a", "b"], dtype="U1000"), "here")
    assert said == {"letters": ["U", "here"]}
    assert encoder.arrays["here"].shape == (2, 1000)


def test_the_width_of_no_strings_is_forgotten():
    found = there_and_back(np.array([], dtype="S1000").reshape(0, 2))
    assert found.dtype == "S1"
    assert found.shape == (0, 2)


def test_categories_come_back():
    known = {0: objects("a", "b"), 3: np.array([1.5, 2.5])}
    found = there_and_back(Categories(4, known))
    assert found.n_columns == 4
    assert_identical(found.known, known)


@pytest.mark.parametrize("array", [np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(12.0)[::-2]])
def test_arrays_come_back_however_they_lie_in_memory(array):
    assert_identical(there_and_back(array), array)


def test_bytes_in_another_order_are_turned():
    found = there_and_back(np.array([1, 256], dtype=">i4"))
    assert found.dtype == np.int32
    assert found.tolist() == [1, 256]


def test_arrays_are_named_by_their_place_and_no_two_alike():
    encoder = Encoder()
    encoder.encode({"a": {"b": np.array([1])}, "a.b": np.array([2])}, "net")
    assert {name: own.tolist() for name, own in encoder.arrays.items()} == {"net.a.b": [1], "net.a.b_": [2]}


def test_an_ordered_dict_becomes_a_dict():
    assert_identical(there_and_back(OrderedDict(a=1)), {"a": 1})


@pytest.mark.parametrize(
    ("value", "place", "kind"),
    [
        (print, "here", "of type builtin_function_or_method"),
        ([1, {"a": (2, torch.nn.ReLU())}], "here.1.a.1", "ReLU"),
        (torch.zeros(2), "here", "Tensor"),
        (torch.nn.ReLU, "here", r"the class torch\.nn\.modules\.activation\.ReLU"),
        ({1, 2}, "here", "set"),
        (1j, "here", "complex"),
        (np.zeros(2, dtype=complex), "here", "an array of complex128"),
        (np.zeros((0, 2), dtype="V8"), "here", r"an array of \|V8"),
        (np.longdouble(1), "here", "longdouble"),
        (datetime.now(UTC), "here", "datetime"),
        (objects("a", object()), "here", "object"),
        ({frozenset(): 1}, "here", "frozenset"),
        (Ordinal(categories=[1 + 0j, 2 + 0j]), "here.categories.0", "complex"),
        ({2**65: 1}, "here", "a dict with a key of more than 64 bits"),
    ],
)
def test_other_types_are_refused_by_their_place(value, place, kind):
    with pytest.raises(NotPlainError, match=rf"^{place} is .*{kind}") as caught:
        Encoder().encode(value, "here")
    assert caught.value.place == place


@pytest.mark.parametrize(
    "said",
    [
        *[{"code": "print()"}, {"tuple": [], "list": []}, {}],
        *[{"tuple": "ab"}, {"tuple": {}}, {"dict": []}, {"items": {"ab": 1}}, {"items": [[1, 2, 3]]}],
        *[{"items": [[1, 2], [1, 3]]}, {"items": [[{"dict": {}}, 1]]}, {"items": [[2**65, 1]]}],
        *[{"object": ["Pipeline", {}]}, {"object": ["Binary", {"positive_weight": -1.0}]}],
        *[{"object": ["Binary", {"unknown": 1}]}, {"object": "Binary"}],
        *[{"tensor": "not there"}, {"tensor": 3}, {"tensor": ["numbers"]}],
        *[{"times": ["O", "numbers"]}, {"times": ["M8[s", "numbers"]}, {"times": ["<M8[s]", "small"]}],
        *[{"array": ["V8", [1], [0]]}, {"array": ["O", [1], [0]]}, {"array": ["(1,", [1], [0]]}],
        *[{"array": ["|O", [3], [0]]}, {"array": ["|O", [-1], [0]]}, {"array": ["|O", 1, [0]]}],
        *[{"array": ["|O", [1], 3]}, {"array": ["|O", [2], "ab"]}, {"array": ["|O", [1], {"text": "numbers"}]}],
        *[{"array": ["<U2", [1], ["a"]]}, {"array": ["<U1", [1], ["ab"]]}, {"array": ["<U1", [1], [1]]}],
        *[{"array": ["<U500000000", [1], ["a"]]}, {"array": ["<U2", [0], []]}, {"array": ["|S1", [1], ["a"]]}],
        *[{"letters": ["U", "numbers"]}, {"letters": ["V", "small"]}, {"letters": ["U", "no letters"]}],
        *[{"letters": ["S", "none"]}],
        *[{"scalar": ["O", 1]}, {"scalar": ["|i1", 300]}, {"scalar": ["<i8", 0.5]}, {"scalar": ["<f2", 1e10]}],
        *[{"scalar": ["<f8", 1]}, {"scalar": ["|b1", 1]}, {"scalar": ["V8", 1]}, {"scalar": "<f8"}],
        *[{"float": [1]}, {"float": "1.5"}, {"float": 1.5}, {"bytes": [1]}, {"bytes": "\u0100"}],
        *[{"date": 1}, {"date": "yesterday"}, {"datetime": "2020-01-01T00:00:00+00:00"}, {"datetime": 0}],
    ],
    ids=repr,
)
def test_what_the_encoder_does_not_say_is_an_error(said):
    arrays = {
        "numbers": np.arange(2),
        "small": np.arange(2, dtype=np.uint8),
        "no letters": np.full((2, 1), 2**31, dtype=np.uint32),
        "none": np.zeros((2, 0), dtype=np.uint8),
    }
    with pytest.raises((ArithmeticError, KeyError, TypeError, ValueError)):
        Decoder(arrays).decode(said)


def test_an_array_has_one_place():
    decoder = Decoder({"numbers": np.arange(2)})
    decoder.decode({"tensor": "numbers"})
    with pytest.raises(KeyError):
        decoder.decode({"tensor": "numbers"})


@pytest.mark.parametrize(
    "named",
    [
        Named("part", "MMoERegressor"),
        Named("torch.nn", "functional"),
        Named("torch.nn", "Parameter"),
        Named("torch.optim", "swa_utils"),
        Named("dtype", "load"),
        Named("os", "system"),
    ],
)
def test_a_name_stands_for_a_type_of_its_kind_or_for_nothing(named):
    with pytest.raises(ValueError, match=f"needs '{named.name}' of '{named.kind}', which is not known here"):
        named.found()
