"""Fixtures for tests of anything that talks to a gateway, or is one; installed with govpost.

================================  =====================================================================================
fixture                           gives
================================  =====================================================================================
``yukuaiban_mock``                a `YukuaibanMock`, served on a free loopback port; its address is ``.url``
``yukuaiban_server``              its `MockServer`: ``refuse()``, ``accept()``
``postal_mock``                   a `PostalMock`, served likewise; its address for settings is ``.orders_url``
``postal_server``                 its `MockServer`
``govpost_responses``             ``govpost_responses(mock_or_key, url) -> mock``: the mock behind the responses library
================================  =====================================================================================

Every test gets fresh mocks with the keys of the contracts' worked examples.
"""

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from govpost.mocks.behind_responses import Registrar
    from govpost.mocks.postal import PostalMock
    from govpost.mocks.server import MockServer
    from govpost.mocks.yukuaiban import YukuaibanMock

__all__ = ["govpost_responses", "postal_mock", "postal_server", "yukuaiban_mock", "yukuaiban_server"]


def _late(name: str) -> Any:
    """Import a module of ours when the first fixture needs it.

    Every pytest run in an environment that has govpost loads this plugin; those that use no fixture of it must not
    pay for aiohttp and cryptography, nor need the `responses` library.
    """
    return importlib.import_module(f"govpost.mocks.{name}")


@pytest.fixture
def yukuaiban_server() -> "Iterator[MockServer[YukuaibanMock]]":
    """Serve the stand-in of 渝快办."""
    with _late("server").MockServer(_late("yukuaiban").YukuaibanMock()) as server:
        yield server


@pytest.fixture
def yukuaiban_mock(yukuaiban_server: "MockServer[YukuaibanMock]") -> "YukuaibanMock":
    """Give the stand-in of 渝快办, served."""
    return yukuaiban_server.mock


@pytest.fixture
def postal_server() -> "Iterator[MockServer[PostalMock]]":
    """Serve the stand-in of the post's backend."""
    with _late("server").MockServer(_late("postal").PostalMock()) as server:
        yield server


@pytest.fixture
def postal_mock(postal_server: "MockServer[PostalMock]") -> "PostalMock":
    """Give the stand-in of the post's backend, served."""
    return postal_server.mock


@pytest.fixture
def govpost_responses() -> "Iterator[Registrar]":
    """Give a function that puts mocks behind the responses library for this test."""
    with _late("behind_responses").registering() as registrar:
        yield registrar
