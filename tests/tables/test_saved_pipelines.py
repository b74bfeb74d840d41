"""Files of whole pipelines: they open as what was saved, run no code, and hold nothing that is not trusted."""

import io
import zipfile

import numpy as np
import pytest
import skops.io
from helpers import SMALL, all_three, make_features, make_model, make_targets
from mixed_tables import as_polars, make_frame
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sklearn_mmoe
from sklearn_mmoe import MMoERegressor, TabularPipeline, make_tabular_pipeline
from sklearn_mmoe._files.model_file import read_model_file, write_model_file
from sklearn_mmoe._files.saving import _STEPS

TABLES = {
    "array": make_features,
    "pandas": make_frame,
    "polars": lambda: as_polars(make_frame()),
    "sparse": lambda: csr_array(make_features()),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pipeline.safetensors"


def fitted_pipeline(name="regressor", X=None, **parameters):
    X = make_features() if X is None else X
    return make_tabular_pipeline(make_model(name, **parameters)).fit(X, make_targets(name))


@all_three
@pytest.mark.parametrize("table", TABLES)
def test_what_is_loaded_answers_and_goes_on_as_what_was_saved(name, table, path):
    X, y = TABLES[table](), make_targets(name)
    model = fitted_pipeline(name, X)
    model.save(path)
    again = sklearn_mmoe.load(path)
    assert type(again) is TabularPipeline
    assert [step for step, _ in again.steps] == [step for step, _ in model.steps]
    np.testing.assert_array_equal(again.gate_weights(X), model.gate_weights(X))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    for own in (model, again):
        own.partial_fit(X, y)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_other_steps_and_parameters_come_back(path):
    X, y = make_features(), make_targets("regressor")
    steps = [("scale", StandardScaler()), ("nothing", "passthrough"), ("model", make_model("regressor"))]
    model = TabularPipeline(steps, verbose=True, transform_input=["X_val"])
    with config_context(enable_metadata_routing=True):
        model.fit(X, y)
    model.save(path)
    again = sklearn_mmoe.load(path)
    assert (again.verbose, again.transform_input, again.steps[1]) == (True, ["X_val"], ("nothing", "passthrough"))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_a_pipeline_of_the_model_alone_comes_back(path):
    X, y = make_features(), make_targets("regressor")
    model = TabularPipeline([("model", make_model("regressor"))]).fit(X, y)
    model.save(path)
    np.testing.assert_array_equal(sklearn_mmoe.load(path).predict(X), model.predict(X))


def test_what_is_not_fitted_is_not_saved(path):
    with pytest.raises(NotFittedError):
        make_tabular_pipeline(MMoERegressor()).save(path)
    assert not path.exists()


def test_other_models_have_no_files():
    assert not hasattr(make_tabular_pipeline(Ridge()), "save")


@pytest.mark.parametrize("name", ["memory", "columns__numbers__memory"])
def test_a_cache_is_no_part_of_a_file(name, path, tmp_path):
    """joblib opens pickles there, so that a file from a stranger would lead to code."""
    model = fitted_pipeline().set_params(**{name: str(tmp_path)})
    with pytest.raises(ValueError, match=rf"{name} names a cache.*: set_params\({name}=None\) first"):
        model.save(path)
    assert not path.exists()


class Doubled(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_ = 2
        return self

    def transform(self, X):
        return X * self.n_


@pytest.mark.parametrize(
    ("step", "names"),
    [(Doubled(), "Doubled"), (FunctionTransformer(np.array), "numpy"), (FunctionTransformer(lambda X: X), "lambda|<")],
    ids=["a class", "a function", "a lambda"],
)
def test_a_step_that_is_code_is_refused_by_name_and_leaves_the_file(step, names, path):
    X, y = make_features(), make_targets("regressor")
    model = TabularPipeline([("own", step), ("model", MMoERegressor(**SMALL))]).fit(X, y)
    path.write_text("what stood here")
    with pytest.raises(ValueError, match=rf"save cannot write 'own': .*({names}).*joblib"):
        model.save(path)
    assert path.read_text() == "what stood here"


class OwnPipeline(TabularPipeline):
    pass


def test_a_pipeline_of_a_class_of_ones_own_is_refused(path):
    X, y = make_features(), make_targets("regressor")
    model = OwnPipeline([("model", MMoERegressor(**SMALL))]).fit(X, y)
    with pytest.raises(ValueError, match=r"save cannot write 'OwnPipeline': it holds \['.*OwnPipeline'\]"):
        model.save(path)


# --------------------------------------------------------------------------------------------------------------------
# Files that were made on purpose


def with_steps(path, change):
    """Write a file whose model is sound and whose steps are changed, with the checksum that it then has."""
    fitted_pipeline().save(path)
    document, arrays = read_model_file(path)
    arrays[_STEPS] = np.frombuffer(change(arrays[_STEPS].tobytes()), dtype=np.uint8)
    write_model_file(path, document, arrays)


def compressed(data):
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return packed.getvalue()


def without_schema(data):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("other.json", "{}")
    return packed.getvalue()


def dumped(value):
    return lambda data: skops.io.dumps(value)


@pytest.mark.parametrize(
    "change",
    [
        compressed,
        without_schema,
        lambda data: data[:-100],
        lambda data: b"",
        lambda data: b"PK" + data[:50],
        dumped([1, 2]),
        dumped(StandardScaler()),
        dumped(Pipeline([("scale", StandardScaler())])),
        dumped(TabularPipeline([("model", "passthrough")], memory="/tmp")),
        dumped(TabularPipeline([("own", FunctionTransformer(np.array)), ("model", "passthrough")])),
        dumped(TabularPipeline([("own", Doubled()), ("model", "passthrough")])),
    ],
    ids=[
        *("compressed", "without schema", "cut off", "empty", "no archive", "a list", "a scaler", "a whole pipeline"),
        *("a cache", "a function", "a class"),
    ],
)
def test_steps_that_save_does_not_write_are_refused(change, path):
    with_steps(path, change)
    with pytest.raises(ValueError, match="of its preprocessing no pipeline can be made"):
        sklearn_mmoe.load(path)


def test_a_changed_file_is_found_by_its_checksum(path):
    fitted_pipeline().save(path)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK")
    data[place] += 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="has been altered"):
        sklearn_mmoe.load(path)
