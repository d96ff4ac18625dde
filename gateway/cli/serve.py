"""`govpost serve`: the daemon."""

import asyncio
import sys

from govpost.gateway.check import check_settings
from govpost.gateway.cli.options import Config, Json, new_app
from govpost.gateway.gateway import Gateway
from govpost.gateway.ingress.server import serve as serve_until_stopped
from govpost.gateway.log import configure_logging, get_logger
from govpost.gateway.metrics import Metrics
from govpost.gateway.settings import load_settings

if sys.platform != "win32":
    from uvloop import new_event_loop
else:
    from asyncio import new_event_loop

__all__ = ["app"]

app = new_app()
_log = get_logger()


@app.command()
def serve(*, config: Config = None, json: Json = False) -> None:
    """Take orders and deliver them until SIGTERM; logs go to stderr, as JSON unless that is a terminal."""
    configure_logging(json=json or not sys.stderr.isatty())
    settings = load_settings(config)
    for warning in check_settings(settings):
        _log.warning("config.warning", warning=warning)
    metrics = Metrics()
    with Gateway(settings, meter=metrics) as gateway, asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve_until_stopped(gateway, metrics=metrics))
