"""Depths, derived copies and inputs with parts: built, shared, extracted, relaxed, and asked for wrongly."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError, NasTuneError, SpaceError
from nas_tune.space import Architecture, Categorical, Chooser, Float, Integer, ModelSpace, Node, Repeat, Subset, Value
from nas_tune.supernet import SuperNet, elastic
from tests.supernet.elastic.networks import Sized, randomized
from tests.supernet.networks import architectures

ITEMS = ("x", "y", "z")
OPS: Mapping[str, Callable[[], nn.Module]] = {"double": lambda: Times(2), "linear": lambda: nn.Linear(2, 2)}


class Times(nn.Module):
    """A number times its input."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Fan(nn.Module):
    """Gives `pick` an input times 1, 10, 100, ..."""

    def __init__(self, pick: nn.Module, count: int = 3) -> None:
        super().__init__()
        self.pick, self.count = pick, count

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pick([x * 10**i for i in range(self.count)])
        return y


def fan(nodes: Mapping[str, Node], make: Callable[[Chooser, Value], nn.Module], count: int = 3) -> ModelSpace:
    """Return a space that chooses among inputs at `pick`."""
    return Sized(nodes, lambda choose: Fan(choose.inputs("pick", lambda item: make(choose, item)), count))


def operation(choose: Chooser, item: Value) -> nn.Module:
    return choose(f"pick.{item}", OPS)


def cell(k: int = 2) -> ModelSpace:
    """Return a space as a node of a DARTS cell: `k` of three inputs, an operation on each chosen edge."""
    return fan({"pick": Subset(ITEMS, k, Categorical(*OPS))}, operation)


def deep(choose: Chooser, item: Value) -> nn.Module:
    copies = choose.copies(f"pick.{item}.depth", lambda path: nn.Linear(2, 2))
    return nn.Sequential(choose(f"pick.{item}.op", OPS), *copies)


SPACES: Mapping[str, Callable[[], ModelSpace]] = {
    "integer depth": lambda: Sized(
        {"depth": Integer(0, 3)},
        lambda choose: nn.Sequential(nn.Linear(2, 2), *choose.copies("depth", lambda path: nn.Linear(2, 2))),
    ),
    "categorical depth": lambda: Sized(
        {"depth": Categorical(4, 1, 2)},
        lambda choose: nn.Sequential(*choose.copies("depth", lambda path: nn.Linear(2, 2))),
    ),
    "derived copies": lambda: Sized(
        {"a": Integer(0, 2), "b": Integer(1, 2)},
        lambda choose: nn.Sequential(
            *choose.copies(
                choose.derive(lambda a: int(str(a["a"])) + 3 * int(str(a["b"])) - 3, 5),
                lambda path: nn.Linear(2, 2),
            )
        ),
    ),
    "choices in copies": lambda: Sized(
        {"depth": Integer(1, 2), "op": Categorical(*OPS)},
        lambda choose: nn.Sequential(*choose.copies("depth", lambda path: choose("op", OPS))),
    ),
    "one of the inputs": lambda: fan({"pick": Categorical("x", "y", None)}, lambda choose, item: nn.Linear(2, 2)),
    "inputs with parts": lambda: fan({"pick": Subset(ITEMS, 2)}, lambda choose, item: nn.Linear(2, 2)),
    "inputs with operations": cell,
    "all inputs": lambda: cell(3),
    "inputs with depths": lambda: fan(
        {"pick": Subset(ITEMS, 2, Sized({"op": Categorical(*OPS), "depth": Integer(0, 1)}, lambda choose: Times(1)))},
        deep,
    ),
    "many inputs": lambda: fan({"pick": Subset(range(10), 4, Categorical(*OPS))}, operation, 10),
    "inputs in copies": lambda: Sized(
        {"n": Repeat(Subset(ITEMS, 1, Categorical(*OPS)), 1, 2)},
        lambda choose: nn.Sequential(
            *choose.copies("n", lambda n: Fan(choose.inputs(n, lambda item: choose(f"{n}.{item}", OPS))))
        ),
    ),
}
spaces = pytest.mark.parametrize("name", SPACES)
X = torch.tensor([[1.0, -2.0], [0.5, 3.0]])


@spaces
@torch.no_grad()
def test_an_extracted_network_computes_what_the_super_net_does(name: str) -> None:
    supernet = randomized(SPACES[name]().supernet())
    outputs = {}
    for a in architectures(supernet.space, 30):
        alone = supernet.extract(a)
        outputs[a] = alone(X)

        torch.testing.assert_close(supernet(X, a), outputs[a], rtol=1e-5, atol=1e-5)
        assert supernet.space.build(a).state_dict().keys() == alone.state_dict().keys()

    assert len(outputs) > 1
    assert len(outputs) == len({tuple(y.flatten().tolist()) for y in outputs.values()}), "they are told apart"


@spaces
def test_only_what_a_network_holds_gets_a_gradient(name: str) -> None:
    supernet = randomized(SPACES[name]().supernet())
    for a in architectures(supernet.space, 10):
        supernet.zero_grad(set_to_none=True)
        supernet(X.clone().requires_grad_(), a).sum().backward()
        touched = sum(p.numel() for p in supernet.parameters() if p.grad is not None)

        assert sum(p.numel() for p in supernet.space.build(a).parameters()) == touched


@pytest.mark.parametrize("values", [(0, 1, 2, 3), (3, 1), (2.0, 1.0)])
def test_a_depth_is_the_number_of_copies_and_names_them(values: tuple[float, ...]) -> None:
    paths: list[str] = []
    space = Sized(
        {"depth": Categorical(*values)},
        lambda choose: nn.Sequential(*choose.copies("depth", lambda path: paths.append(path) or Times(2))),  # type: ignore[func-returns-value]
    )
    supernet = space.supernet()
    one = torch.ones(1)
    for a in space.enumerate():
        paths.clear()
        built = space.build(a)

        assert [f"depth.{i}" for i in range(int(str(a["depth"]).removesuffix(".0")))] == paths
        assert 2 ** len(paths) == built(one).item() == supernet(one, a).item() == supernet.extract(a)(one).item()


def test_a_plain_number_of_copies_is_numbered_in_both_readings() -> None:
    paths: list[str] = []
    space = Sized(
        {"op": Categorical(1, 2)},
        lambda choose: nn.Sequential(*choose.copies(2, lambda path: paths.append(path) or Times(3))),  # type: ignore[func-returns-value]
    )
    nets = space.build({"op": 1}), space.supernet()

    assert {"0", "1"} == set(paths)
    assert [2, 2] == [sum(isinstance(part, Times) for part in net.modules()) for net in nets]


def test_mixed_depths_weigh_a_copy_by_the_depths_that_hold_it() -> None:
    space = Sized(
        {"depth": Categorical(4, 1, 2)}, lambda choose: nn.Sequential(*choose.copies("depth", lambda path: Times(2)))
    )
    output = space.supernet()(torch.ones(1), {"depth": torch.tensor([0.5, 0.2, 0.3])})

    assert pytest.approx(2 * 1.8 * 1.5 * 1.5) == output.item()


def test_a_soft_cell_is_the_sum_over_edges_of_the_sums_over_operations() -> None:
    supernet = randomized(cell().supernet())
    generator = torch.Generator().manual_seed(0)
    edges = torch.rand(3, generator=generator).requires_grad_()
    alphas = {f"pick.{item}": torch.rand(2, generator=generator).requires_grad_() for item in ITEMS}
    linears = [part for part in supernet.modules() if isinstance(part, nn.Linear)]

    output = supernet(X, {"pick": edges, **alphas})
    by_hand = sum(
        (
            edges[i] * (w[0] * 2 * X * 10**i + w[1] * linear(X * 10**i))
            for i, (w, linear) in enumerate(zip(alphas.values(), linears, strict=True))
        ),
        torch.zeros(()),
    )
    found = torch.autograd.grad(output.square().sum(), (edges, *alphas.values()))
    expected = torch.autograd.grad(by_hand.square().sum(), (edges, *alphas.values()))

    torch.testing.assert_close(by_hand, output)
    torch.testing.assert_close(expected, found, rtol=1e-4, atol=1e-2)
    assert all(gradient.abs().min() > 0 for gradient in found)


@pytest.mark.parametrize("make", [cell, SPACES["many inputs"]])
def test_chosen_edges_may_have_mixed_operations(make: Callable[[], ModelSpace]) -> None:
    supernet = randomized(make().supernet())
    a = architectures(supernet.space, 1)[0]
    hard = dict(supernet.selection(a))
    soft = {name: torch.tensor([0.0, 1.0]).requires_grad_() for name in hard if a[name] in OPS}
    linear = {**a, **dict.fromkeys(soft, "linear")}

    output = supernet(X, {**hard, **soft})
    output.sum().backward()

    torch.testing.assert_close(supernet(X, supernet.space.architecture(linear)), output)
    assert all(weights.grad is not None for weights in soft.values())


def test_edges_of_weight_zero_run_nothing_and_get_no_gradient() -> None:
    supernet = randomized(cell().supernet())
    one_hot: dict[str, int | Tensor] = {"pick": torch.tensor([0.0, 1.0, 1.0]), **{f"pick.{i}": 1 for i in ITEMS}}
    supernet(X, one_hot).sum().backward()
    linears = [part for part in supernet.modules() if isinstance(part, nn.Linear)]

    assert [False, True, True] == [part.weight.grad is not None for part in linears]
    a = supernet.space.architecture({"pick": "y,z", "pick.y": "linear", "pick.z": "linear"})
    torch.testing.assert_close(supernet(X, a), supernet(X, one_hot))
    active = set(supernet.active_modules(supernet.selection(one_hot)))
    assert [False, True, True] == [part in active for part in linears]


def test_a_mix_of_single_inputs_is_their_weighted_sum() -> None:
    space = fan({"pick": Categorical("x", "y", "z")}, lambda choose, item: Times(1))

    assert 12.5 == space.supernet()(torch.ones(1), {"pick": torch.tensor([0.5, 0.2, 0.1])}).item()


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"pick": torch.ones(2)}, r"`pick` needs 3 weights, shape \(3,\); the selection has shape \(2,\)"),
        ({"pick.x": 0}, r"The selection says nothing of `pick`: give an index or 3 weights"),
        ({"pick": 0, "pick.x": 0}, r"The selection says nothing of `pick\.y`: give an index or 2 weights"),
        ({"pick": 3}, r"`pick` has the index 3 in the selection; it has 3 values"),
    ],
)
def test_a_selection_that_does_not_fit_a_cell_is_refused_by_name(
    selection: dict[str, int | Tensor], message: str
) -> None:
    with pytest.raises(ArchitectureError, match=message):
        cell().supernet()(X, selection)


def _everywhere(make: Callable[[Chooser], nn.Module], message: str, error: type[NasTuneError], **nodes: Node) -> None:
    with pytest.raises(error, match=message):
        Sized(nodes, make).supernet()


@pytest.mark.parametrize("item", ["x", "None"])
def test_an_edge_is_asked_for_inside_its_make(item: str) -> None:
    picked = Subset((None, "x", "y"), 2, Categorical(*OPS))
    message = (
        rf"`network` asks for `pick\.{item}` outside the item '{item}' of `pick`.*in the `make` of `choose\.inputs"
    )

    _everywhere(lambda choose: choose(f"pick.{item}", OPS), message, SpaceError, pick=picked)
    other = Sized({"pick": picked}, lambda choose: Fan(choose.inputs("pick", lambda _: choose(f"pick.{item}", OPS))))
    with pytest.raises(SpaceError, match=message):
        other.supernet()
    after = Sized(
        {"pick": picked},
        lambda choose: nn.ModuleList(
            [choose.inputs("pick", lambda edge: choose(f"pick.{edge}", OPS)), choose("pick.y", OPS)]
        ),
    )
    with pytest.raises(SpaceError, match=r"asks for `pick\.y` outside the item"):
        after.supernet()
    others = [name for name in ("None", "x", "y") if name != item]
    with pytest.raises(SpaceError, match=rf"asks for `pick\.{item}`, which is inactive"):
        other.build({"pick": ",".join(others), **dict.fromkeys((f"pick.{name}" for name in others), "double")})


@pytest.mark.parametrize(
    "make",
    [
        lambda size: nn.Conv2d(1, size, 3),
        lambda size: nn.Linear(1, 2 * size),
        nn.BatchNorm2d,
        lambda size: nn.Sequential(*[nn.ReLU() for _ in range(size)]),
        lambda size: nn.ReLU() if size > 2 else nn.Tanh(),
    ],
)
def test_a_plain_layer_given_an_elastic_size_is_refused(make: Callable[[int], nn.Module]) -> None:
    message = r"A size has no single value in a super-net.*Give it to the layers of `nas_tune\.supernet\.elastic`"

    _everywhere(lambda choose: make(choose.value("w")), message, SpaceError, w=Integer(2, 4))


def test_weights_for_an_elastic_size_are_refused() -> None:
    space = Sized({"w": Integer(2, 4)}, lambda choose: nn.Sequential(elastic.conv2d(1, choose.value("w"), 3)))

    with pytest.raises(ArchitectureError, match="The size w needs an index for `w`: elastic sizes have no mixtures"):
        space.supernet()(torch.ones(1, 1, 4, 4), {"w": torch.ones(3) / 3})


@pytest.mark.parametrize("given", [2, 4])
def test_another_number_of_tensors_than_items_is_refused(given: int) -> None:
    space = fan({"pick": Subset(ITEMS, 2)}, lambda choose, item: Times(1), given)
    a = Architecture({"pick": "x,y"})
    supernet: SuperNet = space.supernet()

    message = f"`pick` chooses among 3 inputs, but `network` gives it {given} tensors"

    with pytest.raises(SpaceError, match=message):
        space.build(a)(X)
    for selection in (a, {"pick": torch.ones(3)}):
        with pytest.raises(SpaceError, match=message):
            supernet(X, selection)


@pytest.mark.parametrize("node", [Float(1.0, 2.0), Subset((0, 1), 1)])
def test_what_is_no_depth_is_refused(node: Node) -> None:
    space = Sized({"depth": node}, lambda choose: nn.Sequential(*choose.copies("depth", lambda path: nn.ReLU())))

    message = "`depth` is .*, not a Repeat and not a number"

    with pytest.raises(SpaceError, match=message):
        space.supernet()
    with pytest.raises(SpaceError, match=message):
        space.build(architectures(space, 1)[0])


def test_a_number_of_copies_that_is_not_whole_is_refused() -> None:
    space = Sized({"op": Categorical(1, 2)}, lambda choose: nn.Sequential(*choose.copies(2.5, nn.Identity)))  # type: ignore[arg-type]

    message = r"choose\.copies: `name` is 2\.5; give a whole number"

    with pytest.raises(SpaceError, match=message):
        space.supernet()
    with pytest.raises(SpaceError, match=message):
        space.build({"op": 1})


def test_inputs_of_a_copy_that_may_be_absent_go_into_the_copy() -> None:
    def network(choose: Chooser) -> nn.Module:
        return nn.Sequential(*[Fan(choose.inputs(name)) for name in choose.items("n")])

    pick = Subset(ITEMS, 1)

    _everywhere(
        network, r"`choose\.inputs\('n\.1'\)` stands in a copy that may be absent", SpaceError, n=Repeat(pick, 1, 2)
    )
    always = Sized({"n": Repeat(pick, 2, 2)}, network)
    for a in always.enumerate():
        assert always.build(a)(torch.ones(1)) == always.supernet()(torch.ones(1), a)
