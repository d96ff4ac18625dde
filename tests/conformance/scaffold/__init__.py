"""Begin an adapter: a package of its own with contract, samples, mock and tests, sound from the first minute.

It lies with the conformance kit because it needs what the kit needs, adapters and mocks alike, and because what it
writes is held to the kit: the kit and its starting point are shipped together. What it writes lies in `templates/`
(docs/adapters.md goes on from there).
"""

import keyword
import re
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from govpost.adapters.registry import adapter_keys
from govpost.mocks.registry import find_mocks

__all__ = ["Kind", "app", "check_key", "new_adapter"]

app = typer.Typer(name="new-adapter", rich_markup_mode=None, pretty_exceptions_enable=False)


class Kind(StrEnum):
    """What is to be begun."""

    #: A portal that calls us with orders, and is told what becomes of them.
    RECEIVES = "receives"
    #: A portal that is asked for orders, and told in batches.
    POLLED = "polled"
    #: A backend of the post.
    CARRIES = "carries"


#: Each kind's folders of templates; a later one's files take the place of an earlier one's.
_LAYERS: Mapping[Kind, tuple[str, ...]] = {
    Kind.RECEIVES: ("common", "portal", "receives"),
    Kind.POLLED: ("common", "portal", "polled"),
    Kind.CARRIES: ("common", "carries"),
}
#: Ends the name of every template, so that no tool takes one for what it is to become.
_SUFFIX = "-tpl"
_KEY = re.compile(r"[a-z][a-z0-9_]*")
#: Long enough; the key stands in addresses and in every line of a log.
_LONGEST_KEY = 40
#: Keys with a meaning of their own: `pytest --govpost-adapter=all`, and folders beside the package.
_RESERVED = frozenset({"all", "build", "dist", "tests"})


@app.command()
def new_adapter(
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="The system's key: lower-case letters, digits and _.", show_default=False),
    ],
    *,
    into: Annotated[
        Path, typer.Option("--into", metavar="DIR", exists=True, file_okay=False, help="Where its folder is made.")
    ] = Path(),
    role: Annotated[
        Kind,
        typer.Option(
            help="A portal that calls us (receives) or has to be asked (polled), or a backend of the post (carries)."
        ),
    ] = Kind.RECEIVES,
) -> None:
    """Begin an adapter: a package with contract, samples, mock and tests, which passes the conformance kit as it is."""
    try:
        check_key(key)
    except ValueError as error:
        raise typer.BadParameter(f"{key!r} {error}", param_hint="KEY") from None
    folder = into / _distribution(key)
    try:
        written = _write(folder, dict(_files(key, role)))
    except OSError as error:
        typer.echo(f"govpost: {folder} cannot be made: {error.strerror or error}", err=True)
        raise typer.Exit(1) from None
    typer.echo("\n".join([*map(str, written), "", f"Go on with {folder / 'README.md'}"]))


def check_key(key: str) -> None:
    """Raise ValueError where an adapter cannot be called so: it names a package, an entry point and a section."""
    if not _KEY.fullmatch(key) or len(key) > _LONGEST_KEY:
        raise ValueError(f"is not a letter and up to {_LONGEST_KEY - 1} letters, digits and _, all lower-case")
    if keyword.iskeyword(key):
        raise ValueError("is a word of Python's own")
    if key in _RESERVED:
        raise ValueError("means something else here")
    if key in adapter_keys() or key in find_mocks():
        raise ValueError("is taken: an adapter or a mock of that key is installed")
    if key in sys.stdlib_module_names or find_spec(key) is not None:
        raise ValueError("is taken: there is a Python module of that name")


def _distribution(key: str) -> str:
    return f"govpost-{key.replace('_', '-').rstrip('-')}"


def _files(key: str, kind: Kind) -> Iterator[tuple[Path, str]]:
    """Give what is to be written: path within the folder, and text."""
    names = key.split("_")
    words = {"__key__": key, "__Key__": "".join(map(str.capitalize, names)), "__dist__": _distribution(key)}
    for layer in _LAYERS[kind]:
        for path, template in _templates(files(__name__) / "templates" / layer):
            yield Path(_filled(path, words)), _filled(template.read_text("utf-8"), words)


def _templates(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from _templates(each, f"{above}{each.name}/")
        elif each.name.endswith(_SUFFIX):
            yield above + each.name.removesuffix(_SUFFIX), each


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


def _write(folder: Path, texts: Mapping[Path, str]) -> list[Path]:
    """Make the folder with everything in it, or nothing at all; raises OSError, FileExistsError where it is there."""
    if folder.exists():
        raise FileExistsError(0, "it is there already")
    with TemporaryDirectory(dir=folder.parent, prefix=".new-adapter-") as aside:
        made = Path(aside) / folder.name
        for path, text in texts.items():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_text(text, encoding="utf-8")
        made.rename(folder)
    return [folder / path for path in sorted(texts)]
