"""What a finished search shows, and its report, made also from the study alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from nas_tune.cli.finals import Final, frame, kendall, stored
from nas_tune.cli.problem import NETWORK, stored_problem
from nas_tune.cli.studies import load_study
from nas_tune.visualization import write_report

if TYPE_CHECKING:
    from nas_tune.cli.output import Output
    from nas_tune.search_spaces import PublishedSpace
    from nas_tune.space import SearchSpace


def conclude(
    study: optuna.Study,
    space: SearchSpace,
    model_space: PublishedSpace,
    finals: Sequence[Final],
    report: Path,
    command: str | None,
    output: Output,
) -> float | None:
    """Write the report, show the table of finals, and return Kendall's tau between scores and test accuracies."""
    tau = kendall(finals)
    table = frame(finals, NETWORK, model_space.to_string) if finals else None
    write_report(study, space, report, finals=table, kendall_tau=tau, command=command)
    if finals:
        columns = ("", "role", "trial", "score", "test accuracy", "parameters", "MACs", "seconds")
        output.table("Trained from scratch", columns, [_row(place, final) for place, final in enumerate(finals, 1)])
        for place, final in enumerate(finals, 1):
            output.say(f"  {place}  {model_space.to_string(final.architecture.part(NETWORK))}")
        _compare(finals, tau, output)
    return tau


def _row(place: int, final: Final) -> tuple[str, ...]:
    return (
        str(place),
        final.role,
        "" if final.trial is None else str(final.trial),
        _share(final.score),
        _share(final.test_accuracy),
        f"{final.parameters:,}",
        f"{final.macs:,}",
        f"{final.seconds:.1f}",
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _compare(finals: Sequence[Final], tau: float | None, output: Output) -> None:
    for role in ("best", "random"):
        accuracies = [final.test_accuracy for final in finals if final.role == role and final.test_accuracy is not None]
        if accuracies:
            mean = sum(accuracies) / len(accuracies)
            output.say(f"Test accuracy of the {role} ones: highest {max(accuracies):.4f}, mean {mean:.4f}.")
    shown = "not defined" if tau is None else f"{tau:.3f}"
    output.say(f"Kendall tau between scores and test accuracies: {shown} ({len(finals)} networks).")


def report_again(storage: str, study_name: str | None, path: Path, output: Output) -> None:
    """Write the report of a study that `nas-tune search` made, with every network trained from scratch so far.

    Raises:
        StudyError: The study cannot be opened, or is of something else.
    """
    study = load_study(storage, study_name)
    problem = stored_problem(study)
    model_space = problem.model_space(problem.load_task())
    space = problem.joint_space(model_space)
    tau = conclude(study, space, model_space, stored(study, space), path, None, output)
    output.say(f"Wrote {path}.")
    output.result({"study": study.study_name, "report": str(path), "kendall_tau": tau})
