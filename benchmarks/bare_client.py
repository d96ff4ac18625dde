"""The requests of the relay from a bare aiohttp client: the ceiling of whatever the relay sends."""

import asyncio
import time
from collections.abc import Iterator, Sequence

import aiohttp
from uvloop import new_event_loop

from govpost.schemas import WireRequest

__all__ = ["carry"]

#: As many at once as the relay sends to a destination.
_AT_ONCE = 32


def carry(*rounds: Sequence[Sequence[WireRequest]]) -> float:
    """Send one round after the other, in each the lines at once; returns seconds. Raises what aiohttp raises."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(_carry(rounds))


async def _carry(rounds: Sequence[Sequence[Sequence[WireRequest]]]) -> float:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        begun = time.perf_counter()
        for lines in ([iter(line) for line in lines] for lines in rounds):
            await asyncio.gather(*(_send_each(session, line) for line in lines for _ in range(_AT_ONCE)))
        return time.perf_counter() - begun


async def _send_each(session: aiohttp.ClientSession, line: Iterator[WireRequest]) -> None:
    for request in line:
        headers = dict(request.headers)
        async with session.request(request.method, request.url, data=request.body, headers=headers) as response:
            response.raise_for_status()
            await response.read()
