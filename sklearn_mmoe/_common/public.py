"""Where what is public says that it is from."""

from typing import Any


def belong_to(module: str, *public: Any) -> None:
    """Let classes and functions name the module that users import them from, wherever their code stands.

    Pickles and files of skops hold that name: they open after the code has moved.
    """
    for own in public:
        own.__module__ = module
