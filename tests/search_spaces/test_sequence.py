"""The synthetic task of controllers: names, size, a reward with a known optimum."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest

from nas_tune.errors import ArchitectureError, SpaceError
from nas_tune.search_spaces.sequence import Sequence


@pytest.fixture(scope="module")
def small() -> Sequence:
    return Sequence(length=4, vocabulary=3)


def test_the_size_is_a_power() -> None:
    assert 7**20 == Sequence().size()
    assert 3**4 == Sequence(4, 3).size() == len(set(Sequence(4, 3).enumerate()))


def test_names_sort_in_the_order_of_the_positions() -> None:
    names = list(Sequence(length=12).parameters())

    assert sorted(names) == names
    assert ("position_00", "position_11") == (names[0], names[-1])


def test_sequences_are_written_as_their_symbols(small: Sequence) -> None:
    for symbols in itertools.product(range(3), repeat=4):
        sequence = small.from_string(" ".join(map(str, symbols)))

        assert symbols == tuple(sequence.values())
        assert sequence == small.from_string(small.to_string(sequence))


def test_every_sequence_has_a_key_and_a_graph_of_its_own(small: Sequence) -> None:
    every = list(small.enumerate())
    graph = small.graph(small.from_string("2 0 1 1"))

    assert len(every) == len({small.canonical_key(sequence) for sequence in every})
    assert ["input", "2", "0", "1", "1", "output"] == [graph.nodes[node]["op"] for node in graph]
    assert 5 == graph.number_of_edges()


def test_the_best_sequence_and_the_mean_are_those_of_the_enumeration(small: Sequence) -> None:
    rewards = {sequence: small.reward(sequence) for sequence in small.enumerate()}

    assert max(rewards, key=rewards.__getitem__) == small.best()
    assert 1.0 == pytest.approx(small.progress(max(rewards.values())))
    assert 0.0 == pytest.approx(small.progress(statistics.fmean(rewards.values())), abs=1e-12)


def test_the_reward_is_the_mean_of_what_the_symbols_add(small: Sequence) -> None:
    expected = np.mean([small.rewards[0, 2], small.rewards[1, 0], small.rewards[2, 1], small.rewards[3, 1]])

    assert expected == pytest.approx(small.reward(small.from_string("2 0 1 1")))
    assert small.reward(small.best()) == small.reward(dict(small.best()))


def test_the_seed_fixes_the_rewards() -> None:
    assert np.array_equal(Sequence(seed=1).rewards, Sequence(seed=1).rewards)
    assert not np.array_equal(Sequence(seed=1).rewards, Sequence(seed=2).rewards)


def test_a_single_symbol_leaves_nothing_to_learn() -> None:
    space = Sequence(3, 1)

    assert 1 == space.size()
    assert 1.0 == space.progress(space.reward(space.best()))


@pytest.mark.parametrize("text", ["", "0 1 2", "0 1 2 0 1", "0 1 2 x", "0 1 2 -1", "0 1 2 1.0"])
def test_other_text_is_no_sequence(small: Sequence, text: str) -> None:
    with pytest.raises(ArchitectureError, match="is no sequence: write 4 numbers from 0 to 2, separated by blanks"):
        small.from_string(text)


def test_a_symbol_outside_the_vocabulary_names_its_position(small: Sequence) -> None:
    with pytest.raises(ArchitectureError, match="`position_2` has the impossible value 3"):
        small.from_string("0 1 3 0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 0}, "`length` is 0; it is at least 1"),
        ({"vocabulary": -1}, "`vocabulary` is -1; it is at least 1"),
        ({"seed": 0.5}, "`seed` is 0.5; give a whole number"),
    ],
)
def test_impossible_arguments_are_refused_by_name(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(SpaceError, match=f"Sequence: {message}"):
        Sequence(**arguments)


def test_the_repr_makes_the_space_again() -> None:
    space = Sequence(5, 2, seed=3)

    assert repr(space) == repr(eval(repr(space), {"Sequence": Sequence}))
