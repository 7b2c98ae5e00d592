"""Sandwich paths: what a step runs, and which loss each path's gradient comes from."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, softmax

from nas_tune.errors import ArchitectureError, NasTuneError
from nas_tune.space import Architecture
from nas_tune.supernet import AlphaDivergence, SoftTargets, SuperNet
from nas_tune.supernet.paths import Path, SandwichPaths, largest, smallest
from tests.supernet.networks import CASES, Case, Chain, TwoBranches, moment
from tests.supernet.paths.exact import trainer_in_float64

SHAPE = (1, 6, 6)
STEP = moment(input_shape=SHAPE)
CHAIN = Chain()


def _select(paths: SandwichPaths, seed: int = 0) -> tuple[Path, ...]:
    return paths.select(STEP, CHAIN, np.random.default_rng(seed))


def test_the_largest_comes_first_by_the_labels_then_random_ones_and_the_smallest_by_its_logits() -> None:
    rng = np.random.default_rng(0)
    random = [CHAIN.sample(rng) for _ in range(2)]

    expected = (
        Path(largest(CHAIN, SHAPE)),
        *(Path(a, distillation=SoftTargets(), regularised=False) for a in (*random, smallest(CHAIN, SHAPE))),
    )
    assert expected == _select(SandwichPaths())


def test_ends_random_paths_and_the_loss_can_be_given() -> None:
    a, b = (CHAIN.sample(np.random.default_rng(seed)) for seed in (8, 9))
    loss = AlphaDivergence()

    assert (Path(a), Path(b, distillation=loss, regularised=False)) == _select(SandwichPaths(0, a, b, loss))
    assert all(path.distillation is None for path in _select(SandwichPaths(distillation=None)))
    assert 6 == len(_select(SandwichPaths(4)))


def test_what_is_given_is_checked() -> None:
    foreign = TwoBranches().sample(np.random.default_rng(0))

    with pytest.raises(ArchitectureError):
        _select(SandwichPaths(largest=foreign))
    for count in (-1, 1.5, True):
        with pytest.raises(NasTuneError, match="`random`"):
            SandwichPaths(count)  # type: ignore[arg-type]  # the mistake


def test_equal_strategies_have_equal_texts() -> None:
    assert SandwichPaths() == SandwichPaths(2)
    assert "SandwichPaths(random=2, largest=None, smallest=None, distillation=SoftTargets(temperature=1.0))" == repr(
        SandwichPaths()
    )


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.name.replace(" ", "-"))
def test_the_largest_learns_from_the_labels_alone_and_the_others_from_its_detached_logits_alone(case: Case) -> None:
    trainer = trainer_in_float64(case, SandwichPaths())
    chosen = [path.architecture for path in trainer.select()]
    before = copy.deepcopy(trainer.supernet)
    trainer.step()
    taken = {name: p.grad for name, p in trainer.supernet.named_parameters() if p.grad is not None}
    expected, attached = (_by_hand(before, chosen, trainer.inputs, trainer.labels, detach) for detach in (True, False))

    assert 4 == len(chosen)
    assert expected.keys() == taken.keys()
    scale = torch.cat([gradient.flatten() for gradient in expected.values()]).norm()
    for name, gradient in taken.items():
        assert (gradient - expected[name]).norm() < 1e-6 * scale, name
    assert any((taken[name] - attached[name]).norm() > 1e-3 * scale for name in taken)


def _by_hand(
    supernet: SuperNet, chosen: list[Architecture], inputs: Tensor, labels: Tensor, detached: bool
) -> dict[str, Tensor]:
    """Return the gradient of the first architecture's cross-entropy plus the soft ones of the others."""
    teacher, *students = [supernet.train()(inputs, architecture).float() for architecture in chosen]
    target = softmax(teacher.detach() if detached else teacher, dim=1)
    soft = [-(target * log_softmax(student, dim=1)).sum(1).mean() for student in students]
    weights = dict(supernet.named_parameters())
    loss = cross_entropy(teacher, labels) + torch.stack(soft).sum()
    found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    return {name: gradient for name, gradient in zip(weights, found, strict=True) if gradient is not None}
