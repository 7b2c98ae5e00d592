"""`nas-tune spaces`: what is published, and one space from near."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas_tune.cli.graph_text import graph_lines
from nas_tune.cli.sizes import make, sizes, taken
from nas_tune.cli.training import read_architecture
from nas_tune.costs import profile
from nas_tune.errors import ArchitectureError
from nas_tune.search_spaces import SPACES
from nas_tune.space import Categorical

if TYPE_CHECKING:
    from nas_tune.cli.output import Output
    from nas_tune.costs import Cost
    from nas_tune.search_spaces import PublishedSpace
    from nas_tune.space import Architecture, Parameter

MOST_DIGITS = 8  # of a number of architectures that is shown digit by digit
WIDTH_OF_THE_TABLE = 76  # columns; where there are fewer, every fact of a space has a line
MOST_LETTERS = 200  # of a parameter's values
COLUMNS = ("name", "architectures", "parameters", "image", "reference")


def list_spaces(output: Output) -> None:
    """Show every published space with its size, its parameters, its images and where it is from."""
    made = {name: make(name, {}) for name in SPACES}
    rows = [
        (name, count(space.size()), str(len(space.parameters())), str(space.image_size), space.reference)
        for name, space in made.items()
    ]
    if output.console.width >= WIDTH_OF_THE_TABLE:
        output.table("Search spaces", COLUMNS, rows)
    else:
        for name, *values in rows:
            output.say(name, style="bold")
            output.say("".join(f"  {title}: {value}\n" for title, value in zip(COLUMNS[1:], values, strict=True)))
    output.say("nas-tune spaces NAME shows the parameters and an architecture of one.")
    output.result([facts(name, space) for name, space in made.items()])


def facts(name: str, space: PublishedSpace) -> dict[str, object]:
    """Return what the list tells of a space, for machines; the size is exact."""
    return {
        "name": name,
        "size": space.size(),
        "parameters": len(space.parameters()),
        "image_size": space.image_size,
        "reference": space.reference,
        "architectures": list(space.architectures),
    }


def count(number: float) -> str:
    """Write a number of things: exactly up to 8 digits, else like ``1.08e18``."""
    if len(str(number)) <= MOST_DIGITS or not isinstance(number, int):
        return f"{number:,}"
    return f"{Decimal(number):.2e}".replace("e+", "e")


def show_space(
    name: str, wanted: str | None, seed: int, given: Sequence[str], page: Path | None, output: Output
) -> None:
    """Show a space's parameters and one architecture with its graph and its cost.

    Raises:
        UnknownNameError: There is no such space.
        ArchitectureError: `wanted` is no architecture of it.
    """
    arguments = sizes(name, given, {}, small=False)
    space = make(name, arguments)
    architecture = _architecture(space, wanted, seed)
    shape = (space.in_channels, space.image_size, space.image_size)
    cost = profile(space.build(architecture), shape)
    exact = space.size()
    output.say(f"{name}: {count(exact)} architectures ({space.reference})", style="bold")
    output.say((inspect.getdoc(space) or "").split("\n\n")[0].replace("\n", " "))
    output.table("Parameters", ("name", "values"), list(folded(space.parameters().items())))
    output.say(f"Sizes, by --size: {taken(name)}")
    fitting = [known for known in space.architectures if _fits(space, known)]
    if fitting:
        output.say("Published architectures: " + ", ".join(fitting))
    if others := [known for known in space.architectures if known not in fitting]:
        output.say(f"With other arguments, by --size: {', '.join(others)}")
    which = f"Architecture {wanted}" if wanted in space.architectures else "Architecture"
    output.say(f"{which if wanted else f'A random architecture (seed {seed})'}:", style="bold")
    output.say(space.to_string(architecture))
    for line in graph_lines(space.graph(architecture), output.console.width, _unicode(output)):
        output.say(line)
    output.say(f"{cost.parameters:,} parameters, {cost.macs:,} MACs for one image of {' x '.join(map(str, shape))}.")
    if page is not None:
        _write_page(page, name, space, architecture, cost, shape)
        output.say(f"Wrote {page}.")
    output.result(
        {
            **facts(name, space),
            "arguments": arguments,
            "architecture": dict(architecture),
            "string": space.to_string(architecture),
            "cost": {"input_shape": shape, "parameters": cost.parameters, "macs": cost.macs},
            "html": str(page) if page else None,
        }
    )


def _fits(space: PublishedSpace, known: str) -> bool:
    """Say whether a published architecture is one of this instance of the space."""
    try:
        space.named(known)
    except ArchitectureError:
        return False
    return True


def _architecture(space: PublishedSpace, wanted: str | None, seed: int) -> Architecture:
    return space.sample(np.random.default_rng(seed)) if wanted is None else read_architecture(wanted, space)


def _unicode(output: Output) -> bool:
    try:
        "\N{LEFTWARDS ARROW}\N{HORIZONTAL ELLIPSIS}".encode(output.console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _write_page(
    page: Path, name: str, space: PublishedSpace, architecture: Architecture, cost: Cost, shape: Iterable[int]
) -> None:
    from nas_tune.visualization import write_architecture

    rows = [
        ("Space", f"{name} ({space.reference})"),
        ("Architecture", space.to_string(architecture)),
        ("Parameters", f"{cost.parameters:,}"),
        ("MACs", f"{cost.macs:,} for one image of {' x '.join(map(str, shape))}"),
    ]
    write_architecture(space.graph(architecture), page, title=f"An architecture of {name}", facts=rows)


def folded(parameters: Iterable[tuple[str, Parameter]]) -> Iterable[tuple[str, str]]:
    """Yield names and values of parameters; those that differ by numbers in their names alone are one row."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, parameter in parameters:
        groups.setdefault((re.sub(r"\d+", "#", name), _values(parameter)), []).append(name)
    for (_, values), names in groups.items():
        yield names[0] if len(names) == 1 else f"{names[0]} .. {names[-1]} ({len(names)})", values


def _values(parameter: Parameter) -> str:
    if not isinstance(parameter, Categorical):
        return parameter.expects()
    text = " | ".join(map(str, parameter.values))
    if len(text) <= MOST_LETTERS:
        return text
    return f"{text[:MOST_LETTERS].rpartition(' | ')[0]} | ... ({len(parameter.values)} values)"
