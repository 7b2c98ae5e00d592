"""Errors that cross from an actor to its clients as values, so that they arrive as what they are."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from nas_tune.errors import NasTuneError

T = TypeVar("T")
_LOGGER = logging.getLogger("nas_tune")


@dataclass(frozen=True)
class Failure:
    """An error instead of a result."""

    error: NasTuneError


Answer: TypeAlias = T | Failure


def answer(call: Callable[[], T]) -> T | Failure:
    """Return what a call returns, or the error it raises; a foreign error is told with the place it comes from.

    The whole traceback of a foreign error goes to the log.
    """
    try:
        return call()
    except NasTuneError as error:
        return Failure(_bare(error))
    except Exception as error:  # a user's network may raise anything
        _LOGGER.exception("A call to the shared super-net failed.")
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Failure(
            NasTuneError(
                f"The shared super-net failed with {type(error).__name__}: {error} "
                f"(in {last.name}, {last.filename}:{last.lineno}; the log of its actor has the rest)."
            )
        )


def _bare(error: NasTuneError) -> NasTuneError:
    return error.with_traceback(None)


def opened(answered: T | Failure) -> T:
    """Return the result.

    Raises:
        NasTuneError: The answer is a failure.
    """
    if isinstance(answered, Failure):
        raise answered.error
    return answered
