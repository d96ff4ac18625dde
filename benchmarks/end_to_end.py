"""Orders a second all the way: accepted, placed at the post, the waybill reported to the portal."""

import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests
from ulid import ULID

from benchmarks.bare_client import carry
from benchmarks.intake import build_requests, is_success
from benchmarks.load import Load, drive
from benchmarks.processes import mock, mock_state, serving, wait_for, write_settings
from benchmarks.report import Figure, middle
from govpost.adapters.base import DeliveryKind, Outbound, Owed
from govpost.gateway.gateway import Gateway
from govpost.gateway.worker import system_source, utc_now
from govpost.mocks._synthetic import s10_number
from govpost.mocks.yukuaiban import YukuaibanMock, new_orders
from govpost.schemas import Event, Order, Place, Status, Update, WireRequest
from govpost.schemas.identifiers import check_waybill_no

__all__ = ["end_to_end"]

_CONNECTIONS = 32
_LOOK_EVERY_S = 0.1
_ROUND_TRIP = "3"
_SERVICES = {1: "EA", 2: "EB"}


def end_to_end(*, is_quick: bool) -> list[Figure]:
    """Measure the whole way with mocks in processes of their own, beside bare aiohttp calls to the same mocks."""
    number, rounds = (100, 1) if is_quick else (2_000, 3)
    ours, bare, placed, told, owed, cpu = [], [], 0, 0, 0, []
    for seed in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with mock("postal", folder) as post_url, mock("yukuaiban", folder) as portal_url:
                settings = write_settings(folder, yukuaiban=portal_url, post_url=post_url)
                waybills = _count_waybills(number, seed=seed)
                seconds, cpu_s = _ours(settings, number, waybills, portal_url=portal_url, seed=seed)
                ours.append(number / seconds)
                owed += waybills
                cpu.append(cpu_s / number)
                placed += mock_state(post_url)["placements"]
                told += mock_state(portal_url)["waybills"]
                bare.append(number / _bare(settings, number, (post_url, portal_url), seed=seed))
    rate, ceiling = middle(ours), middle(bare)
    return [
        Figure("orders_per_s", rate, "orders accepted, placed and told a second, sustained", at_least=400),
        Figure("bare_aiohttp_per_s", ceiling, "bare aiohttp calls to the same mocks, orders a second"),
        Figure("of_bare_aiohttp", rate / ceiling, "ours, as a share of that"),
        Figure("cpu_per_order_ms", middle(cpu) * 1e3, "processor time of the daemon for an order, ms"),
        Figure("orders", float(number * rounds), "orders sent in all"),
        Figure("waybills", float(owed), "waybills to tell: two for a round trip"),
        Figure("placed_amiss", float(abs(placed - number * rounds)), "placements more or fewer than orders", at_most=0),
        Figure("told_amiss", float(abs(told - owed)), "waybills told more or fewer than there are", at_most=0),
    ]


def _count_waybills(number: int, *, seed: int) -> int:
    return sum(_legs(order) for order, _ in new_orders(number, seed=seed))


def _legs(order: Mapping[str, Any]) -> int:
    return 2 if order["serviceType"] == _ROUND_TRIP else 1


def _ours(settings: Path, number: int, waybills: int, *, portal_url: str, seed: int) -> tuple[float, float]:
    """Send orders and wait until the portal has every waybill; returns seconds, and processor seconds of the daemon."""
    with serving(settings) as daemon:
        ready = build_requests(number, url=daemon.url, seed=seed)
        load = Load()

        def send() -> None:
            load.unwanted += drive(daemon.url, ready, is_wanted=is_success, connections=_CONNECTIONS).unwanted

        sender = threading.Thread(target=send)
        cpu_before, begun = daemon.cpu_s(), time.perf_counter()
        sender.start()
        wait_for(lambda: mock_state(portal_url)["waybills"] >= waybills, every_s=_LOOK_EVERY_S)
        seconds = time.perf_counter() - begun
        sender.join()
        if load.unwanted:
            raise RuntimeError(f"{len(load.unwanted)} orders were not taken")
        return seconds, daemon.cpu_s() - cpu_before


def _bare(settings: Path, number: int, urls: Sequence[str], *, seed: int) -> float:
    """Make the same calls from a bare client, both systems at once; returns seconds."""
    for url in urls:
        requests.post(f"{url}/__mock__/reset", timeout=30).raise_for_status()
    with Gateway.from_toml(settings) as gateway:
        placements, tellings = _calls(gateway, number, seed=seed + 1_000)
    return carry((placements, tellings))


def _calls(gateway: Gateway, number: int, *, seed: int) -> tuple[list[WireRequest], list[WireRequest]]:
    source, portal = system_source(utc_now), YukuaibanMock()
    door, adapters = gateway.portals["yukuaiban"].door, {each.name: each.adapter for each in gateway.destinations}
    if door is None:
        raise TypeError("the portal has no door")
    placements, tellings = [], []
    for serial, made in enumerate(new_orders(number, seed=seed)):
        command = door.read(portal.build_create(*made), utc_now()).command
        if not isinstance(command, Place):
            raise TypeError("a synthetic order does not fit")
        numbers = {"order_id": str(ULID()), "portal": "yukuaiban", "accepted_at": utc_now()}
        order = Order.model_validate({**dict(command.order), **numbers})
        placement = Owed(str(ULID()), DeliveryKind.PLACE, order, utc_now())
        placements.append(_request(adapters["post"], placement, source))
        told = [_told(order, leg, serial) for leg in range(1, _legs(made[0]) + 1)]
        owed = [Owed(str(ULID()), DeliveryKind.UPDATE, order, utc_now(), update) for update in told]
        tellings += [_request(adapters["yukuaiban"], each, source) for each in owed]
    return placements, tellings


def _told(order: Order, leg: int, serial: int) -> Update:
    number = check_waybill_no(s10_number(_SERVICES[leg], serial))
    event = {"event_id": f"{leg}", "status": Status.NUMBERED, "occurred_at": utc_now(), "leg": leg}
    return Update(
        order_id=order.order_id,
        event=Event.model_validate(event),
        status=Status.NUMBERED,
        leg=leg,  # type: ignore[arg-type]  # 1 or 2
        waybill_no=number,
    )


def _request(adapter: Outbound, owed: Owed, source: Any) -> WireRequest:
    return next(adapter.send((adapter.render(owed),), source))
