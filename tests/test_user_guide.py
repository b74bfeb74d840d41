"""The code of every page of the user guide runs as it stands."""

import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[1] / "docs" / "user_guide").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_one_after_the_other(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks
    names = {}
    for block in blocks:
        exec(block, names)


def test_the_page_on_transfer_says_what_its_code_finds():
    page = next(page for page in PAGES if page.stem == "transfer")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        exec(block, names)
    assert (names["same"]["gain"] > 0.05).all()
    assert names["unrelated"]["gain"].min() < -0.3
    assert (names["opposing"]["gain"] > -0.05).all()


def test_the_page_on_looking_inside_shows_what_its_code_prints(capsys):
    page = next(page for page in PAGES if page.stem == "looking_inside").read_text()
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], {})
    printed = capsys.readouterr().out.splitlines()
    machine = ("device", "best epoch", "seconds")  # what is not the same everywhere
    excerpt = re.search(r"\n(    .+\n(?:    .*\n|\n)*)", page)[1]
    shown = [line.removeprefix("    ") for line in excerpt.strip("\n").splitlines()]
    assert len(printed) == len(shown)
    for own, line in zip(shown, printed, strict=True):
        assert own == line or (own.startswith(machine) and line.startswith(machine))
