"""Every page links to what it is made of: a page of text, an example, or the code that a page of the API documents."""

import ast
import inspect
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]


def place_of(documented):
    """The file and line where a class or function is; a class says that it is of the module that is public."""
    if not inspect.isclass(documented):
        return Path(inspect.getsourcefile(documented)), inspect.getsourcelines(documented)[1]
    files = sorted(Path(sys.modules["sklearn_mmoe"].__file__).parent.rglob("*.py"))
    for file in files:
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name == documented.__name__:
                return file, node.lineno
    raise ValueError(f"{documented} is in none of the files of the package.")


def source_of(page):
    """The file behind a page, from the root of the repository, if there is one."""
    folder, _, name = page.partition("/")
    if folder == "auto_examples":
        return "examples/GALLERY_HEADER.rst" if name == "index" else f"examples/{name}.py"
    if folder == "api" and name != "index":
        module, _, own = name.rpartition(".")
        documented = getattr(import_module(module), own)
        file, line = place_of(documented)
        return f"{file.relative_to(ROOT).as_posix()}#L{line}"
    files = [ROOT / "docs" / f"{page}{suffix}" for suffix in (".md", ".rst")]
    return next((file.relative_to(ROOT).as_posix() for file in files if file.exists()), None)


def add_link(app, page, template, context, doctree):
    if doctree is not None and (source := source_of(page)):
        context["source_of_page"] = f"{app.config.html_context['repository']}/blob/main/{source}"


def setup(app):
    app.connect("html-page-context", add_link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
