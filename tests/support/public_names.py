"""All that is public and has a docstring: classes, functions, and the methods that this package defines."""

import importlib
import inspect
from pkgutil import resolve_name

MODULES = [
    *["sklearn_mmoe", "sklearn_mmoe.tasks", "sklearn_mmoe.metrics", "sklearn_mmoe.nn", "sklearn_mmoe.plot"],
    *["sklearn_mmoe.datasets", "sklearn_mmoe.exceptions", "sklearn_mmoe.export"],
]


def public_names():
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            if callable(getattr(importlib.import_module(module), name)):
                yield f"{module}.{name}"


def own_methods(name):
    """The public methods that this package defines; declarations of tasks are for users to write, not to call."""
    cls = resolve_name(name)
    if not inspect.isclass(cls) or name.startswith("sklearn_mmoe.tasks."):
        return
    for method in dir(cls):
        function = inspect.unwrap(getattr(cls, method)) if callable(getattr(cls, method, None)) else None
        if not method.startswith("_") and (getattr(function, "__module__", None) or "").startswith("sklearn_mmoe"):
            yield f"{name}.{method}"


PUBLIC = list(public_names())
DOCUMENTED = [*PUBLIC, *(method for name in PUBLIC for method in own_methods(name))]
