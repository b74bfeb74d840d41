"""Packages that are no dependencies: imported where they are used, and named with their line of pip where they lack."""

from __future__ import annotations

from importlib.util import find_spec


def require(needed_by: str, *modules: str, extra: str | None = None, instead: str = "") -> None:
    """Refuse to go on without modules of other packages. They are looked for, not imported.

    Parameters
    ----------
    needed_by : str
        What cannot do without them, as the user called it: the subject of the message.
    *modules : str
    extra : str, default=None
        Extra of this package that brings them; None: each is a package to install under its own name.
    instead : str, default=""
        A sentence on what there is without them.

    Raises
    ------
    ImportError
        If one of them is not here.
    """
    lacking = sorted({module.partition(".")[0] for module in modules if not _is_here(module)})
    if lacking:
        *others, last = lacking
        listed = f"{', '.join(others)} and {last}" if others else last
        line = f'pip install "sklearn_mmoe[{extra}]"' if extra else f"pip install {' '.join(lacking)}"
        raise ImportError(f"{needed_by} needs {listed}: {line}.{instead and ' '}{instead}", name=last)


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would be in is not
        return False
