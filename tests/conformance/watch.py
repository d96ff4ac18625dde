"""Look over an adapter's shoulder: what it says where people may read it, and whether it reaches for the outside."""

import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO
from types import FrameType

__all__ = ["import_reaches", "overheard", "report_import", "watched"]

#: Audit events that mean I/O (docs.python.org, "Audit events table"), by their beginnings; a file that is written is
#: told by the mode that it is opened in.
_REACHES = (
    "socket.connect",
    "socket.bind",
    "socket.send",
    "socket.gethost",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "urllib.Request",
)

#: Run by a fresh interpreter.
_PROGRAM = """
import json, sys
package, module, name, sys.path[:] = json.loads(sys.argv[1])
from govpost.tests.conformance.watch import report_import
report_import(package, module, name)
"""


class _Ear(logging.Handler):
    def __init__(self, heard: StringIO) -> None:
        super().__init__(logging.NOTSET)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.write(f"{record.getMessage()} {vars(record)!r}\n")


@contextmanager
def overheard() -> Iterator[StringIO]:
    """Collect what is logged, printed or warned of meanwhile."""
    heard = StringIO()
    root, ear = logging.getLogger(), _Ear(heard)
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.NOTSET)
    try:
        with redirect_stdout(heard), redirect_stderr(heard), warnings.catch_warnings(record=True) as warned:
            yield heard
            heard.write(" ".join(str(each.message) for each in warned))
    finally:
        root.setLevel(level)
        root.removeHandler(ear)


class _Guard:
    """Notes audit events that mean I/O while it counts. A hook stays for good, so there should be few guards."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.counts: Callable[[], bool] = lambda: False
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[object, ...]) -> None:
        writes = event == "open" and isinstance(arguments[1], str) and not set(arguments[1]).isdisjoint("wax+")
        if (writes or event.startswith(_REACHES)) and self.counts():
            self.found.append(event)


@cache
def _guard() -> _Guard:
    return _Guard()


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect what this thread reaches for meanwhile: sockets, processes, files written."""
    guard, thread = _guard(), threading.get_ident()
    guard.found, guard.counts = [], lambda: threading.get_ident() == thread
    try:
        yield guard.found
    finally:
        guard.counts = lambda: False


@cache
def import_reaches(package: str, module: str, name: str) -> tuple[str, ...]:
    """Import an adapter in a fresh interpreter, and list what its package reached for, or why it cannot be imported."""
    order = json.dumps([package, module, name, sys.path])
    done = subprocess.run([sys.executable, "-c", _PROGRAM, order], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        return (f"it cannot be imported: {done.stderr.strip().rpartition(chr(10))[2]}",)
    return tuple(json.loads(done.stdout.strip().rpartition("\n")[2]))


def report_import(package: str, module: str, name: str) -> None:
    """Import an adapter, and print as JSON what the package's own modules reached for meanwhile.

    A library that it imports may do as it likes: the innermost module under way is what counts.
    """
    sys.dont_write_bytecode = True
    guard = _guard()
    guard.counts = lambda: f"{_module_under_way()}.".startswith(f"{package}.")
    getattr(import_module(module), name)
    guard.counts = lambda: False
    sys.stdout.write(json.dumps(guard.found))


def _module_under_way() -> str:
    """Name the module whose own statements are being run, however deep below them we are."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))
