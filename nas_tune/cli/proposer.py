"""Who proposes the trials of a search, `--sampler`, and what it knows before: `--enqueue` and `--prior`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas_tune.errors import SamplerError, unknown_name

if TYPE_CHECKING:
    import optuna

    from nas_tune.samplers.space_sampler import SpaceSampler
    from nas_tune.search_spaces import PublishedSpace
    from nas_tune.space import Architecture, SearchSpace


@dataclass(frozen=True)
class Proposer:
    """What a search was asked for about its proposals; the study is the same whoever proposes.

    Args:
        name: One of `SAMPLERS`.
        known: Architectures of the network that are tried first, as `read_architecture` reads them.
        prior: Studies of other tasks in the same space, each ``STORAGE#STUDY``, or a storage that holds only one.

    Raises:
        UnknownNameError: There is no such sampler.
        SamplerError: There is a prior, and the sampler learns from none.
    """

    name: str
    known: tuple[str, ...] = ()
    prior: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in SAMPLERS:
            raise unknown_name("sampler", self.name, SAMPLERS)
        if self.prior and self.name != LEARNING:
            raise SamplerError(f"--prior is for --sampler {LEARNING}: '{self.name}' learns from no other study.")

    def sampler(self, space: SearchSpace, seed: int) -> SpaceSampler:
        """Make the sampler.

        Raises:
            StudyError: A study of the prior is not there, or holds no trials of the space.
        """
        return SAMPLERS[self.name](space, seed, self.studies())

    def studies(self) -> list[optuna.Study]:
        """Load the studies of the prior."""
        from nas_tune.cli.studies import load_study

        return [load_study(storage, name or None) for storage, _, name in (text.partition("#") for text in self.prior)]

    def architectures(self, space: PublishedSpace) -> list[Architecture]:
        """Read what is tried first.

        Raises:
            ArchitectureError: One is not of the network's space.
        """
        from nas_tune.cli.training import read_architecture

        return [read_architecture(text, space) for text in self.known]


def _evolution(space: SearchSpace, seed: int, prior: list[optuna.Study]) -> SpaceSampler:
    from nas_tune.samplers import RegularizedEvolutionSampler

    return RegularizedEvolutionSampler(space, seed=seed)


def _local_search(space: SearchSpace, seed: int, prior: list[optuna.Study]) -> SpaceSampler:
    from nas_tune.samplers import LocalSearchSampler

    return LocalSearchSampler(space, seed=seed)


def _predictor(space: SearchSpace, seed: int, prior: list[optuna.Study]) -> SpaceSampler:
    from nas_tune.samplers import PredictorSampler

    return PredictorSampler(space, prior=prior, seed=seed)


def _reinforce(space: SearchSpace, seed: int, prior: list[optuna.Study]) -> SpaceSampler:
    from nas_tune.samplers import PolicyGradientSampler

    return PolicyGradientSampler(space, algorithm="reinforce", seed=seed)


def _ppo(space: SearchSpace, seed: int, prior: list[optuna.Study]) -> SpaceSampler:
    from nas_tune.samplers import PolicyGradientSampler

    return PolicyGradientSampler(space, algorithm="ppo", seed=seed)


DEFAULT = "evolution"
LEARNING = "predictor"  # the one that a prior is for

SAMPLERS: Mapping[str, Callable[[SearchSpace, int, list[optuna.Study]], SpaceSampler]] = {
    DEFAULT: _evolution,
    "local-search": _local_search,
    LEARNING: _predictor,
    "reinforce": _reinforce,
    "ppo": _ppo,
}
"""By the name on the command line: makes a sampler of a space, a seed and the studies of the prior, with its defaults.

Each imports its class when it is called: the command line lists the names without loading Optuna.
"""
