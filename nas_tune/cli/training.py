"""`nas-tune train`: one architecture from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas_tune.cli.finals import save_weights
from nas_tune.cli.problem import NETWORK, Problem, stored_problem
from nas_tune.cli.studies import load_study
from nas_tune.errors import ArchitectureError, StudyError
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture
from nas_tune.trials import FromScratch, Recipe

if TYPE_CHECKING:
    import optuna

    from nas_tune.cli.output import Output
    from nas_tune.cli.sizes import Size
    from nas_tune.search_spaces import PublishedSpace
    from nas_tune.space import Value
    from nas_tune.trials import Task


@dataclass(frozen=True)
class Wanted:
    """Which architecture: given as text, or by its trial in a study, which then also says space and task."""

    architecture: str | None
    trial: str | None
    storage: str | None
    study_name: str | None
    space: str
    task: str
    sizes: Mapping[str, Size]
    data: str | None

    def find(self) -> tuple[PublishedSpace, Task, Architecture, dict[str, Value]]:
        """Return space, task, the network's architecture, and the training hyperparameters that came with it.

        Raises:
            ArchitectureError: Neither or both are given, or the text is no architecture of the space.
            StudyError: There is no such trial.
        """
        if (self.architecture is None) == (self.trial is None):
            raise ArchitectureError("Say what to train: either --architecture, or --trial with --storage.")
        if self.architecture is not None:
            problem = Problem(self.space, self.task, "from-scratch", self.sizes)
            task = problem.load_task(self.data)
            model_space = problem.model_space(task)
            return model_space, task, read_architecture(self.architecture, model_space), {}
        return self._from_study()

    def _from_study(self) -> tuple[PublishedSpace, Task, Architecture, dict[str, Value]]:
        if self.storage is None:
            raise StudyError("A --trial is looked up in a study: add --storage.")
        study = load_study(self.storage, self.study_name)
        problem = stored_problem(study)
        task = problem.load_task(self.data)
        model_space = problem.model_space(task)
        params = _params(study, str(self.trial))
        joint = problem.joint_space(model_space).architecture(params)
        rest = {name: value for name, value in joint.items() if not name.startswith(f"{NETWORK}.")}
        return model_space, task, joint.part(NETWORK), rest


def _params(study: optuna.Study, trial: str) -> dict[str, object]:
    if trial == "best":
        try:
            return dict(study.best_params)
        except ValueError:
            raise StudyError(f"The study '{study.study_name}' has no finished trial yet.") from None
    numbers = {str(t.number): t for t in study.get_trials(deepcopy=False)}
    if trial not in numbers:
        raise StudyError(
            f"The study '{study.study_name}' has no trial {trial}: it has {len(numbers)}, from 0; or say best."
        )
    return dict(numbers[trial].params)


def read_architecture(text: str, space: PublishedSpace) -> Architecture:
    """Read an architecture by its published name, its published string, its index, or from `Architecture.to_json`.

    Raises:
        ArchitectureError: It is none of these, or not of the space.
    """
    path = Path(text)
    if path.suffix == ".json" or text.lstrip().startswith("{"):
        if path.suffix == ".json" and not path.is_file():
            raise ArchitectureError(f"There is no file {path} to read the architecture from.")
        return space.from_json(path.read_text() if path.suffix == ".json" else text)
    if text in space.architectures:
        return space.named(text)
    if isinstance(space, NASBench201) and text.isdecimal():
        return space.from_index(int(text))
    try:
        return space.from_string(text)
    except ArchitectureError as error:
        names = f" Published by name: {', '.join(space.architectures)}." if space.architectures else ""
        raise ArchitectureError(f"{error}{names}") from None


def train_one(
    wanted: Wanted, overrides: Mapping[str, float], epochs: int, seed: int, weights: Path | None, output: Output
) -> None:
    """Train the wanted architecture, show what came of it, and write its weights if asked to."""
    model_space, task, architecture, found = wanted.find()
    hyperparameters = {**found, **overrides}
    name = model_space.to_string(architecture)
    output.say(f"Training {name} on {task.name}.")
    with output.progress("Training", epochs) as advance:
        recipe = Recipe(epochs=epochs).replace(**hyperparameters)
        result = FromScratch(task, recipe, seed=seed).final(
            model_space, architecture, on_epoch=lambda epoch: advance(epoch.epoch, f"loss {epoch.loss:.3f}")
        )
    output.say(
        f"Test accuracy {result.test_accuracy:.4f}, {result.cost.parameters:,} parameters, {result.cost.macs:,} MACs, "
        f"{result.seconds:.1f} s."
    )
    if weights is not None:
        save_weights(result.network, weights)
        output.say(f"Wrote the weights to {weights}.")
    output.result(
        {
            "architecture": dict(architecture),
            "name": name,
            "task": task.name,
            "hyperparameters": hyperparameters,
            "epochs": epochs,
            "seed": seed,
            "test_accuracy": result.test_accuracy,
            "parameters": result.cost.parameters,
            "macs": result.cost.macs,
            "seconds": round(result.seconds, 2),
            "weights": str(weights) if weights else None,
        }
    )
