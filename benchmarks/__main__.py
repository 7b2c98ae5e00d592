"""Run every benchmark and print all claims: ``python -m benchmarks [--quick] [--seeds N] [--json FILE]``."""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

import benchmarks
from benchmarks import contract, provenance

MACHINERY = frozenset({"__main__", "contract", "provenance"})


def discover() -> tuple[str, ...]:
    """Give the names of all benchmarks, in order: every module here but the machinery; packages are what they share."""
    names = (module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.ispkg)
    return tuple(sorted(name for name in names if name not in MACHINERY))


def run(name: str, options: Sequence[str]) -> list[contract.Claim] | None:
    """Run one benchmark in a process of its own.

    Args:
        name: Module name inside the package.
        options: Command-line options that it gets.

    Returns:
        Its claims, or None if it ended without writing any.
    """
    root = str(provenance.ROOT)
    search_path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "claims.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", *options, "--json", str(written)]
        subprocess.run(command, env=os.environ | {"PYTHONPATH": search_path}, check=False)
        return read(written) if written.exists() else None


def main(argv: Sequence[str] | None = None) -> int:
    """Run all benchmarks, then print all claims.

    Returns:
        Exit status: 0 if every benchmark ran and every claim holds, otherwise 1.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run every benchmark.")
    parser.add_argument("--quick", action="store_true", help="each within 5 minutes on two cores")
    parser.add_argument("--seeds", default="3", metavar="N", help="number of seeds (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all claims and the machine")
    arguments = parser.parse_args(argv)
    options = ["--seeds", arguments.seeds, *(["--quick"] if arguments.quick else [])]
    return report({name: run(name, options) for name in discover()}, arguments.json)


def report(results: dict[str, list[contract.Claim] | None], json_path: Path | None = None) -> int:
    """Print the claims of all benchmarks and name those that failed; see :func:`main` for the status."""
    claims = [claim for found in results.values() for claim in found or ()]
    failed = [name for name, found in results.items() if found is None]
    console = Console()
    console.print(contract.claims_table(claims))
    for name in failed:
        console.print(f"benchmarks.{name} ended without a result; its messages are above.")
    if json_path:
        contract.write_json(json_path, claims)
    return 1 if failed or not all(claim.holds for claim in claims) else 0


def read(path: Path) -> list[contract.Claim]:
    claims = json.loads(path.read_text(encoding="utf-8"))["claims"]
    return [
        contract.Claim(
            c["name"], float("nan") if c["value"] is None else c["value"], c["unit"], c["target"], c["better"]
        )
        for c in claims
    ]


if __name__ == "__main__":
    raise SystemExit(main())
