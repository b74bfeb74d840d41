"""Pages of plain Markdown as notebooks: their python blocks run while the site is built, and show what comes of them.

Blocks of ```python run, one after the other; those of ```py do not. What stands below a block as ```text is for those
who read the file: on the site, its place is taken by what the block prints, its last value and its pictures.
"""

import os
import re
from pathlib import Path

BLOCK_AND_OUTPUT = re.compile(
    r"^```python\n(.*?)^```\n(?:\n```text\n.*?^```\n)?", re.DOTALL | re.MULTILINE
)
FRONT_MATTER = re.compile(r"\A---\n(.*?)^---\n", re.DOTALL | re.MULTILINE)
NOTEBOOK = "file_format: mystnb\nkernelspec:\n  name: python3\n"
KERNEL = """
c.InlineBackend.figure_formats = {"retina"}
c.HistoryManager.enabled = False
c.IPKernelApp.log_level = "CRITICAL"  # it warns of connections to this machine
c.InteractiveShellApp.exec_lines = [
    "import warnings",  # of bars of others, which would be drawn by ipywidgets
    "warnings.filterwarnings('ignore', 'IProgress not found|install .ipywidgets.')",
]
"""
BARS_ARE_SHOWN = {"user_guide/progress"}  # elsewhere, what goes to stderr is an error


def as_notebook(page, options=""):
    """The page as MyST-NB reads it, if there is something to run."""
    cells, n_blocks = BLOCK_AND_OUTPUT.subn(r"```{code-cell} ipython3\n\1```\n", page)
    if not n_blocks:
        return page
    front = FRONT_MATTER.match(cells)
    own, text = (front[1], cells[front.end() :]) if front else ("", cells)
    return f"---\n{own}{NOTEBOOK}{options}---\n{text}"


def read_as_notebook(app, name, source):
    source[0] = as_notebook(
        source[0], "mystnb:\n  output_stderr: show\n" if name in BARS_ARE_SHOWN else ""
    )


def run_in_a_profile_of_its_own(app):
    """The same pictures for everyone, whatever their own IPython is told to do."""
    folder = Path(app.srcdir, "_build", "ipython")
    profile = folder / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(KERNEL)
    os.environ["IPYTHONDIR"] = str(folder)


def setup(app):
    app.connect("source-read", read_as_notebook)
    app.connect("builder-inited", run_in_a_profile_of_its_own)
    return {"parallel_read_safe": True}
