"""What a study searches: the task, the network's space, the training hyperparameters beside it; kept in the study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import optuna

from nas_tune.cli.sizes import make, space_class
from nas_tune.cli.strategies import DEFAULT, check_strategy
from nas_tune.errors import SpaceError, StudyError
from nas_tune.space import SearchSpace, differences
from nas_tune.trials import Recipe, Task, check_fit, tasks

if TYPE_CHECKING:
    from nas_tune.cli.sizes import Size
    from nas_tune.search_spaces import PublishedSpace

PROBLEM = "nas_tune:problem"  # study user attributes
SIGNATURE = "nas_tune:space"
SHORTHANDS = ("channels", "cells_per_stage")  # sizes with an option of their own
NETWORK = "network"  # the network's part of the joint space


@dataclass(frozen=True)
class Problem:
    """Everything that decides what a trial's value means; two runs with one problem share a study.

    Attributes:
        space: Name of a published space.
        task: Name of a task.
        evaluate: ``"shared-weights"`` or ``"from-scratch"``.
        arguments: Size of the network, by argument of the space's class.
        epochs: Epochs of super-net training, or of each trial from scratch.
        fine_tune_epochs: Epochs that a network with inherited weights trains with its hyperparameters.
        seed: Seed of the search.
        paths: Strategy that trains the shared weights.

    Raises:
        UnknownNameError: There is no such strategy.
        SpaceError: There is one, and no weights are shared.
    """

    space: str
    task: str
    evaluate: str
    arguments: Mapping[str, Size] = field(default_factory=dict)
    epochs: int = 20
    fine_tune_epochs: int = 1
    seed: int = 0
    paths: str = DEFAULT

    def __post_init__(self) -> None:
        if check_strategy(self.paths) != DEFAULT and self.evaluate != "shared-weights":
            raise SpaceError(
                f"--paths {self.paths} is for --evaluate shared-weights: from scratch, no weights are shared."
            )

    def load_task(self, root: str | None = None) -> Task:
        """Load the task; `root` is the folder of its files, if it has any."""
        return tasks.named(self.task, root=root)

    def model_space(self, task: Task) -> PublishedSpace:
        """Make the network's space for a task and check that they fit.

        Raises:
            UnknownNameError: There is no such space.
            TaskError: The task's images do not fit the network.
        """
        space_class(self.space)
        if len(task.input_shape) != 3:
            raise SpaceError(f"{self.space} takes images, the task {task.name} has inputs of shape {task.input_shape}.")
        of_the_task = {"num_classes": task.num_classes, "in_channels": task.input_shape[0]}
        made = make(self.space, {**of_the_task, **self.arguments})
        check_fit(made.build(next(made.enumerate())), task)
        return made

    def joint_space(self, model_space: PublishedSpace) -> SearchSpace:
        """Return the network's space beside the training hyperparameters that are searched with it."""
        return SearchSpace({NETWORK: model_space, **Recipe.search_space().nodes})


def check_and_store(study: optuna.Study, problem: Problem, space: SearchSpace) -> None:
    """Write the problem into a new study; make sure that an old one is of the same.

    Raises:
        StudyError: The study holds another search; the message names what differs.
    """
    attributes = study.user_attrs
    if PROBLEM not in attributes:
        if study.get_trials(deepcopy=False):
            raise StudyError(
                f"The study '{study.study_name}' holds {len(study.trials)} trials that `nas-tune search` did not make. "
                "Choose another --study-name or --storage."
            )
        study.set_user_attr(SIGNATURE, json.dumps(space.signature()))
        study.set_user_attr(PROBLEM, json.dumps(asdict(problem)))
        return
    differing = differences(json.loads(attributes[SIGNATURE]), space.signature())
    old, new = _settings(asdict(stored_problem(study))), _settings(asdict(problem))
    differing += [f"{name} was {old.get(name)} and is {new[name]}" for name in new if old.get(name) != new[name]]
    if differing:
        raise StudyError(
            f"The study '{study.study_name}' is of a different search: {'; '.join(differing)}. "
            "Use the old settings to continue it, or another --study-name or --storage."
        )


def stored_problem(study: optuna.Study) -> Problem:
    """Read back what a study searches.

    Raises:
        StudyError: `nas-tune search` did not make the study.
    """
    text = study.user_attrs.get(PROBLEM)
    if text is None:
        raise StudyError(f"The study '{study.study_name}' was not made by `nas-tune search`: it names no search space.")
    return Problem(**json.loads(text))


def _settings(problem: Mapping[str, object]) -> dict[str, object]:
    """Return a stored problem by the flags of the command line."""
    arguments = problem["arguments"]
    assert isinstance(arguments, Mapping)
    sizes = {name if name in SHORTHANDS else f"size {name}": value for name, value in arguments.items()}
    flat = {**{name: value for name, value in problem.items() if name != "arguments"}, **sizes}
    return {"--" + name.replace("_", "-"): value for name, value in flat.items()}
