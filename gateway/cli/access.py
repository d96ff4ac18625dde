"""Open what a command works on."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from govpost.gateway.cli.failures import NotFoundError
from govpost.gateway.gateway import Gateway
from govpost.gateway.settings import Settings, load_settings
from govpost.schemas.errors import LedgerUnavailableError

__all__ = ["check_destination", "opened"]


@contextmanager
def opened(config: Path | None) -> Iterator[Gateway]:
    """Open the gateway on a ledger that exists: looking at a ledger must not make one."""
    settings = load_settings(config)
    file = settings.ledger.file
    if file is not None and not file.exists():
        raise LedgerUnavailableError(f"there is no ledger at {file} yet: `govpost serve` makes it")
    with Gateway(settings) as gateway:
        yield gateway


def check_destination(settings: Settings, name: str) -> None:
    """Raise NotFoundError unless a portal or a backend is called that."""
    known = sorted({*settings.portals, *settings.backends})
    if name in known:
        return
    close = get_close_matches(name, known, n=1)
    there_are = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"
    raise NotFoundError(f"no portal or backend is called {name!r}; {there_are}")
