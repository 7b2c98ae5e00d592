"""Train the 40 cells alone and write what they reach to `truth.json`; an interrupted run goes on where it was.

``python -m benchmarks.ranking.truth [--processes N]`` takes about 25 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import torch

from benchmarks.ranking.cells import SPACE, cells, task
from nas_tune.costs import profile
from nas_tune.trials import Recipe, evaluate, train

FILE = Path(__file__).with_name("truth.json")
RECIPE = Recipe(epochs=10, batch_size=64, lr=0.1, weight_decay=5e-4)


def truth() -> list[dict[str, float]]:
    """Return the recorded results in the order of `cells()`: accuracies in [0, 1], parameters, multiply-adds."""
    recorded = json.loads(FILE.read_text(encoding="utf-8"))["cells"]
    return [recorded[SPACE.to_string(cell)] for cell in cells()]


def trained(place: int) -> dict[str, float]:
    """Train the cell at a place alone, on one thread, and measure it."""
    torch.set_num_threads(1)
    torch.manual_seed(place)
    chosen, data = cells()[place], task()
    network = SPACE.build(chosen)
    cost = profile(network, data.input_shape)
    train(network, data.train, RECIPE, seed=place)
    return {
        "validation": round(evaluate(network, data.validation), 4),
        "test": round(evaluate(network, data.test), 4),
        "parameters": cost.parameters,
        "macs": cost.macs,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Train what is not recorded yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2, help="trainings at once (default: %(default)s)")
    arguments = parser.parse_args(argv)
    names = [SPACE.to_string(cell) for cell in cells()]
    recorded = json.loads(FILE.read_text(encoding="utf-8"))["cells"] if FILE.exists() else {}
    missing = [place for place, name in enumerate(names) if name not in recorded]
    spawning = multiprocessing.get_context("spawn")  # a forked torch may hang
    with ProcessPoolExecutor(arguments.processes, mp_context=spawning) as pool:
        running = {pool.submit(trained, place): names[place] for place in missing}
        for done in as_completed(running):
            recorded[running[done]] = done.result()
            _write({name: recorded[name] for name in names if name in recorded})
            print(f"{len(recorded)} of {len(names)}: {running[done]} {recorded[running[done]]}", flush=True)


def _write(recorded: dict[str, dict[str, float]]) -> None:
    beside = FILE.with_suffix(f".{os.getpid()}")
    content = {"space": repr(SPACE), "task": "fashion-mnist, 10,000 training images", "recipe": repr(RECIPE)}
    beside.write_text(json.dumps(content | {"cells": recorded}, indent=1) + "\n", encoding="utf-8")
    beside.replace(FILE)


if __name__ == "__main__":
    main()
