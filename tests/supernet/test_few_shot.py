"""Split super-nets: routing, training, resuming, extracting; unchanged by whoever uses a super-net."""

from __future__ import annotations

import copy
import json
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
from torch import Tensor

from nas_tune.errors import ArchitectureError, CheckpointError, SpaceError, UnknownNameError
from nas_tune.space import Architecture
from nas_tune.supernet import Judge, SuperNet, SuperNetRecipe, SuperNetTrainer, recalibrate_batch_norm
from nas_tune.supernet.checkpoint import read_checkpoint, write_checkpoint
from nas_tune.supernet.few_shot import Split, common_decisions, split, splits
from tests.supernet.elastic.networks import WIDTHS, Sized, chain_of_layers
from tests.supernet.networks import CASES, CLASSES, Case, Chain, Tabular, TwoBranches, architectures, fixed

CASE = CASES[1]
RIGHT = Split("right", (("conv", "pool"), ("bottleneck",)))
BY_CASE = {
    "chain": Split("blocks.length", ((2, 3), (4, 6, 5))),
    "two branches": RIGHT,
    "table": Split("second", ((2, 3, 4, 5), (6, 7, 8))),
    "wide table": Split("first", ((4, 8), (12,))),
}
RECIPE = SuperNetRecipe(batch_size=8, lr=0.1, weight_decay=0.1)


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in after if name not in before or not torch.equal(before[name], after[name])}


def _group(by: Split, architecture: Architecture) -> int:
    return next(i for i, group in enumerate(by.groups) if architecture[by.decision] in group)


def _trainer(supernet: SuperNet) -> SuperNetTrainer:
    return SuperNetTrainer(supernet, CASE.inputs(32), torch.arange(32) % CLASSES, recipe=RECIPE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_super_net_that_was_just_split_computes_what_it_did_before(case: Case) -> None:
    supernet = case.trained().eval()
    divided = split(supernet, BY_CASE[case.name])
    x = case.inputs(4)
    for architecture in architectures(supernet.space, 5):
        alone = divided.extract(architecture)

        assert torch.equal(supernet(x, architecture), divided(x, architecture))
        torch.testing.assert_close(divided(x, architecture), alone(x), rtol=0, atol=1e-6)
        assert [m.__class__ for m in supernet.extract(architecture).modules()] == [m.__class__ for m in alone.modules()]


def test_a_step_changes_its_part_alone_and_the_original_not_at_all() -> None:
    supernet = CASE.trained()
    original = _copies(supernet.state_dict())
    trainer = _trainer(split(supernet, RIGHT))
    for _ in range(12):  # momentum in both parts, so that a leak would show
        trainer.step()
    for architecture in architectures(supernet.space, 8, seed=1):
        trainer.paths = fixed(architecture)
        before = _copies(trainer.tensors())
        trainer.step()
        changed = {name.split(".", 1)[1] for name in _changed(before, trainer.tensors())}

        assert all(name.startswith(f"network.parts.{_group(RIGHT, architecture)}.") for name in changed)
        assert changed
    assert not _changed(original, supernet.state_dict())


def test_a_part_trains_as_a_super_net_of_its_own_would() -> None:
    supernet = CASE.trained()
    (path,) = architectures(supernet.space, 1, seed=4)
    whole, divided = _trainer(copy.deepcopy(supernet)), _trainer(split(supernet, RIGHT))
    for trainer in (whole, divided):
        trainer.paths = fixed(path)

    assert [whole.step() for _ in range(5)] == [divided.step() for _ in range(5)]
    x = CASE.inputs(4)
    assert torch.equal(whole.supernet.eval()(x, path), divided.supernet.eval()(x, path))


def test_elastic_sizes_are_isolated_within_their_part() -> None:
    torch.manual_seed(0)
    supernet = Sized(WIDTHS, chain_of_layers).supernet()
    by = Split("kernel", ((1, 3), (5, 7)))
    recipe = SuperNetRecipe(batch_size=4, weight_decay=0.1)
    trainer = SuperNetTrainer(split(supernet, by), torch.randn(8, 2, 9, 9), torch.arange(8) % 3, recipe=recipe)
    for _ in range(8):
        trainer.step()
    before = _copies(trainer.tensors())
    trainer.paths = fixed(supernet.space.architecture({"a": 3, "b": 2, "kernel": 5}))
    trainer.step()
    weight = "supernet.network.parts.1.0.weight"
    moved = (trainer.tensors()[weight] != before[weight]).nonzero()

    assert {int(i) for i in moved[:, 0]} == {0, 1, 2}
    assert all(".parts.1." in name for name in _changed(before, trainer.tensors()))


def test_a_split_training_resumes_bitwise_from_its_checkpoint(tmp_path: FilePath) -> None:
    supernet = split(split(CASE.trained(), RIGHT), Split("right", (("conv",), ("pool",)), part=(0,)))
    trainer = _trainer(supernet)
    for _ in range(5):
        trainer.step()
    facts = {"training": trainer.facts(), "splits": [by.facts() for by in splits(supernet)]}
    write_checkpoint(tmp_path, 5, trainer.tensors(), json.loads(json.dumps(facts)))
    losses = [trainer.step() for _ in range(8)]

    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint is not None
    fresh = CASE.make().supernet()
    made, training = checkpoint.facts["splits"], checkpoint.facts["training"]
    assert isinstance(made, list) and isinstance(training, dict)
    for by in made:
        fresh = split(fresh, Split.from_facts(by))
    resumed = _trainer(fresh)
    resumed.load(checkpoint.tensors, training)

    assert losses == [resumed.step() for _ in range(8)]
    assert not _changed(_copies(trainer.tensors()), resumed.tensors())
    with pytest.raises(CheckpointError, match="of another super-net"):
        _trainer(CASE.make().supernet()).load(checkpoint.tensors, training)


def test_a_tree_of_splits_routes_by_every_decision_on_the_way() -> None:
    first = Split("right", (("conv",), ("bottleneck", "pool")))
    second = Split("left.length", ((1,), (2, 3)), part=(1,))
    third = Split("right", (("bottleneck",), ("pool",)), part=(1, 0))
    supernet = CASE.trained()
    for by in (first, second, third):
        supernet = split(supernet, by)
    supernet.zero_grad()

    def touched(**values: object) -> str:
        architecture = next(a for a in supernet.space.enumerate() if values.items() <= dict(a).items())
        supernet.zero_grad(set_to_none=True)
        supernet(CASE.inputs(4), architecture).sum().backward()
        (stem,) = [n for n, p in supernet.named_parameters() if p.grad is not None and n.endswith("stem.weight")]
        return stem

    assert (first, second, third) == splits(supernet)
    assert "network.parts.0.stem.weight" == touched(right="conv")
    assert "network.parts.1.parts.0.parts.0.stem.weight" == touched(right="bottleneck", **{"left.length": 1})
    assert "network.parts.1.parts.0.parts.1.stem.weight" == touched(right="pool", **{"left.length": 1})
    assert "network.parts.1.parts.1.stem.weight" == touched(right="pool", **{"left.length": 2})


def test_candidates_of_other_groups_are_left_out_of_memory() -> None:
    supernet = CASE.make().supernet()
    divided = split(supernet, RIGHT)
    own = sum(p.numel() for n, p in supernet.named_parameters() if n.startswith("network.right."))
    total = sum(p.numel() for p in supernet.parameters())

    assert 2 * (total - own) + own == sum(p.numel() for p in divided.parameters())


def test_the_parts_of_a_split_are_judged_apart() -> None:
    supernet = split(CASE.trained(), RIGHT)
    x, labels = CASE.inputs(40, seed=3), torch.arange(40) % CLASSES
    chosen = architectures(supernet.space, 6)
    alone = []
    for architecture in chosen:
        network = supernet.extract(architecture)
        recalibrate_batch_norm(network, [x[:20], x[20:]])
        alone.append((network.eval()(x).argmax(1) == labels).float().mean().item())
    before = _copies(supernet.state_dict())

    assert pytest.approx(alone) == Judge(x, x, labels, batch_size=20).accuracies(supernet, chosen)
    assert not _changed(before, supernet.state_dict())


def test_decisions_that_every_architecture_has() -> None:
    assert ("blocks.length", "blocks.0", "blocks.1") == common_decisions(Chain())
    assert {"left.length", "left.0.kernel", "left.0.activation", "right", "tail.length"} == set(
        common_decisions(TwoBranches())
    )
    assert ("inputs", "first", "second") == common_decisions(Tabular())
    assert all(set(common_decisions(case.make())) <= set(a) for case in CASES for a in architectures(case.make(), 50))


@pytest.mark.parametrize(
    ("by", "error", "message"),
    [
        (Split("wrong", ((1,), (2,))), UnknownNameError, "no decision in the super-net's space 'wrong'"),
        (Split("right.conv.kernel", ((3,), (5,))), SpaceError, "some architectures do not have"),
        (Split("right", (("conv",), ("pool",))), SpaceError, "do not split `right`"),
        (Split("right", (("conv", "pool", "bottleneck"),)), SpaceError, "two groups or more"),
        (Split("right", (("conv", "pool"), ("pool", "bottleneck"))), SpaceError, "do not split `right`"),
        (Split("right", (("conv", "pool"), ("bottleneck",)), part=(0,)), SpaceError, r"no part \(0,\)"),
    ],
    ids=["unknown", "conditional", "missing-value", "one-group", "overlap", "no-part"],
)
def test_impossible_splits_are_refused(by: Split, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        split(CASE.make().supernet(), by)


def test_a_part_that_is_split_is_not_split_again_itself() -> None:
    divided = split(CASE.make().supernet(), RIGHT)

    with pytest.raises(SpaceError, match=r"name one of its 2 parts, such as \(0,\)"):
        split(divided, RIGHT)
    with pytest.raises(SpaceError, match="do not split `right`"):
        split(divided, Split("right", (("conv",), ("bottleneck",)), part=(0,)))


def test_a_split_decision_has_no_mixture() -> None:
    space = Chain()
    divided = split(space.supernet(), Split("blocks.0", (("conv3", "skip"), ("conv5",))))
    selection = dict(divided.selection(space.sample(np.random.default_rng(0))))

    with pytest.raises(ArchitectureError, match="split by `blocks.0`: give it an index"):
        divided(torch.randn(2, 1, 6, 6), {**selection, "blocks.0": torch.ones(3) / 3})
    del selection["blocks.0"]
    with pytest.raises(ArchitectureError, match="says nothing of `blocks.0`"):
        divided(torch.randn(2, 1, 6, 6), selection)
