"""Where what is public says that it is from."""

from contextlib import suppress
from inspect import get_annotations
from typing import Any


def belong_to(module: str, *public: Any) -> None:
    """Let classes and functions name the module that users import them from, wherever their code stands.

    Pickles and files of skops hold that name: they open after the code has moved.
    """
    for own in public:
        if isinstance(own, type):
            with suppress(NameError):  # of what only type checkers import
                # As types, not words: whoever asks for hints would look the words up in the other module
                own.__annotations__ = get_annotations(own, eval_str=True)
        own.__module__ = module
