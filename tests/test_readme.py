"""The README's Python runs as it stands: a reader pastes its blocks one after the other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nas_tune

README = Path(__file__).resolve().parent.parent / "README.md"


def python_blocks(text: str) -> str:
    """Keep the Python of a Markdown text on the lines where it stands, so that a traceback names lines of the text."""
    kept, inside = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = line == "```python"
        kept.append(line if inside and not line.startswith("```") else "")
    return "\n".join(kept) + "\n"


def test_only_python_blocks_are_kept_and_on_their_lines() -> None:
    text = "Words\n```python\nx = 1\n```\n```console\n$ ls\n```\n```python\ny = x\n```\n"

    assert python_blocks(text) == "\n\nx = 1\n\n\n\n\n\ny = x\n\n"


@pytest.mark.slow
@pytest.mark.timeout(600)  # it starts Ray Tune, whose workers import torch
def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    script = tmp_path / "readme.py"
    script.write_text(python_blocks(README.read_text(encoding="utf-8")), encoding="utf-8")
    package_home = str(Path(nas_tune.__file__).resolve().parent.parent)
    environment = os.environ | {"PYTHONPATH": package_home, "HOME": str(tmp_path)}  # Ray Tune writes below HOME

    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "nas.db").exists()


def test_the_two_commands_do_all_their_own_set_up_on_one_line() -> None:
    commands = re.findall(r"^    (python3 -m venv .*)$", README.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert [command.rpartition(" && ")[2] for command in commands] == [".venv/bin/tox -e search", ".venv/bin/tox -e py"]
    assert all("pip install -q -c constraints.txt tox" in command for command in commands)


def test_the_links_to_files_of_the_repository_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))

    assert targets
    assert [target for target in targets if not (README.parent / target).exists()] == []
