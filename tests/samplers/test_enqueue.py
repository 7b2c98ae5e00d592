"""Known architectures as trials of a study."""

from __future__ import annotations

import optuna
import pytest
from numpy.random import default_rng
from optuna.study import Study
from optuna.trial import TrialState

from nas_tune.errors import ArchitectureError, UnknownNameError
from nas_tune.samplers.enqueue import enqueue
from nas_tune.samplers.regularized_evolution import RegularizedEvolutionSampler
from nas_tune.search_spaces import NASBench201, NASBenchMacro
from nas_tune.space import SearchSpace


def waiting(study: Study) -> list[dict[str, object]]:
    trials = study.get_trials(states=(TrialState.WAITING,))
    return [dict(trial.system_attrs["fixed_params"]) for trial in trials]


def test_architectures_and_mappings_become_the_next_trials(joint_space: SearchSpace) -> None:
    study = optuna.create_study(sampler=RegularizedEvolutionSampler(joint_space, seed=0))
    first, second = (joint_space.sample(default_rng(seed)) for seed in (0, 1))

    count = enqueue(study, joint_space, [first, {**second, "batch_size": 64}])
    study.optimize(lambda trial: float(len(joint_space.suggest(trial))), n_trials=2)

    assert count == 2
    assert [joint_space.architecture(trial.params) for trial in study.trials] == [first, second]
    for trial in study.trials:
        assert set(trial.params) == set(joint_space.distributions(joint_space.architecture(trial.params)))


def test_only_active_parameters_with_a_choice_are_fixed(joint_space: SearchSpace) -> None:
    study = optuna.create_study()
    architecture = joint_space.architecture(
        {"op": "skip", "op.conv.kernel": 3, "blocks.length": 0, "lr": 0.01, "dropout": 0.1}
    )

    enqueue(study, joint_space, architecture, prefix="student.")
    assert waiting(study) == [
        {"student.op": "skip", "student.blocks.length": 0, "student.lr": 0.01, "student.dropout": 0.1}
    ]


def test_a_single_one_and_any_iterable_are_taken(cell_space: SearchSpace) -> None:
    study, cells = optuna.create_study(), [cell_space.sample(default_rng(seed)) for seed in range(4)]

    assert enqueue(study, cell_space, cells[0]) == 1
    assert enqueue(study, cell_space, dict(cells[1])) == 1
    assert enqueue(study, cell_space, (cell for cell in cells[2:])) == 2
    assert enqueue(study, cell_space, []) == 0
    assert waiting(study) == [dict(cell) for cell in cells]


def test_published_architectures_are_known_by_name() -> None:
    study, space = optuna.create_study(), NASBenchMacro()

    assert enqueue(study, space, "best") == 1
    assert space.to_string(space.architecture(waiting(study)[0])) == space.architectures["best"]
    with pytest.raises(UnknownNameError, match="There is no architecture of NASBenchMacro 'bset'. Did you mean 'best'"):
        enqueue(study, space, ["bset"])


def test_what_a_study_knows_is_left_out(cell_space: SearchSpace) -> None:
    cells = [cell_space.sample(default_rng(seed)) for seed in range(5)]
    study = optuna.create_study()
    enqueue(study, cell_space, cells[:4])
    done, failed, pruned = (study.ask() for _ in range(3))
    for trial in (done, failed, pruned):
        cell_space.suggest(trial)
    study.tell(done, 1.0)
    study.tell(failed, state=TrialState.FAIL)
    study.tell(pruned, state=TrialState.PRUNED)

    assert enqueue(study, cell_space, [*cells, cells[4]]) == 2  # the one that failed, and the fifth
    assert waiting(study) == [dict(cells[3]), dict(cells[1]), dict(cells[4])]
    assert enqueue(study, cell_space, [*cells, cells[4]], skip_known=False) == 6


def test_another_form_of_a_known_network_is_left_out() -> None:
    space, study = NASBench201(), optuna.create_study()
    names = list(space.parameters())
    dead = dict.fromkeys(names, "none")

    forms = [space.architecture({**dead, names[0]: op}) for op in ("none", "nor_conv_3x3")]  # it leads nowhere
    assert enqueue(study, space, forms) == 1


def test_one_wrong_architecture_is_named_and_none_is_enqueued(cell_space: SearchSpace) -> None:
    study, good = optuna.create_study(), cell_space.sample(default_rng(0))

    with pytest.raises(ArchitectureError, match=r"architecture 1, .*is not of the space. .*edge_0_1.*conv_9x9"):
        enqueue(study, cell_space, [good, {**good, "edge_0_1": "conv_9x9"}])
    with pytest.raises(ArchitectureError, match=r"architecture 0 is 'A0', but SearchSpace has no architectures with"):
        enqueue(study, cell_space, "A0")
    narrow = cell_space.where(lambda architecture: False, "nothing at all")
    with pytest.raises(ArchitectureError, match=r"architecture 0, .*infeasible: nothing at all"):
        enqueue(study, narrow, good)
    assert waiting(study) == []
