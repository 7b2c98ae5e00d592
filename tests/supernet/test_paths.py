"""What a training step touches: the selected path alone; and how often each operation is selected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn

from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture, ModelSpace
from nas_tune.supernet import Path, SuperNet, SuperNetRecipe, SuperNetTrainer, UniformPaths
from tests.supernet.networks import CASES, CLASSES, Case, TwoBranches, architectures, fixed, moment

cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
RECIPE = SuperNetRecipe(batch_size=8, lr=0.1, momentum=0.9, weight_decay=0.1)


def _trainer(case: Case) -> SuperNetTrainer:
    torch.manual_seed(0)
    return SuperNetTrainer(case.make().supernet(), case.inputs(16), torch.arange(16) % CLASSES, recipe=RECIPE)


def _everything(trainer: SuperNetTrainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.tensors().items()}


def _changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in after if name not in before or not torch.equal(before[name], after[name])}


def _names_on_the_path(supernet: SuperNet, architecture: Architecture) -> set[str]:
    """Name weights and buffers of the modules that a forward pass calls."""
    called: set[nn.Module] = set()
    hooks = [m.register_forward_hook(lambda m, *_: called.add(m)) for m in supernet.modules()]
    with torch.no_grad():
        supernet.eval()(torch.zeros(2, *_shape(supernet.space)), architecture)
    for hook in hooks:
        hook.remove()
    return {
        f"{name}.{own}".removeprefix(".")
        for name, module in supernet.named_modules()
        if module in called
        for own, _ in (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    }


def _shape(space: ModelSpace) -> tuple[int, ...]:
    return next(case.input_shape for case in CASES if case.make().signature() == space.signature())


def _without_kind(names: set[str]) -> set[str]:
    return {name.split(".", 1)[1] for name in names}


@cases
def test_a_step_changes_its_path_alone(case: Case) -> None:
    trainer = _trainer(case)
    for _ in range(12):  # momentum everywhere, so that a leak would show
        trainer.step()
    for architecture in architectures(trainer.supernet.space, 6, seed=1):
        trainer.paths = fixed(architecture)
        before = _everything(trainer)
        trainer.step()
        changed = _changed(before, _everything(trainer))

        assert _without_kind(changed) <= _names_on_the_path(trainer.supernet, architecture)
        assert {"supernet", "momentum_buffer"} == {name.split(".", 1)[0] for name in changed}


@cases
def test_the_optimiser_holds_no_state_for_what_was_never_selected(case: Case) -> None:
    trainer = _trainer(case)
    architecture = architectures(trainer.supernet.space, 1)[0]
    trainer.paths = fixed(architecture)
    for _ in range(3):
        trainer.step()
    held = {name.removeprefix("momentum_buffer.") for name in trainer.tensors() if name.startswith("momentum_buffer.")}

    on_the_path = _names_on_the_path(trainer.supernet, architecture)
    outside = [p for name, p in trainer.supernet.named_parameters() if name not in on_the_path]
    assert held <= on_the_path
    assert not any(p in trainer.optimizer.state for p in outside)
    assert all(p.grad is None for p in outside)


def test_a_step_on_a_cell_changes_the_chosen_operations_and_what_is_common() -> None:
    space = NASBench201(channels=2, cells_per_stage=1, num_classes=3)
    torch.manual_seed(0)
    trainer = SuperNetTrainer(
        space.supernet(), torch.randn(16, 3, 8, 8), torch.arange(16) % 3, recipe=RECIPE, paths=UniformPaths()
    )
    for _ in range(10):
        trainer.step()
    cell = space.from_string("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|")
    trainer.paths = fixed(cell)
    before = _everything(trainer)
    trainer.step()
    changed = {name for name in _changed(before, _everything(trainer)) if ".candidates." in name}

    chosen = {  # edge and candidate, where there is something to train
        f"edges.{edge}.candidates.{op}.{part}"
        for edge, op in ((0, 3), (2, 2), (5, 3))
        for part in ("1.weight", "2.weight", "2.bias", "2.running_mean", "2.running_var", "2.num_batches_tracked")
    }
    assert chosen == {name[name.index("edges.") :] for name in changed}


def test_an_operation_that_leads_nowhere_is_not_trained() -> None:
    space = NASBench201(channels=2, cells_per_stage=1, num_classes=3)
    trainer = SuperNetTrainer(space.supernet(), torch.randn(16, 3, 8, 8), torch.arange(16) % 3, recipe=RECIPE)
    trainer.paths = fixed(space.from_string("|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"))
    before = _everything(trainer)
    trainer.step()
    weights = dict(trainer.supernet.named_parameters())

    changed = {name.removeprefix("supernet.") for name in _changed(before, _everything(trainer))} & weights.keys()
    assert any("edges.3.candidates.3" in name for name in changed)
    assert not any("edges.0" in name for name in changed)


def _drawn(space: ModelSpace, steps: int) -> Iterator[Architecture]:
    paths = UniformPaths()
    for step in range(steps):
        (path,) = paths.select(moment(step), space, np.random.default_rng((7, step)))
        assert path.weight == 1.0
        yield path.architecture


@pytest.fixture(scope="module")
def conditional() -> tuple[list[Architecture], list[Architecture]]:
    """Every architecture of a conditional space, and 4,000 paths."""
    space = TwoBranches()
    return list(space.enumerate()), list(_drawn(space, 4_000))


def test_uniform_paths_select_every_operation_of_every_edge_equally_often() -> None:
    space = NASBench201()
    drawn = list(_drawn(space, 4_000))

    for name in space.parameters():
        counts = Counter(a[name] for a in drawn)
        assert 5 == len(counts)
        assert chisquare(list(counts.values())).pvalue > 0.01, name


@pytest.mark.parametrize(
    "name", ["right", "left.length", "left.2.kernel", "right.conv.norm", "tail.1", "tail.0.conv.kernel"]
)
def test_uniform_paths_are_uniform_over_architectures_of_a_conditional_space(
    name: str, conditional: tuple[list[Architecture], list[Architecture]]
) -> None:
    shares, counts = (Counter(a.get(name, "inactive") for a in these) for these in conditional)
    everything, drawn = map(len, conditional)

    assert counts.keys() == shares.keys()
    assert chisquare([counts[v] for v in shares], [drawn * s / everything for s in shares.values()]).pvalue > 0.01


def test_uniform_paths_select_by_the_generator_alone() -> None:
    space = NASBench201()

    first, again = (UniformPaths().select(moment(), space, np.random.default_rng(5)) for _ in range(2))

    assert first == again == (Path(space.sample(np.random.default_rng(5))),)
