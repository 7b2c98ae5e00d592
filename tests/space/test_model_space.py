"""`ModelSpace`: what `network` may ask, and what is said when it asks wrongly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from torch import nn

from nas_tune.errors import ArchitectureError, SpaceError, UnknownNameError
from nas_tune.space import Categorical, Chooser, Float, Integer, ModelSpace, Node, Repeat, SearchSpace, Subset, Switch

Network = Callable[[Chooser], nn.Module]


class Written(ModelSpace):
    """A space whose network is given as a function."""

    def __init__(self, network: Network, **nodes: Node) -> None:
        super().__init__(nodes)
        self.write = network

    def network(self, choose: Chooser) -> nn.Module:
        return self.write(choose)


AB = Categorical("a", "b")
PARTS: dict[str, Callable[[], nn.Module]] = {"a": nn.Identity, "b": nn.ReLU}


Errors = type[Exception] | tuple[type[Exception], ...]


def _refused(space: ModelSpace, error: Errors, message: str, **values: object) -> None:
    """Both readings of the network raise the error with the message."""
    with pytest.raises(error, match=message):
        space.build(space.architecture(values))
    with pytest.raises(error, match=message):
        space.supernet()


def test_a_network_that_is_not_written_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        ModelSpace({"op": AB})  # type: ignore[abstract]


def test_building_twice_gives_weights_of_their_own() -> None:
    space = Written(lambda choose: choose("op", {"a": lambda: nn.Linear(2, 2), "b": nn.ReLU}), op=AB)
    one, two = space.build({"op": "a"}), space.build({"op": "a"})

    assert one is not two
    assert not {id(p) for p in one.parameters()} & {id(p) for p in two.parameters()}


def test_one_function_of_the_value_stands_for_all_options() -> None:
    space = Written(lambda choose: choose("width", lambda w: nn.Linear(1, int(str(w)))), width=Integer(2, 6, step=2))

    assert {2, 4, 6} == {space.build(a).out_features for a in space.enumerate()}


def test_a_class_is_a_function_of_the_value_too() -> None:
    space = Written(lambda choose: choose("rate", nn.Dropout), rate=Float(0.0, 0.5, step=0.25))  # type: ignore[arg-type]

    assert 0.25 == space.build({"rate": 0.25}).p


@pytest.mark.parametrize("value", [None, "c"])
def test_an_architecture_that_does_not_fit_names_the_path(value: str | None) -> None:
    space = Written(lambda choose: choose("op", PARTS), op=AB)

    with pytest.raises(ArchitectureError, match="`op`"):
        space.build({} if value is None else {"op": value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"a": nn.ReLU}, r"options for `op` do not match its values \['a', 'b'\]: missing \['b'\], foreign \[\]"),
        ({**PARTS, "c": nn.ReLU}, r"missing \[\], foreign \['c'\]"),
        ({"a": nn.ReLU, "B": nn.ReLU}, r"missing \['b'\], foreign \['B'\]"),
        ({"a": nn.ReLU(), "b": nn.ReLU}, r"`op` needs a function for the option 'a', not ReLU\(\).*such as `lambda"),
        ({"a": nn.ReLU, "b": "relu"}, "`op` needs a function for the option 'b', not 'relu'"),
        (nn.ReLU(), "`op` needs one function from value to module, not ReLU"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Callable[[], nn.Module]], message: str) -> None:
    _refused(Written(lambda choose: choose("op", options), op=AB), SpaceError, message, op="a")


def test_an_unknown_parameter_is_refused_with_the_nearest() -> None:
    space = Written(lambda choose: choose("operation", PARTS), op=AB)

    _refused(space, UnknownNameError, r"no parameter in the space 'operation'.*Known: op\.", op="a")


@pytest.mark.parametrize("ask", ["items", "copies", "inputs", "value"])
def test_every_question_refuses_a_name_that_leads_nowhere(ask: str) -> None:
    def network(choose: Chooser) -> nn.Module:
        arguments = ("where", nn.Identity) if ask == "copies" else ("where",)
        getattr(choose, ask)(*arguments)
        return nn.Identity()

    _refused(Written(network, op=AB), (SpaceError, UnknownNameError), "where", op="a")


@pytest.mark.parametrize(
    ("ask", "node", "message"),
    [
        ("items", AB, r"`op` is Categorical\('a', 'b'\), not a Repeat"),
        ("copies", AB, r"the depth `op`: `value` is 'a'; give a finite number"),
        ("copies", Subset([1, 2], 1), r"`op` is Subset\(\[1, 2\], 1\), not a Repeat and not a number"),
        ("inputs", Repeat(AB, 1, 2), r"`op` is Repeat\(.*\), not a Subset and not a Categorical"),
    ],
)
def test_a_question_of_another_kind_than_the_node_is_refused(ask: str, node: Node, message: str) -> None:
    def network(choose: Chooser) -> nn.Module:
        arguments = ("op", nn.Identity) if ask == "copies" else ("op",)
        getattr(choose, ask)(*arguments)
        return nn.Identity()

    space = Written(network, op=node)

    _refused(space, SpaceError, message, **space.sample(np.random.default_rng(0)))


CONTENTS: dict[str, Node] = {"k": AB, "n": Repeat(AB, 0, 2), "s": Subset([1, 2], 1), "many": Subset(range(10), 5)}
QUESTIONS: dict[str, Callable[[Chooser], object]] = {
    "op.conv.k": lambda choose: choose("op.conv.k", PARTS),
    "op.conv.n.length": lambda choose: [choose(n, PARTS) for n in choose.items("op.conv.n")],
    "op.conv.s": lambda choose: choose.inputs("op.conv.s"),
}


@pytest.mark.parametrize("branch", ["skip", "conv"])
@pytest.mark.parametrize("asked", QUESTIONS)
def test_a_decision_is_asked_for_inside_its_branch(asked: str, branch: str) -> None:
    """Whichever branch comes first: outside of it, the super-net and the other branch's network refuse."""

    def network(choose: Chooser) -> nn.Module:
        QUESTIONS[asked](choose)
        return choose("op", {"conv": nn.ReLU, "skip": nn.Identity})

    branches = {"conv": SearchSpace(CONTENTS), "skip": SearchSpace({})}
    space = Written(network, op=Switch({branch: branches[branch], **branches}))
    message = f"`network` asks for `{asked}`.*inactive.*Ask for it inside the branch or copy"

    _refused(space, SpaceError, message, op="skip")


def test_a_subset_of_many_items_is_asked_for_inside_its_branch_too() -> None:
    def network(choose: Chooser) -> nn.Module:
        choose.inputs("op.conv.many")
        return choose("op", {"conv": nn.ReLU, "skip": nn.Identity})

    space = Written(network, op=Switch({"skip": SearchSpace({}), "conv": SearchSpace(CONTENTS)}))

    _refused(space, SpaceError, "`network` asks for `op.conv.many`.*inactive", op="skip")


def test_a_plain_value_of_a_branch_is_asked_for_inside_it() -> None:
    def network(choose: Chooser) -> nn.Module:
        choose.value("op.conv.k")
        return choose("op", {"conv": nn.ReLU, "skip": nn.Identity})

    space = Written(network, op=Switch({"skip": SearchSpace({}), "conv": SearchSpace({"k": AB})}))

    _refused(space, SpaceError, "`network` asks for `op.conv.k`.*inactive", op="skip")


def test_the_only_branch_needs_no_choice() -> None:
    space = Written(lambda choose: choose("op.conv.k", PARTS), op=Switch({"conv": SearchSpace({"k": AB})}))

    assert isinstance(space.build({"op.conv.k": "b"}), nn.ReLU)
    assert "candidates" in dict(space.supernet().network.named_children())


def test_a_copy_that_is_not_there_cannot_be_asked_for() -> None:
    space = Written(lambda choose: choose("n.1", PARTS), n=Repeat(AB, 1, 2))

    with pytest.raises(SpaceError, match=r"asks for `n\.1`, which is inactive"):
        space.build({"n.length": 1, "n.0": "a"})


def test_something_beside_the_choice_in_a_repeated_part_is_refused() -> None:
    def network(choose: Chooser) -> nn.Module:
        parts = [(choose(name, PARTS), nn.BatchNorm1d(2)) for name in choose.items("n")]
        return nn.Sequential(*[module for pair in parts for module in pair])

    space = Written(network, n=Repeat(AB, 1, 3))

    with pytest.raises(
        SpaceError, match=r"what a `Repeat` repeats goes wholly into `choose\(name, ...\)` or `choose\.copies"
    ):
        space.supernet()
    assert 2 == len(space.build({"n.length": 1, "n.0": "a"}))  # type: ignore[arg-type]


def test_a_wrapper_around_the_choice_in_a_repeated_part_is_refused() -> None:
    def network(choose: Chooser) -> nn.Module:
        return nn.Sequential(*[nn.Sequential(choose(name, PARTS), nn.Tanh()) for name in choose.items("n")])

    with pytest.raises(SpaceError, match="Sequential has 1 parts, but 3 in the super-net"):
        Written(network, n=Repeat(AB, 1, 3)).supernet()


def test_items_of_a_repeated_space_are_refused_in_a_super_net() -> None:
    def network(choose: Chooser) -> nn.Module:
        return nn.Sequential(*[choose(f"{name}.k", PARTS) for name in choose.items("n")])

    space = Written(network, n=Repeat(SearchSpace({"k": AB}), 1, 3))

    assert 1 == len(space.build({"n.length": 1, "n.0.k": "a"}))  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match=r"repeats a space of several decisions.*use `choose\.copies\('n', make\)`"):
        space.supernet()


def test_a_plain_layer_takes_a_plain_size_only() -> None:
    space = Written(lambda choose: nn.Linear(1, choose.value("width")), width=Integer(2, 4))

    assert 3 == space.build({"width": 3}).out_features
    with pytest.raises(SpaceError, match=r"A size has no single value in a super-net.*nas_tune\.supernet\.elastic"):
        space.supernet()


def test_a_value_that_is_no_number_can_be_built_but_not_shared() -> None:
    space = Written(lambda choose: nn.Softmax(dim=0) if choose.value("op") == "a" else nn.Identity(), op=AB)

    assert isinstance(space.build({"op": "b"}), nn.Identity)
    with pytest.raises(SpaceError, match=r"plain value of `op`, and a super-net holds all of them"):
        space.supernet()


def test_a_plain_value_without_alternative_can_be_shared() -> None:
    space = Written(lambda choose: nn.Linear(1, int(str(choose.value("width")))), width=Integer(3, 3))

    assert 3 == space.supernet().network.out_features


def test_a_continuous_parameter_chooses_no_module() -> None:
    space = Written(lambda choose: choose("rate", lambda rate: nn.Dropout(float(str(rate)))), rate=Float(0.0, 0.5))

    _refused(space, SpaceError, "`rate` is continuous and cannot choose between modules: give it a step", rate=0.2)


def test_a_constraint_holds_for_what_is_built() -> None:
    space = Written(lambda choose: choose("op", PARTS), op=AB).where(lambda a: a["op"] == "b", "rectified")

    assert isinstance(space.build({"op": "b"}), nn.ReLU)
    with pytest.raises(SpaceError, match="rectified"):
        space.build({"op": "a"})
    with pytest.raises(SpaceError, match="rectified"):
        space.supernet().extract({"op": "a"})
