"""The commands and their options; what they do stands in the module of each command.

Exit status: 0 done, 1 failed, 2 bad usage, 130 interrupted.
"""

from __future__ import annotations

import logging
import shlex
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nas_tune import __version__
from nas_tune.cli.output import Output
from nas_tune.cli.proposer import DEFAULT, SAMPLERS, Proposer
from nas_tune.cli.strategies import DEFAULT as UNIFORM
from nas_tune.cli.strategies import STRATEGIES
from nas_tune.errors import ArchitectureError, NasTuneError, SamplerError, SizeError, UnknownNameError

app = typer.Typer(
    name="nas-tune",
    help="Neural architecture search on Optuna studies and Ray clusters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

FAILED, BAD_USAGE, INTERRUPTED = 1, 2, 130


class Evaluate(StrEnum):
    """How a trial is scored."""

    shared_weights = "shared-weights"
    from_scratch = "from-scratch"


Space = Annotated[str, typer.Option(help="Published search space; `nas-tune spaces` lists them.")]
TaskName = Annotated[str, typer.Option("--task", help="Data to learn: digits, fashion-mnist.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Storage = Annotated[str, typer.Option(help="Database URL such as sqlite:///nas-tune.db, or path of a journal file.")]
StudyName = Annotated[str | None, typer.Option(help="Name of the study in the storage.")]
Sizes = Annotated[
    list[str] | None,
    typer.Option(
        "--size",
        metavar="NAME=VALUE",
        help="Size of the networks, such as channels=8 or stages=2,2; repeat it for several. By default they are small "
        "enough for 8x8 images; 'published' takes the published ones. `nas-tune spaces NAME` names them.",
    ),
]
Channels = Annotated[int | None, typer.Option(min=1, help="The same as --size channels=..., where a space has it.")]
Cells = Annotated[int | None, typer.Option(min=1, help="The same as --size cells_per_stage=..., where a space has it.")]
Data = Annotated[str | None, typer.Option(help="Folder of the task's files.")]
Gpus = Annotated[float, typer.Option(min=0, help="GPUs, or a share of one, for the super-net and each training.")]
Json = Annotated[
    bool, typer.Option("--json", help="Write one JSON document to standard output, the rest to standard error.")
]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    if version:
        typer.echo(f"nas-tune {__version__}")
        raise typer.Exit


@app.command()
def search(
    space: Space = "nas-bench-201",
    task: TaskName = "digits",
    evaluate: Annotated[Evaluate, typer.Option(help="How a trial is scored.")] = Evaluate.shared_weights,
    trials: Annotated[int, typer.Option(min=1, help="Finished trials the study shall hold; more continue it.")] = 60,
    seed: Seed = 0,
    sampler: Annotated[
        str,
        typer.Option(help=f"What proposes: {', '.join(SAMPLERS)}. A study may be continued with another one."),
    ] = DEFAULT,
    enqueue: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARCHITECTURE",
            help="Try this network first: published name or string, JSON file or its text; repeat it for several.",
        ),
    ] = None,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STORAGE#STUDY",
            help="Study of another task in the same space, from which --sampler predictor learns; repeatable.",
        ),
    ] = None,
    storage: Storage = "sqlite:///nas-tune.db",
    study_name: StudyName = None,
    size: Sizes = None,
    channels: Channels = None,
    cells_per_stage: Cells = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of the super-net (default 40), or of a trial from scratch (10).")
    ] = None,
    paths: Annotated[
        str, typer.Option(help=f"Which networks train the shared weights: {', '.join(STRATEGIES)}.")
    ] = UNIFORM,
    fine_tune_epochs: Annotated[
        int,
        typer.Option(
            min=0, help="Epochs that inherited weights train with a trial's hyperparameters before its score."
        ),
    ] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Architectures scored in one call of the super-net.")] = 6,
    top: Annotated[int, typer.Option(min=0, help="Best networks trained from scratch in the end.")] = 3,
    random: Annotated[int, typer.Option(min=0, help="Random networks trained from scratch to compare.")] = 3,
    final_epochs: Annotated[int, typer.Option(min=1, help="Epochs of each training from scratch in the end.")] = 20,
    report: Annotated[Path, typer.Option(help="Where the HTML report goes.")] = Path("report.html"),
    folder: Annotated[
        Path | None, typer.Option(help="Where checkpoints and trained weights go [default: beside the storage].")
    ] = None,
    data: Data = None,
    num_gpus: Gpus = 0.0,
    as_json: Json = False,
) -> None:
    """Search a space on a task, jointly with the training hyperparameters; train the best from scratch; report.

    Run again with the same options it continues; with more --trials it adds to them.
    """
    output = Output(as_json)
    with failing(output, f"To go on from here, run the same command again:\n  {_command()}"):
        from nas_tune.cli.folders import default_folder
        from nas_tune.cli.problem import Problem
        from nas_tune.cli.search import Search, SearchOptions
        from nas_tune.cli.sizes import sizes

        proposer = Proposer(sampler, tuple(enqueue or ()), tuple(prior or ()))
        name = study_name or f"{space}-{task}-{evaluate.value}"
        default_epochs = 40 if evaluate is Evaluate.shared_weights else 10
        shorthands = {"channels": channels, "cells_per_stage": cells_per_stage}
        arguments = sizes(space, size or [], shorthands, small=True)
        problem = Problem(
            space, task, evaluate.value, arguments, epochs or default_epochs, fine_tune_epochs, seed, paths
        )
        place = folder or default_folder(storage, name)
        options = SearchOptions(
            trials, storage, name, proposer, batch, top, random, final_epochs, report, place, data, num_gpus, _command()
        )
        output.result(Search(problem, options, output).run())


@app.command()
def train(
    architecture: Annotated[
        str | None,
        typer.Option(help="Published name or string, JSON file of an architecture, or its index in NAS-Bench-201."),
    ] = None,
    trial: Annotated[str | None, typer.Option(help="Number of a trial of --storage, or 'best'.")] = None,
    storage: Annotated[str | None, typer.Option(help="Storage that the --trial is in.")] = None,
    study_name: StudyName = None,
    space: Space = "nas-bench-201",
    task: TaskName = "digits",
    size: Sizes = None,
    channels: Channels = None,
    cells_per_stage: Cells = None,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of training.")] = 20,
    lr: Annotated[float | None, typer.Option(help="Learning rate [default: the trial's, or 0.05].")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay [default: the trial's, or 0.0005].")] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Label smoothing [default: the trial's, or 0].")] = None,
    seed: Seed = 0,
    weights: Annotated[Path | None, typer.Option(help="Write the trained weights here, as safetensors.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Train one architecture from scratch on train + validation and report its test accuracy."""
    output = Output(as_json)
    with failing(output, "Nothing was written; run the same command again."):
        from nas_tune.cli.sizes import sizes
        from nas_tune.cli.training import Wanted, train_one

        shorthands = {"channels": channels, "cells_per_stage": cells_per_stage}
        arguments = sizes(space, size or [], shorthands, small=True)
        given = {"lr": lr, "weight_decay": weight_decay, "label_smoothing": label_smoothing}
        overrides = {name: value for name, value in given.items() if value is not None}
        wanted = Wanted(architecture, trial, storage, study_name, space, task, arguments, data)
        train_one(wanted, overrides, epochs, seed, weights, output)


@app.command()
def report(
    storage: Storage = "sqlite:///nas-tune.db",
    study_name: StudyName = None,
    path: Annotated[Path, typer.Option("--output", help="Where the HTML report goes.")] = Path("report.html"),
    as_json: Json = False,
) -> None:
    """Write the HTML report of a study again, also while a search runs."""
    output = Output(as_json)
    with failing(output, "Nothing was written; run the same command again."):
        from nas_tune.cli.conclusion import report_again

        report_again(storage, study_name, path, output)


@app.command()
def spaces(
    name: Annotated[str | None, typer.Argument(help="A space to look into.")] = None,
    architecture: Annotated[
        str | None,
        typer.Option(help="Show this one: published name or string, JSON file, or index [default: a random one]."),
    ] = None,
    seed: Seed = 0,
    size: Annotated[
        list[str] | None,
        typer.Option("--size", metavar="NAME=VALUE", help="Size other than published, such as cells=8; repeatable."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--html", help="Write the architecture's graph as an interactive page.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the published search spaces, or show one with its parameters and a random or a named architecture."""
    output = Output(as_json)
    with failing(output, ""):
        from nas_tune.cli.listing import list_spaces, show_space

        if name is None and (architecture is not None or page is not None or size):
            raise ArchitectureError("Name the space: nas-tune spaces NAME; without one all are listed.")
        if name is None:
            list_spaces(output)
        else:
            show_space(name, architecture, seed, size or [], page, output)


@app.command()
def dashboard(
    storage: Storage = "sqlite:///nas-tune.db",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 8080,
) -> None:
    """Show a storage's studies in optuna-dashboard on 127.0.0.1, with the drawings of the trials."""
    output = Output()
    with failing(output, "The dashboard has ended; the study is unharmed."):
        from nas_tune.visualization import serve

        serve(storage, port=port, on_ready=lambda url: output.say(f"Open {url} in a browser; Ctrl-C ends it."))


@contextmanager
def failing(output: Output, interrupted: str) -> Iterator[None]:
    """Turn our errors into one line and an exit status, and Ctrl-C into what to do next."""
    try:
        yield
    except KeyboardInterrupt:
        output.say(f"\nInterrupted; everything finished is kept. {interrupted}")
        raise typer.Exit(INTERRUPTED) from None
    except (UnknownNameError, ArchitectureError, SamplerError, SizeError) as error:
        _complain(error)
        raise typer.Exit(BAD_USAGE) from None
    except NasTuneError as error:
        _complain(error)
        raise typer.Exit(FAILED) from None


def _complain(error: Exception) -> None:
    typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)


def _command() -> str:
    return shlex.join(["nas-tune", *sys.argv[1:]])


def main() -> None:
    """Run the command line."""
    import optuna

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what ends a job of a cluster is treated like Ctrl-C
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("nas_tune").setLevel(logging.ERROR)  # what a user has to know is said by the commands
    warnings.filterwarnings("ignore", category=FutureWarning)
    app()
