"""The file of a saved model: whole or not there at all, and refused in whatever way it was damaged."""

import hashlib
import json
import os
import pickle
import sys

import joblib
import numpy as np
import pytest
import safetensors.numpy
from helpers import NAMES, all_three, assert_same_answers, fitted_on_data, make_data

import sklearn_mmoe
from sklearn_mmoe._files import model_file
from sklearn_mmoe._files.model_file import FORMAT, read_model_file, write_model_file

REFUSED = r"is cut off|has been altered|is no model|is written in format"
ARRAYS = {"weights": np.arange(6.0).reshape(2, 3)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The file of each estimator, as bytes."""
    path = tmp_path_factory.mktemp("models") / "model"
    files = {}
    for name in NAMES:
        fitted_on_data(name).save(path)
        files[name] = path.read_bytes()
    return files


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def loading_refuses(path, data, match=REFUSED):
    path.write_bytes(data)
    loading_refuses_unchanged(path, match)


def loading_refuses_unchanged(path, match):
    with pytest.raises(ValueError, match=match) as caught:
        sklearn_mmoe.load(path)
    assert str(path) in str(caught.value)


def header_of(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length])


# --------------------------------------------------------------------------------------------------------------------
# What is in it


def test_it_holds_the_document_and_the_arrays(path):
    write_model_file(path, {"class": "ü", "n": 3}, ARRAYS)
    document, arrays = read_model_file(path)
    assert document == {"class": "ü", "n": 3}
    assert arrays.keys() == ARRAYS.keys()
    np.testing.assert_array_equal(arrays["weights"], ARRAYS["weights"])


def test_others_read_it_as_safetensors(path):
    model = fitted_on_data("regressor")
    model.save(path)
    arrays = safetensors.numpy.load_file(path)
    for name, weights in model.module_.state_dict().items():
        np.testing.assert_array_equal(arrays[f"module.{name}"], weights.numpy())


@all_three
def test_its_metadata_says_in_json_what_it_is(saved, name):
    document = json.loads(header_of(saved[name])["__metadata__"]["sklearn_mmoe"])
    assert document["format"] == FORMAT
    assert document["class"] == type(fitted_on_data(name)).__name__
    assert document["parameters"]["n_experts"] == 2
    assert document["versions"]["sklearn_mmoe"] == sklearn_mmoe.__version__
    assert {"scikit-learn", "torch", "numpy", "skorch", "python"} < document["versions"].keys()


def test_the_checksum_is_that_of_the_file_with_zeros_in_its_place(saved):
    data = saved["regressor"]
    checksum = json.loads(header_of(data)["__metadata__"]["sklearn_mmoe"])["sha256"]
    assert data.count(checksum.encode()) == 1
    assert hashlib.sha256(data.replace(checksum.encode(), b"0" * 64)).hexdigest() == checksum


def test_the_same_model_makes_the_same_file(path):
    model = fitted_on_data("multitask")
    model.save(path)
    first = path.read_bytes()
    model.save(path)
    assert path.read_bytes() == first


# --------------------------------------------------------------------------------------------------------------------
# Damage


@all_three
def test_a_file_that_is_cut_off_is_refused(saved, name, path):
    data = saved[name]
    length = int.from_bytes(data[:8], "little")
    for end in [*range(64), *range(64, len(data), 397), length + 7, length + 8, length + 9, len(data) - 1]:
        loading_refuses(path, data[:end])
    loading_refuses(path, data[: length + 8], rf"is cut off: {length + 8:,} of its {len(data):,} bytes are there")
    loading_refuses(path, data[:length], rf"is cut off: {length:,} bytes are there, and more of its header")


@all_three
def test_a_file_with_a_byte_that_is_another_is_refused(saved, name, path):
    data, random = saved[name], np.random.default_rng(0)
    places = [*range(120), *random.choice(len(data), 150, replace=False).tolist(), len(data) - 1]
    for place in places:
        altered = bytearray(data)
        altered[place] ^= int(random.integers(1, 256))
        loading_refuses(path, bytes(altered))


def test_a_file_with_a_bit_that_is_another_is_refused(saved, path):
    data, random = saved["regressor"], np.random.default_rng(1)
    for place in random.choice(len(data), 300, replace=False).tolist():
        altered = bytearray(data)
        altered[place] ^= 1 << int(random.integers(8))
        loading_refuses(path, bytes(altered))


def test_bytes_that_are_added_lost_or_swapped_are_refused(saved, path):
    data, random = saved["regressor"], np.random.default_rng(2)
    loading_refuses(path, data + b"\0", "has been altered")
    for place in random.choice(len(data) - 8, 100, replace=False).tolist():
        loading_refuses(path, data[:place] + b" " + data[place:])
        loading_refuses(path, data[:place] + data[place + 1 :])
        if data[place : place + 4] != data[place + 4 : place + 8]:
            loading_refuses(
                path, data[:place] + data[place + 4 : place + 8] + data[place : place + 4] + data[place + 8 :]
            )


def test_a_weight_that_is_another_is_refused_in_words(saved, path):
    altered = bytearray(saved["regressor"])
    altered[-3] ^= 1
    loading_refuses(path, bytes(altered), "has been altered since it was saved: its checksum does not match. Copy it")


def test_a_name_that_is_another_is_refused_in_words(saved, path):
    altered = saved["multitask"].replace(b"label", b"babel")
    loading_refuses(path, altered, "has been altered since it was saved: its checksum does not match")


def test_a_header_that_is_broken_is_refused_in_words(saved, path):
    altered = bytearray(saved["regressor"])
    altered[8 + 40] = 0
    loading_refuses(path, bytes(altered), "has been altered since it was saved: its header is broken")


def with_header(arrays, document='{"format":1,"sha256":"' + "0" * 64 + '"}'):
    """A file of this header with 8 bytes of arrays, and with the checksum that it has."""
    said = json.dumps(document)
    text = f'{{"__metadata__":{{"sklearn_mmoe":{said}}}{arrays}}}'.encode()
    data = len(text).to_bytes(8, "little") + text + bytes(8)
    checksum = hashlib.sha256(data).hexdigest().encode()
    return data.replace(b"0" * 64, checksum)


@pytest.mark.parametrize(
    "arrays",
    [
        ',"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}',
        ',"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}',
        ',"a":{"dtype":"F64","shape":[1],"data_offsets":[0,4]}',
        ',"a":{"dtype":"F64","shape":[-1],"data_offsets":[0,8]}',
        ',"a":{"dtype":"F64","shape":["1"],"data_offsets":[0,8]}',
        f',"a":{{"dtype":"F64","shape":[1{",1" * 99}],"data_offsets":[0,8]}}',
    ],
)
def test_arrays_that_are_not_as_the_header_says_are_refused_though_the_checksum_is_right(path, arrays):
    loading_refuses(path, with_header(arrays), "is broken")


@pytest.mark.parametrize(
    "arrays",
    [
        *[',"a":3', ',"a":[]', ',"a":{}', ',"a":{"dtype":"F64","shape":[1],"data_offsets":8}'],
        *[f',"a":{{"dtype":"{name}","shape":[4],"data_offsets":[0,8]}}' for name in ("BF16", "C64", "F8_E4M3", "f8")],
        ',"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}',
        ',"a":{"dtype":"F64","shape":[1],"data_offsets":[0,1' + "0" * 4000 + "]}",
        ',"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8.0]}',
        ',"a":{"dtype":"F64","shape":[1],"data_offsets":[NaN,8]}',
    ],
    ids=lambda text: text[:60],
)
def test_a_header_that_is_none_of_ours_is_refused_though_the_checksum_is_right(path, arrays):
    loading_refuses(path, with_header(arrays), "has been altered since it was saved: its header is broken")


@pytest.mark.parametrize(
    "document",
    ['{"format":1,"format":1}', '{"format":NaN}', "[" * 100_000, '{"a":' * 100_000, '{"format":1' + "0" * 5000],
)
def test_a_document_that_is_none_is_refused_though_the_checksum_is_right(path, document):
    loading_refuses(path, with_header("", document), "has been altered since it was saved: its header is broken")


def test_a_newer_format_is_refused_with_what_to_do(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(model_file, "FORMAT", FORMAT + 1)
        fitted_on_data("regressor").save(path)
    words = rf"in format {FORMAT + 1}, and sklearn_mmoe .* reads formats up to {FORMAT}\. .*pip install -U sklearn_mmoe"
    loading_refuses(path, path.read_bytes(), words)


@pytest.mark.parametrize("number", [0, -1, "1", None, 1.5])
def test_a_number_that_is_no_format_is_refused(path, number, monkeypatch):
    monkeypatch.setattr(model_file, "FORMAT", number)
    write_model_file(path, {}, ARRAYS)
    monkeypatch.undo()
    loading_refuses(path, path.read_bytes(), "has been altered")


# --------------------------------------------------------------------------------------------------------------------
# Files of others


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("the pickle was opened",)


@pytest.mark.parametrize("dump", [lambda bomb, path: path.write_bytes(pickle.dumps(bomb)), joblib.dump])
def test_a_pickle_is_refused_unopened(path, dump):
    dump(Bomb(), path)
    loading_refuses(path, path.read_bytes(), "is no model that sklearn_mmoe has saved.* opened by joblib.load")


@pytest.mark.parametrize(
    "data",
    [
        *[b"", b"\0" * 8, b"\0" * 100, b"\xff" * 100, b"hello", b"just some text of more than eight characters"],
        safetensors.numpy.save(ARRAYS),
        safetensors.numpy.save(ARRAYS, metadata={"format": "pt"}),
        safetensors.numpy.save(ARRAYS, metadata={"sklearn_mmoe": "no JSON"}).replace(b"__metadata__", b"__metadatb__"),
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
    ],
)
def test_a_file_of_another_kind_is_refused(path, data):
    loading_refuses(path, data, "is no model that sklearn_mmoe has saved")


@pytest.mark.parametrize("document", ["no JSON", "[]", "3", "null", '"text"', "{}", '{"format":1}', '{"format":"1"}'])
def test_metadata_of_our_name_that_is_not_ours_is_refused(path, document):
    loading_refuses(path, safetensors.numpy.save(ARRAYS, metadata={"sklearn_mmoe": document}), "has been altered")


@pytest.mark.skipif(os.name != "posix", reason="devices and pipes as of POSIX")
def test_what_is_no_file_is_refused_unread(path):
    os.mkfifo(path)
    for name in (str(path), "/dev/zero", "/dev/null"):
        with pytest.raises(ValueError, match=f"{name} is no model .*, but a device, a pipe or the like"):
            sklearn_mmoe.load(name)


def test_a_folder_is_the_usual_error(path):
    with pytest.raises(IsADirectoryError):
        sklearn_mmoe.load(path.parent)


@pytest.mark.parametrize("name", [0, None, 1.5])
def test_what_is_no_path_is_an_error(name):
    with pytest.raises(TypeError):
        sklearn_mmoe.load(name)


def grow(path):
    """To 8 TiB that take no room on the disk."""
    try:
        os.truncate(path, 2**43)
    except OSError:
        pytest.skip("the file system has no files of this size")


def test_a_file_of_which_the_memory_holds_no_copy_is_refused(path):
    fitted_on_data("regressor").save(path)
    grow(path)
    loading_refuses_unchanged(path, "is larger than the memory that there is")


def test_a_large_file_of_another_kind_is_not_read(path):
    path.write_bytes(b"a large archive")
    grow(path)
    loading_refuses_unchanged(path, "is no model that sklearn_mmoe has saved")


def test_a_file_that_is_not_there_is_the_usual_error(path):
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        sklearn_mmoe.load(path)


# --------------------------------------------------------------------------------------------------------------------
# Writing


def test_an_error_in_the_end_leaves_the_old_file_and_nothing_beside_it(path, monkeypatch):
    model, (X, _) = fitted_on_data("regressor"), make_data("regressor")
    model.save(path)

    def fails(*_):
        raise OSError("the disk is full")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, fails)
            with pytest.raises(OSError, match="the disk is full"):
                fitted_on_data("classifier").save(path)
        assert os.listdir(path.parent) == [path.name]
        assert_same_answers(sklearn_mmoe.load(path), model, X)


def test_a_file_is_replaced_and_nothing_is_left_beside_it(path):
    fitted_on_data("classifier").save(path)
    model, (X, _) = fitted_on_data("regressor"), make_data("regressor")
    model.save(str(path))
    assert os.listdir(path.parent) == [path.name]
    assert_same_answers(sklearn_mmoe.load(str(path)), model, X)


@pytest.mark.skipif(os.name != "posix", reason="permissions as of POSIX")
def test_the_file_has_the_permissions_of_any_new_file(path):
    fitted_on_data("regressor").save(path)
    plain = path.with_name("plain")
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.skipif(os.name != "posix", reason="links and permissions as of POSIX")
def test_it_is_saved_where_a_link_leads_with_the_permissions_that_were_there(path):
    model, (X, _) = fitted_on_data("regressor"), make_data("regressor")
    path.touch(0o600)
    latest = path.with_name("latest")
    latest.symlink_to(path.name)
    model.save(latest)
    assert latest.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert_same_answers(sklearn_mmoe.load(latest), model, X)
    with pytest.raises(ValueError, match="path leads to a device"):
        model.save("/dev/stdout")


def test_a_folder_that_is_not_there_is_the_usual_error(path):
    with pytest.raises(FileNotFoundError):
        fitted_on_data("regressor").save(path.parent / "none" / "model")


def test_a_header_larger_than_safetensors_reads_is_refused_before_it_is_written(path, monkeypatch):
    monkeypatch.setattr(model_file, "_LARGEST_HEADER", 1000)
    with pytest.raises(ValueError, match=r"more than the 1,000 that safetensors reads.*joblib\.dump"):
        fitted_on_data("regressor").save(path)
    assert not os.listdir(path.parent)


def test_without_safetensors_the_error_says_what_to_install(saved, path, monkeypatch):
    path.write_bytes(saved["regressor"])
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    install = r'needs safetensors: pip install "sklearn_mmoe\[save\]"\. Without it'
    with pytest.raises(ImportError, match=install):
        sklearn_mmoe.load(path)
    with pytest.raises(ImportError, match=install):
        fitted_on_data("regressor").save(path.with_name("other"))
    assert os.listdir(path.parent) == [path.name]
