"""The wheel holds what the tree holds, file for file, and works when it is installed."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]

#: What is shipped as govpost.<folder>; everything in them that is not left over from running.
FOLDERS = ("schemas", "adapters", "gateway", "mocks", "tests/conformance")
ROOT_FILES = ("__init__.py", "py.typed")
BUILD_FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")


def is_left_over(path: Path) -> bool:
    """Tell what running leaves behind: caches, and hidden files and folders."""
    return any(part == "__pycache__" or part.startswith(".") for part in path.parts)


def tree_files() -> set[str]:
    """List what the wheel is to hold, by path in the repository."""
    inside = {path.relative_to(TREE) for folder in FOLDERS for path in (TREE / folder).rglob("*") if path.is_file()} | {
        Path(name) for name in ROOT_FILES
    }
    return {path.as_posix() for path in inside if not is_left_over(path)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, without a network: setuptools is the installed one."""
    source, target = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for name in sorted(tree_files() | set(BUILD_FILES)):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TREE / name, source / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel into a folder of its own, as an installer would."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_the_tree(wheel: Path) -> None:
    """Every module, table, manifest, note and wire contract is shipped under govpost/, and nothing else is."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert names == {f"govpost/{name}" for name in tree_files()}


def test_wire_contracts_and_samples_are_shipped(wheel: Path) -> None:
    """Each adapter's contract travels with it, samples in pairs."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    systems = {path.parent.name for path in (TREE / "adapters").glob("*/manifest.toml")}

    assert systems
    for system in systems:
        contract = [name for name in names if name.startswith(f"govpost/schemas/wire/{system}/")]
        assert any("/samples/" not in name for name in contract), f"no contract of {system}"
        assert any("/samples/" in name for name in contract), f"no samples of {system}"


def test_the_license_is_shipped(wheel: Path) -> None:
    """The licence's text and its name are in the wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        assert metadata.replace("METADATA", "licenses/LICENSE") in archive.namelist()
        assert "License-Expression: Apache-2.0 AND OFL-1.1" in archive.read(metadata).decode().splitlines()


def test_every_entry_point_of_the_wheel_leads_somewhere(installed: Path) -> None:
    """What the wheel's metadata names can be loaded from the wheel alone."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from importlib.metadata import distribution\n"
        "import govpost; assert govpost.__file__.startswith(sys.argv[1]), govpost.__file__\n"
        "points = distribution('govpost').entry_points\n"
        "print(*sorted(f'{point.group}:{point.name}' for point in points if point.load()))"
    )
    command = [sys.executable, "-c", program, str(installed)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=installed)

    assert done.returncode == 0, done.stderr
    assert {"console_scripts:govpost", "pytest11:govpost"} <= set(done.stdout.split())


def test_the_conformance_suite_is_importable_from_the_wheel(installed: Path) -> None:
    """Third parties run `govpost.tests.conformance` against their own adapters; our other tests are not shipped."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import govpost.tests.conformance as suite\nprint(suite.__file__)"
    )
    command = [sys.executable, "-c", program, str(installed)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=installed)

    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == installed / "govpost" / "tests" / "conformance" / "__init__.py"
    assert [path.name for path in (installed / "govpost" / "tests").iterdir() if path.name != "__pycache__"] == [
        "conformance"
    ]
