"""Publishing a search to optuna-dashboard: drawings and notes of trials, figures of the study.

Drawings are Optuna artifacts and need nothing further. Notes and figures on the dashboard's pages need the extra
``nas-tune[dashboard]``; a note without its picture is also kept with its trial, under the system attribute `NOTE`.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection

from nas_tune.analysis.frame import trials_frame, value_columns
from nas_tune.errors import SpaceError
from nas_tune.visualization.artifacts import attach_drawing, default_folder, storage_url
from nas_tune.visualization.drawing import draw
from nas_tune.visualization.figures import cost_data, cost_figure, history_data, history_figure
from nas_tune.visualization.notes import trial_note
from nas_tune.visualization.serving import INSTALL, serve

if TYPE_CHECKING:
    from typing import Self, TypeAlias

    import pandas
    from optuna.trial import FrozenTrial

    from nas_tune.costs import Cost
    from nas_tune.space import Architecture, SearchSpace
    from nas_tune.visualization.figures import Figure

    Objective: TypeAlias = Callable[[optuna.Trial], float | Sequence[float]]

__all__ = ["NOTE", "Dashboard", "serve", "study_figures"]

NOTE = "nas_tune:note"
_SHARE = 20.0  # a refresh that took a second is not repeated within twenty: at most 5 % of the search
_logger = logging.getLogger(__name__)


class Dashboard:
    """Publishes trials and figures of a study of `space`.

    `watch` wraps the objective, so that every trial gets a drawing and a note; the dashboard itself is an Optuna
    callback, which refreshes the study's figures. Of several processes on one study, give the callback to one:
    figures are stored in pieces, and two writers at once may mix theirs.

    Args:
        space: The space whose architectures the trials are.
        artifact_dir: Folder of the drawings; by default `nas.artifacts` beside the database `sqlite:///nas.db`, and
            `nas-tune-artifacts` in the working folder for any other storage.
        refresh_seconds: Least time between two refreshes of the figures.
    """

    def __init__(
        self, space: SearchSpace, artifact_dir: str | os.PathLike[str] | None = None, *, refresh_seconds: float = 10.0
    ) -> None:
        self.space = space
        self.artifact_dir = None if artifact_dir is None else Path(artifact_dir).absolute()
        self.refresh_seconds = refresh_seconds
        self._lock = threading.Lock()
        self._due = 0.0
        self._stale: optuna.Study | None = None
        self._warned: set[str] = set()

    def publish(
        self,
        trial: optuna.Trial,
        architecture: Architecture,
        *,
        evaluation: str | None = None,
        seed: int | None = None,
        cost: Cost | None = None,
    ) -> None:
        """Give a running trial its drawing and its note; what is not passed is read from the trial's user attributes.

        Args:
            trial: A trial that has not been told yet: a finished one refuses.
            architecture: What it tries.
            evaluation: How it is scored; else the user attribute `evaluation`.
            seed: Seed of the search; else the user attribute `seed`.
            cost: Of the network; else the user attributes `parameters` and `macs`.
        """
        facts = trial.user_attrs
        note = trial_note(
            architecture,
            others={name: value for name, value in trial.params.items() if name not in architecture},
            parameters=cost.parameters if cost else facts.get("parameters"),
            macs=cost.macs if cost else facts.get("macs"),
            evaluation=evaluation or facts.get("evaluation"),
            seed=facts.get("seed") if seed is None else seed,
        )
        title = f"Architecture of trial {trial.number}"
        svg = draw(self.space.graph(architecture), title)
        artifact = attach_drawing(trial, svg, self._store(trial.storage))
        trial.storage.set_trial_system_attr(trial._trial_id, NOTE, note)
        if (published := self._optuna_dashboard()) is not None:
            picture = f"/artifacts/{trial.study._study_id}/{trial._trial_id}/{artifact}"
            published.save_note(trial, f"![{title}]({picture})\n\n{note}")

    def watch(self, objective: Objective) -> Objective:
        """Wrap an objective: when it ends, well or not, its trial is published before Optuna is told.

        A trial that was published by hand stays as it is. A full disk or a busy storage costs the drawing, never the
        trial.
        """

        @functools.wraps(objective)
        def watched(trial: optuna.Trial) -> float | Sequence[float]:
            try:
                return objective(trial)
            finally:
                self._publish_quietly(trial)

        return watched

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Refresh the study's figures, unless that was done a moment ago."""
        with self._lock:
            self._stale = study
            if time.monotonic() >= self._due:
                self._refresh()

    def close(self) -> None:
        """Bring the figures up to date with the last trial."""
        with self._lock:
            if self._stale is not None:
                self._refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _publish_quietly(self, trial: optuna.Trial) -> None:
        try:
            if not isinstance(trial, optuna.Trial) or NOTE in trial.storage.get_trial_system_attrs(trial._trial_id):
                return
            self.publish(trial, self.space.architecture(trial.params))
        except SpaceError as error:
            self._warn("space", f"Trial {trial.number} is no architecture of the space and gets no drawing: {error}")
        except (OSError, StorageInternalError) as error:
            self._warn("storage", f"Trial {trial.number} could not be published and gets no drawing: {error}")

    def _store(self, storage: optuna.storages.BaseStorage) -> FileSystemArtifactStore:
        folder = self.artifact_dir or default_folder(storage_url(storage))
        folder.mkdir(parents=True, exist_ok=True)
        return FileSystemArtifactStore(folder)

    def _refresh(self) -> None:
        study, start = self._stale, time.monotonic()
        published = self._optuna_dashboard()
        if study is None or published is None:
            return
        try:
            for name, figure in study_figures(study, self.space).items():
                published.save_plotly_graph_object(study, figure, graph_object_id=name)
        except StorageInternalError as error:
            self._warn("storage", f"The figures of the study could not be refreshed: {error}")
            return
        finally:
            end = time.monotonic()
            self._due = end + max(self.refresh_seconds, _SHARE * (end - start))
        self._stale = None

    def _optuna_dashboard(self) -> ModuleType | None:
        try:
            import optuna_dashboard
        except ImportError:
            self._warn(
                "extra", f"Notes and figures are not shown without optuna-dashboard; drawings are kept. {INSTALL}"
            )
            return None
        module: ModuleType = optuna_dashboard
        return module

    def _warn(self, kind: str, message: str) -> None:
        """Say each kind of trouble once."""
        if kind not in self._warned:
            self._warned.add(kind)
            _logger.warning(message)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_stale")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _stale=None, _due=0.0)


def study_figures(study: optuna.Study, space: SearchSpace) -> dict[str, Figure]:
    """Figures of a study by the id under which the dashboard keeps them."""
    frame = trials_frame(study, space)
    names = value_columns(study)
    figures = {}
    for place, (name, direction) in enumerate(zip(names, study.directions, strict=True)):
        history = _titled(_history(frame, name, direction), f"Search history: {name}")
        figures[f"nas-tune-history-{place}"] = history
    costs = cost_data(frame, names[0])
    costs = replace(costs, groups=tuple(replace(group, labels=()) for group in costs.groups))
    figures["nas-tune-cost"] = _titled(cost_figure(costs), f"{names[0].capitalize()} against parameters")
    return figures


def _history(frame: pandas.DataFrame, name: str, direction: StudyDirection) -> Figure:
    """Without the architectures: a dashboard has a page for each trial, and figures are stored in small pieces."""
    return history_figure(replace(history_data(frame, name, direction == StudyDirection.MAXIMIZE), labels=()))


def _titled(figure: Figure, title: str) -> Figure:
    return figure.update_layout(title={"text": title, "x": 0.02, "xanchor": "left"}, margin={"t": 84})
