"""Checks of the arguments of strategies."""

from __future__ import annotations

from nas_tune.errors import NasTuneError


def check_whole(owner: str, name: str, value: object, least: int = 1) -> None:
    """Check a whole number.

    Raises:
        NasTuneError: It is none, or below `least`; the message names `owner` and `name`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise NasTuneError(f"{owner}: `{name}` is {value!r}; give a whole number of at least {least}.")
