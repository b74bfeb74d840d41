"""Model cards: what the model tells of itself stands in them, and nothing that it cannot know."""

import sys
from itertools import dropwhile, takewhile

import numpy as np
import pandas as pd
import pytest
from helpers import (
    TWO_FOLDS,
    all_three,
    fitted,
    make_features,
    make_model,
    make_targets,
    make_weights,
    task_name,
)
from markdown_it import MarkdownIt
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.card import Card

import sklearn_mmoe
from sklearn_mmoe import model_card
from sklearn_mmoe.metrics import task_scores

EVALUATION = "Model description/Evaluation Results"


def table_of(card):
    """The scores in a card, as a frame of strings."""
    lines = [line for line in card.select(EVALUATION).format().splitlines() if line.startswith("|")]
    header, _, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    return pd.DataFrame(rows, columns=header).set_index("task")


@all_three
def test_it_describes_the_model(name):
    model = fitted(name)
    card = model_card(model)
    assert isinstance(card, Card)
    assert card.get_model() is model
    said = card.select("Model description").content
    assert said.startswith(
        f"A multi-gate mixture-of-experts network for {model.n_outputs_} tasks, {type(model).__name__}"
    )
    assert sklearn_mmoe.__version__ in said
    assert f"```text\n{model.describe()}\n```" in said


def test_it_lists_the_parameters():
    text = model_card(fitted("regressor", learning_rate=0.0123)).render()
    for name, value in {"learning_rate": "0.0123", "n_experts": "2", "expert_layer_sizes": "(8,)"}.items():
        assert [line for line in text.splitlines() if line.startswith("|") and name in line and value in line]


@all_three
def test_it_has_a_table_of_scores_where_there_is_data(name):
    model, X, y = fitted(name), make_features(), make_targets(name)
    card = model_card(model, X, y)
    scores, table = task_scores(model, X, y), table_of(card)
    assert card.select(EVALUATION).format().startswith("On 60 rows, task by task:\n\n")
    assert table.index.tolist() == [task_name(name, t) for t in range(model.n_outputs_)]
    shown = 0
    for task, own in scores.items():
        for metric, value in own.items():
            if not np.isnan(value):
                assert table.loc[task, metric] == f"{value:.4g}"
                shown += 1
    assert shown == (table != "").to_numpy().sum()
    assert (table != "").any().all(), "no column is empty"


def test_scores_may_be_weighted():
    model, X, y = fitted("regressor"), make_features(), make_targets("regressor")
    table = table_of(model_card(model, X, y, sample_weight=make_weights()))
    expected = task_scores(model, X, y, make_weights())["y0"]["r2"]
    assert table.loc["y0", "r2"] == f"{expected:.4g}" != table_of(model_card(model, X, y)).loc["y0", "r2"]


def test_without_data_the_scores_are_left_to_the_author():
    assert "More Information Needed" in model_card(fitted("regressor")).select(EVALUATION).content


def test_headings_stand_once_and_are_those_of_the_template():
    text = model_card(fitted("multitask"), make_features(), make_targets("multitask")).render()
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[0] == "# Model description"
    assert "## Evaluation Results" in headings
    assert "### Hyperparameters" in headings
    assert "### Model Plot" not in headings  # it would be a page of HTML, which no README shows
    assert len(headings) == len(set(headings))


@pytest.mark.parametrize("wrap", ["pipeline", "search"])
@all_three
def test_a_model_inside_others_is_described_and_scored_through_them(name, wrap):
    X, y = 10 * make_features(), make_targets(name)
    model = pipeline = make_pipeline(StandardScaler(), make_model(name))
    if wrap == "search":
        grid = {f"{pipeline.steps[-1][0]}__n_experts": [2]}
        model = GridSearchCV(pipeline, grid, cv=TWO_FOLDS, scoring=lambda *_: 0.0)
    model.fit(X, y)
    inner = model.best_estimator_[-1] if wrap == "search" else pipeline[-1]
    card = model_card(model, X, y)
    assert inner.describe() in card.select("Model description").content
    scores = task_scores(model, X, y)[task_name(name, 0)]
    metric = "r2" if name == "regressor" else "accuracy"
    assert table_of(card).loc[task_name(name, 0), metric] == f"{scores[metric]:.4g}"
    assert "n_experts" in card.render()


NAMES_WITH_SIGNS = [
    *["a|b", "| --- |", "line\nbreak", "ü\t", "\\", "\\|", "a\\*b", "`", "```", "`````\n# A heading", "# heading"],
    *["*bold*", "_so_", "a_b", "__init__", "~~gone~~", "$x^2$", "[here](javascript:alert(1))", "[a][b]", "![](x.png)"],
    *["<script>alert(1)</script>", "<!-- hidden", "</details>", "&lt;", "a & b", "<https://example.org>"],
]


def rendered(card):
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(card.render())


def shown(card, section):
    """The cells of a section's table as a reader of the card sees them: text, and nothing else."""
    after = dropwhile(lambda token: token.content != section, rendered(card))
    in_table = takewhile(lambda token: token.type != "tbody_close", dropwhile(lambda t: t.type != "tbody_open", after))
    cells = [token.children for token in in_table if token.type == "inline"]
    assert {part.type for parts in cells for part in parts} == {"text"}
    return ["".join(part.content for part in parts) for parts in cells]


def test_signs_in_names_of_tasks_and_features_are_shown_as_they_are():
    n = len(NAMES_WITH_SIGNS)
    X, y = np.random.default_rng(0).normal(size=(2, 20, n))
    X, y = (pd.DataFrame(table, columns=NAMES_WITH_SIGNS) for table in (X, y))
    tasks = dict.fromkeys(NAMES_WITH_SIGNS, "regression")
    card = model_card(make_model("multitask", tasks=tasks, max_epochs=1).fit(X, y), X, y)
    one_line = [" ".join(name.split()) for name in NAMES_WITH_SIGNS]
    n_columns = len(table_of(card).columns) + 1
    assert shown(card, "Evaluation Results")[::n_columns] == one_line
    parameters = shown(card, "Hyperparameters")
    assert dict(zip(parameters[::2], parameters[1::2], strict=True))["tasks"] == str(tasks)
    plain = rendered(model_card(fitted("multitask"), make_features(), make_targets("multitask")))
    for kind in ("heading_open", "html_block", "fence", "table_open"):
        assert sum(token.type == kind for token in rendered(card)) == sum(token.type == kind for token in plain)


def test_its_authors_go_on_with_it_and_save_it(tmp_path):
    card = model_card(fitted("regressor"), make_features(), make_targets("regressor"))
    card.add(**{"Model Card Authors": "Ada"})
    card.save(tmp_path / "README.md")
    text = (tmp_path / "README.md").read_text()
    assert "# Model Card Authors\n\nAda" in text
    assert "On 60 rows, task by task:" in text


# --------------------------------------------------------------------------------------------------------------------
# Errors


def test_other_estimators_are_refused():
    X, y = make_features(), make_targets("regressor")
    with pytest.raises(ValueError, match=r"describes the estimators of sklearn_mmoe, .*got Ridge.*skops\.card\.Card"):
        model_card(make_pipeline(StandardScaler(), Ridge()).fit(X, y))


@all_three
def test_a_model_that_is_not_fitted_is_refused(name):
    with pytest.raises(NotFittedError):
        model_card(make_model(name))


@pytest.mark.parametrize(("given", "lacking"), [("X", "y"), ("y", "X")])
def test_scores_need_both_X_and_y(given, lacking):
    with pytest.raises(ValueError, match=f"{given} is given but {lacking} is not: scores need both"):
        model_card(fitted("regressor"), **{given: make_features()})


def test_without_skops_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.card", None)
    with pytest.raises(ImportError, match=r'model_card needs skops: pip install "sklearn_mmoe\[save\]"\.'):
        model_card(fitted("regressor"))
