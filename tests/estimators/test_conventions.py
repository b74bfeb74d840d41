"""What scikit-learn asks of every estimator: parameters, clones, nothing before `fit`, representations."""

import pytest
from helpers import all_three, assert_same_model, make_features, make_model, make_targets
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mmoe import MMoEClassifier, MMoEMultiTask, MMoERegressor


@all_three
def test_clone_has_the_same_parameters_and_is_unfitted(name):
    model = make_model(name, learning_rate=0.01, net_params={"lr": 0.02})
    model.fit(make_features(), make_targets(name))
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not [attribute for attribute in vars(copy) if attribute not in copy.get_params()]
    with pytest.raises(NotFittedError):
        copy.predict(make_features())


@all_three
def test_clone_of_a_model_fits_to_the_same_model(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name).fit(X, y)
    assert_same_model(clone(model).fit(X, y), model)


@all_three
def test_fit_leaves_the_parameters_alone(name):
    model = make_model(name, task_weights=[1.0] * make_targets(name).shape[1], callbacks=[], net_params={})
    before = {key: (id(value), repr(value)) for key, value in model.get_params().items()}
    model.fit(make_features(), make_targets(name))
    assert {key: (id(value), repr(value)) for key, value in model.get_params().items()} == before


@all_three
def test_set_params_returns_the_estimator_and_changes_the_next_fit(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name).fit(X, y)
    assert model.set_params(n_experts=3, max_epochs=2) is model
    assert model.get_params()["n_experts"] == model.n_experts == 3
    model.fit(X, y)
    assert (model.n_iter_, model.gate_weights(X).shape[2]) == (2, 3)
    assert_same_model(make_model(name, n_experts=3, max_epochs=2).fit(X, y), model)


@all_three
def test_set_params_refuses_a_misspelt_name(name):
    with pytest.raises(ValueError, match="Invalid parameter 'n_expert'"):
        make_model(name).set_params(n_expert=3)


def test_set_params_reaches_into_a_pipeline():
    model = make_pipeline(StandardScaler(), make_model("regressor"))
    model.set_params(mmoeregressor__max_epochs=2).fit(make_features(), make_targets("regressor"))
    assert model[-1].n_iter_ == 2


@all_three
def test_all_three_have_the_same_parameters_in_the_same_order(name):
    own = {"regressor": ["loss", "linear_part"], "classifier": ["class_weight"], "multitask": ["tasks", "linear_part"]}
    shared = [key for key in make_model(name).__init__.__kwdefaults__ if key not in own[name]]
    assert shared == [key for key in MMoERegressor().__init__.__kwdefaults__ if key not in own["regressor"]]
    assert set(make_model(name).get_params()) == {*shared, *own[name]}


def test_kinds():
    assert is_regressor(MMoERegressor())
    assert is_classifier(MMoEClassifier())
    assert not is_regressor(MMoEMultiTask())
    assert not is_classifier(MMoEMultiTask())


# --------------------------------------------------------------------------------------------------------------------
# Before `fit`


@all_three
def test_every_answer_before_fit(name):
    X, y = make_features(), make_targets(name)
    model = make_model(name)
    questions = ["predict", "gate_weights"]
    questions += ["predict_proba"] if name != "regressor" else []
    questions += ["predict_frame"] if name == "multitask" else []
    for question in questions:
        with pytest.raises(NotFittedError, match=f"This {type(model).__name__} instance is not fitted yet"):
            getattr(model, question)(X)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.score(X, y)


@pytest.mark.parametrize(
    "attribute", ["module_", "classes_", "history_", "loss_curve_", "validation_scores_", "task_names_", "n_iter_"]
)
@all_three
def test_there_are_no_fitted_attributes_before_fit(name, attribute):
    assert not hasattr(make_model(name), attribute)


# --------------------------------------------------------------------------------------------------------------------
# Representations


@all_three
@pytest.mark.parametrize("fitted", [False, True])
def test_html_repr_names_the_estimator_and_its_parameters(name, fitted):
    model = make_model(name, n_experts=5)
    if fitted:
        model.fit(make_features(), make_targets(name))
    html = make_pipeline(StandardScaler(), model)._repr_html_()
    assert type(model).__name__ in html
    assert "n_experts" in html
    assert ("Fitted" if fitted else "Not fitted") in model._repr_html_()


@all_three
def test_repr_shows_what_is_not_default(name):
    assert "n_experts=5" in repr(make_model(name, n_experts=5))
    assert "dropout" not in repr(make_model(name))
