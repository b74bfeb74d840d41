"""Files that were written on purpose, with a checksum that is right: each is refused, or is a model that answers."""

import copy
import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from random import Random

import numpy as np
import pandas as pd
import pytest
import safetensors.numpy
from helpers import make_features, make_model
from sklearn import config_context

import sklearn_mmoe
from sklearn_mmoe._files import model_file
from sklearn_mmoe._files.model_file import read_model_file
from sklearn_mmoe._files.net_rules import NET_PARAMS, PARTS
from sklearn_mmoe._files.saved_state import ATTRIBUTES
from sklearn_mmoe.tasks import Binary

TINY = {
    "n_members": 2,
    "expert_layer_sizes": (2,),
    "tower_layer_sizes": (),
    "max_epochs": 1,
}  # what `make_model` has is larger


def sealed(data):
    """The bytes of a file with the checksum that they have."""
    start = model_file._checksum_start(data)
    return data[:start] + model_file._checksum(data).encode() + data[start + 64 :]


def written(document, arrays):
    said = json.dumps({"format": 1, "sha256": "0" * 64, **document}, separators=(",", ":"))
    return sealed(safetensors.numpy.save(arrays, metadata={"sklearn_mmoe": said}))


def make_models():
    """Small models that have, all together, whatever a file can hold."""
    X = make_features()
    up = X[:, 0] > 0
    table = pd.DataFrame({"a": X[:, 1], "b": np.where(up, "p", "q"), "c": pd.Categorical(np.where(X[:, 2] > 0, 3, 4))})
    with config_context(enable_metadata_routing=True):
        plain = make_model("regressor", **{**TINY, "n_members": 1}).set_fit_request(sample_weight=True)
    yield plain.fit(X, X[:, 1]), X
    wide = np.array(["no", "yes"], dtype="U9")[up.astype(int)]
    weighted = make_model("classifier", **TINY, class_weight=[{"no": 1.0, "yes": 2.0}] * 2, optimizer="rmsprop")
    yield weighted.fit(X, np.column_stack([wide, wide[::-1]])), X
    grades = pd.Categorical(np.where(up, "low", "high"), categories=["low", "high"], ordered=True)
    days = pd.to_datetime(np.where(up, "2020-01-01", "2021-01-01"))
    y = pd.DataFrame({"kind": up, "grade": grades, "day": days, "level": X[:, 1]})
    tasks = {"kind": Binary(2.0, focal_gamma=1.0), "grade": "ordinal", "day": "multiclass", "level": "regression"}
    several = make_model("multitask", **TINY, tasks=tasks, task_weights="uncertainty", optimizer="sgd")
    yield several.fit(table, y), table


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Their files, what these say, and rows to ask the models for."""
    path = tmp_path_factory.mktemp("models") / "model"
    found = []
    for model, X in make_models():
        model.save(path)
        found.append((path.read_bytes(), *read_model_file(path), X))
    return found


@pytest.fixture
def models(saved):
    return copy.deepcopy(saved)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def refuse(path, data, match="can make no"):
    path.write_bytes(data)
    with pytest.raises(ValueError, match=match) as caught:
        sklearn_mmoe.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 3000
    return caught.value


def assert_answers(model, X, methods=("predict",)):
    """Finite numbers, or an error in words."""
    for name in methods:
        with suppress(ValueError):
            answer = getattr(model, name)(X) if hasattr(model, name) else []
            parts = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else [answer]
            for values in (np.asarray(own, dtype=object).ravel() for own in parts):
                assert np.isfinite([value for value in values if isinstance(value, float)]).all()


def assert_has_all(model, X):
    assert_answers(model, X, ["gate_weights", "predict_proba", "predict_frame"])
    assert model.describe().startswith(type(model).__name__)
    assert model._repr_html_()
    assert len(model.loss_curve_) == model.n_iter_
    assert pickle.dumps([model.categories_, model.validation_scores_, model.get_metadata_routing()])


# --------------------------------------------------------------------------------------------------------------------
# Entries of the wrong kind


def entries_of(document):
    """What holds them, and their names."""
    params = document["net"]["params"]["dict"]
    for holder in (document["attributes"], params, document["net"]["parts"]["dict"], document["net"], document):
        yield from ((holder, name) for name in holder)


@pytest.mark.parametrize("value", [{"bytes": "a"}, "x" * 1000], ids=["bytes", "text"])
def test_no_entry_may_be_of_another_kind(models, path, value):
    tried = 0
    for _, document, arrays, _ in models:
        for holder, name in entries_of(document):
            old, holder[name] = holder[name], value
            refuse(path, written(document, arrays), "holds a" if name == "class" else "can make no")
            holder[name] = old
            tried += 1
    assert tried > 150


def test_no_entry_may_be_lacking_that_every_fit_leaves(models, path):
    optional = {name for rules in (ATTRIBUTES, NET_PARAMS) for name, rule in rules.items() if rule.is_optional}
    tried = 0
    for _, document, arrays, _ in models:
        for holder, name in entries_of(document):
            if name not in optional and name in {**ATTRIBUTES, **NET_PARAMS, **PARTS}:
                rest = {key: value for key, value in holder.items() if key != name}
                refuse(path, written(replaced(document, holder, rest), arrays))
                tried += 1
    assert tried > 60


def replaced(document, holder, other):
    """The document with another object in the place of one that it holds."""
    if document is holder:
        return other
    if isinstance(document, dict):
        return {key: replaced(value, holder, other) for key, value in document.items()}
    return document


@pytest.mark.parametrize(
    "change", [lambda array: array[None], lambda array: array.astype(np.int8)], ids=["shape", "type"]
)
def test_no_array_may_be_of_another_kind(models, path, change):
    tried = 0
    for _, document, arrays, _ in models:
        for name, array in arrays.items():
            if "classes" not in name and "known" not in name:  # these may be of any type
                refuse(path, written(document, {**arrays, name: change(array)}))
                tried += 1
    assert tried > 60


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_no_weight_may_be_something_that_is_no_number(models, path, value):
    for _, document, arrays, _ in models:
        for name, array in arrays.items():
            if name.startswith("module."):
                refuse(path, written(document, {**arrays, name: np.full_like(array, value)}), f"{name} must be finite")


def test_arrays_that_nothing_asks_for_or_that_are_asked_for_twice_are_refused(models, path):
    _, document, arrays, _ = models[0]
    refuse(path, written(document, {**arrays, "more": np.zeros(1)}), "nothing is said of its arrays .'more'")
    document = copy.deepcopy(document)
    document["attributes"]["note"] = {"tensor": "task_weights_"}
    refuse(path, written(document, arrays), "KeyError: 'task_weights_'")


# --------------------------------------------------------------------------------------------------------------------
# Little that asks for much


def named(kind, name):
    return {"object": ["Named", {"kind": kind, "name": name}]}


def with_attribute(value):
    return lambda document, arrays: document["attributes"].update(note=value)


def with_net_params(**params):
    def change(document, arrays):
        said = {f"module__{name}" if name[0] != "_" else name[1:]: value for name, value in params.items()}
        document["net"]["params"]["dict"].update(said)
        document["parameters"].update({name: value for name, value in params.items() if name in document["parameters"]})

    return change


def with_text(text):
    def change(document, arrays):
        arrays["text"] = np.frombuffer(text.encode(), dtype=np.uint8)
        document["attributes"]["note"] = {"array": ["|O", [1], {"text": "text"}]}

    return change


def asking_for_arrays_again(document, arrays):
    name = max(arrays, key=lambda name: arrays[name].nbytes)
    state = {"dict": {f"a{i}": {"tensor": name} for i in range(200)}}
    document["net"]["parts"]["dict"]["optimizer"]["dict"]["state"] = {"items": [[i, state] for i in range(200)]}


def with_many_features(document, arrays):
    document["attributes"]["n_features_in_"] = document["net"]["params"]["dict"]["module__n_features"] = 10**9


MUCH = {
    "a type that Python evaluates": with_attribute({"array": ["(1,", [1], ["a"]]}),
    "a type that is called by another name": with_attribute({"array": ["i4,(1000,1000)f8", [1], [0]]}),
    "a record": with_attribute({"scalar": ["V999999999", "a"]}),
    "wide strings": with_attribute({"array": ["<U500000000", [1], ["a"]]}),
    "wide bytes": with_attribute({"array": ["|S999999999", [1], [{"bytes": "a"}]]}),
    "wide strings, and none of them": with_attribute({"array": ["<U500000000", [0], []]}),
    "many wide strings": with_attribute([{"array": ["<U200000", [1], ["a"]]} for _ in range(500)]),
    "a wide string": with_attribute({"scalar": ["<U500000000", "a", "b"]}),
    "many dimensions": with_attribute({"array": ["|O", [1] * 100, ["a"]]}),
    "a shape that is none": with_attribute({"array": ["|O", [-1], ["a"]]}),
    "times of another size": with_attribute({"times": ["<M8[ns]", "task_weights_"]}),
    "a unit that is none": with_attribute({"times": ["<M8[999999999999as]", "task_weights_"]}),
    "digits": lambda document, arrays: document["attributes"].update(n_iter_=10**4000),
    "a long date": with_attribute({"date": "2" * 10**6}),
    "wide layers": with_net_params(expert_layer_sizes={"tuple": [10**5, 10**5]}),
    "many layers": with_net_params(tower_layer_sizes={"tuple": [1] * 5000}),
    "many members": with_net_params(n_members=10**9),
    "many experts": with_net_params(n_experts=10**9),
    "many experts of many members": with_net_params(n_experts=10**6, n_members=10**6),
    "many features": with_many_features,
    "many tasks to weigh": with_net_params(
        _weighting=named("part", "DynamicWeightAverage"), _weighting__n_tasks=10**10, _weighting__weights=None
    ),
    "a network for an activation": with_net_params(activation=named("torch.nn", "Transformer")),
    "an array in many places": asking_for_arrays_again,
    "an array that nothing asks for": lambda document, arrays: arrays.update(more=np.zeros(1)),
    "empty arrays of a large shape": lambda document, arrays: arrays.update(more=np.zeros((10**6, 0, 10**6))),
    "lists in lists": with_attribute(json.loads("[" * 900 + "]" * 900)),
    "lists in lists in a text": with_text("[" * 10**5 + "]" * 10**5),
    "a text that is no list": with_text('{"a": [1]}'),
    "a key twice": with_text('[{"dict": {"a": 1, "a": 2}}]'),
    "a number that is none": with_text("[NaN]"),
    "keys that share a hash": with_attribute({"items": [[i * (2**61 - 1), 0] for i in range(9, 9000)]}),
}
LOADED_UNDER_WATCH = """
import sys
import sklearn_mmoe

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmPeak"))

first, *others = sys.argv[1:]
sklearn_mmoe.load(first)
for path in others:
    before = peak()
    try:
        sklearn_mmoe.load(path)
    except ValueError:
        print(path, (peak() - before) // 1024)
"""


@pytest.mark.parametrize("what", MUCH)
def test_a_file_that_asks_for_much_is_refused(models, path, what):
    _, document, arrays, _ = models[1]
    MUCH[what](document, arrays)
    refuse(path, written(document, arrays))


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="asks the system for its memory by /proc")
def test_refusing_takes_no_more_memory_than_opening(saved, tmp_path):
    """Whatever is allocated counts, also what is never touched."""
    for what, change in MUCH.items():
        document, arrays = copy.deepcopy(saved[1][1]), dict(saved[1][2])
        change(document, arrays)
        (tmp_path / what).write_bytes(written(document, arrays))
    (tmp_path / "plain").write_bytes(saved[1][0])
    paths = [tmp_path / "plain", *(tmp_path / what for what in MUCH)]
    run = subprocess.run([sys.executable, "-c", LOADED_UNDER_WATCH, *paths], capture_output=True, text=True, check=True)
    found = [line.rsplit(" ", 1) for line in run.stdout.splitlines()]
    assert len(found) == len(MUCH)
    for path, megabytes in found:
        assert int(megabytes) < 64, path


# --------------------------------------------------------------------------------------------------------------------
# Changes at random


STRANGE = [
    *[None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 10**30, 10**400, 0.5, -0.5, 1e308, 1e-320],
    *["", "a", "x" * 50, "nan", "(1,", "<U500000000", "|O", "cpu", "float32", "MMoE", [], [1], [[]], {}],
    *[{"tuple": []}, {"dict": {}}, {"items": []}, {"float": "nan"}, {"float": "inf"}, {"bytes": "a"}],
    *[{"date": "2020-01-01"}, {"scalar": ["<f4", 0.5]}, {"scalar": ["<i8", 3]}, {"scalar": ["<U9", "abc"]}],
    *[named("torch.nn", name) for name in ("Transformer", "Softmax", "ELU", "CosineSimilarity", "Flatten", "MSELoss")],
    *[named("torch.optim", "LBFGS"), named("torch.optim", "SGD"), named("dtype", "float64"), named("device", "meta")],
    *[named("part", "TensorRows"), {"object": ["Regression", {}]}, {"object": ["RunningStats", {}]}],
    *[{"array": ["|O", [2], ["a", "b"]]}, {"array": ["<U500000000", [1], ["a"]]}, {"array": ["|O", [0], []]}],
]
NAMES = ["zz", "predict", "_tasks", "net_", "module__x", "__class__", "_skl_callbacks", "name", "sha256"]
KINDS = ["tuple", "dict", "items", "object", "tensor", "times", "array", "letters", "scalar", "float"]
DTYPES = ["f8", "f4", "f2", "i8", "i1", "u4", "?"]


def places_in(value, place=()):
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield (*place, key)
        yield from places_in(value[key], (*place, key))


def value_at(document, place):
    for key in place:
        document = document[key]
    return document


def change_document(document, places, random):
    """Put something else into one place, or take it away, or move it, or say that it is of another kind."""
    *around, key = random.choice(places)
    holder = value_at(document, around)
    old, way = holder[key], random.random()
    if way < 0.5:
        holder[key] = copy.deepcopy(random.choice(STRANGE))
    elif way < 0.65:
        del holder[key]
    elif way < 0.75:
        holder[key] = copy.deepcopy(value_at(document, random.choice(places)))
    elif way < 0.85 and isinstance(holder, dict):
        holder[random.choice(NAMES)] = old
    elif way < 0.85:
        holder.insert(key, old)
    elif isinstance(old, bool | None):
        holder[key] = not old
    elif isinstance(old, int):
        holder[key] = old + random.choice([-1, 1, 10, -old, 10**6])
    elif isinstance(old, float):
        holder[key] = random.choice([-old, 1e300 * old, 0.0, 1e-300])
    elif isinstance(old, str):
        holder[key] = old[:-1] + random.choice("ab1")
    elif isinstance(old, list):
        random.shuffle(old)
    elif len(old) == 1:
        holder[key] = {random.choice(KINDS): old.popitem()[1]}


def change_arrays(arrays, random):
    """Give an array another type, shape, place or value, or take it away."""
    name, other = random.choice(list(arrays)), random.choice(list(arrays))
    array = arrays[name].copy()
    match random.randrange(7):
        case 0:
            del arrays[name]
        case 1:
            arrays[name] = array.astype(random.choice(DTYPES))
        case 2:
            arrays[name] = array[None] if random.random() < 0.5 else array.ravel()
        case 3:
            arrays[name], arrays[other] = arrays[other], array
        case 4:
            arrays[name] = np.resize(array, random.choice([(), (0,), (1,), (2, 3), (0, 10**6)]))
        case 5:
            arrays[f"{name}_"] = array
        case 6 if array.size:
            strange = [0, 1, 1e30, np.nan, np.inf, 1e-40] if array.dtype.kind == "f" else [0, 1, 2, 100]
            array.flat[random.randrange(array.size)] = random.choice(strange)
            arrays[name] = array


def change_bytes(data, random):
    altered = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 4])):
        altered[random.randrange(len(data))] ^= 1 << random.randrange(8)
    with suppress(ValueError):  # the checksum's own place may be gone
        return sealed(bytes(altered))
    return bytes(altered)


def changed(base, places, random):
    data, document, arrays, _ = base
    if random.random() < 0.2:
        return change_bytes(data, random)
    document, arrays = pickle.loads(document), dict(arrays)
    for _ in range(random.choice([1, 1, 1, 2])):
        if random.random() < 0.15:
            change_arrays(arrays, random)
        else:
            with suppress(AttributeError, LookupError, TypeError):  # a change before took the place away
                change_document(document, places, random)
    return written(document, arrays)


@pytest.mark.parametrize("n_cases", [1500, pytest.param(10_000, marks=pytest.mark.slow)])  # the same, and many more
@pytest.mark.filterwarnings("ignore")  # of other versions, devices, units of time
def test_a_file_that_was_changed_at_random_is_refused_or_is_a_model_that_answers(n_cases, models, path):
    random, outcomes = Random(0), Counter()
    bases = [
        ((data, pickle.dumps(document), arrays, X), list(places_in(document))) for data, document, arrays, X in models
    ]
    while outcomes.total() < n_cases:
        base, places = random.choice(bases)
        path.write_bytes(changed(base, places, random))
        try:
            model = sklearn_mmoe.load(path)
        except ValueError:
            outcomes["refused"] += 1
        else:
            outcomes["opened"] += 1
            assert_answers(model, base[-1])
            if outcomes["opened"] % 10 == 0:  # the rest takes longer
                assert_has_all(model, base[-1])
    print(f"{n_cases} files changed at random: {dict(outcomes)}")
    assert outcomes["opened"] > n_cases / 50, "otherwise nothing is tried of what is opened"
