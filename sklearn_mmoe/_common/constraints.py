"""Parameters checked against what is allowed: scikit-learn's way, in words of readable length, whatever is passed."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import InvalidParameterError, validate_parameter_constraints

from sklearn_mmoe._common.words import shown


def check_parameters(caller: str, constraints: Mapping[str, list[Any]], values: Mapping[str, Any]) -> None:
    """Check values by scikit-learn's constraints.

    Parameters
    ----------
    caller : str
        Whose parameters they are.
    constraints : mapping of name to list
        As scikit-learn's `validate_parameter_constraints` takes them; names without one are not checked.
    values : mapping of name to object

    Raises
    ------
    InvalidParameterError
        It is a ValueError and a TypeError.
    """
    for name in [name for name in constraints if name in values]:
        try:
            _refuse_half_numbers(values[name], constraints[name])
            validate_parameter_constraints({name: constraints[name]}, {name: values[name]}, caller_name=caller)
        except InvalidParameterError as error:
            raise InvalidParameterError(_with_short_value(str(error), values[name])) from None
        except (ArithmeticError, TypeError) as error:
            raise InvalidParameterError(
                f"The {name!r} parameter of {caller} must be a number of Python or NumPy that a float can hold, got "
                f"{shown(values[name])} instead."
            ) from error


def _with_short_value(text: str, value: Any) -> str:
    return text.replace(f"Got {value!r} instead.", f"Got {shown(value)} instead.")


def _refuse_half_numbers(value: Any, allowed: list[Any]) -> None:
    """What NumPy's timedelta64 (an integer by its class) and 10**400 fail at only later."""
    if isinstance(value, np.timedelta64):
        raise TypeError("a timedelta64 is no number")
    if isinstance(value, int) and any(getattr(constraint, "type", None) is Real for constraint in allowed):
        float(value)
