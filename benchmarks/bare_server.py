"""A uvicorn server set up as the daemon's is, that reads a request and answers as much as the daemon: the ceiling."""

import asyncio
import socket

import uvicorn
from starlette.types import Receive, Scope, Send
from uvloop import new_event_loop

from govpost.gateway.ingress.limits import RequestLimits, build_protocol
from govpost.gateway.settings import IngressSettings

ANSWER = b'{"C-API-Status":"00","C-Response-Code":"000000000000","C-Response-Desc":"success","C-Response-Body":"{}"}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


async def app(_scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body, answer."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


def main() -> None:
    """Serve on a free port until SIGTERM."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        app,
        http=build_protocol(RequestLimits.from_settings(IngressSettings())),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
    )
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve([listener]))


if __name__ == "__main__":
    main()
