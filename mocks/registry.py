"""Find mocks, ours and third parties' alike, through the entry-point group `govpost.mocks`."""

from importlib.metadata import EntryPoint, entry_points

from govpost.mocks.base import Mock

__all__ = ["find_counterpart", "find_mocks", "load_mock"]

_GROUP = "govpost.mocks"


def find_mocks() -> dict[str, EntryPoint]:
    """List the installed mocks by key, none of them loaded."""
    return {entry.name: entry for entry in sorted(entry_points(group=_GROUP), key=lambda entry: entry.name)}


def load_mock(key: str) -> type[Mock]:
    """Load a mock's class; KeyError where there is none under that key, TypeError where it is no mock."""
    mock_type = find_mocks()[key].load()
    if not (isinstance(mock_type, type) and issubclass(mock_type, Mock)):
        raise TypeError(f"the entry point {key!r} of {_GROUP} is not a Mock")
    return mock_type


def find_counterpart(adapter_key: str) -> type[Mock] | None:
    """Find the mock that an adapter talks to: the one of the same key, else the one that says it stands for it."""
    keys = find_mocks()
    candidates = [adapter_key] if adapter_key in keys else keys
    return next((mock for mock in map(load_mock, candidates) if (mock.stands_for or mock.key) == adapter_key), None)
