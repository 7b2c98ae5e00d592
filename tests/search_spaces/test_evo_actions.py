"""The state machine of EvoNet: each action by hand, and all of them against a second machine with named layers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_tune.search_spaces.evo_actions import ARGUMENTS, Action, Bounds, Layer, Phenotype, actions_of, grown, values_of
from nas_tune.space import Value

BOUNDS = Bounds(max_layers=4, channels=16, min_channels=8, max_channels=32, max_reduction=4)
PLAIN = Layer(3, 1, 16, "bn_relu")
INSERT = Action("insert_convolution", (0, 1, "bn_relu"))


def _insert(position: int, stride: int = 1, activation: str = "bn_relu") -> Action:
    return Action("insert_convolution", (position, stride, activation))


def _grown(*actions: Action) -> Phenotype:
    return grown(BOUNDS, actions)


def test_no_action_leaves_the_network_without_convolutions() -> None:
    assert Phenotype() == _grown()


def test_an_inserted_convolution_is_3x3_with_the_channels_of_what_it_reads() -> None:
    first, after, before = _insert(0, 2, "linear"), _insert(1), _insert(0)
    made = _grown(first, Action("widen", (0,)), after, before)

    assert (PLAIN, Layer(3, 2, 32, "linear"), Layer(3, 1, 32, "bn_relu")) == made.layers


@pytest.mark.parametrize(
    ("action", "changed"),
    [
        (Action("kernel", (1, "conv_7x7")), Layer(7, 1, 16, "bn_relu")),
        (Action("kernel", (1, "conv_3x3")), PLAIN),
        (Action("stride", (1, 4)), Layer(3, 4, 16, "bn_relu")),
        (Action("stride", (1, 8)), PLAIN),
        (Action("widen", (1,)), Layer(3, 1, 32, "bn_relu")),
        (Action("narrow", (1,)), Layer(3, 1, 8, "bn_relu")),
        (Action("identity"), PLAIN),
        (Action("reset_weights"), PLAIN),
    ],
    ids=str,
)
def test_an_action_changes_its_layer_within_the_bounds(action: Action, changed: Layer) -> None:
    assert (PLAIN, changed, PLAIN) == _grown(INSERT, INSERT, INSERT, action).layers


@pytest.mark.parametrize("kind", ["widen", "narrow"])
def test_channels_stop_at_their_bounds(kind: str) -> None:
    once = _grown(INSERT, Action(kind, (0,)))

    assert once == _grown(INSERT, Action(kind, (0,)), Action(kind, (0,)))
    assert once != _grown(INSERT)


def test_a_position_counts_modulo_the_places_there_are() -> None:
    made = _grown(INSERT, _insert(3, 2), Action("kernel", (7, "conv_1x1")))

    assert (PLAIN, Layer(1, 2, 16, "bn_relu")) == made.layers


def test_the_product_of_the_strides_is_bounded() -> None:
    made = _grown(_insert(0, 2), _insert(0, 2), _insert(0, 2), _insert(0, 1), Action("stride", (0, 2)))

    assert [1, 2, 2] == [layer.stride for layer in made.layers]


def test_layers_beyond_the_most_are_not_inserted() -> None:
    assert 4 == len(_grown(*[INSERT] * 6).layers)


@pytest.mark.parametrize("kind", [kind for kind in ARGUMENTS if kind not in ("insert_convolution", "reset_weights")])
def test_without_layers_an_action_does_nothing(kind: str) -> None:
    values: dict[str, Value] = {"position": 0, "kernel": "conv_1x1", "stride": 2, "span": 1}

    assert Phenotype() == _grown(Action(kind, tuple(values[name] for name in ARGUMENTS[kind])))


def test_skips_are_ordered_pairs_without_repetition() -> None:
    skips = [Action("add_skip", places) for places in ((1, 2), (0, 1), (4, 2), (3, 3))]
    made = _grown(INSERT, INSERT, INSERT, *skips)

    assert ((0, 1), (0, 2), (0, 3), (1, 3)) == made.skips
    assert made == _grown(INSERT, INSERT, INSERT, *skips, Action("add_skip", (2, 2)))
    assert (0, 1) == made.sources(3)
    assert (0,) == made.sources(2)


def test_a_skip_longer_than_the_network_is_not_added() -> None:
    assert () == _grown(INSERT, Action("add_skip", (0, 2))).skips


def test_a_layer_inserted_under_a_skip_lengthens_it() -> None:
    skipped = (INSERT, INSERT, Action("add_skip", (0, 1)), Action("add_skip", (1, 1)))

    assert ((0, 1), (1, 2)) == _grown(*skipped).skips
    assert ((0, 2), (2, 3)) == _grown(*skipped, _insert(0)).skips
    assert ((0, 1), (1, 3)) == _grown(*skipped, _insert(1)).skips
    assert ((0, 1), (1, 2)) == _grown(*skipped, _insert(2)).skips


def test_a_removed_layer_takes_the_skips_at_its_output_along() -> None:
    three = (INSERT, INSERT, INSERT, *(Action("add_skip", places) for places in ((0, 1), (1, 1), (2, 1), (0, 3))))

    assert ((0, 1), (0, 2)) == _grown(*three, Action("remove_convolution", (1,))).skips
    assert ((0, 1), (1, 2)) == _grown(*three, Action("remove_convolution", (2,))).skips


def test_a_removed_skip_leaves_the_others() -> None:
    two = (INSERT, INSERT, Action("add_skip", (0, 1)), Action("add_skip", (0, 2)))

    assert ((0, 2),) == _grown(*two, Action("remove_skip", (0,))).skips
    assert ((0, 1),) == _grown(*two, Action("remove_skip", (3,))).skips


def test_a_layer_is_known_by_the_action_that_inserted_it() -> None:
    made = _grown(INSERT, Action("identity"), _insert(0), Action("remove_convolution", (1,)), _insert(1))

    assert (2, 4) == made.identities
    assert 0 == made.generation
    assert 2 == _grown(INSERT, Action("reset_weights"), Action("identity")).generation


def test_networks_are_equal_whichever_way_they_were_made() -> None:
    there_and_back = _grown(INSERT, Action("widen", (0,)), Action("narrow", (0,)), Action("reset_weights"))

    assert _grown(INSERT) == there_and_back
    assert hash(_grown(INSERT)) == hash(there_and_back)


KERNELS, STRIDES, SPANS = ("conv_1x1", "conv_3x3", "conv_5x5"), (1, 2, 4), (1, 2, 3)
ARGUMENT = {
    "position": st.integers(0, 9),
    "stride": st.sampled_from(STRIDES),
    "activation": st.sampled_from(("bn_relu", "linear")),
    "kernel": st.sampled_from(KERNELS),
    "span": st.sampled_from(SPANS),
}
ACTIONS = st.lists(
    st.one_of(
        *(
            st.tuples(*(ARGUMENT[name] for name in names)).map(lambda given, kind=kind: Action(kind, given))  # type: ignore[misc]
            for kind, names in ARGUMENTS.items()
        )
    ),
    max_size=40,
)


@settings(max_examples=50)
@given(ACTIONS)
def test_every_sequence_stays_within_the_bounds(actions: list[Action]) -> None:
    made = grown(BOUNDS, actions)

    assert len(made.layers) <= 4
    assert math.prod(layer.stride for layer in made.layers) <= 4
    assert all(8 <= layer.channels <= 32 and layer.kernel in (1, 3, 5) for layer in made.layers)
    assert all(0 <= source < target <= len(made.layers) for source, target in made.skips)
    assert sorted(set(made.skips)) == list(made.skips)
    assert len(set(made.identities)) == len(made.layers) == len(made.identities)


@settings(max_examples=50)
@given(ACTIONS)
def test_values_give_their_actions_back(actions: list[Action]) -> None:
    assert tuple(actions) == actions_of(values_of(actions))


class _Named:
    """The same machine with names for the tensors instead of numbers, so that nothing has to be renumbered."""

    def __init__(self) -> None:
        self.tensors = ["image"]
        self.layers: dict[str, dict[str, int | str]] = {}
        self.skips: set[tuple[str, str]] = set()

    def act(self, place: int, kind: str, *arguments: int | str) -> None:
        here = self.tensors[1:]
        if kind == "insert_convolution":
            self._insert(place, *arguments)
        elif kind == "add_skip":
            at, span = (int(argument) for argument in arguments)
            if starts := self.tensors[: max(len(self.tensors) - span, 0)]:
                start = at % len(starts)
                self.skips.add((self.tensors[start], self.tensors[start + span]))
        elif kind == "remove_skip" and self.skips:
            ordered = self.numbered()
            source, target = ordered[int(arguments[0]) % len(ordered)]
            self.skips.remove((self.tensors[source], self.tensors[target]))
        elif here and kind not in ("identity", "reset_weights", "remove_skip"):
            self._edit(kind, here[int(arguments[0]) % len(here)], arguments[1:])

    def _insert(self, place: int, position: int | str, stride: int | str, activation: int | str) -> None:
        if len(self.tensors) <= 4 and self._reduction() * int(stride) <= 4:
            at = int(position) % len(self.tensors)
            before = self.tensors[at]
            channels = self.layers[before]["channels"] if at else 16
            name = f"made by {place}"
            self.layers[name] = {"kernel": 3, "stride": stride, "channels": channels, "activation": activation}
            self.tensors.insert(at + 1, name)

    def _edit(self, kind: str, name: str, rest: tuple[int | str, ...]) -> None:
        layer = self.layers[name]
        if kind == "remove_convolution":
            self.tensors.remove(name)
            del self.layers[name]
            self.skips = {skip for skip in self.skips if name not in skip}
        elif kind == "kernel":
            layer["kernel"] = int(str(rest[0])[5])
        elif kind == "stride" and self._reduction() // int(layer["stride"]) * int(rest[0]) <= 4:
            layer["stride"] = rest[0]
        elif kind == "widen" and int(layer["channels"]) < 32:
            layer["channels"] = int(layer["channels"]) * 2
        elif kind == "narrow" and int(layer["channels"]) > 8:
            layer["channels"] = int(layer["channels"]) // 2

    def _reduction(self) -> int:
        return math.prod(int(layer["stride"]) for layer in self.layers.values())

    def numbered(self) -> list[tuple[int, int]]:
        return sorted((self.tensors.index(source), self.tensors.index(target)) for source, target in self.skips)


@settings(max_examples=50)
@given(ACTIONS)
def test_a_machine_with_named_tensors_makes_the_same_networks(actions: list[Action]) -> None:
    machine = _Named()
    for place, (kind, arguments) in enumerate(actions):
        machine.act(place, kind, *arguments)  # type: ignore[arg-type]
    made = grown(BOUNDS, actions)

    names = machine.tensors[1:]
    assert [tuple(machine.layers[name].values()) for name in names] == list(made.layers)
    assert machine.numbered() == list(made.skips)
    assert [f"made by {place}" for place in made.identities] == names
