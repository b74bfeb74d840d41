"""What only newer versions of a library have: a question, and a mark of tests."""

from importlib.metadata import version

import pytest
from packaging.version import Version


def has(library, lowest):
    return Version(version(library)) >= Version(lowest)


def needs(library, lowest):
    return pytest.mark.skipif(not has(library, lowest), reason=f"needs {library} {lowest}")


# Before, the end of a process group was seen to wait for ever: fits that would make one are refused
needs_ranks = needs("torch", "2.13")
