"""Fixtures for tests of anything that talks to a gateway, or is one; installed with govpost.

================================  =====================================================================================
fixture                           gives
================================  =====================================================================================
``<key>_server``                  the `MockServer` of a mock, on a free loopback port: ``refuse()``, ``accept()``
``<key>_mock``                    that mock; its address is ``.url``
``govpost_responses``             ``govpost_responses(mock_or_key, url) -> mock``: the mock behind the responses library
================================  =====================================================================================

Every mock of the entry-point group `govpost.mocks` has the first two: ``yukuaiban_server``, ``postal_mock`` and so on.
Every test gets fresh mocks with the keys of the contracts' worked examples.
"""

import importlib
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from govpost.mocks.base import Mock
    from govpost.mocks.behind_responses import Registrar
    from govpost.mocks.server import MockServer

__all__ = ["govpost_responses"]


def _late(name: str) -> Any:
    """Import a module of ours when the first fixture needs it.

    Every pytest run in an environment that has govpost loads this plugin; those that use no fixture of it must not
    pay for aiohttp and cryptography, nor need the `responses` library.
    """
    return importlib.import_module(f"govpost.mocks.{name}")


def _served(entry: EntryPoint) -> dict[str, Any]:
    """Make the two fixtures of a mock; the mock itself is loaded when one of them is used."""

    def serve() -> "Iterator[MockServer[Mock]]":
        with _late("server").MockServer(entry.load()()) as server:
            yield server

    def give(request: pytest.FixtureRequest) -> "Mock":
        server: MockServer[Mock] = request.getfixturevalue(f"{entry.name}_server")
        return server.mock

    serve.__doc__ = f"Serve the stand-in of {entry.name}."
    give.__doc__ = f"Give the stand-in of {entry.name}, served."
    return {f"{entry.name}_server": pytest.fixture(serve), f"{entry.name}_mock": pytest.fixture(give)}


# pytest finds fixtures among a plugin's attributes.
for _entry in entry_points(group="govpost.mocks"):
    globals().update(_served(_entry))


@pytest.fixture
def govpost_responses() -> "Iterator[Registrar]":
    """Give a function that puts mocks behind the responses library for this test."""
    with _late("behind_responses").registering() as registrar:
        yield registrar
