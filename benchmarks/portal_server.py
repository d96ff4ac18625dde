"""The mock of 全渝通办 on a free port, without its limit of calls a second: that rate is not what is measured."""

import signal
import sys
from threading import Event

from govpost.mocks.quanyu_tongban import QuanyuTongbanMock
from govpost.mocks.server import MockServer


def main() -> None:
    """Serve until SIGTERM."""
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with MockServer(QuanyuTongbanMock(calls_a_second=sys.maxsize)) as server:
        print(server.url, flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
