"""Marks of tests of what only newer versions of a library have."""

from importlib.metadata import version

import pytest
from packaging.version import Version


def needs(library, lowest):
    return pytest.mark.skipif(Version(version(library)) < Version(lowest), reason=f"needs {library} {lowest}")
