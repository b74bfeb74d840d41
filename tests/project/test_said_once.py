"""What several places document by one name stands there in the same words, and is taken in the same way.

Constructors are spelt out and docstrings are plain, as in scikit-learn, for all who read the source. So there are
copies, and here they are held equal. Where a name has more than one wording, or more than one default, it is counted.
"""

import ast
import inspect
import re
from collections import defaultdict
from itertools import combinations
from pkgutil import resolve_name
from typing import NamedTuple

import pytest
from numpydoc.docscrape import NumpyDocString
from public_names import DOCUMENTED


class Differs(NamedTuple):
    """How many wordings a name has, how many annotations with defaults, and why it is more than one."""

    wordings: int
    signatures: int
    why: str


MEANT = {
    "**params": Differs(2, 0, "of the steps, or of the model alone"),
    "X": Differs(9, 3, "which rows are asked for; a model card does without"),
    "activation": Differs(1, 2, "the module takes whatever makes one, the estimators what can be saved"),
    "ax": Differs(7, 1, "one Axes or several, and what a figure of its own is like"),
    "ax_": Differs(3, 0, "what is drawn there"),
    "axes_": Differs(3, 0, "what is drawn there"),
    "classes": Differs(3, 3, "of one task or of several, by place or by name; of labels or of columns"),
    "classes_": Differs(2, 0, "by place or by name"),
    "colorbar": Differs(2, 1, "that of gates has a mark"),
    "errorbar_kw": Differs(2, 1, "told where it is used, referred to elsewhere"),
    "estimator": Differs(4, 2, "which estimators can be asked: ours, or all; fitted, or not"),
    "focal_gamma": Differs(2, 1, "two losses, of which the first explains the exponent"),
    "gate_weights": Differs(3, 3, "weights, or whether to export them"),
    "group": Differs(2, 1, "only with X at hand can it name a column"),
    "groups": Differs(3, 2, "what belongs together in a fit or in many, or the panels of a display"),
    "include_values": Differs(2, 1, "percents, or numbers as they are"),
    "kind": Differs(3, 2, "kinds of picture, or of affinity"),
    "linear_part": Differs(2, 2, "`fit` finds one unless told otherwise; a module has none unless it is told"),
    "loss": Differs(2, 2, "of all tasks, or of one"),
    "n_experts": Differs(2, 2, "more for one network than for each of an ensemble"),
    "n_features": Differs(2, 2, "of a network, or of made-up data"),
    "n_levels": Differs(2, 1, "the module says what reads what"),
    "n_members": Differs(5, 2, "a module is one network unless it is told; what a member has of its own"),
    "n_task_experts": Differs(2, 1, "the module says what a gate goes over"),
    "numeric_embeddings": Differs(2, 2, "the estimators can choose by the number of features, and do"),
    "path": Differs(3, 2, "read, written, or optional"),
    "random_state": Differs(4, 2, "what is drawn; pictures are the same each time"),
    "sample_weight": Differs(3, 1, "`fit` says what weights mean"),
    "score_name": Differs(2, 1, "the whole label, or a part of it"),
    "scores": Differs(2, 2, "of one estimator by name, or of several as a table"),
    "subsample": Differs(2, 1, "points of a picture, or rows of a gradient"),
    "task_names": Differs(3, 2, "a class method can number the tasks; scores are drawn from top to bottom"),
    "task_weights": Differs(2, 2, "how tasks are weighed, or the weights that were in force"),
    "tasks": Differs(2, 2, "declarations, or names"),
    "verbose": Differs(2, 2, "scikit-learn's pipelines have their own"),
    "x": Differs(2, 2, "embeddings of numbers read no sparse rows, and what may be missing"),
    "y": Differs(8, 2, "what is asked of labels, and whether there have to be some"),
}

BLENDED = "linear_share_"  # of regressions only

DOCS = {place: NumpyDocString(inspect.getdoc(resolve_name(place))) for place in DOCUMENTED}


def taken(place):
    """The parameters of a class, function or method by name."""
    found = resolve_name(place)
    if inspect.isclass(found) and issubclass(found, BaseException):
        return {}
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(found).parameters.items()
    return {name: own for name, own in parameters if name not in ("self", "cls") and own.kind not in variadic}


def places_by_name(entries):
    """Of names with what is said of each in some place: what is said of a name, and in which places."""
    found = defaultdict(lambda: defaultdict(list))
    for place, name, said in entries:
        found[name][said].append(place)
    return {name: dict(ways) for name, ways in found.items() if sum(map(len, ways.values())) > 1}


WORDINGS = places_by_name(
    (place, name, (kind, " ".join(text)))
    for place, doc in DOCS.items()
    for name, kind, text in [*doc["Parameters"], *doc["Attributes"]]
)
SIGNATURES = places_by_name(
    (place, name, (str(own.annotation), repr(own.default)))
    for place in DOCUMENTED
    for name, own in taken(place).items()
)
REFERENCES = places_by_name(
    (place, " ".join(re.match(r"(.+?),.*?(\d{4})", reference, re.DOTALL).groups()), " ".join(reference.split()))
    for place, doc in DOCS.items()
    for reference in re.split(r"\.\. \[\d+\] ", "\n".join(doc["References"]))[1:]
)


def listed(ways):
    return "".join(f"\n{said}\n    {', '.join(places)}" for said, places in ways.items())


@pytest.mark.parametrize("name", sorted(WORDINGS))
def test_a_name_is_documented_in_the_same_words_wherever_it_stands(name):
    expected = MEANT[name].wordings if name in MEANT else 1
    assert len(WORDINGS[name]) == expected, listed(WORDINGS[name])


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_a_name_has_the_same_annotation_and_default_wherever_it_is_taken(name):
    expected = MEANT[name].signatures if name in MEANT else 1
    assert len(SIGNATURES[name]) == expected, listed(SIGNATURES[name])


@pytest.mark.parametrize("reference", sorted(REFERENCES))
def test_a_reference_is_the_same_wherever_it_is_cited(reference):
    assert len(REFERENCES[reference]) == 1, listed(REFERENCES[reference])


def test_no_difference_is_meant_that_is_not_there():
    assert sorted(MEANT) == sorted(
        {name for found in (WORDINGS, SIGNATURES) for name, ways in found.items() if len(ways) > 1}
    )


CONSTRUCTORS = [f"sklearn_mmoe.{name}" for name in ("MMoERegressor", "MMoEClassifier", "MMoEMultiTask", "nn.MMoE")]
METHODS = sorted({place.rpartition(".")[2] for place in DOCUMENTED if place.rpartition(".")[0] in DOCUMENTED})
ALIKE = {"constructors": CONSTRUCTORS} | {
    method: [place for place in DOCUMENTED if place.endswith(f".{method}")] for method in METHODS
}


@pytest.mark.parametrize("section", ["Parameters", "Attributes"])
@pytest.mark.parametrize("alike", [name for name, places in ALIKE.items() if len(places) > 1])
def test_what_two_have_in_common_stands_in_the_same_order(alike, section):
    for places in combinations(ALIKE[alike], 2):
        own, others = ([entry.name for entry in DOCS[place][section]] for place in places)
        assert [name for name in own if name in others] == [name for name in others if name in own], places


@pytest.mark.parametrize("method", ["", ".partial_fit", ".predict", ".predict_proba", ".score"])
def test_the_three_estimators_say_the_same_of_what_they_have_in_common(method):
    """Also where one of them says what another method says of its own."""
    places = {f"{constructor}{method}" for constructor in CONSTRUCTORS[:3]}
    own = {name: {said: where for said, where in ways.items() if places & {*where}} for name, ways in WORDINGS.items()}
    assert {name for name, ways in own.items() if len(ways) > 1} <= {"classes", "classes_"}


def test_the_three_estimators_document_the_same_attributes():
    regressor, *others = ([entry.name for entry in DOCS[place]["Attributes"]] for place in CONSTRUCTORS[:3])
    for own in others:
        assert [name for name in own if name != "classes_"] == [
            name for name in regressor if name in own or name != BLENDED
        ]


@pytest.mark.parametrize("place", [place for place in DOCUMENTED if taken(place)])
def test_the_default_that_is_documented_is_the_one_that_is_taken(place):
    kinds = {entry.name: entry.type for entry in DOCS[place]["Parameters"]}
    for name, own in taken(place).items():
        documented = re.search(r", default=(.+)$", kinds.get(name, ""))
        if name in kinds:
            assert bool(documented) == (own.default is not inspect.Parameter.empty), name
        if documented:
            assert ast.literal_eval(documented[1]) == own.default, name
