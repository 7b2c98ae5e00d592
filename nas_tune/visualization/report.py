"""The report of a search: one HTML file that needs nothing else, also no network."""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pandas
from optuna.study import StudyDirection

from nas_tune import __version__
from nas_tune.analysis.frame import parameter_columns, trial_architecture, trials_frame, value_columns
from nas_tune.analysis.gap import optimization_gap
from nas_tune.analysis.ranking import checkpoint_pairs, ranking_frame
from nas_tune.samplers.study_history import CANONICAL_KEY
from nas_tune.visualization import page
from nas_tune.visualization.drawing import draw
from nas_tune.visualization.figures import (
    completed,
    cost_data,
    cost_figure,
    final_data,
    history_data,
    history_figure,
    missing,
    short,
)
from nas_tune.visualization.ranking import final_pairs, final_ranking_data, ranking_data, ranking_figure
from nas_tune.visualization.writing import plotly_source, write_whole

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from nas_tune.space import Architecture, SearchSpace

BEST_ROWS = 10
MOST_PARAMETERS = 16
MOST_CHECKPOINTS = 6
FINAL_COLUMNS = (
    "role",
    "trial",
    "shared_score",
    "test_accuracy",
    "parameters",
    "macs",
    "seconds",
    "architecture",
)
_PACKAGES = ("optuna", "torch", "ray")
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}


@dataclass(frozen=True)
class _Search:
    """What every section of the report reads."""

    study: optuna.Study
    space: SearchSpace
    frame: pandas.DataFrame
    objectives: tuple[str, ...]
    maximize: tuple[bool, ...]

    @property
    def best(self) -> tuple[int, ...]:
        """Trial numbers, best first; with several objectives the Pareto front, best in the first objective first."""
        rows = completed(self.frame, self.objectives[0])
        if len(self.objectives) > 1:
            rows = rows.loc[rows.index.isin([trial.number for trial in self.study.best_trials])]
        rows = rows.sort_values(self.objectives[0], ascending=not self.maximize[0], kind="stable")
        return tuple(map(int, rows.index))


def write_report(
    study: optuna.Study,
    space: SearchSpace,
    path: str | os.PathLike[str],
    *,
    finals: pandas.DataFrame | None = None,
    kendall_tau: float | None = None,
    command: str | None = None,
) -> Path:
    """Write what a search found as one HTML file; an existing file is replaced at once.

    Args:
        study: Any study, also an empty one and one with several objectives.
        space: The space whose architectures the trials are.
        path: Where the file goes; missing folders are made.
        finals: From-scratch trainings, with some of the columns `role` ("best" or "random"), `trial`, `shared_score`,
            `test_accuracy` (a fraction), `parameters`, `macs`, `seconds`, `architecture`.
        kendall_tau: Rank correlation between shared-weight and from-scratch scores.
        command: The command that repeats or continues the search.

    Returns:
        The path of the file.
    """
    objectives = value_columns(study)
    maximize = tuple(direction == StudyDirection.MAXIMIZE for direction in study.directions)
    search = _Search(study, space, trials_frame(study, space), objectives, maximize)
    parts = [
        page.paragraph(f"Neural architecture search, reported {datetime.now(UTC):%Y-%m-%d %H:%M} UTC", soft=True),
        _summary(search, kendall_tau),
        *_figures(search, finals),
        *_finals(finals, kendall_tau),
        *_ranking(search),
        *_best(search),
        _reproduction(command),
    ]
    has_figures = any("class='figure'" in part for part in parts)
    return write_whole(Path(path), page.page(study.study_name, parts, plotly_source() if has_figures else ""))


def _summary(search: _Search, kendall_tau: float | None) -> str:
    frame = search.frame
    states = frame["state"].value_counts()
    trials = ", ".join(f"{count} {_STATES.get(str(state), state)}" for state, count in states.items())
    rows = [
        ("Search space", _space_words(search.space)),
        ("Architectures", _size_words(search.space)),
        ("Trials", f"{len(frame)} ({trials})" if len(frame) else "none yet"),
        ("Proposed by", _proposer_words(search.study)),
        ("Evaluation", ", ".join(map(str, frame["evaluation"].dropna().unique())) or "not recorded"),
        ("Distinct candidates", f"{frame['key'].nunique():,}"),
        *_best_words(search),
        ("Wall time", _wall_time(frame)),
    ]
    if kendall_tau is not None:
        rows.append(("Kendall tau", f"{kendall_tau:.3f} (shared weights against from scratch)"))
    return page.section("Summary", page.facts(rows))


def _proposer_words(study: optuna.Study) -> str:
    """Count the trials of each sampler that writes what it proposes; the rest are enqueued as a whole, or of others."""
    names = Counter(_proposer(trial) for trial in study.get_trials(deepcopy=False))
    rest = names.pop(None, 0)
    words = [f"{name} ({count})" for name, count in names.items()]
    return ", ".join([*words, f"others ({rest})"] if rest else words) or "nobody yet"


def _proposer(trial: FrozenTrial) -> str | None:
    note = f":{CANONICAL_KEY}"
    return next((name.removesuffix(note) for name in trial.system_attrs if name.endswith(note)), None)


def _best_words(search: _Search) -> list[tuple[str, str]]:
    best = search.best
    if not best:
        return [("Best", "no trial has completed yet")]
    if len(search.objectives) > 1:
        return [("Pareto front", f"{len(best)} trials")]
    word = "largest" if search.maximize[0] else "smallest"
    return [("Best value", f"{short(search.frame['value'][best[0]])} (trial {best[0]}; the {word} is best)")]


def _space_words(space: SearchSpace) -> str:
    name = type(space).__name__
    if name != "SearchSpace":
        return name
    parts = (
        key if type(node).__name__ == "SearchSpace" else f"{key} ({_kind(node)})" for key, node in space.nodes.items()
    )
    return ", ".join(parts) or "empty"


def _kind(node: object) -> str:
    name = type(node).__name__
    return name if name[:1].isupper() and hasattr(node, "nodes") else name.lower()


def _size_words(space: SearchSpace) -> str:
    """Constraints are not counted out: that would mean to enumerate the space."""
    count = f"{space.weight():,}"
    if any(math.isinf(parameter.count) for parameter in space.parameters().values()):
        return f"{count} times continuous hyperparameters"
    return f"at most {count}" if space.constrained() else count


def _wall_time(frame: pandas.DataFrame) -> str:
    start, end = frame["datetime_start"].min(), frame["datetime_complete"].max()
    if pandas.isna(start) or pandas.isna(end):
        return "no trial has finished yet"
    elapsed, busy = (end - start).total_seconds(), frame["duration"].dt.total_seconds().sum()
    return f"{_span(elapsed)} from the first start to the last end, {_span(float(busy))} in trials"


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _figures(search: _Search, finals: pandas.DataFrame | None) -> list[str]:
    if not search.best:
        reason = "There is nothing to plot: no trial has completed with a finite value."
        return [page.section("Search history", page.paragraph(reason))]
    histories = [
        page.figure(f"{name} of each trial and best so far", history_figure(history_data(search.frame, name, up)))
        for name, up in zip(search.objectives, search.maximize, strict=True)
    ]
    costs = cost_data(search.frame, search.objectives[0])
    name = f"{search.objectives[0].capitalize()} against parameters"
    if costs.groups:
        against = page.figure(name, cost_figure(costs, () if finals is None else final_data(finals)))
    else:
        against = page.paragraph("No trial recorded its number of parameters (the user attribute `parameters`).")
    return [page.section("Search history", *histories), page.section(name, against)]


def _finals(finals: pandas.DataFrame | None, kendall_tau: float | None) -> list[str]:
    if finals is None or finals.empty:
        return []
    columns = [name for name in FINAL_COLUMNS if name in finals] + [
        name for name in finals if name not in FINAL_COLUMNS
    ]
    words = {name: "MACs" if name == "macs" else str(name).replace("_", " ") for name in columns}
    numeric = [words[name] for name in columns if pandas.api.types.is_numeric_dtype(finals[name])]
    rows = [[_cell(value) for value in row] for row in finals[columns].itertuples(index=False, name=None)]
    note = "Trained anew from scratch; the shared score is what the search had seen."
    if kendall_tau is not None:
        note += f" Kendall tau between the two: {kendall_tau:.3f}."
    table = page.table([words[name] for name in columns], rows, numeric)
    note += _gap_words(finals)
    return [page.section("Trained from scratch", page.paragraph(note, soft=True), *_final_ranking(finals), table)]


def _gap_words(finals: pandas.DataFrame) -> str:
    pairs = final_pairs(finals)
    if pairs.empty:
        return ""
    gap = optimization_gap(pairs["shared_score"], pairs["test_accuracy"])
    return (
        f" Test accuracy less shared score: {short(gap.mean_gap)} on average. The network with the best shared score "
        f"is {short(gap.regret)} below the best of all in test accuracy."
    )


def _final_ranking(finals: pandas.DataFrame) -> list[str]:
    data = final_ranking_data(finals)
    return [page.figure(f"Test accuracy against shared score. {data.title}", ranking_figure(data))] if data else []


def _ranking(search: _Search) -> list[str]:
    """The last checkpoints that have at least two networks to rank."""
    found = [pairs for pairs in checkpoint_pairs(search.study, search.frame) if len(pairs.keys) > 1]
    if not found:
        return []
    shown = found[-MOST_CHECKPOINTS:]
    data = ranking_data(shown, search.objectives[0], search.maximize[0])
    note = "Networks that the super-net scored and that trials of this study trained from scratch as well"
    note += f"; the last {len(shown)} of {len(found)} checkpoints." if len(shown) < len(found) else "."
    chart = page.figure(f"From-scratch result against super-net score. {data.title}", ranking_figure(data))
    gaps = [optimization_gap(pairs.supernet, pairs.from_scratch) for pairs in shown]
    table = ranking_frame([pairs.step for pairs in shown], gaps).dropna(axis="columns", how="all")
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False, name=None)]
    names = [str(name).replace("_", " ").replace("supernet", "super-net") for name in table]
    parts = (page.paragraph(note, soft=True), chart, page.table(names, rows, names))
    return [page.section("Ranking by shared weights", *parts)]


def _best(search: _Search) -> list[str]:
    if not search.best:
        return []
    heading = "Best trials" if len(search.objectives) == 1 else "Pareto front"
    return [*_best_architecture(search), page.section(heading, _best_table(search))]


def _best_architecture(search: _Search) -> list[str]:
    number = search.best[0]
    trial = search.study.get_trials(deepcopy=False)[number]
    architecture = trial_architecture(trial, search.space)
    if architecture is None:
        note = f"The parameters of trial {number} form no architecture of this space, so there is no drawing."
        return [page.section("Best architecture", page.paragraph(note))]
    which = f"Trial {number}"
    if len(search.objectives) > 1:
        which += f", the best in {search.objectives[0]} of the Pareto front"
    picture = page.drawing(draw(search.space.graph(architecture), title=f"Architecture of trial {number}"))
    values = page.facts((name, short(value)) for name, value in _all_values(architecture, trial))
    pair = f"<div class='pair'>{picture}{values}</div>"
    return [page.section("Best architecture", page.paragraph(which, soft=True), pair)]


def _all_values(architecture: Architecture, trial: optuna.trial.FrozenTrial) -> list[tuple[str, object]]:
    foreign = [(name, value) for name, value in trial.params.items() if name not in architecture]
    return [*architecture.items(), *foreign]


def _best_table(search: _Search) -> str:
    rows = search.frame.loc[list(search.best[:BEST_ROWS])].dropna(axis="columns", how="all")
    parameters = parameter_columns(search.frame)
    shown = parameters if len(parameters) <= MOST_PARAMETERS else ()
    columns = [name for name in (*search.objectives, "parameters", "macs", "evaluation", *shown) if name in rows]
    numeric = ["trial", *(name for name in columns if pandas.api.types.is_numeric_dtype(rows[name]))]
    cells = [
        [str(number), *map(_cell, values)]
        for number, values in zip(rows.index, rows[columns].itertuples(index=False, name=None), strict=True)
    ]
    heads = {"macs": "MACs"}
    return page.table(
        ["trial", *(heads.get(name, name) for name in columns)], cells, [heads.get(name, name) for name in numeric]
    )


def _cell(value: object) -> str:
    return "" if missing(value) else short(value)


def _reproduction(command: str | None) -> str:
    others = (f", {name} {version}" for name in _PACKAGES if (version := _version(name)))
    versions = f"nas_tune {__version__}" + "".join(others)
    parts = [page.code(command)] if command else []
    return page.section("How to reproduce", *parts, page.paragraph(f"Versions: {versions}.", soft=True))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
