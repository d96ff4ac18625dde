"""Install the broken adapters: each as a package of its own, with entry points, as a distribution would."""

import shutil
from pathlib import Path

from broken import BROKEN, Broken

__all__ = ["PACKAGES", "SOUND", "install"]

PACKAGES = Path(__file__).parent
TREE = PACKAGES.parents[2]

#: Base → the folder of its package, the folder of its contract, its adapter and its mock.
BASES = {
    "kiosk": (PACKAGES / "kiosk", PACKAGES / "kiosk/wire", "kiosk.adapter:Kiosk", "kiosk.mock:KioskMock"),
    "courier": (PACKAGES / "courier", PACKAGES / "courier/wire", "courier.adapter:Courier", "courier.mock:CourierMock"),
    "yukuaiban": (
        TREE / "adapters/yukuaiban",
        TREE / "schemas/wire/yukuaiban",
        "govpost.adapters.yukuaiban.adapter:Yukuaiban",
        "govpost.mocks.yukuaiban:YukuaibanMock",
    ),
    "webhook": (
        TREE / "adapters/webhook",
        TREE / "schemas/wire/webhook",
        "govpost.adapters.webhook.adapter:Webhook",
        "govpost.mocks.postal:PostalMock",
    ),
}
#: The examples themselves.
SOUND = ("kiosk", "courier")
#: Sound too, but no mock stands for it.
LONELY = Broken("lonely", "kiosk", None, frozenset())

_ADAPTER = """{prelude}
from {module} import {name} as _Adapter


class Adapter(_Adapter):
    pass
"""
_FIELDS = "from {package}.fields import *\n"
_MOCK = """
from {module} import {name} as _Mock


class Mock(_Mock):
    key = "{key}"
    stands_for = ""
"""


def install(site: Path) -> None:
    """Lay all of them out in a folder, and register them and the examples."""
    for each in (*BROKEN.values(), LONELY):
        _lay_out(site, each)
    info = site / "kit_examples-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kit-examples\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        f"{_points('adapters')}\nlonely = lonely.adapter:Adapter\n{_points('mocks')}\n"
    )


def _points(kind: str) -> str:
    place, name = {"adapters": (2, "adapter:Adapter"), "mocks": (3, "mock:Mock")}[kind]
    lines = [f"{key} = {BASES[key][place]}" for key in SOUND] + [f"{key} = {key}.{name}" for key in BROKEN]
    return "\n".join([f"[govpost.{kind}]", *lines])


def _lay_out(site: Path, each: Broken) -> None:
    """Make a package: manifest and contract its own, the rest taken from what it spoils."""
    source, wire, adapter, mock = BASES[each.base]
    folder = site / each.name
    shutil.copytree(wire, folder / "wire")
    manifest = (source / "manifest.toml").read_text("utf-8")
    _write(folder / "manifest.toml", manifest.replace(f'key = "{each.base}"', f'key = "{each.name}"'))
    _write(folder / "__init__.py", "")
    module, _, name = adapter.partition(":")
    if each.factory is not None:
        module, name = each.factory.__module__, each.factory.__name__
    _write(folder / "adapter.py", _ADAPTER.format(module=module, name=name, prelude=each.prelude))
    if (source / "fields.py").exists():
        _write(folder / "fields.py", _FIELDS.format(package=adapter.partition(".adapter:")[0]))
    module, _, name = mock.partition(":")
    _write(folder / "mock.py", _MOCK.format(module=module, name=name, key=each.name))
    for file, (before, after) in each.edits.items():
        _spoil(next(folder.rglob(file)), before, after)


def _write(file: Path, text: str) -> None:
    file.write_text(text, "utf-8")


def _spoil(file: Path, before: str, after: str) -> None:
    text = file.read_text("utf-8")
    assert before in text, f"nothing to spoil in {file}"
    _write(file, text.replace(before, after))
