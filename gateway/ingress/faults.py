"""The outermost of a request: a fault of ours never shows more than the number under which the log has it."""

from secrets import token_hex

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from govpost.gateway.ingress.answers import refuse
from govpost.gateway.log import get_logger

__all__ = ["Faults"]

_log = get_logger()


class Faults:
    """Answer 500 with a number for whatever an application lets through, and log it once, under that number."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        is_begun = False

        async def send_noted(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except ClientDisconnect:
            pass  # nobody is there to be answered
        except Exception as error:  # noqa: BLE001 - the outermost: whatever comes here must not reach the caller
            fault_id = token_hex(8)
            # Without the path: it is the caller's text.
            _log.error("request.failed", fault_id=fault_id, method=scope["method"], exc_info=error)
            if not is_begun:
                await refuse(scope, send, 500, f"internal error {fault_id}", fault_id=fault_id)
