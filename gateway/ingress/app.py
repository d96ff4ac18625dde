"""The applications that the ports serve.

=====================  ==================================================================
``/portals/<name>/…``  the portals' doors, raw
``/backends/<name>/…`` the doors of backends that push in a wire of their own, raw
``/api/v1/…``          events in, orders out
``/healthz``           the process answers
``/readyz``            the ledger takes a commit
``/metrics``           Prometheus; on the admin port where there is one
``/api/v1/docs``       the API's page, and ``openapi.json`` beside it; likewise
=====================  ==================================================================
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from govpost.gateway.ingress.answers import API_PREFIX
from govpost.gateway.ingress.api import create_api
from govpost.gateway.ingress.faults import Faults
from govpost.gateway.ingress.health import health_routes, metrics_route
from govpost.gateway.ingress.limits import Limits, RequestLimits
from govpost.gateway.ingress.openapi import page_routes
from govpost.gateway.ingress.portals import BACKENDS_PREFIX, PORTALS_PREFIX, SystemDoor
from govpost.gateway.metrics import Metrics

if TYPE_CHECKING:
    from govpost.gateway.gateway import Gateway

__all__ = ["create_admin_app", "create_app", "public_limits"]


def public_limits(gateway: "Gateway") -> RequestLimits:
    """Take the limits of the public port from the settings, and from the systems whose contract allows other sizes."""
    systems = {**gateway.portals, **gateway.backends}
    sizes = {name: system.manifest.max_body_bytes for name, system in systems.items()}
    return RequestLimits.from_settings(
        gateway.settings.ingress, section_body_bytes={name: size for name, size in sizes.items() if size is not None}
    )


def create_app(gateway: "Gateway", metrics: Metrics) -> ASGIApp:
    """Make the public port's application."""
    settings = gateway.settings.ingress
    api = create_api(gateway)
    routes = health_routes(gateway)
    if settings.admin_port is None:
        routes.append(metrics_route(metrics))
        api.router.routes.extend(page_routes(api))
    raw = {
        PORTALS_PREFIX: SystemDoor(gateway, gateway.portals),
        BACKENDS_PREFIX: SystemDoor(gateway, gateway.backends),
    }
    doors = _Doors({**raw, f"{API_PREFIX}/": api}, Router(routes), metrics)
    return Faults(Limits(doors, public_limits(gateway)))


def create_admin_app(gateway: "Gateway", metrics: Metrics) -> ASGIApp:
    """Make the admin port's application: health, metrics and the API's page, and no way to anything else."""
    routes = [*health_routes(gateway), metrics_route(metrics), *page_routes(create_api(gateway))]
    return Faults(Limits(Router(routes), RequestLimits.from_settings(gateway.settings.ingress)))


class _Doors:
    """Send a request to the application of its path's beginning, and time it."""

    def __init__(self, doors: Mapping[str, ASGIApp], otherwise: ASGIApp, metrics: Metrics) -> None:
        self._doors = [(prefix, prefix.split("/")[1], door) for prefix, door in doors.items()]
        self._otherwise = otherwise
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        for prefix, name, door in self._doors:
            if path.startswith(prefix):
                started = time.perf_counter()
                try:
                    await door(scope, receive, send)
                finally:
                    self._metrics.request(name, time.perf_counter() - started)
                return
        await self._otherwise(scope, receive, send)
