"""How Sphinx builds the site; everything it needs is on this machine, nothing is fetched."""

import hashlib
import os
import re
import sys
from pathlib import Path

import sklearn_mmoe

os.environ["OMP_NUM_THREADS"] = "1"  # examples and pages are small; two of them run at once
os.environ["DASK_LOGGING__DISTRIBUTED"] = (
    "error"  # workers that take their time to end are warned of
)
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sklearn_mmoe"
author = "the sklearn_mmoe developers"
copyright = f"2026, {author}"
version = release = sklearn_mmoe.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "run_pages",
    "source_links",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
]
exclude_patterns = [
    "_build",
    "_ext",
    "auto_examples/*.ipynb",
    "api/backreferences",
    "**/GALLERY_HEADER.rst",
]
exclude_patterns += ["sg_execution_times.rst"]
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["site.css"]

# A cross-reference to this package that leads nowhere is an error; the inventories of other projects are not fetched.
default_role = "literal"
smartquotes = False  # they would turn "relu" into words
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!sklearn_mmoe).*")]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Pages run, each in a process of its own; what they gave is kept until their code or the package changes.
nb_execution_mode = "cache"
nb_execution_in_temp = True  # some write a file
nb_execution_raise_on_error = True
nb_execution_timeout = 60
nb_output_stderr = "error"  # a warning that a reader would see is one of the build
os.environ["PYTHONWARNINGS"] = "ignore:max_epochs="  # fits of pages are short on purpose
nb_merge_streams = True
nb_ipywidgets_js = {}  # they would be fetched


def package_hash():
    """What the package is, for an outcome that was kept to be known as old."""
    files = sorted(Path(sklearn_mmoe.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


nb_execution_cache_path = str(Path(__file__).parent / "_build" / "executed" / package_hash())

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc sections say more
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the template of a class lists them
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": r"^(?!plot_).*\.py$",  # the others print; they are read on their own
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("sklearn_mmoe",),
    "backreferences_dir": "api/backreferences",
    "reference_url": {"sklearn_mmoe": None},
    "show_signature": False,
    "min_reported_time": 0,  # each says how long it takes
    "abort_on_example_error": True,
    "parallel": 2,
}

copybutton_selector = ", ".join(  # what was printed is not copied
    f"div.{block} pre"
    for block in ("cell_input", "highlight-python", "highlight-default", "highlight-console")
)
copybutton_exclude = ".linenos, .gp, .go"  # nor are prompts

REPOSITORY = "https://github.com/sklearn-mmoe/sklearn-mmoe"
html_theme = "pydata_sphinx_theme"
html_title = "sklearn_mmoe"
html_show_sourcelink = False
html_search_scorer = str(Path(__file__).parent / "_ext" / "scorer.js")
html_context = {"repository": REPOSITORY}
html_theme_options = {
    "logo": {"text": f"sklearn_mmoe {version}"},
    "switcher": {
        "json_url": "_static/switcher.json",
        "version_match": os.environ.get("READTHEDOCS_VERSION", "latest"),
    },
    "check_switcher": False,  # it would be fetched
    "icon_links": [{"name": "Source", "url": REPOSITORY, "icon": "fa-brands fa-github"}],
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
    "header_links_before_dropdown": 6,
    # Examples are as wide as files of code are, and short enough to be read without a list of their parts.
    "secondary_sidebar_items": {
        pages: ["page-toc", "source-of-page"] for pages in ("[!a]**", "api/**")
    },
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
PAGES_ALONE = [
    "getting_started",
    "theory",
    "faq",
    "reliability",
    "design",
    "features",
    "benchmarks",
    "changelog",
]
html_sidebars = {page: [] for page in [*PAGES_ALONE, "search", "genindex"]}


PAGES = {
    r"(README|benchmarks/README|benchmarks/results/accuracy-5000-rows)\.md": "benchmarks.md",
    r"CHANGELOG\.md": "changelog.md",
    r"examples/(plot_\w+)\.py": r"auto_examples/\2.rst",
}


def link_to_pages_of_the_site(app, name, source):
    """Pages link to files of the repository, for its readers; here these are pages of the site."""
    up = "../" * name.count("/")
    for file, page in PAGES.items():
        source[0] = re.sub(rf"\]\({up}(\.\./){file}", rf"]({up}{page}", source[0])


def setup(app):
    app.connect("source-read", link_to_pages_of_the_site)
    app.extensions[
        "sphinx-mathjax-offline"
    ].parallel_read_safe = True  # all it does is to copy files in the end
