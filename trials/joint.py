"""A space of architectures beside the training hyperparameters, taken apart."""

from __future__ import annotations

from nas_tune.errors import SpaceError
from nas_tune.space import Architecture, ModelSpace, SearchSpace, Value


def split(space: SearchSpace, architecture: Architecture) -> tuple[ModelSpace, Architecture, dict[str, Value]]:
    """Take a joint architecture apart into the network's and the hyperparameters.

    Args:
        space: A ``ModelSpace``, or a ``SearchSpace`` with one ``ModelSpace`` among its parts.
        architecture: An architecture of ``space``.

    Returns:
        The model space, its architecture, and every other active value by the last part of its
        name: ``"lr"`` and ``"training.lr"`` are both ``lr``. None for a ``ModelSpace`` alone.

    Raises:
        SpaceError: There is no or more than one model space, or two values of one name.
        ArchitectureError: A value is missing or impossible.
    """
    if not isinstance(space, SearchSpace) or not isinstance(architecture, Architecture):
        raise SpaceError(
            f"Give a search space and an architecture of it, in this order; got {type(space).__name__} and "
            f"{type(architecture).__name__}. `space.architecture(mapping)` makes an architecture of a mapping."
        )
    if isinstance(space, ModelSpace):
        return space, architecture, {}
    key, model = _model_part(space)
    whole = space.architecture(architecture)
    hyperparameters: dict[str, Value] = {}
    for name, value in whole.items():
        if name.split(".")[0] == key:
            continue
        last = name.rsplit(".", 1)[-1]
        if last in hyperparameters:
            raise SpaceError(
                f"The joint space has two hyperparameters called '{last}', one of them `{name}`. "
                "Rename one, or keep them in branches of which one is active."
            )
        hyperparameters[last] = value
    return model, whole.part(key), hyperparameters


def _model_part(space: SearchSpace) -> tuple[str, ModelSpace]:
    parts = [(key, node) for key, node in space.nodes.items() if isinstance(node, ModelSpace)]
    if len(parts) != 1:
        found = ", ".join(f"`{key}`" for key, _ in parts) or "none"
        raise SpaceError(
            "A joint space needs exactly one ModelSpace among its parts, to build the network from; "
            f"of {', '.join(f'`{key}`' for key in space.nodes) or 'no parts'} these are: {found}."
        )
    return parts[0]
