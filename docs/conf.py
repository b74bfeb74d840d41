"""How Sphinx builds the site; everything it needs is on this machine, nothing is fetched."""

import os
import re

import sklearn_mmoe

os.environ["OMP_NUM_THREADS"] = "1"  # examples are small; two of them run at once

project = "sklearn_mmoe"
author = "the sklearn_mmoe developers"
copyright = f"2026, {author}"
version = release = sklearn_mmoe.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["_build", "api/backreferences", "**/GALLERY_HEADER.rst", "sg_execution_times.rst"]
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
    "abort_on_example_error": True,
    "parallel": 2,
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_mmoe"
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 8,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {
    "getting_started": [],
    "theory": [],
    "faq": [],
    "design": [],
    "changelog": [],
}


PAGES = {
    r"(README|benchmarks/README|benchmarks/results/accuracy)\.md": "benchmarks.md",
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
