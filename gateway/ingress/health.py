"""For whoever runs this: is it alive, can it take orders, how does it do."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from govpost.gateway.ingress.answers import RETRY_SOON
from govpost.gateway.metrics import CONTENT_TYPE, Metrics
from govpost.schemas.errors import LedgerUnavailableError

if TYPE_CHECKING:
    from govpost.gateway.gateway import Gateway

__all__ = ["health_routes", "metrics_route"]


def health_routes(gateway: "Gateway") -> list[Route]:
    """Make ``/healthz`` (the process answers) and ``/readyz`` (the ledger takes a commit)."""
    readiness = _Readiness(gateway.ledger.check_writable)
    return [Route("/healthz", _answer_alive), Route("/readyz", readiness.answer)]


def metrics_route(metrics: Metrics) -> Route:
    """Make ``/metrics``."""

    async def answer(_request: Request) -> Response:
        return Response(await run_in_threadpool(metrics.render), headers={"content-type": CONTENT_TYPE})

    return Route("/metrics", answer)


async def _answer_alive(_request: Request) -> Response:
    return PlainTextResponse("alive\n")


class _Readiness:
    """One check at a time, however many ask: each is a commit, and nobody has to sign in to ask."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._running: asyncio.Task[bool] | None = None

    async def answer(self, _request: Request) -> Response:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(run_in_threadpool(self._is_writable))
        # Shielded: the others still wait for it when this caller goes.
        if await asyncio.shield(self._running):
            return PlainTextResponse("ready\n")
        return PlainTextResponse("the ledger cannot be written\n", status_code=503, headers=RETRY_SOON)

    def _is_writable(self) -> bool:
        try:
            self._check()
        except LedgerUnavailableError:
            return False
        return True
