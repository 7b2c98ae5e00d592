"""The repository keeps what its layout and packaging promise."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nas_tune

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("search_spaces", "trials")
# A folder of one machine at the start of a path. A URL has something before its slash.
MACHINE_PATH = re.compile(r"(?<![\w./:~*-])/(?:root|home|Users|opt|work|mnt|srv)/\w")


def git(*arguments: str) -> str:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout


def files_of_the_tree(suffix: str = "") -> Iterator[Path]:
    for name in git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0"):
        path = ROOT / name
        if name.endswith(suffix) and path.is_file() and not path.is_symlink():
            yield path


def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(table: object) -> list[str]:
    """Collect every requirement below a table of pyproject.toml."""
    if isinstance(table, dict):
        return [found for value in table.values() for found in requirements(value)]
    return [item for item in table if isinstance(item, str)] if isinstance(table, list) else []


def direct_requirements() -> list[str]:
    document = pyproject()
    project = document["project"]
    assert isinstance(project, dict)
    parts = (project["dependencies"], project["optional-dependencies"], document["dependency-groups"])
    return [requirement for part in parts for requirement in requirements(part)]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def in_fresh_interpreter(code: str, folder: Path) -> str:
    """Run code where the same nas_tune is importable and nothing else of the checkout is on the path by chance."""
    package_home = str(Path(nas_tune.__file__).resolve().parent.parent)
    environment = os.environ | {"PYTHONPATH": package_home, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("folder", LINKED)
def test_every_module_of_a_linked_folder_imports_by_its_package_name(folder: str) -> None:
    package = importlib.import_module(f"nas_tune.{folder}")
    names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]

    for name in names:
        assert importlib.import_module(name).__name__ == name
    expected = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}
    assert expected <= {name.rpartition(".")[2] for name in names}


def test_a_linked_folder_is_never_imported_by_its_bare_name() -> None:
    bare = re.compile(r"^\s*(?:import|from)\s+(?:search_spaces|trials)\b", flags=re.MULTILINE)
    found = [path.name for path in files_of_the_tree(".py") if bare.search(path.read_text(encoding="utf-8"))]

    assert found == []


@pytest.mark.parametrize("folder", LINKED)
def test_git_stores_the_link_as_a_link(folder: str) -> None:
    mode = git("ls-files", "--stage", f"nas_tune/{folder}").partition(" ")[0]
    if not mode:
        pytest.skip("not committed yet")

    assert mode == "120000"
    assert (ROOT / "nas_tune" / folder).resolve() == ROOT / folder


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files_of_the_tree()
        if path.suffix not in {".png", ".gz", ".npz", ".safetensors"}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]

    assert found == []


def test_no_python_file_is_longer_than_400_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in files_of_the_tree(".py")
    }

    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = "{'torch', 'ray', 'scipy', 'networkx', 'pandas', 'plotly', 'sklearn'}"
    code = f"import sys, nas_tune; print(sorted({heavy} & set(sys.modules)))"

    assert in_fresh_interpreter(code, tmp_path) == "[]"


def test_importing_the_language_of_spaces_loads_neither_torch_nor_ray(tmp_path: Path) -> None:
    code = "import sys, nas_tune.space; print(sorted({'torch', 'ray', 'nas_tune.supernet'} & set(sys.modules)))"

    assert in_fresh_interpreter(code, tmp_path) == "[]"


def test_a_submodule_is_loaded_when_it_is_first_used(tmp_path: Path) -> None:
    code = (
        "import sys, nas_tune as nt; before = 'nas_tune.errors' in sys.modules; nt.errors.SpaceError;"
        "print(before, 'nas_tune.errors' in sys.modules)"
    )

    assert in_fresh_interpreter(code, tmp_path) == "False True"


def test_every_submodule_that_is_announced_exists() -> None:
    for name in nas_tune.__all__:
        assert getattr(nas_tune, name).__name__ == f"nas_tune.{name}"
    assert set(nas_tune.__all__) <= set(dir(nas_tune))


def test_a_submodule_that_does_not_exist_is_an_attribute_error_that_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'sampler'. It has: analysis, .*samplers"):
        nas_tune.sampler  # noqa: B018 - reading the attribute is the test


def test_every_dependency_says_why_it_is_needed() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    stated = {line.split('"')[1] for line in lines if re.match(r'\s+"[^"]+",\s+# \S', line)}

    assert set(direct_requirements()) - stated == set()


def test_every_dependency_is_pinned_at_a_version_that_it_allows() -> None:
    pinned = pins()

    for text in direct_requirements():
        requirement = Requirement(text)
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), text


def test_every_package_that_a_dependency_brings_is_pinned() -> None:
    seen: set[tuple[str, frozenset[str]]] = set()
    pending = [Requirement(text) for text in direct_requirements()]
    while pending:
        requirement = pending.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in seen:
            continue
        seen.add(key)
        pending += brought_by(requirement)

    gpu_libraries = re.compile(r"nvidia-|cuda-|triton$")
    assert {name for name, _ in seen if not gpu_libraries.match(name)} - set(pins()) == set()


def brought_by(requirement: Requirement) -> list[Requirement]:
    """Give what an installed package needs here; nothing if it is not installed."""
    try:
        needed = importlib.metadata.requires(requirement.name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    extras = requirement.extras or {""}
    parsed = [Requirement(text) for text in needed]
    return [
        need for need in parsed if not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def test_continuous_integration_runs_the_test_command_of_the_readme_and_the_layers() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    commands = [line.strip() for line in lines if "tox -e py" in line]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert len(commands) == 1
    assert commands[0] in script
    assert ".venv/bin/tox -e lint" in script
    assert "lint-imports" in (ROOT / "tox.ini").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", ["run", "setup"])
def test_the_scripts_of_continuous_integration_can_be_executed(script: str) -> None:
    assert os.access(ROOT / ".ci" / script, os.X_OK)


@pytest.mark.slow
def test_ray_workers_load_the_package_under_test_and_listen_on_this_machine_only(ray_cluster: None) -> None:
    import ray

    @ray.remote
    def seen_by_a_worker() -> tuple[str, str]:
        import nas_tune

        return nas_tune.__file__, ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]  # so in Ray

    file, address = ray.get(seen_by_a_worker.remote())

    assert Path(file).resolve() == Path(nas_tune.__file__).resolve()
    assert address == "127.0.0.1"
