"""Selections: what is refused and with which words, and several threads at once."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_tune.errors import ArchitectureError, SpaceError, UnknownNameError
from nas_tune.search_spaces import NASBench201
from nas_tune.space import Architecture, Categorical, Chooser, Integer, ModelSpace, Repeat, SearchSpace, Subset, Switch
from tests.supernet.networks import Chain, Tabular, TwoBranches, architectures, mixture

X = torch.randn(2, 1, 6, 6)


def test_a_forward_pass_without_a_selection_says_how_to_make_one() -> None:
    with pytest.raises(
        ArchitectureError, match=r"call `supernet\(x, architecture\)`, or run inside `with supernet.select"
    ):
        Chain().supernet()(X)


def test_a_selection_of_another_kind_is_refused() -> None:
    with pytest.raises(ArchitectureError, match="A selection is an architecture.*not 'A0'"):
        Sums(1).supernet()(torch.ones(1), "A0")


def test_a_selection_ends_with_its_block_even_after_an_error() -> None:
    supernet = Chain().supernet()
    with pytest.raises(KeyError), supernet.select(architectures(supernet.space, 1)[0]):
        raise KeyError

    with pytest.raises(ArchitectureError, match="none is made"):
        supernet(X)


def test_an_inner_selection_gives_way_to_the_outer_one_again() -> None:
    supernet = Chain().supernet().eval()
    a, b = architectures(supernet.space, 2)
    alone = supernet(X, a)
    with supernet.select(a):
        supernet(X, b)

        assert torch.equal(alone, supernet(X))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.0": torch.ones(2)}, r"`blocks\.0` needs 3 weights, shape \(3,\); the selection has shape \(2,\)"),
        (
            {"blocks.0": torch.ones(3, 1)},
            r"`blocks\.0` needs 3 weights, shape \(3,\); the selection has shape \(3, 1\)",
        ),
        ({"blocks.length": torch.ones(6)}, r"`blocks\.length` needs 5 weights.* has shape \(6,\)"),
        ({"blocks.0": None}, r"The selection says nothing of `blocks\.0`: give an index or 3 weights"),
        ({"blocks.5": None}, r"The selection says nothing of `blocks\.5`"),
        ({"blocks.length": None}, r"The selection says nothing of `blocks\.length`: give an index or 5 weights"),
    ],
)
def test_a_soft_selection_that_does_not_fit_is_refused_by_name(change: dict[str, Tensor | None], message: str) -> None:
    supernet = Chain().supernet()
    weights = {**mixture(supernet), **change}
    selection = {name: w for name, w in weights.items() if w is not None}

    with pytest.raises(ArchitectureError, match=message):
        supernet(X, selection)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"blocks.0": 3}, r"`blocks\.0` has the index 3 in the selection; it has 3 values"),
        ({"blocks.0": -1}, r"`blocks\.0` has the index -1"),
        ({"blocks.0": "skip"}, r"`blocks\.0` has 'skip' in the selection.*`space\.architecture\(values\)`"),
        ({"blocks.0": True}, r"`blocks\.0` has True in the selection"),
        ({"blocks.0": 1.0}, r"`blocks\.0` has 1\.0 in the selection"),
    ],
)
def test_a_hard_selection_that_is_impossible_is_refused_by_name(selection: dict[str, int], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        Chain().supernet().select(selection)


def test_an_unknown_decision_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match=r"no decision in the super-net's space 'block\.0'. Did you mean 'blocks\.0'"
    ):
        Chain().supernet().select({"block.0": 1})


def test_a_value_of_another_space_is_refused_by_name() -> None:
    with pytest.raises(ArchitectureError, match=r"`blocks\.0` has the impossible value 'conv7'"):
        Chain().supernet()(X, Architecture({"blocks.length": 2, "blocks.0": "conv7", "blocks.1": "skip"}))


def test_an_architecture_of_a_joint_space_is_told_apart_from_its_part() -> None:
    space = Chain()
    joint = SearchSpace({"net": space, "lr": Integer(1, 3)}).sample(np.random.default_rng(0))
    supernet = space.supernet()

    with pytest.raises(ArchitectureError, match=r"says nothing of `blocks\."):
        supernet(X, joint)
    assert (2, 3) == supernet(X, joint.part("net")).shape


def test_indices_of_numpy_and_a_mix_of_indices_and_weights_are_understood() -> None:
    supernet = Chain().supernet().eval()
    a = supernet.space.architecture({"blocks.length": 2, "blocks.0": "conv5", "blocks.1": "skip"})
    mixed = {"blocks.length": np.int64(0), "blocks.0": torch.tensor([0.0, 1.0, 0.0]), "blocks.1": 2}

    torch.testing.assert_close(supernet(X, a), supernet(X, mixed))


@pytest.mark.parametrize("columns", [4, 10])
def test_inputs_without_a_selection_are_named(columns: int) -> None:
    supernet = Tabular(columns, columns // 2).supernet().eval()
    x = torch.randn(2, columns)

    with pytest.raises(ArchitectureError, match=r"The selection says nothing of `inputs`"):
        supernet(x, {"first": 0, "second": 0})
    with pytest.raises(ArchitectureError, match=rf"`inputs` needs {columns} weights, shape \({columns},\)"):
        supernet(x, {"first": 0, "second": 0, "inputs": torch.ones(3)})


class Sums(ModelSpace):
    """Sums `k` of three inputs, out of as many as the network passes on."""

    def __init__(self, k: int, given: int = 3) -> None:
        super().__init__({"pick": Subset([0, 1, 2], k)})
        self.given = given

    def network(self, choose: Chooser) -> nn.Module:
        return Sum(choose, self.given)


class Sum(nn.Module):
    """The network of `Sums`."""

    def __init__(self, choose: Chooser, given: int) -> None:
        super().__init__()
        self.pick, self.given = choose.inputs("pick"), given

    def forward(self, x: Tensor) -> Tensor:
        picked: Tensor = self.pick([x * 10**i for i in range(self.given)])
        return picked


@pytest.mark.parametrize(("k", "sums"), [(0, {0}), (1, {1, 10, 100}), (2, {11, 101, 110}), (3, {111})])
def test_a_subset_of_any_size_is_summed(k: int, sums: set[int]) -> None:
    space = Sums(k)
    supernet = space.supernet()
    one = torch.ones(1)

    assert (
        sums
        == {int(supernet(one, a)) for a in space.enumerate()}
        == {int(space.build(a)(one)) for a in space.enumerate()}
    )


@pytest.mark.parametrize("given", [2, 4])
def test_another_number_of_inputs_than_items_is_refused(given: int) -> None:
    space = Sums(2, given)
    a = space.architecture({"pick": "0,1"})

    for network in (space.build(a), space.supernet().extract(a)):
        with pytest.raises(SpaceError, match=f"`pick` chooses among 3 inputs, but `network` gives it {given} tensors"):
            network(torch.ones(1))
    with pytest.raises(SpaceError, match=f"`pick` chooses among 3 inputs, but `network` gives it {given} tensors"):
        space.supernet()(torch.ones(1), a)


def test_a_single_value_need_not_be_selected() -> None:
    class Fixed(ModelSpace):
        def __init__(self) -> None:
            super().__init__({"blocks": Repeat(Categorical("a", "b"), 2, 2), "only": Categorical("c")})

        def network(self, choose: Chooser) -> nn.Module:
            blocks = [choose(n, {"a": nn.ReLU, "b": nn.Identity}) for n in choose.items("blocks")]
            return nn.Sequential(*blocks, choose("only", {"c": nn.Identity}))

    half = torch.full((2,), 0.5)

    assert Fixed().supernet()(torch.tensor([-4.0]), {"blocks.0": half, "blocks.1": half}).item() == -1.0


def test_an_incomplete_selection_of_a_branch_names_what_is_missing() -> None:
    supernet = TwoBranches().supernet()
    weights = {name: w for name, w in mixture(supernet).items() if name != "right.conv.kernel"}

    with pytest.raises(ArchitectureError, match=r"says nothing of `right\.conv\.kernel`: give an index or 2 weights"):
        supernet(X, weights)
    with pytest.raises(ArchitectureError, match=r"says nothing of `right\.conv\.kernel`"):
        list(supernet.active_modules(supernet.selection(weights)))


def test_threads_run_architectures_of_their_own() -> None:
    supernet = NASBench201(channels=2, cells_per_stage=1).supernet().eval()
    x = torch.randn(2, 3, 8, 8)
    chosen = architectures(supernet.space, 4)
    with torch.no_grad():
        expected = [supernet(x, a) for a in chosen]
    wrong: list[int] = []
    start = threading.Barrier(len(chosen))

    @torch.no_grad()
    def run(i: int) -> None:
        start.wait()
        with supernet.select(chosen[i]):
            wrong.extend(i for _ in range(40) if not torch.equal(expected[i], supernet(x)))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(chosen))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
    assert not torch.equal(expected[0], expected[1])


def test_a_thread_does_not_inherit_the_selection_of_another() -> None:
    supernet = Chain().supernet()
    errors: list[str] = []

    def run() -> None:
        try:
            supernet(X)
        except ArchitectureError as error:
            errors.append(str(error))

    with supernet.select(architectures(supernet.space, 1)[0]):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    assert 1 == len(errors) and "none is made" in errors[0]


def test_a_repeat_inside_a_branch_inside_a_repeat_is_left_out_as_the_selection_says() -> None:
    class Nested(ModelSpace):
        def __init__(self) -> None:
            inner = SearchSpace({"deep": Repeat(Categorical("double", "skip"), 0, 2)})
            super().__init__({"outer": Repeat(Switch({"many": inner, "none": SearchSpace({})}), 0, 2)})

        def network(self, choose: Chooser) -> nn.Module:
            return nn.Sequential(*[self.outer(choose, name) for name in choose.items("outer")])

        @staticmethod
        def outer(choose: Chooser, name: str) -> nn.Module:
            def many() -> nn.Module:
                deep = choose.items(f"{name}.many.deep")
                return nn.Sequential(*[choose(d, {"double": Double, "skip": nn.Identity}) for d in deep])

            return choose(name, {"many": many, "none": nn.Identity})

    space = Nested()
    supernet = space.supernet()
    for a in space.enumerate():
        doubles = sum(value == "double" for value in a.values())

        assert 2**doubles == supernet(torch.ones(1), a).item() == supernet.extract(a)(torch.ones(1)).item()

    half = torch.full((2,), 0.5)
    soft = {name: torch.full((p.weight(),), 1 / p.weight()) for name, p in space.parameters().items()}
    inner = 1.0
    for longer in (2 / 3, 1 / 3):
        inner *= longer * (0.5 * 2 + 0.5) + (1 - longer)
    expected = 1.0
    for longer in (2 / 3, 1 / 3):
        expected *= longer * (0.5 * inner + 0.5) + (1 - longer)
    assert supernet(torch.ones(1), {**soft, "outer.0": half}).item() == pytest.approx(expected)


class Double(nn.Module):
    """Two times its input."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x
