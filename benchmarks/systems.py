"""What a gateway must be told to talk to the mocks: each mock says it itself."""

from govpost.mocks.base import Mock
from govpost.mocks.registry import find_counterpart
from govpost.schemas.documents import JsonObject

__all__ = ["load_far_side", "section"]


def load_far_side(key: str) -> type[Mock]:
    """Find the mock that an adapter talks to; KeyError where there is none."""
    found = find_counterpart(key)
    if found is None:
        raise KeyError(key)
    return found


def section(key: str, *, url: str) -> JsonObject:
    """Give the settings of an adapter that talks to its mock at `url`."""
    mock = load_far_side(key)()
    mock.url = url
    return mock.settings()
