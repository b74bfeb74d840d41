"""The HTML of a fitted model, alone and inside others: its structure, not its pixels."""

import re
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from helpers import TWO_FOLDS, all_three, by_pickle, fitted, make_features, make_model, make_targets
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from versions import needs

from sklearn_mmoe import MMoERegressor
from sklearn_mmoe._estimators import html as _html

SVG = "{http://www.w3.org/2000/svg}"
BASE = "https://docs.example/en/stable"
in_notebooks = needs("scikit-learn", "1.9")  # which asks estimators what they have to show
EVIL = "<script>alert('&')</script>"


class Balanced(HTMLParser):
    """Checks that every tag that is opened is closed, and in order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def own_part(html):
    """What this package adds."""
    start = html.index('<div class="estimator-table mmoe-shape">')
    return html[start : html.index("</div>", start) + len("</div>")]


def table_of(html):
    rows = re.findall(r"<tr.*?</tr>", own_part(html))
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def drawing_of(html):
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", html, re.DOTALL).group())


def texts_of(svg):
    return ["".join(own for own in text.itertext()) for text in svg.iter(f"{SVG}text")]


def on_names(names, **parameters):
    X = make_features()
    y = X @ np.random.default_rng(0).normal(size=(4, len(names)))
    return make_model("regressor", **parameters).fit(X, pd.DataFrame(y, columns=names))


@in_notebooks
@all_three
def test_tasks_and_network_are_shown_after_fit(name):
    assert "mmoe-shape" not in make_model(name)._repr_html_()
    model = fitted(name)
    html = model._repr_html_()
    header, *rows = table_of(html)
    assert header == ["task", "kind", "outputs", "labels", "missing", "loss", "weight"]
    assert [row[0] for row in rows] == model.task_names_
    assert [row[3:5] for row in rows] == [["60", "0"]] * len(rows)
    assert html.count("<svg") == 1
    assert (
        html.index("Parameters</summary>") < html.index("Tasks</summary>") < html.index("Fitted attributes</summary>")
    )
    assert "mmoe-shape" in by_pickle(model)._repr_html_()
    assert "mmoe-shape" in model._repr_mimebundle_()["text/html"]


@in_notebooks
@all_three
def test_html_is_well_formed_and_takes_nothing_from_elsewhere(name):
    part = own_part(fitted(name)._repr_html_())
    parser = Balanced()
    parser.feed(part)
    assert parser.open == []
    links = set(re.findall(r"https?://[^\s\"']+", part))
    assert links == {"http://www.w3.org/2000/svg"}, "the name of the language of the drawing"
    assert not re.search(r"<script|<link|<img|url\(|@import|\bid=", part)


@in_notebooks
def test_names_are_escaped():
    html = on_names([EVIL, '"quoted"'])._repr_html_()
    part = own_part(html)
    assert "<script" not in part
    assert table_of(html)[1][0] == "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;"
    assert any(EVIL in text for text in texts_of(drawing_of(html)))


@in_notebooks
def test_classes_are_escaped():
    labels = np.where(make_features()[:, 0] > 0, "<b>yes</b>", "<b>no</b>")
    html = make_model("classifier").fit(make_features(), labels)._repr_html_()
    assert "<b>yes" not in html.partition("<style>")[2]


@in_notebooks
@pytest.mark.parametrize("gating", ["per_task", "shared"])
@pytest.mark.parametrize("n_members", [1, 2, 9])
def test_drawing_shows_members_experts_gates_and_towers(gating, n_members):
    model = on_names(["a", "b", "c"], n_experts=4, n_members=n_members, gating=gating, max_epochs=1)
    svg = drawing_of(model._repr_html_())
    sheets = svg.findall(f"{SVG}rect[@class='member']")
    assert len(sheets) == {1: 0, 2: 2, 9: 4}[n_members]
    n_gates = 3 if gating == "per_task" else 1
    assert len(svg.findall(f"{SVG}circle")) == n_gates
    assert len(svg.findall(f"{SVG}rect")) - len(sheets) == 1 + 4 + 3, "features, experts, towers"
    # features to each expert, each expert to each gate, gates to towers, towers to tasks, features to the gates
    assert len(svg.findall(f"{SVG}path")) == 4 + 4 * n_gates + 3 + 3 + 1
    texts = texts_of(svg)
    assert {"4 features", "4 experts", f"{n_gates} gate{'s' * (n_gates > 1)}", "3 towers", "3 tasks"} <= set(texts)
    assert (f"one of {n_members} members" in texts) == (n_members > 1)


@in_notebooks
def test_drawing_names_tasks_with_the_widths_of_their_outputs():
    texts = texts_of(drawing_of(fitted("classifier")._repr_html_()))
    assert texts[-2:] == ["y0  1 outputy0", "y1  3 outputsy1"], "the whole name is the tooltip"


@in_notebooks
@pytest.mark.parametrize(("n_tasks", "more"), [(2, None), (12, None), (13, 1), (30, 18)])
def test_at_most_a_dozen_tasks_are_drawn(n_tasks, more):
    html = on_names([f"task {t}" for t in range(n_tasks)], n_experts=9)._repr_html_()
    svg = drawing_of(html)
    texts = texts_of(svg)
    assert len(svg.findall(f"{SVG}circle")) == min(n_tasks, 12)
    assert sum(text.startswith("task ") for text in texts) == min(n_tasks, 12)
    assert [text for text in texts if text.endswith(" more")] == ["… 3 more"] + ([f"… {more} more"] if more else [])
    assert len(table_of(html)) == n_tasks + 1, "the table has them all"


@in_notebooks
def test_everything_drawn_lies_within_the_drawing():
    names = [f"share_of_customers_who_came_back_within_{t}_days_of_their_visit" for t in range(30)]
    svg = drawing_of(on_names(names)._repr_html_())
    width, height = (float(svg.get(key)) for key in ("width", "height"))
    for text in svg.iter(f"{SVG}text"):
        name = (text.text or "") + "".join(part.text for part in text.findall(f"{SVG}tspan"))
        half = text.get("class", "").startswith("middle")
        assert float(text.get("x")) + 7 * len(name) / (2 if half else 1) <= width
        assert 0 <= float(text.get("y")) <= height
    for box in svg.iter(f"{SVG}rect"):
        assert 0 <= float(box.get("y")) <= float(box.get("y")) + float(box.get("height")) <= height
    assert width < 900, "names are cut"


# --------------------------------------------------------------------------------------------------------------------
# Inside others


@in_notebooks
@all_three
def test_a_fitted_pipeline_and_a_fitted_search_show_the_tasks_too(name):
    X, y = make_features(), make_targets(name)
    pipeline = make_pipeline(StandardScaler(), make_model(name))
    assert "mmoe-shape" not in pipeline._repr_html_()
    assert len(table_of(pipeline.fit(X, y)._repr_html_())) == y.shape[1] + 1
    search = GridSearchCV(pipeline, {f"{pipeline.steps[-1][0]}__n_experts": [1, 2]}, cv=TWO_FOLDS)
    assert "mmoe-shape" not in search._repr_html_()
    assert len(table_of(search.fit(X, y)._repr_html_())) == y.shape[1] + 1


@in_notebooks
def test_an_unfitted_estimator_in_a_fitted_one_is_shown_without_tasks():
    search = MultiOutputRegressor(make_model("regressor")).fit(make_features(), make_targets("regressor"))
    html = search._repr_html_()
    assert "MMoERegressor" in html
    assert "mmoe-shape" not in html


# --------------------------------------------------------------------------------------------------------------------
# Links


class Metadata(dict):
    def get_all(self, name):
        return self.get(name)


@pytest.fixture
def urls(monkeypatch):
    """Makes the installed package name these addresses."""

    def name(urls):
        monkeypatch.setattr(_html, "metadata", lambda package: Metadata({"Project-URL": urls}))

    _html.documentation_page.cache_clear()
    yield name
    _html.documentation_page.cache_clear()


@in_notebooks
@all_three
def test_links_lead_to_the_page_of_the_estimator(name, urls):
    urls(["Source, https://code.example", f"Documentation, {BASE}"])
    model = make_model(name)
    page = f"{BASE}/api/sklearn_mmoe.{type(model).__name__}.html"
    assert model._get_doc_link() == page
    assert f'href="{page}"' in model._repr_html_()
    assert f'href="{page}#:~:text=n_experts' in model._repr_html_()


@pytest.mark.parametrize("found", [None, [], ["Source, https://code.example"]])
def test_without_an_address_there_is_no_link(urls, found):
    urls(found)
    assert MMoERegressor()._get_doc_link() == ""
    assert "href=" not in MMoERegressor()._repr_html_()


def test_a_package_that_is_not_installed_has_no_link(urls, monkeypatch):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(_html, "metadata", missing)
    assert MMoERegressor()._get_doc_link() == ""
