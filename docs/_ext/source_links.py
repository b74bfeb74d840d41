"""Every page links to what it is made of: a page of text, an example, or the code that a page of the API documents."""

import inspect
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]


def source_of(page):
    """The file behind a page, from the root of the repository, if there is one."""
    folder, _, name = page.partition("/")
    if folder == "auto_examples":
        return "examples/GALLERY_HEADER.rst" if name == "index" else f"examples/{name}.py"
    if folder == "api" and name != "index":
        module, _, own = name.rpartition(".")
        documented = getattr(import_module(module), own)
        file = Path(inspect.getsourcefile(documented)).relative_to(ROOT)
        return f"{file.as_posix()}#L{inspect.getsourcelines(documented)[1]}"
    files = [ROOT / "docs" / f"{page}{suffix}" for suffix in (".md", ".rst")]
    return next((file.relative_to(ROOT).as_posix() for file in files if file.exists()), None)


def add_link(app, page, template, context, doctree):
    if doctree is not None and (source := source_of(page)):
        context["source_of_page"] = f"{app.config.html_context['repository']}/blob/main/{source}"


def setup(app):
    app.connect("html-page-context", add_link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
