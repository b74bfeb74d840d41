"""Values in the words of errors: short, whatever they are."""

from __future__ import annotations

import reprlib
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxlong = 3, 60
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = 10
_SHORT.maxstring = _SHORT.maxother = 200


def shown(value: Any) -> str:
    """How an error shows a value: as `repr` does, a long one without its middle."""
    return _SHORT.repr(value)
