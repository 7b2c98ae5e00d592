"""The one-hot encoding: columns, mask, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from nas_tune.errors import SpaceError, UnknownNameError
from nas_tune.space import Categorical, Float, Integer, Repeat, SearchSpace, Switch, Value
from nas_tune.space.parameters import Numeric
from tests.space.strategies import seeds, spaces


@given(spaces(), seeds)
@settings(max_examples=60)
def test_decoding_inverts_encoding(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(np.random.default_rng(seed))

    vector = space.encode(architecture)

    assert vector.shape == (space.one_hot.width,)
    assert vector.dtype == np.float64
    assert ((0 <= vector) & (vector <= 1)).all()
    assert space.decode(vector) == architecture


@given(spaces(), seeds)
@settings(max_examples=40)
def test_the_mask_shows_the_columns_of_active_parameters(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(np.random.default_rng(seed))
    encoding, active = space.one_hot, set(space.distributions(architecture))

    mask = encoding.mask(architecture)

    assert not encoding.encode(architecture)[~mask].any()
    assert {column.split("=")[0] for column, shown in zip(encoding.columns, mask, strict=True) if shown} == active
    width = sum(1 if isinstance(p, Numeric) else p.count for name, p in space.parameters().items() if name in active)
    assert mask.sum() == width


@given(spaces(), seeds)
@settings(max_examples=30)
def test_any_vector_decodes_to_an_architecture(space: SearchSpace, seed: int) -> None:
    vector = np.random.default_rng(seed).normal(size=space.one_hot.width)

    decoded = space.decode(vector)

    assert space.architecture(decoded) == decoded


def test_columns_are_named_and_numbers_scaled() -> None:
    conv = SearchSpace({"k": Categorical(3, 5), "e": Integer(1, 5)})
    space = SearchSpace(
        {
            "op": Switch({"conv": conv, "skip": SearchSpace({})}),
            "deep": Repeat(Categorical("only"), 1, 2),
            "lr": Float(1e-3, 1e-1, log=True),
        }
    )

    assert space.one_hot.columns == (
        "op=conv",
        "op=skip",
        "op.conv.k=3",
        "op.conv.k=5",
        "op.conv.e",
        "deep.length",
        "lr",
    )
    conv_values: dict[str, Value] = {"op": "conv", "op.conv.k": 5, "op.conv.e": 2, "deep.length": 2, "lr": 1e-2}
    np.testing.assert_allclose(space.encode(conv_values), [1, 0, 0, 1, 0.25, 1, 0.5])
    np.testing.assert_allclose(space.encode({"op": "skip", "deep.length": 1, "lr": 1e-3}), [0, 1, 0, 0, 0, 0, 0])


def test_a_float_with_more_digits_comes_back_to_twelve() -> None:
    space = SearchSpace({"x": Float(-5, 5), "lr": Float(1e-6, 1, log=True)})
    values: dict[str, Value] = {"x": 1 / 3, "lr": 1 / 7e3}

    decoded = space.decode(space.encode(values))

    assert dict(decoded) == pytest.approx(values, rel=2e-11, abs=0)


def test_the_width_may_be_zero() -> None:
    space = SearchSpace({"op": Categorical("only")})

    assert space.encode({}).shape == (0,)
    assert dict(space.decode(np.zeros(0))) == {"op": "only"}


@pytest.mark.parametrize("shape", [(3,), (1, 2), ()])
def test_a_vector_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SpaceError) as error:
        SearchSpace({"op": Categorical(1, 2)}).decode(np.zeros(shape))

    assert str(error.value) == f"The vector has shape {shape}, the encoding (2,)."


def test_an_unknown_encoding_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError) as error:
        SearchSpace({"op": Categorical(1, 2)}).encode({"op": 1}, "onehot")

    assert str(error.value) == (
        "There is no encoding 'onehot'. Did you mean 'one-hot'? Known: adjacency, one-hot, path."
    )
