"""What the tests of mocks share: a clock that stands still, and a requests session."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

#: The moment of the contract's worked examples.
EXAMPLES_AT = datetime.fromtimestamp(1701389550, UTC)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Give a session that closes its connections."""
    with requests.Session() as session:
        yield session
