"""Counting the multiply-adds of everything a network computes, functional calls included."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

# Private module: torch offers no other way to see every operation. `FlopCounterMode`, which is
# public, also installs process-wide module hooks: networks trained by other threads at the same
# time then appear in its count, and a pass costs twice as much. Its table of formulas is used here.
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

_Operation = Callable[..., object]


class MultiplyAdds(TorchDispatchMode):
    """Context that counts the multiply-adds computed inside it, by this thread alone.

    Convolutions, matrix products, attention and recurrent layers are counted; biases,
    normalisation, pooling, activations and other elementwise operations are not.

    Attributes:
        total: Multiply-adds so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch wraps the method below and imports its compiler, about 2 s, to do so

    def __torch_dispatch__(
        self,
        func: _Operation,
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        """Run one operation and add its price."""
        named = kwargs or {}
        output = func(*args, **named)
        operation = getattr(func, "overloadpacket", None)
        if price := _PRICES.get(operation):
            self.total += price(args)
        elif formula := flop_registry.get(operation):
            self.total += formula(*args, **named, out_val=output) // 2
        return output


@contextmanager
def unfused_attention() -> Iterator[None]:
    """Make attention layers run as the matrix products they are, which can be counted."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def _recurrent(args: Sequence[object]) -> int:
    """Steps x batch x elements of the weight matrices of a fused recurrent layer.

    Args:
        args: Of the fused operation: input [steps, batch, features] (or batch first), then the
            weights, as two matrices or as a list of matrices and biases.
    """
    inputs, first, second = args[:3]
    assert isinstance(inputs, Tensor)
    weights = first if isinstance(first, (list, tuple)) else (first, second)
    matrices = [weight for weight in weights if isinstance(weight, Tensor) and weight.ndim == 2]
    return inputs.shape[0] * inputs.shape[1] * sum(weight.numel() for weight in matrices)


def _attention(args: Sequence[object]) -> int:
    """Query-key products and their weighted sum of values.

    Args:
        args: query [batch, heads, queries, features], key and value [batch, heads, keys, features].
    """
    query, key, value = args[:3]
    assert isinstance(query, Tensor) and isinstance(key, Tensor) and isinstance(value, Tensor)
    pairs = query.shape[:-1].numel() * key.shape[-2]
    return pairs * (query.shape[-1] + value.shape[-1])


# Fused operations that torch's own table does not price.
_PRICES: Mapping[object, Callable[[Sequence[object]], int]] = {
    torch.ops.aten.mkldnn_rnn_layer: _recurrent,
    torch.ops.aten._cudnn_rnn: _recurrent,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
}
