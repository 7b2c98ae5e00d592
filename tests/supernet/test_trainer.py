"""Training of the shared weights: resume, schedule, divergence, several paths in a step."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.errors import CheckpointError, DivergedError, NasTuneError
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture, Categorical, Chooser, ModelSpace, SearchSpace
from nas_tune.supernet import Path, Plan, Step, SuperNet, SuperNetRecipe, SuperNetTrainer
from nas_tune.supernet.checkpoint import read_checkpoint, write_checkpoint
from tests.supernet.networks import CASES, CLASSES, Chain, TwoBranches, architectures, fixed

CASE = CASES[1]
RECIPE = SuperNetRecipe(batch_size=8, lr=0.1, weight_decay=0.01, label_smoothing=0.1)
FACTS: dict[str, object] = {
    "step": 5,
    "plan": [0, 9],
    "skipped": 0,
    "skipped_in_row": 0,
    "paths": {},
    "seed": 0,
    "optimizer": "sgd",
    "averaging": False,
    "strategy": "",
}


def _trainer(seed: int = 0, weights: int = 0, recipe: SuperNetRecipe = RECIPE, count: int = 40) -> SuperNetTrainer:
    torch.manual_seed(weights)
    labels = torch.arange(count) % CLASSES
    return SuperNetTrainer(CASE.make().supernet(), CASE.inputs(count), labels, recipe=recipe, seed=seed)


def _copy(trainer: SuperNetTrainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.tensors().items()}


def _same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("stop", [3, 5, 12])  # within the first epoch of five steps, between two, within the third
def test_a_loaded_trainer_goes_on_bitwise(stop: int, tmp_path: FilePath) -> None:
    whole = _trainer()
    whole.plan = Plan(0, 20)
    losses = [whole.step() for _ in range(stop)]
    write_checkpoint(tmp_path, whole.step_count, whole.tensors(), whole.facts())
    losses += [whole.step() for _ in range(20 - stop)]

    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint is not None
    resumed = _trainer(weights=1)  # other weights, and a past of its own
    resumed.step()
    resumed.load(checkpoint.tensors, checkpoint.facts)
    rest = [resumed.step() for _ in range(20 - stop)]

    assert losses[stop:] == rest
    assert _same(_copy(whole), _copy(resumed))


def test_a_loaded_trainer_shares_no_memory_with_what_it_loaded() -> None:
    first, second = _trainer(), _trainer(weights=1)
    first.step()
    second.load(first.tensors(), first.facts())
    before = _copy(first)
    second.step()

    assert _same(before, _copy(first))


def test_the_seed_decides_everything_but_the_first_weights() -> None:
    def run(seed: int) -> dict[str, Tensor]:
        trainer = _trainer(seed)
        torch.manual_seed(torch.seed() % 2**32)  # the global generator plays no part
        for _ in range(7):
            trainer.step()
        return _copy(trainer)

    first, again, other = run(0), run(0), run(1)

    assert _same(first, again)
    assert not _same(first, other)


def test_the_seed_decides_the_paths() -> None:
    class Recorded:
        def __init__(self) -> None:
            self.seen: list[Architecture] = []

        def select(self, step: Step, space: SearchSpace, rng: np.random.Generator) -> tuple[Path, ...]:
            self.seen.append(space.sample(rng))
            return (Path(self.seen[-1]),)

    def run(seed: int) -> list[Architecture]:
        trainer = _trainer(seed)
        trainer.paths = recorded = Recorded()
        for _ in range(4):
            trainer.step()
        return recorded.seen

    assert run(0) == run(0)
    assert run(0) != run(1)
    assert 4 == len(set(run(0)))


def test_an_epoch_shows_every_input_once_in_an_order_of_its_own() -> None:
    trainer = _trainer()
    epochs = []
    for _ in range(2):
        seen = []
        for _ in range(trainer.steps_per_epoch):
            inputs, labels = trainer._batch()
            seen.append(inputs)
            trainer.step()
            assert len(inputs) == len(labels) == 8
        epochs.append(torch.cat(seen))

    for epoch in epochs:
        assert torch.equal(epoch.flatten(1).sum(1).sort().values, trainer.inputs.flatten(1).sum(1).sort().values)
    assert not torch.equal(*epochs)


def test_one_step_moves_the_weights_by_the_learning_rate_times_the_gradient() -> None:
    trainer = _trainer(recipe=SuperNetRecipe(batch_size=8, lr=0.1, momentum=0, weight_decay=0.5, clip_norm=1e9))
    before = {name: p.detach().clone() for name, p in trainer.supernet.named_parameters()}
    trainer.plan = Plan(-1, 1)  # half way down the cosine
    trainer.step()

    for name, p in trainer.supernet.named_parameters():
        step = torch.zeros_like(p) if p.grad is None else 0.05 * (p.grad + 0.5 * before[name])
        torch.testing.assert_close(before[name] - step, p.detach())


def test_the_gradient_is_cut_to_the_largest_norm() -> None:
    trainer = _trainer(recipe=replace(RECIPE, clip_norm=0.01))
    trainer.step()
    squares = [p.grad.square().sum() for p in trainer.supernet.parameters() if p.grad is not None]

    assert torch.stack(squares).sum().sqrt().item() == pytest.approx(0.01, rel=1e-4)


def _gradients(trainer: SuperNetTrainer) -> dict[str, Tensor]:
    named = trainer.supernet.named_parameters()
    return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in named}


def test_the_gradient_of_several_paths_is_the_weighted_sum_of_theirs() -> None:
    recipe = SuperNetRecipe(batch_size=8, lr=0.1, clip_norm=1e9)
    chosen, weights = architectures(CASE.make(), 3), [1.0, 0.5, 2.0]

    def stepped(*, only: int | None = None) -> tuple[float, SuperNetTrainer]:
        trainer = _trainer(recipe=recipe)
        trainer.supernet.double()
        trainer.inputs = trainer.inputs.double()
        trainer.paths = fixed(*chosen, weights=weights) if only is None else fixed(chosen[only])
        return trainer.step(), trainer

    loss, together = stepped()
    alone = [stepped(only=i) for i in range(3)]

    gradient = _gradients(together)
    singles = [_gradients(trainer) for _, trainer in alone]
    for name in gradient:
        expected = sum((w * s[name] for w, s in zip(weights, singles, strict=True)), torch.zeros(()))
        torch.testing.assert_close(expected, gradient[name], rtol=1e-6, atol=1e-12)
    assert loss == pytest.approx(sum(w * single for w, (single, _) in zip(weights, alone, strict=True)) / 3.5)
    assert 1 == together.step_count


class Exploding(nn.Module):
    """Passes its input on; the output, or only its gradient, is not finite once `on` is set."""

    def __init__(self, gradient_only: bool) -> None:
        super().__init__()
        self.on, self.gradient_only = False, gradient_only

    def forward(self, x: Tensor) -> Tensor:
        if not self.on:
            return x
        # at 0 the square root is finite and its slope is not
        return x + (x - x.detach()).abs().sqrt() if self.gradient_only else x * math.inf


class Fragile(ModelSpace):
    """A linear classifier behind something that may explode."""

    def __init__(self) -> None:
        super().__init__({"op": Categorical("loss", "gradient")})

    def network(self, choose: Chooser) -> nn.Module:
        op = choose("op", {"loss": lambda: Exploding(False), "gradient": lambda: Exploding(True)})
        return nn.Sequential(nn.Linear(2, 3), op, nn.Linear(3, 3))


@pytest.mark.parametrize("op", ["loss", "gradient"])
def test_a_diverged_step_changes_no_weight_and_a_row_of_them_ends_the_training(op: str) -> None:
    supernet = Fragile().supernet()
    recipe = replace(RECIPE, most_skipped=3)
    trainer = SuperNetTrainer(supernet, torch.randn(16, 2), torch.arange(16) % 3, recipe=recipe)
    trainer.paths = fixed(supernet.space.architecture({"op": op}))
    trainer.step()
    before = _copy(trainer)
    for module in supernet.modules():
        if isinstance(module, Exploding):
            module.on = True

    assert all(math.isnan(trainer.step()) for _ in range(2))
    with pytest.raises(DivergedError, match=r"at step 3 with learning rate 0\.1, and 3 steps in a row"):
        trainer.step()
    assert _same(before, _copy(trainer))
    assert (4, 3, 3) == (trainer.step_count, trainer.skipped, trainer.skipped_in_row)


def test_a_single_spoilt_step_is_skipped_and_training_goes_on() -> None:
    supernet = Fragile().supernet()
    trainer = SuperNetTrainer(supernet, torch.randn(16, 2), torch.arange(16) % 3, recipe=RECIPE)
    trainer.paths = fixed(supernet.space.architecture({"op": "loss"}))
    (exploding,) = (m for m in supernet.modules() if isinstance(m, Exploding) and not m.gradient_only)
    losses = []
    for step in range(4):
        exploding.on = step == 1
        losses.append(trainer.step())

    assert [False, True, False, False] == [math.isnan(loss) for loss in losses]
    assert (4, 1, 0) == (trainer.step_count, trainer.skipped, trainer.skipped_in_row)


def test_training_brings_the_loss_of_every_path_down() -> None:
    torch.manual_seed(0)
    space = NASBench201(channels=4, cells_per_stage=1, num_classes=2)
    labels = torch.arange(64) % 2
    inputs = torch.randn(64, 3, 8, 8) + labels[:, None, None, None]
    trainer = SuperNetTrainer(space.supernet(), inputs, labels, recipe=SuperNetRecipe(batch_size=32))
    losses = [trainer.step() for _ in range(40)]

    assert sum(losses[-10:]) < 0.75 * sum(losses[:10])


def test_the_state_of_another_super_net_is_refused_and_changes_nothing() -> None:
    trainer = _trainer()
    trainer.step()
    before = _copy(trainer)
    other = SuperNetTrainer(Chain().supernet(), CASE.inputs(8), torch.arange(8) % CLASSES)
    wider = SuperNetTrainer(TwoBranches(8).supernet(), CASE.inputs(8), torch.arange(8) % CLASSES)

    with pytest.raises(CheckpointError, match=r"another super-net: it has no `network\.stem\.weight`"):
        trainer.load(other.tensors(), FACTS)
    with pytest.raises(CheckpointError, match=r"`network\.stem\.weight` has shape \(8, 1, 3, 3\), here \(4, 1, 3, 3\)"):
        trainer.load(wider.tensors(), FACTS)
    with pytest.raises(CheckpointError, match="its `extra` is not in this one"):
        trainer.load({**before, "supernet.extra": torch.zeros(1)}, FACTS)
    assert _same(before, _copy(trainer))
    assert (1, Plan(0, 0)) == (trainer.step_count, trainer.plan)


@pytest.mark.parametrize("weights", [[], [0.0]])
def test_a_strategy_that_selects_nothing_is_named(weights: list[float]) -> None:
    trainer = _trainer()
    trainer.paths = fixed(*architectures(CASE.make(), len(weights)), weights=weights)

    with pytest.raises(NasTuneError, match=r"FixedPaths.* selects no path of positive weight at step 0"):
        trainer.step()


def test_a_super_net_can_be_trained_with_a_loop_of_ones_own() -> None:
    supernet: SuperNet = CASE.make().supernet()
    twin = copy.deepcopy(supernet)
    trainer = SuperNetTrainer(
        twin, CASE.inputs(8), torch.arange(8) % CLASSES, recipe=SuperNetRecipe(batch_size=8, clip_norm=1e9)
    )
    architecture = architectures(supernet.space, 1)[0]
    trainer.paths = fixed(architecture)
    inputs, labels = trainer._batch()
    trainer.step()

    optimizer = torch.optim.SGD(supernet.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=4e-5)
    nn.functional.cross_entropy(supernet(inputs, architecture), labels).backward()  # type: ignore[no-untyped-call]  # torch
    optimizer.step()

    assert all(torch.equal(p, q) for p, q in zip(supernet.parameters(), twin.parameters(), strict=True))


class Dropping(ModelSpace):
    """A linear classifier with a choice of dropout."""

    def __init__(self) -> None:
        super().__init__({"rate": Categorical(0.2, 0.5)})

    def network(self, choose: Chooser) -> nn.Module:
        return nn.Sequential(
            nn.Linear(2, 8), choose("rate", lambda rate: nn.Dropout(float(str(rate)))), nn.Linear(8, 3)
        )


def test_dropout_goes_on_bitwise_and_leaves_the_global_generator_alone() -> None:
    def trainer() -> SuperNetTrainer:
        torch.manual_seed(0)
        return SuperNetTrainer(Dropping().supernet(), torch.ones(16, 2), torch.arange(16) % 3, recipe=RECIPE)

    whole, resumed = trainer(), trainer()
    for _ in range(3):
        whole.step()
    resumed.load(whole.tensors(), whole.facts())
    losses = [whole.step() for _ in range(3)]
    torch.manual_seed(99)
    state = torch.get_rng_state()
    rest = [resumed.step() for _ in range(3)]

    assert losses == rest
    assert _same(_copy(whole), _copy(resumed))
    assert torch.equal(state, torch.get_rng_state())


def test_dropout_can_be_left_to_the_first_path_of_a_step() -> None:
    supernet = Dropping().supernet()
    trainer = SuperNetTrainer(supernet, torch.ones(16, 2), torch.arange(16) % 3, recipe=RECIPE)
    (dropout,) = {m for m in supernet.modules() if isinstance(m, nn.Dropout) and m.p == 0.5}
    seen: list[bool] = []
    dropout.register_forward_hook(lambda module, inputs, output: seen.append(module.training))
    a = supernet.space.architecture({"rate": 0.5})
    trainer.step_on([Path(a), Path(a, regularised=False)])

    assert [True, False] == seen
    assert dropout.training


class WithAuxiliary(nn.Module):
    """Logits, in training beside those of an auxiliary head."""

    def __init__(self, choose: Chooser) -> None:
        super().__init__()
        self.body = choose("op", {"a": lambda: nn.Linear(4, 4), "b": nn.Tanh})
        self.head, self.auxiliary = nn.Linear(4, CLASSES), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        y = self.body(x)
        logits: Tensor = self.head(y)
        return (logits, self.auxiliary(y)) if self.training else logits


class Auxiliary(ModelSpace):
    """The space of `WithAuxiliary`."""

    def __init__(self) -> None:
        super().__init__({"op": Categorical("a", "b")})

    def network(self, choose: Chooser) -> nn.Module:
        return WithAuxiliary(choose)


@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_an_auxiliary_head_is_trained_by_its_weight(weight: float) -> None:
    torch.manual_seed(0)
    supernet = Auxiliary().supernet()
    inputs, labels = torch.randn(8, 4), torch.arange(8) % CLASSES
    a = Architecture({"op": "a"})
    recipe = SuperNetRecipe(batch_size=8, lr=0.1, momentum=0, weight_decay=0, clip_norm=1e9, auxiliary_weight=weight)
    trainer = SuperNetTrainer(supernet, inputs, labels, paths=fixed(a), recipe=recipe)
    before = copy.deepcopy(supernet)
    network = before.network
    assert isinstance(network, WithAuxiliary)

    main, auxiliary = before.train()(inputs, a)
    losses = [nn.functional.cross_entropy(logits, labels) for logits in (main, auxiliary)]
    expected = losses[0] + weight * losses[1]
    expected.backward()  # type: ignore[no-untyped-call]  # torch has no type for it

    assert pytest.approx(expected.item()) == trainer.step()
    for old, new in zip(before.parameters(), supernet.parameters(), strict=True):
        assert old.grad is not None
        torch.testing.assert_close(old - 0.1 * old.grad, new)
    moved = (network.auxiliary.weight - supernet.network.auxiliary.weight).abs().max()  # type: ignore[operator, union-attr]
    assert (weight > 0) == bool(moved > 0)
    assert (8, CLASSES) == supernet.eval()(inputs, a).shape
