"""What the tests of mocks share."""

from collections.abc import Iterator

import pytest
import requests


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Give a session that closes its connections."""
    with requests.Session() as session:
        yield session
