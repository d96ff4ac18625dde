"""`govpost new-adapter`, and the guide that goes on from it: as somebody with govpost installed meets them."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import govpost
from govpost.gateway.cli.exits import Exit
from govpost.tests.conformance.scaffold import Kind, check_key

TREE = Path(__file__).parents[2]
GUIDE = TREE / "docs/adapters.md"

#: A key of each kind.
KEYS = {Kind.RECEIVES: "sample_portal", Kind.POLLED: "portal", Kind.CARRIES: "adapter"}


class Terminal:
    """A folder, commands as they are typed, and a Python of its own that has what is installed here. No network."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "work"
        self.folder.mkdir()
        self._bin = home / "bin"
        self._bin.mkdir()
        venv.create(home / "venv", symlinks=True)
        python = home / "venv/bin/python"
        (site,) = (home / "venv/lib").glob("python*/site-packages")
        shared = dict.fromkeys(
            [str(Path(govpost.__file__).parents[1]), *map(sysconfig.get_path, ("purelib", "platlib"))]
        )
        (site / "shared.pth").write_text("\n".join(shared))
        self._offer("python", python)
        self._offer("ruff", sys.executable, "-m", "ruff")
        # -P: as an installed script, which doesn't look for modules where it is called.
        self._offer("govpost", python, "-P", "-m", "govpost.gateway.cli")
        for tool in ("pytest", "mypy"):
            self._offer(tool, python, "-P", "-m", tool)
        self._offer("pip", python, "-m", "pip", then="--no-index --no-build-isolation --disable-pip-version-check")

    def _offer(self, name: str, *command: str | Path, then: str = "") -> None:
        script = self._bin / name
        script.write_text(f'#!/bin/sh\nexec {" ".join(map(str, command))} "$@" {then}\n')
        script.chmod(0o755)

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line; both streams as one."""
        ours = ("GOVPOST_", "PYTHONPATH", "PYTEST_", "COV_", "COVERAGE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = f"{self._bin}{os.pathsep}{environment.get('PATH', os.defpath)}"
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env={**environment, "PATH": path, "PYTHONUTF8": "1", "COLUMNS": "200", "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    def do(self, command: str) -> str:
        """Run what must succeed, and give what it says."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """Open a terminal in an empty folder."""
    return Terminal(tmp_path)


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """Begin an adapter of each kind, and install them."""
    terminal = Terminal(tmp_path_factory.mktemp("begun"))
    for kind, key in KEYS.items():
        terminal.do(f"govpost new-adapter {key} --role {kind}")
    terminal.do(f"pip install {' '.join(f'-e {distribution(key)}' for key in KEYS.values())}")
    return terminal


def distribution(key: str) -> str:
    """Name the folder that is made for a key."""
    return f"govpost-{key.replace('_', '-')}"


def files_of(folder: Path) -> set[str]:
    """List the files below a folder, but for what running leaves behind."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    leavings = re.compile(r"__pycache__|\.egg-info|^\.|^build/")
    return {path.as_posix() for path in paths if not leavings.search(path.as_posix())}


@pytest.mark.parametrize("kind", Kind)
def test_it_writes_what_it_says(terminal: Terminal, kind: Kind) -> None:
    """The folder holds the files that are listed, filled in, whatever the key."""
    said = terminal.do(f"govpost new-adapter qu_2 --role {kind}").splitlines()
    listed = {line.removeprefix("govpost-qu-2/") for line in said[: said.index("")]}
    assert listed == files_of(terminal.folder / "govpost-qu-2")
    assert {
        "README.md",
        "pyproject.toml",
        "qu_2/manifest.toml",
        "qu_2/wire/openapi.json",
        "tests/test_qu_2.py",
    } <= listed
    texts = ((terminal.folder / "govpost-qu-2" / name).read_text("utf-8") for name in listed)
    assert [text for text in texts if re.search(r"__(?:key|dist|title)__", text, re.IGNORECASE)] == []


@pytest.mark.parametrize("key", KEYS.values())
def test_what_it_makes_is_sound(begun: Terminal, key: str) -> None:
    """From the first minute: the conformance kit up to gold, and tests of its own."""
    said = begun.do(f"cd {distribution(key)} && pytest -p no:cacheprovider --govpost-adapter={key} tests")
    assert re.search(rf"^{key} \({key}, example profile\): gold; \d+ passed$", said, re.MULTILINE)
    assert f"tests/test_{key}.py ." in said


def test_what_it_makes_is_clean(begun: Terminal) -> None:
    """Lint, format and strict types have nothing to say."""
    packages = " ".join(f"{distribution(key)}/{key} {distribution(key)}/tests" for key in KEYS.values())
    assert "All checks passed" in begun.do(f"ruff check {packages} && ruff format --check {packages}")
    assert "no issues found in 21 source files" in begun.do(f"mypy --strict --cache-dir=/dev/null {packages}")


def test_its_wheel_holds_all_of_it(begun: Terminal) -> None:
    """Contract, samples, manifest and notes travel with the code."""
    begun.do("pip wheel --no-deps --wheel-dir dist ./govpost-portal")
    (wheel,) = (begun.folder / "dist").glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {f"portal/{name}" for name in files_of(begun.folder / "govpost-portal/portal")}


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "lower-case"),
        ("Portal", "lower-case"),
        ("2portal", "lower-case"),
        ("_portal", "lower-case"),
        ("my-portal", "lower-case"),
        ("门户", "lower-case"),
        ("portal\n", "lower-case"),
        ("../portal", "lower-case"),
        ("p" * 41, "lower-case"),
        ("lambda", "Python's own"),
        ("all", "means something else"),
        ("tests", "means something else"),
        ("yukuaiban", "an adapter or a mock"),
        ("postal", "an adapter or a mock"),
        ("json", "Python module"),
        ("pydantic", "Python module"),
        ("govpost", "Python module"),
    ],
)
def test_a_key_must_be_free_and_good_for_a_name(key: str, reason: str) -> None:
    """It names a package, an entry point and a section of the settings."""
    with pytest.raises(ValueError, match=reason):
        check_key(key)


@pytest.mark.parametrize("key", ["portal", "a", "a_", "q2_x", "match", "p" * 40])
def test_any_other_key_will_do(key: str) -> None:
    """Words that Python knows in few places only are free."""
    check_key(key)


def test_a_bad_key_is_a_wrong_usage(terminal: Terminal) -> None:
    """It is named with what is wrong with it, and nothing is made."""
    done = terminal.run("govpost new-adapter yukuaiban")
    assert done.returncode == Exit.USAGE
    assert "'yukuaiban' is taken" in done.stdout
    assert list(terminal.folder.iterdir()) == []


def test_nothing_is_overwritten(terminal: Terminal) -> None:
    """A folder that is there is left as it is, even an empty one; so is everything else when nothing can be made."""
    mine = terminal.folder / "govpost-mine"
    mine.mkdir()
    done = terminal.run("govpost new-adapter mine")
    assert done.returncode == Exit.NOT_DONE
    assert done.stdout == "govpost: govpost-mine cannot be made: it is there already\n"
    assert list(terminal.folder.rglob("*")) == [mine]
    assert terminal.run("govpost new-adapter mine --into nowhere").returncode == Exit.USAGE
    assert terminal.run("govpost new-adapter mine --role seller").returncode == Exit.USAGE


def test_it_can_be_made_elsewhere(terminal: Terminal) -> None:
    """`--into` names the folder in which its own is made."""
    (terminal.folder / "there").mkdir()
    assert "there/govpost-mine/pyproject.toml" in terminal.do("govpost new-adapter mine --into there").splitlines()


def test_help_names_it(terminal: Terminal) -> None:
    """It stands among the commands with what it does."""
    assert re.search(r"^  new-adapter +Begin an adapter", terminal.do("govpost --help"), re.MULTILINE)


# --- the guide -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A frame of the guide."""

    language: str
    #: What it is to be written to: named in the line above, in backticks and with a colon.
    file: str
    text: str


def blocks_of(guide: str) -> Iterator[Block]:
    """List the frames of a guide in their order."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL):
        named = re.search(r"`([\w./-]+)`:\s*\Z", guide[: match.start()])
        yield Block(match[1], named[1] if named else "", match[2])


def sessions(text: str) -> Iterator[tuple[str, str]]:
    """Take a console apart: each command, and what it says."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, said = part.partition("\n")
        yield command, said


def is_like(said: str, expected: str) -> bool:
    """Compare, `...` standing for anything: alone on a line for any lines, else for the rest of the line's words."""
    lines = (
        "(?:.*\n)*" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + "\n"
        for line in expected.splitlines()
    )
    return re.fullmatch("".join(lines), "".join(f"{line.rstrip()}\n" for line in said.splitlines())) is not None


def patch(folder: Path, diff: str) -> None:
    """Change a file as a diff without line numbers says; each of its parts must fit exactly one place."""
    head, _, rest = diff.partition("\n")
    file = folder / head.removeprefix("--- ")
    text = file.read_text("utf-8")
    for part in rest.split("@@\n"):
        lines = part.splitlines(keepends=True)
        assert {line[0] for line in lines} <= set(" -+"), f"{file.name}: no part of a diff\n{part}"
        before, after = ("".join(line[1:] for line in lines if line[0] in f" {sign}") for sign in "-+")
        assert text.count(before) == 1, f"{file.name}: {text.count(before)} places look like\n{before}"
        text = text.replace(before, after)
    file.write_text(text, "utf-8")


class Reader:
    """Does what the guide says, in a terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._does: dict[str, Callable[[Block], None]] = {
            "console": self._type,
            "diff": self._change,
            "python": self._write,
            "toml": self._write,
        }

    def follow(self, block: Block) -> None:
        """Do what stands in one frame; KeyError where that is nothing that can be done."""
        self._does[block.language](block)

    def _type(self, block: Block) -> None:
        for command, expected in sessions(block.text):
            if command.startswith("cd "):
                self._terminal.folder /= command.removeprefix("cd ")
                continue
            done = self._terminal.run(command)
            assert is_like(done.stdout, expected), f"$ {command}\n{done.stdout}\ninstead of\n{expected}"
            assert (done.returncode != 0) == ("\n  failed " in expected), f"$ {command}: exit code {done.returncode}"

    def _change(self, block: Block) -> None:
        patch(self._terminal.folder, block.text)

    def _write(self, block: Block) -> None:
        if block.language == "toml":
            tomllib.loads(block.text)
        assert block.file or block.language == "toml", "python that no file is named for"
        if block.file:
            (self._terminal.folder / block.file).write_text(block.text, "utf-8")


def test_the_guide_works_as_it_is_printed(terminal: Terminal) -> None:
    """Frame after frame, from an empty folder: commands say what they are said to say, changes fit."""
    blocks = list(blocks_of(GUIDE.read_text("utf-8")))
    assert {"console", "diff", "python", "toml"} == {block.language for block in blocks}
    reader = Reader(terminal)
    for block in blocks:
        reader.follow(block)
    terminal.do("ruff check . && ruff format --check .")
