"""The README is the page of the package index, too: its links are whole, and what they lead to is there."""

import re
import tomllib

import pytest
from strangers import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
LINKS = sorted({*re.findall(r"\]\(([^)\s]+)\)", README), *URLS.values()})
SITE, SOURCE = "https://sklearn-mmoe.readthedocs.io/en/stable", "https://github.com/sklearn-mmoe/sklearn-mmoe"
RAW = "https://raw.githubusercontent.com/sklearn-mmoe/sklearn-mmoe/main/"
BUILT = {"auto_examples/index": ROOT / "examples" / "GALLERY_HEADER.rst"}  # pages that sphinx-gallery makes


def files_of(link):
    """Files of this repository, one of which a link into our own places leads to; None for links elsewhere."""
    link = link.partition("#")[0]
    if link.startswith(SITE):
        page = link.removeprefix(SITE).strip("/").removesuffix(".html") or "index"
        return [BUILT.get(page), *(ROOT / "docs" / f"{page}{ending}" for ending in (".md", ".rst"))]
    if link.startswith((SOURCE, RAW)):
        path = re.sub(r"^/?(blob/main/|tree/main/|issues$)?", "", link.removeprefix(SOURCE).removeprefix(RAW))
        return [ROOT / path]
    return None


def test_commands_are_targets_of_make():
    commands = re.findall(r"^ {4}make (\w+)", README, re.MULTILINE)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"demo", "test"} <= set(commands) <= set(targets)


def test_every_link_is_whole():
    assert LINKS
    assert [link for link in LINKS if not link.startswith("https://")] == []


@pytest.mark.parametrize("link", [link for link in LINKS if files_of(link)])
def test_links_into_our_own_places_lead_somewhere(link):
    assert [path for path in files_of(link) if path and path.exists()]


def test_the_addresses_of_the_project_are_those_of_its_metadata():
    ours = [link for link in LINKS if "sklearn-mmoe" in link]
    assert [link for link in ours if files_of(link) is None] == []
    assert (URLS["Documentation"], URLS["Source"]) == (SITE, SOURCE)
