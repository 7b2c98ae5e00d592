"""`nas-tune search`: train shared weights, search with them, train the best from scratch, report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import optuna
from optuna.trial import TrialState

from nas_tune.cli.conclusion import conclude
from nas_tune.cli.finals import Final, choose, known, train_and_store
from nas_tune.cli.folders import check_outputs, only_writer
from nas_tune.cli.interrupts import uninterrupted
from nas_tune.cli.output import Advance, Output
from nas_tune.cli.problem import NETWORK, Problem, check_and_store
from nas_tune.cli.strategies import paths
from nas_tune.cli.studies import DRIVER, give_back, open_study, retry_orphans, this_process
from nas_tune.errors import DivergedError
from nas_tune.samplers import enqueue
from nas_tune.trials import FromScratch, Recipe, SharedWeights
from nas_tune.trials.shared_weights import FITS
from nas_tune.visualization import Dashboard

if TYPE_CHECKING:
    from nas_tune.cli.proposer import Proposer
    from nas_tune.cluster import SharedSuperNet
    from nas_tune.space import Architecture

Score: TypeAlias = Callable[["Sequence[Architecture]", "Sequence[optuna.Trial] | None"], "Sequence[float | TrialState]"]
"""Judges a batch of architectures: a value, or the state of a trial that has none."""

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
WAIT_SECONDS = 0.5  # between two looks at trials that other processes are at
_MOST_FAILURES = 20  # in a row, after which the search gives up


@dataclass(frozen=True)
class SearchOptions:
    """What a search was asked for, beside its problem.

    Attributes:
        trials: Finished trials that the study shall hold in the end.
        storage: Database URL or path of a journal file.
        study_name: Name of the study in the storage.
        proposer: Who proposes the trials, and what it knows before.
        batch: Architectures scored in one call of the super-net's actor.
        top: Best networks that are trained from scratch.
        random: Random architectures trained from scratch beside them.
        final_epochs: Epochs of each training from scratch.
        report: Where the HTML report goes.
        folder: Where checkpoints and trained weights go.
        data: Folder of the task's files.
        num_gpus: GPUs, or a share of one, for the super-net and for each training.
        command: The command as it was typed, for the report.
    """

    trials: int
    storage: str
    study_name: str
    proposer: Proposer
    batch: int
    top: int
    random: int
    final_epochs: int
    report: Path
    folder: Path
    data: str | None
    num_gpus: float
    command: str


class Search:
    """One run of a search; whatever ended an earlier one, the next goes on from what the study and the folder hold."""

    def __init__(self, problem: Problem, options: SearchOptions, output: Output) -> None:
        self.problem, self.options, self.output = problem, options, output
        self.task = problem.load_task(options.data)
        self.model_space = problem.model_space(self.task)
        self.space = problem.joint_space(self.model_space)
        self.known = options.proposer.architectures(self.model_space)
        sampler = options.proposer.sampler(self.space, problem.seed)
        self.study = open_study(options.storage, options.study_name, sampler)
        check_outputs(options.report, options.folder)
        check_and_store(self.study, problem, self.space)
        self.board = Dashboard(self.space)

    @property
    def finished(self) -> int:
        """Trials that count towards those asked for."""
        return len(self.study.get_trials(deepcopy=False, states=_FINISHED))

    def run(self) -> dict[str, object]:
        """Run what is missing and return the facts of the result."""
        if begun := self.finished:
            self.output.say(f"Continuing '{self.study.study_name}': {begun} of {self.options.trials} trials are there.")
        if retried := retry_orphans(self.study):
            self.output.say(f"{retried} trials of a run that was killed are tried again.")
        if enqueued := enqueue(self.study, self.model_space, self.known, prefix=f"{NETWORK}."):
            self.output.say(f"Known architectures that are tried first: {enqueued}.")
        if self.finished < self.options.trials or self._unscored(self._finals()):
            with self._scorer() as score:
                self._search(score)
                finals = self._scored(self._finals(), score)
        else:
            finals = self._finals()
        finals = self._train(finals)
        self.board.close()
        return self._conclude(finals)

    # Scoring.

    @contextmanager
    def _scorer(self) -> Iterator[Score]:
        if self.problem.evaluate == "from-scratch":
            yield self._from_scratch
            return
        with self._supernet() as shared:
            epochs = self.problem.fine_tune_epochs
            evaluation = SharedWeights(shared, self.task, fine_tune=Recipe(epochs=epochs) if epochs else None)
            yield lambda architectures, trials: [
                score if math.isfinite(score) else _unscored(trials[place] if trials else None)
                for place, score in enumerate(evaluation.score_many(self.space, architectures, trials=trials))
            ]

    @contextmanager
    def _supernet(self) -> Iterator[SharedSuperNet]:
        """Start the actor and train what is missing; at the end it is stopped, its weights saved."""
        from nas_tune.cluster import SharedSuperNet

        self.output.say(f"Starting Ray and the shared super-net of {self.model_space!r} for the task {self.task.name}.")
        folder = self.options.folder / "supernet"
        with (
            only_writer(folder),
            SharedSuperNet.start(
                self.model_space,
                self.task,
                paths=paths(self.problem.paths, self.model_space, self.problem.seed),
                num_gpus=self.options.num_gpus,
                checkpoint_dir=folder,
                seed=self.problem.seed,
            ) as shared,
        ):
            for path in shared.state().damaged:
                self.output.say(f"The checkpoint {path} is damaged; the one before it is used.", style="yellow")
            with self.output.progress("Training the super-net", shared.steps(self.problem.epochs)) as advance:
                shared.train(self.problem.epochs, on_progress=lambda p: advance(p.step, f"loss {p.loss:.3f}"))
            yield shared

    def _from_scratch(
        self, architectures: Sequence[Architecture], trials: Sequence[optuna.Trial] | None
    ) -> list[float | TrialState]:
        scratch = FromScratch(self.task, epochs=self.problem.epochs, seed=self.problem.seed)
        outcomes: list[float | TrialState] = []
        for place, architecture in enumerate(architectures):
            try:
                outcomes.append(scratch.score(self.space, architecture, trial=trials[place] if trials else None))
            except optuna.TrialPruned:
                outcomes.append(TrialState.PRUNED)
        return outcomes

    # Searching.

    def _search(self, score: Score) -> None:
        """Ask for batches of trials, score each batch in one call, and tell."""
        failures = 0
        with self.output.progress("Searching", self.options.trials) as advance:
            self._advance(advance)
            while (finished := self.finished) < self.options.trials:
                left = self.options.trials - finished - self._running_elsewhere()
                if left <= 0:
                    time.sleep(WAIT_SECONDS)
                    continue
                before = finished
                self._batch(min(self._batch_size, left), score)
                failures = 0 if self.finished > before else failures + 1
                if failures == _MOST_FAILURES:
                    raise DivergedError(
                        f"{failures} batches of trials in a row failed: look at the last trials' values."
                    )
                self._advance(advance)

    def _running_elsewhere(self) -> int:
        """Count the trials that other processes are at; those of dead ones are given back."""
        retry_orphans(self.study)
        return len(self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))

    @property
    def _batch_size(self) -> int:
        return self.options.batch if self.problem.evaluate == "shared-weights" else 1

    def _batch(self, size: int, score: Score) -> None:
        trials: list[optuna.Trial] = []
        try:
            with uninterrupted():
                for _ in range(size):
                    trials.append(self.study.ask())
                    trials[-1].set_user_attr(DRIVER, this_process())
            architectures = [self.space.suggest(trial) for trial in trials]
            outcomes = score(architectures, trials)
            for trial, architecture, outcome in zip(trials, architectures, outcomes, strict=True):
                self.board.publish(trial, architecture, seed=self.problem.seed)
                if isinstance(outcome, TrialState):
                    self.study.tell(trial, state=outcome)
                else:
                    self.study.tell(trial, outcome)
        except BaseException:
            for trial in trials:
                give_back(self.study, trial.number)
            raise

    def _advance(self, advance: Advance) -> None:
        complete = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        best = max((trial.values[0] for trial in complete), default=None)
        advance(self.finished, "" if best is None else f"best {best:.4f}")

    # The best and random ones from scratch.

    def _finals(self) -> list[Final]:
        chosen = choose(self.study, self.space, NETWORK, self.options.top, self.options.random, self.problem.seed)
        return [known(self.study, final, self.options.final_epochs) for final in chosen]

    def _unscored(self, finals: Sequence[Final]) -> list[int]:
        """Random ones without a score; from scratch, their training itself is what a score would be."""
        if self.problem.evaluate == "from-scratch":
            return []
        return [place for place, final in enumerate(finals) if final.score is None]

    def _scored(self, finals: list[Final], score: Score) -> list[Final]:
        missing = self._unscored(finals)
        outcomes = score([finals[place].architecture for place in missing], None) if missing else []
        for place, outcome in zip(missing, outcomes, strict=True):
            if not isinstance(outcome, TrialState):
                finals[place] = finals[place].scored(outcome)
        return finals

    def _train(self, finals: list[Final]) -> list[Final]:
        from nas_tune.cluster import ray_session

        scratch = FromScratch(self.task, epochs=self.options.final_epochs, seed=self.problem.seed)
        pending = any(final.test_accuracy is None for final in finals)
        with (
            ray_session() if pending else nullcontext(),
            self.output.progress("Training from scratch", len(finals)) as advance,
        ):
            return train_and_store(
                self.study, self.space, scratch, finals, self.options.folder, self.options.num_gpus, advance
            )

    # The end.

    def _conclude(self, finals: Sequence[Final]) -> dict[str, object]:
        options, complete = self.options, any(final.role == "best" for final in finals)
        tau = conclude(self.study, self.space, self.model_space, finals, options.report, options.command, self.output)
        best = self.study.best_trial if complete else None
        seconds = time.monotonic() - self.output.started
        self.output.say(
            f"Study: '{self.study.study_name}' in {options.storage}, {self.finished} trials\n"
            f"Sampler: {options.proposer.name}\n"
            f"Report: {options.report}\n"
            f"Weights: {options.folder}\n"
            f"Trials in the browser: {_dashboard(options.storage)}\n"
            f"{seconds:.0f} s in all."
        )
        return {
            "study": self.study.study_name,
            "storage": options.storage,
            "sampler": options.proposer.name,
            "trials": self.finished,
            "best": {"trial": best.number, "value": best.value, "params": best.params} if best else None,
            "finals": [final.facts() for final in finals],
            "kendall_tau": tau,
            "report": str(options.report),
            "folder": str(options.folder),
            "seconds": round(seconds, 1),
        }


def _unscored(trial: optuna.Trial | None) -> TrialState:
    """Return the state of a trial without a score: pruned where it did not fit into memory, else failed."""
    fits = trial is None or FITS not in trial.constraints
    return TrialState.FAIL if fits else TrialState.PRUNED


def _dashboard(storage: str) -> str:
    return f"nas-tune dashboard --storage {storage}"
