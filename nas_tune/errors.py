"""Every error that nas_tune raises on purpose; each also is the builtin error it refines."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NasTuneError(Exception):
    """Base of all errors raised by nas_tune."""


class SpaceError(NasTuneError, ValueError):
    """A search space, or a request to one, that cannot be."""


class ArchitectureError(SpaceError):
    """A value of an architecture is missing, foreign or impossible; names the path in the space."""


class InfeasibleError(SpaceError):
    """No architecture satisfies the constraints of a space, or none was found."""


class SizeError(SpaceError):
    """A size of a network is given in a form, or of a kind, that it cannot have."""


class TaskError(NasTuneError, ValueError):
    """A task cannot be built, or does not fit a network."""


class DivergedError(NasTuneError, ArithmeticError):
    """Training produced a loss that is not finite."""


class CheckpointError(NasTuneError, RuntimeError):
    """A checkpoint is damaged, missing or of another super-net."""


class StudyError(NasTuneError, ValueError):
    """A study cannot be opened, or holds trials of another search space."""


class SamplerError(NasTuneError, ValueError):
    """An argument of a sampler is out of its range."""


class PredictorError(NasTuneError, ValueError):
    """A predictor has an argument out of range, data that it cannot learn, or was asked before it learned."""


class LatencyError(NasTuneError, ValueError):
    """A latency cannot be measured, or a table of latencies cannot be read or does not fit."""


class MissingLatencyError(NasTuneError, LookupError):
    """What was never measured is asked for its latency."""


class MissingDataError(NasTuneError, FileNotFoundError):
    """A data set is not on this machine."""


class UnknownNameError(NasTuneError, LookupError):
    """A name that is not among the known ones."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Make the error for a name nobody knows: it names the nearest one and lists all.

    Args:
        kind: What the name should have been, for example ``"search space"``.
        name: What was given.
        known: The names that exist.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return UnknownNameError(f"There is no {kind} '{name}'.{hint} Known: {', '.join(names)}.")
