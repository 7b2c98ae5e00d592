"""The networks that a search trains from scratch in the end: its best, and random ones to compare with."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas
from optuna.trial import TrialState
from safetensors.torch import save

from nas_tune.analysis import kendall_tau
from nas_tune.cluster.trainings import train_finals
from nas_tune.space import Architecture

if TYPE_CHECKING:
    import optuna
    from torch import nn

    from nas_tune.space import SearchSpace
    from nas_tune.trials import FromScratch

FINAL = "nas_tune:final:"  # study user attribute, followed by what identifies the training
_MEASURED = ("test_accuracy", "parameters", "macs", "seconds", "weights")
_RANDOM = 1 << 32  # tells the generator of random architectures from the sampler's


@dataclass(frozen=True)
class Final:
    """One architecture of the final comparison; what is not known yet is None.

    Attributes:
        role: ``"best"`` or ``"random"``.
        architecture: Network and training hyperparameters.
        trial: Number of the trial it comes from.
        score: What the search's evaluation says, in [0, 1].
        test_accuracy: Of the network trained from scratch on train + validation, in [0, 1].
        parameters: Of the network.
        macs: Multiply-adds for one image.
        seconds: That the training took.
        weights: File of the trained weights.
    """

    role: str
    architecture: Architecture
    trial: int | None = None
    score: float | None = None
    test_accuracy: float | None = None
    parameters: int | None = None
    macs: int | None = None
    seconds: float | None = None
    weights: str | None = None

    def scored(self, score: float) -> Final:
        """Return the final with its score."""
        return replace(self, score=score)

    def facts(self) -> dict[str, object]:
        """Return all of it in JSON-able form."""
        return {**vars(self), "architecture": dict(self.architecture)}


def choose(study: optuna.Study, space: SearchSpace, network: str, top: int, random: int, seed: int) -> list[Final]:
    """Return the best distinct networks of a study and random ones that are not among them, drawn from the seed.

    Args:
        study: With finished trials; the largest values are best.
        space: The joint space.
        network: Key of the network's part: two trials of one network are not two of the best.
        top: How many of the best.
        random: How many random ones.
        seed: Of the random ones.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best: dict[str, Final] = {}
    for trial in sorted(complete, key=lambda trial: (-trial.values[0], trial.number)):
        if len(best) == top:
            break
        architecture = space.architecture(trial.params)
        key = _network_key(space, network, architecture)
        best.setdefault(key, Final("best", architecture, trial.number, trial.values[0]))
    rng = np.random.default_rng((seed, _RANDOM))
    drawn: dict[str, Final] = {}
    for _ in range(100 * random):
        if len(drawn) == random:
            break
        architecture = space.sample(rng)
        key = _network_key(space, network, architecture)
        if key not in best:
            drawn.setdefault(key, Final("random", architecture))
    return [*best.values(), *drawn.values()]


def _network_key(space: SearchSpace, network: str, architecture: Architecture) -> str:
    part = space[network]
    return part.canonical_key(architecture.part(network))  # type: ignore[attr-defined, no-any-return]  # a ModelSpace


def known(study: optuna.Study, final: Final, epochs: int) -> Final:
    """Return the final with what an earlier run stored of it."""
    text = study.user_attrs.get(_attribute(final, epochs))
    if text is None:
        return final
    facts = json.loads(text)
    score = facts["score"] if final.score is None else final.score
    return replace(final, score=score, **{name: facts[name] for name in _MEASURED})


def stored(study: optuna.Study, space: SearchSpace) -> list[Final]:
    """Return every final that was trained for a study, the best first."""
    texts = (text for name, text in study.user_attrs.items() if name.startswith(FINAL))
    facts = [json.loads(text) for text in texts]
    finals = [Final(**{**one, "architecture": space.architecture(one["architecture"])}) for one in facts]
    return sorted(finals, key=lambda final: (final.role, -(final.score or 0.0)))


def _attribute(final: Final, epochs: int) -> str:
    content = json.dumps([sorted(final.architecture.items()), epochs])
    return FINAL + hashlib.sha256(content.encode()).hexdigest()[:16]


def train_and_store(
    study: optuna.Study,
    space: SearchSpace,
    scratch: FromScratch,
    finals: Sequence[Final],
    folder: Path,
    num_gpus: float,
    advance: Callable[[int, str], None],
) -> list[Final]:
    """Train the finals that no earlier run has trained; each result is stored in the study as soon as it is there."""
    results = list(finals)
    missing = [i for i, final in enumerate(finals) if final.test_accuracy is None]
    advance(len(finals) - len(missing), "")
    trained = train_finals(scratch, space, [finals[i].architecture for i in missing], num_gpus=num_gpus)
    for done, (place, result) in enumerate(trained, len(finals) - len(missing) + 1):
        final = finals[missing[place]]
        attribute = _attribute(final, scratch.recipe.epochs)
        results[missing[place]] = stored = replace(
            final,
            test_accuracy=result.test_accuracy,
            parameters=result.cost.parameters,
            macs=result.cost.macs,
            seconds=round(result.seconds, 2),
            weights=str(save_weights(result.network, folder / f"{attribute.removeprefix(FINAL)}.safetensors")),
        )
        study.set_user_attr(attribute, json.dumps(stored.facts()))
        advance(done, f"test accuracy {result.test_accuracy:.4f}")
    return results


def save_weights(network: nn.Module, path: Path) -> Path:
    """Write the weights of a network, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_bytes(save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))
    beside.replace(path)
    return path


def kendall(finals: Sequence[Final]) -> float | None:
    """Return Kendall's tau between score and test accuracy, None where it is not defined."""
    both = [(f.score, f.test_accuracy) for f in finals if f.score is not None and f.test_accuracy is not None]
    tau = kendall_tau([score for score, _ in both], [accuracy for _, accuracy in both])
    return None if math.isnan(tau) else tau


def frame(finals: Sequence[Final], network: str, words: Callable[[Architecture], str]) -> pandas.DataFrame:
    """Return the finals as the report's table; `words` writes the network's part as text."""
    rows = [
        {
            "role": final.role,
            "trial": final.trial,
            "shared_score": final.score,
            "test_accuracy": final.test_accuracy,
            "parameters": final.parameters,
            "macs": final.macs,
            "seconds": final.seconds,
            "architecture": words(final.architecture.part(network)),
        }
        for final in finals
    ]
    return pandas.DataFrame(rows).astype({"trial": "Int64", "parameters": "Int64", "macs": "Int64"})
