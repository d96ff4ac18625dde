"""Look over an adapter's shoulder: what it says where people may read it, and whether it reaches for the outside."""

import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO

__all__ = ["import_reaches", "overheard", "watched"]

#: Audit events that mean I/O (docs.python.org, "Audit events table"), by their beginnings.
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

#: Run by a fresh interpreter: imports the adapter, and prints what its own modules reached for meanwhile. A library
#: that it imports may do as it likes: the innermost module under way is what counts.
_PROGRAM = """
import json, sys
from importlib import import_module
package, module, name, paths, reaches = json.loads(sys.argv[1])
sys.path[:] = paths
found = []
def under_way(frame):
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return "" if frame is None else frame.f_globals.get("__name__", "")
def hook(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if (writes or event.startswith(tuple(reaches))) and f"{under_way(sys._getframe(1))}.".startswith(package + "."):
        found.append(event)
import_module("govpost.adapters.base")
sys.dont_write_bytecode = True
sys.addaudithook(hook)
getattr(import_module(module), name)
print(json.dumps(found))
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
    """Notes audit events of one thread while somebody watches. A hook stays for good, so there is one at most."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.thread: int | None = None
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.thread != threading.get_ident():
            return
        writes = event == "open" and isinstance(arguments[1], str) and bool(set(arguments[1]) & set("wax+"))
        if writes or event.startswith(_REACHES):
            self.found.append(event)


@cache
def _guard() -> _Guard:
    return _Guard()


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect what this thread reaches for meanwhile: sockets, processes, files written."""
    guard = _guard()
    guard.found, guard.thread = [], threading.get_ident()
    try:
        yield guard.found
    finally:
        guard.thread = None


@cache
def import_reaches(package: str, module: str, name: str) -> tuple[str, ...]:
    """Import an adapter in a fresh interpreter, and list what its package reached for, or why it cannot be imported."""
    order = json.dumps([package, module, name, sys.path, _REACHES])
    done = subprocess.run([sys.executable, "-c", _PROGRAM, order], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        return (f"it cannot be imported: {done.stderr.strip().rpartition(chr(10))[2]}",)
    return tuple(json.loads(done.stdout.strip().rpartition("\n")[2]))
