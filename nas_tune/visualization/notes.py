"""What a trial's note says: GitHub Markdown without raw HTML, as optuna-dashboard shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nas_tune.visualization.figures import short

if TYPE_CHECKING:
    from nas_tune.space.node import Value


def trial_note(
    architecture: Mapping[str, Value],
    *,
    others: Mapping[str, Value] | None = None,
    parameters: int | None = None,
    macs: int | None = None,
    evaluation: str | None = None,
    seed: int | None = None,
) -> str:
    """Describe a trial.

    Args:
        architecture: Active parameters by name.
        others: Parameters of the trial outside the space.
        parameters: Parameters of the network, a count.
        macs: Multiply-adds for one image; one multiply-add is one.
        evaluation: How the trial is scored.
        seed: Seed of the search.

    Returns:
        Markdown: a table of what is known of costs, evaluation and seed, one of the parts, one of other parameters.
    """
    facts: dict[str, Value] = {"Parameters": parameters, "MACs": macs, "Evaluation": evaluation}
    facts["Seed"] = None if seed is None else str(seed)
    known = {name: value for name, value in facts.items() if value is not None}
    tables = (
        _table("Trial", ("Fact", "Value"), known),
        _table("Architecture", ("Part", "Value"), architecture),
        _table("Other parameters", ("Name", "Value"), others or {}),
    )
    return "\n\n".join(filter(None, tables)) + "\n"


def escape(text: str) -> str:
    """Escape what Markdown would read as more than text inside a table cell."""
    flat = " ".join(text.split())
    return re.sub(r"([\\`*\[\]|~$<>&]|\b_|_\b|(?<=[^\w\s])_)", _escaped, flat)


def _escaped(match: re.Match[str]) -> str:
    entities = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
    return entities.get(match[1], f"\\{match[1]}")


def _table(title: str, head: tuple[str, str], rows: Mapping[str, Value]) -> str:
    if not rows:
        return ""
    lines = [f"### {title}", "", f"| {head[0]} | {head[1]} |", "| :-- | :-- |"]
    return "\n".join(lines + [f"| {escape(name)} | {escape(short(value))} |" for name, value in rows.items()])
