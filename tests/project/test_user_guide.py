"""The code of every page of the documentation runs as it stands, and links from page to page lead somewhere."""

import re
from contextlib import nullcontext
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from dask_workers import workers_that_fork
from versions import needs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GUIDE = sorted((DOCS / "user_guide").glob("*.md"))
PAGES = [*sorted(DOCS.glob("*.md")), *GUIDE]
TRIED_ELSEWHERE = {DOCS / "index.md", DOCS / "getting_started.md"}  # test_first_steps.py: as if just installed
WIDEST_LINE = 100  # of code: what fits between the two sidebars of the site where the window is 1,280 pixels wide
NEEDS = {"progress": needs("scikit-learn", "1.9")}  # callbacks
READ_ON_GITHUB = [DOCS / "getting_started.md", DOCS / "faq.md", *GUIDE]  # others include files and link what is built


def blocks_of(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def lines_too_wide(page):
    blocks = re.findall(r"^```(?:python|py|console|json)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M)
    return [line for block in blocks for line in block.splitlines() if len(line) > WIDEST_LINE]


def names_after_running(page):
    names = {}
    for block in blocks_of(page):
        exec(block, names)
    plt.close("all")
    return names


def heading_anchors(page):
    """The anchors that GitHub and myst-parser give to headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.relative_to(DOCS).with_suffix("").as_posix(), marks=NEEDS.get(page.stem, ()))
        for page in PAGES
        if page not in TRIED_ELSEWHERE
    ],
)
def test_the_blocks_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write a file
    assert blocks_of(page) or page.stem == "index" or page not in GUIDE
    with workers_that_fork() if page.stem == "clusters" else nullcontext():
        names_after_running(page)


def test_no_line_of_code_is_cut_off_on_the_site():
    assert {page.stem: wide for page in PAGES if (wide := lines_too_wide(page))} == {}


def test_links_lead_to_files_and_headings_that_are_there():
    broken = []
    for page in READ_ON_GITHUB:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            if not target.exists() or (anchor and anchor not in heading_anchors(target)):
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert not broken


def test_the_index_lists_every_page_once():
    index = (DOCS / "user_guide" / "index.md").read_text(encoding="utf-8")
    pages = {page.stem for page in GUIDE} - {"index"}
    in_text = re.findall(r"^- \[.+?\]\((\w+)\.md\)", index, re.MULTILINE)
    in_trees = [name for tree in re.findall(r"```{toctree}\n(.*?)```", index, re.DOTALL) for name in tree.split()]
    assert in_text == [name for name in in_trees if name in in_text]
    assert len(in_text) == len(set(in_text))
    assert pages <= set(in_text)


def test_the_page_on_transfer_says_what_its_code_finds():
    names = names_after_running(DOCS / "user_guide" / "transfer.md")
    assert (names["same"]["gain"] > 0.05).all()
    assert names["unrelated"]["gain"].min() < -0.3
    assert (names["opposing"]["gain"] > -0.05).all()


def test_the_page_on_looking_inside_shows_what_its_code_prints(capsys):
    page = next(page for page in PAGES if page.stem == "looking_inside").read_text()
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], {})
    printed = capsys.readouterr().out.splitlines()
    machine = ("device", "best epoch", "seconds")  # what is not the same everywhere
    shown = re.search(r"```text\n(.*?)```", page, re.DOTALL)[1].splitlines()
    assert len(printed) == len(shown)
    for own, line in zip(shown, printed, strict=True):
        assert own == line or (own.startswith(machine) and line.startswith(machine))
