"""The analytic cost of users' networks against `profile`, and its layers against forward hooks."""

from __future__ import annotations

import operator
import pickle
import threading
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_tune.costs import Operation, profile
from nas_tune.costs.operation import operation_of
from nas_tune.errors import TaskError
from nas_tune.space import (
    Categorical,
    Chooser,
    Integer,
    ModelSpace,
    Node,
    Repeat,
    SearchSpace,
    Subset,
    Switch,
)
from nas_tune.space.elastic import Elastic, combine
from nas_tune.supernet import elastic
from tests.supernet.elastic.networks import Sized
from tests.supernet.networks import Chain, Tabular, TwoBranches, architectures, bottleneck


class Mobile(ModelSpace):
    """Inverted residuals of elastic width, kernel and depth, some before a shortcut; a stride that is chosen."""

    def __init__(self) -> None:
        block = SearchSpace({"expand": Integer(1, 3), "kernel": Categorical(5, 1, 3)})
        super().__init__({"width": Integer(2, 6, step=2), "stride": Integer(1, 2), "blocks": Repeat(block, 1, 3)})

    def network(self, choose: Chooser) -> nn.Module:
        width = choose.value("width")
        stem = elastic.conv2d(2, width, 3, choose.value("stride"))
        blocks = choose.copies("blocks", lambda path: Inverted(choose, path, width))
        return nn.Sequential(
            stem, nn.Hardswish(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), elastic.linear(width, 3)
        )


class Inverted(nn.Module):
    """Expand, depthwise, project, add."""

    def __init__(self, choose: Chooser, path: str, width: int | Elastic[int]) -> None:
        super().__init__()
        hidden = combine(operator.mul, width, choose.value(f"{path}.expand"))
        self.layers = nn.Sequential(
            elastic.conv2d(width, hidden, 1),
            elastic.batch_norm2d(hidden),
            nn.ReLU(inplace=True),
            elastic.conv2d(hidden, hidden, choose.value(f"{path}.kernel"), groups=hidden, bias=True),
            nn.SiLU(),
            elastic.conv2d(hidden, width, 1),
            elastic.batch_norm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.layers(x)
        return y


class Odd(ModelSpace):
    """All that is unusual: functional convolutions, parameters of containers, a layer called twice, nests."""

    def __init__(self) -> None:
        inner = SearchSpace({"deep": Repeat(Categorical("twice", "functional"), 0, 2)})
        branches = {"many": inner, "none": SearchSpace({})}
        super().__init__({"outer": Repeat(Switch(branches), 0, 2), "w": Integer(1, 3), "v": Integer(2, 3)})

    def network(self, choose: Chooser) -> nn.Module:
        outer = [choose(n, {"many": lambda n=n: many(choose, n), "none": nn.Identity}) for n in choose.items("outer")]  # type: ignore[misc]
        return nn.Sequential(nn.BatchNorm2d(2), *outer, Joined(choose))


def many(choose: Chooser, name: str) -> nn.Module:
    parts = {"twice": Twice, "functional": Functional}
    return nn.Sequential(*[choose(d, parts) for d in choose.items(f"{name}.many.deep")])


class Twice(nn.Module):
    """A layer that is called twice, and one that evaluation leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.auxiliary = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 5, 1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.relu(self.conv(self.relu(self.conv(x))))
        return y + self.auxiliary(x).mean() if self.training else y


class Functional(nn.Module):
    """Convolutions with parameters of its own around a part."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.scale = nn.Parameter(torch.ones(2, 2, 3, 3)), nn.Parameter(torch.ones(1, 2, 1, 1))
        self.norm = nn.GroupNorm(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, padding="same")
        return self.scale * F.relu(self.norm(F.conv2d(x, self.weight[:, :1], padding=1, groups=2)), True)


class Joined(nn.Module):
    """Two tensors of elastic width, concatenated in `forward`, and activated afterwards."""

    def __init__(self, choose: Chooser) -> None:
        super().__init__()
        w, v = choose.value("w"), choose.value("v")
        self.left, self.right = elastic.conv2d(2, w, 3, bias=True), elastic.conv2d(2, v, 1)
        both: int | Elastic[int] = combine(operator.add, w, v)
        self.relu, self.last = nn.ReLU(), elastic.conv2d(both, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.relu(torch.cat((self.left(x), self.right(x)), dim=1)))
        return y


class Shared(ModelSpace):
    """One layer in the stem, as a candidate, and in an optional copy; two layers with one weight."""

    def __init__(self) -> None:
        super().__init__(
            {"op": Categorical("shared", "own", "within"), "n": Repeat(Categorical("own", "shared"), 0, 2)}
        )

    def network(self, choose: Chooser) -> nn.Module:
        stem, layer, tied = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        tied.weight = stem.weight
        own: Callable[[], nn.Module] = lambda: nn.Linear(4, 4)  # noqa: E731
        options = {"shared": lambda: layer, "own": own, "within": lambda: nn.Sequential(nn.Tanh(), layer, tied)}
        copies = choose.copies("n", lambda path: choose(path, {"own": own, "shared": lambda: layer}))
        return nn.Sequential(stem, choose("op", options), *copies)


class Fan(nn.Module):
    """Gives `pick` its input several times."""

    def __init__(self, pick: nn.Module, count: int) -> None:
        super().__init__()
        self.pick, self.count = pick, count

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pick([x] * self.count)
        return y


class Edges(ModelSpace):
    """Inputs with operations, of which some are wide."""

    def __init__(self, items: int, k: int) -> None:
        super().__init__(
            {"pick": Subset(range(items), k, Categorical("conv", "pool")), "last": Categorical(*range(items))}
        )
        self.items = items

    def network(self, choose: Chooser) -> nn.Module:
        return Cell(choose, self.items)


class Parts(ModelSpace):
    """Inputs with a part each, which depends on nothing but the item.

    Args:
        count: Of inputs.
        each: What a chosen one has besides.
    """

    def __init__(self, count: int, each: Node | None) -> None:
        super().__init__({"pick": Subset(range(count), 4, each)})
        self.count = count

    def network(self, choose: Chooser) -> nn.Module:
        return Fan(choose.inputs("pick", lambda item: bottleneck(1, 1 + int(str(item)))), self.count)


class Cell(nn.Module):
    """The network of `Edges`."""

    def __init__(self, choose: Chooser, items: int) -> None:
        super().__init__()
        self.items = items
        parts = {"conv": lambda: nn.Conv2d(1, 1, 3, padding=1), "pool": lambda: nn.AvgPool2d(3, 1, 1)}
        self.pick = choose.inputs("pick", lambda item: choose(f"pick.{item}", parts))
        self.last = choose.inputs("last", lambda item: nn.Conv2d(1, 1, 2 * int(str(item)) + 1, padding=int(str(item))))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pick([x] * self.items) + self.last([x] * self.items)
        return y


SPACES: Mapping[str, tuple[Callable[[], ModelSpace], tuple[tuple[int, ...], ...]]] = {
    "chain": (Chain, ((1, 6, 6), (1, 3, 3), (1, 9, 4))),
    "two branches": (TwoBranches, ((1, 6, 6), (1, 1, 1), (1, 2, 7))),
    "table": (Tabular, ((4,),)),
    "wide table": (lambda: Tabular(10, 5), ((10,),)),
    "mobile": (Mobile, ((2, 7, 7), (2, 1, 1), (2, 4, 9))),
    "odd": (Odd, ((2, 5, 5), (2, 1, 1), (2, 8, 3))),
    "shared": (Shared, ((4,), (3, 4))),
    "edges": (lambda: Edges(3, 2), ((1, 5, 5), (1, 1, 1))),
    "parts": (lambda: Parts(5, None), ((1, 3, 3),)),
    "many parts": (lambda: Parts(10, None), ((1, 3, 3),)),
    "many parts and more": (lambda: Parts(10, Categorical("a", "b")), ((1, 3, 3),)),
    "many edges": (lambda: Edges(10, 4), ((1, 5, 5),)),
}
spaces = pytest.mark.parametrize("name", SPACES)


@spaces
def test_the_cost_is_what_profile_measures_of_the_built_network(name: str) -> None:
    make, shapes = SPACES[name]
    space = make()
    for shape in shapes:
        cost = space.cost(shape)
        for a in (next(space.enumerate()), *architectures(space, 6)):
            with torch.device("meta"):
                network = space.build(a)

            assert profile(network, shape) == cost(a) == cost(dict(a)), (shape, a)  # type: ignore[arg-type]


def _seen(network: nn.Module, shape: tuple[int, ...]) -> Counter[Operation]:
    """Return the layers that a network runs, with the shape of what enters each."""
    seen: Counter[Operation] = Counter()

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        seen[operation_of(module, tuple(inputs[0].shape[1:]))] += 1

    for module in network.modules():
        if next(module.children(), None) is None and not isinstance(module, nn.Sequential):  # an empty one runs nothing
            module.register_forward_hook(record)
    network.eval()(torch.zeros((1, *shape)))
    return seen


@spaces
def test_the_operations_are_what_forward_hooks_see_and_can_be_made(name: str) -> None:
    make, shapes = SPACES[name]
    space, shape = make(), shapes[0]
    cost = space.cost(shape)
    for a in architectures(space, 5):
        operations = cost.operations(a)

        assert _seen(space.build(a), shape) == operations
        for found in operations:
            assert operation_of(found.module(), found.input_shape) == found
            found.module().eval()(torch.zeros((1, *found.input_shape)))


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (Chain, (1, 2, 2), r"Kernel size: \(3 x 3\). Kernel size can't be greater than actual input size"),
        (Chain, (1, 1, 1), "Kernel size can't be greater"),
        (Chain, (3, 8, 8), r"\(3, 8, 8\): Invalid channel dimensions"),
        (Mobile, (3, 8, 8), r"do not take an input of shape \(3, 8, 8\)"),
        (Odd, (1, 8, 8), r"\(1, 8, 8\): a batch norm of 2 channels is given 1\. Change the input shape or the space"),
        (Tabular, (3,), r"The networks of Tabular.* do not take an input of shape \(3,\)"),
        (Tabular, (4, 4, 4), "do not take an input of shape"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused_like_by_profile(
    make: Callable[[], ModelSpace], shape: tuple[int, ...], message: str
) -> None:
    space = make()
    a = architectures(space, 1)[0]

    with pytest.raises(TaskError):
        profile(space.build(a), shape)
    with pytest.raises(TaskError, match=message):
        space.cost(shape)(a)


@pytest.mark.parametrize("shape", [(), (1, 0, 4), (1, 4.5, 4)])
def test_what_is_no_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TaskError, match="`input_shape` .* is not a shape: give positive whole numbers"):
        Chain().cost(shape)


def test_a_cost_model_pickles_before_and_after_its_run() -> None:
    space = Mobile()
    cost = space.cost((2, 6, 6))
    chosen = architectures(space, 5)
    fresh = pickle.loads(pickle.dumps(cost))
    prices = [cost(a) for a in chosen]
    again = pickle.loads(pickle.dumps(cost))

    assert prices == [fresh(a) for a in chosen] == [again(a) for a in chosen]
    assert pickle.loads(pickle.dumps(cost.macs))(chosen[0]) == prices[0].macs
    assert [cost.operations(a) for a in chosen] == [again.operations(a) for a in chosen]


def test_a_bound_on_the_cost_is_a_condition() -> None:
    space = Edges(3, 2)
    cost = space.cost((1, 4, 4))
    small = space.where(cost.macs < 300)

    kept = [a for a in space.enumerate() if profile(space.build(a), (1, 4, 4)).macs < 300]
    assert 0 < len(kept) < len(list(space.enumerate()))
    assert kept == list(small.enumerate())


def test_tracing_draws_no_random_numbers_and_leaves_no_hook() -> None:
    from torch.nn.modules import module

    before, hooks = torch.get_rng_state(), len(module._global_forward_hooks)
    Mobile().cost((2, 6, 6))(architectures(Mobile(), 1)[0])
    with pytest.raises(TaskError):
        Chain().cost((3, 6, 6))(architectures(Chain(), 1)[0])

    assert torch.equal(before, torch.get_rng_state())
    assert hooks == len(module._global_forward_hooks)


def test_a_network_trained_in_another_thread_does_not_enter_the_trace() -> None:
    busy, stop, started = (
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        threading.Event(),
        threading.Event(),
    )
    losses: list[Tensor] = []

    def train() -> None:
        while not stop.is_set():
            losses.append(busy(torch.ones(2, 1, 5, 5)).sum())
            losses[-1].backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            started.set()

    thread = threading.Thread(target=train)
    thread.start()
    started.wait()
    space = TwoBranches()
    chosen = architectures(space, 3)
    costs = [[space.cost((1, 6, 6))(a) for a in chosen] for _ in range(3)]
    stop.set()
    thread.join()

    assert [[profile(space.build(a), (1, 6, 6)) for a in chosen]] * 3 == costs
    assert all(loss.isfinite() and not loss.is_meta for loss in losses)


def test_cost_models_traced_at_the_same_time_agree() -> None:
    space = Mobile()
    chosen = architectures(space, 3)
    found: list[list[object]] = []
    barrier = threading.Barrier(3)

    def price() -> None:
        barrier.wait()
        cost = space.cost((2, 6, 6))
        found.append([cost(a) for a in chosen])

    threads = [threading.Thread(target=price) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [[profile(space.build(a), (2, 6, 6)) for a in chosen]] * 3 == found


def test_images_that_are_resized_cost_what_their_size_says() -> None:
    space = Sized(
        {"size": Integer(4, 8, step=2), "w": Integer(1, 2)},
        lambda choose: nn.Sequential(elastic.Resize(choose.value("size")), elastic.conv2d(1, choose.value("w"), 3)),
    )
    cost = space.cost((1, 6, 6))

    assert [cost(a) for a in space.enumerate()] == [profile(space.build(a), (1, 6, 6)) for a in space.enumerate()]
    assert {9 * w * size**2 for w in (1, 2) for size in (4, 6, 8)} == {cost(a).macs for a in space.enumerate()}
