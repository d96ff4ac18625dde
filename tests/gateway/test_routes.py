"""Which backend takes an order: the first route that matches, the portal's own backend last."""

from pathlib import Path
from typing import Any

import pytest

from govpost.gateway.check import check_settings
from govpost.gateway.gateway import Gateway
from govpost.gateway.routes import Routes
from govpost.gateway.settings import Route, load_settings
from govpost.schemas import Direction
from govpost.schemas.errors import ConfigurationError

Bench = Any

BACKEND = """
[backends.{name}]
adapter = "webhook"
url = "http://127.0.0.1:1/{name}"
secret = "{name}-secret"
"""
PORTAL = """
[api]
tokens = ["token-of-the-backend-1"]
[portals.yukuaiban]
base_url = "http://127.0.0.1:1"
app_id = "3f0c2a9e-5b1d-4e7a-9c44-0a1b2c3d4e5f"
app_secret = "secret"
app_key = "AAECAwQFBgcICQoLDA0ODw=="
"""


def write(folder: Path, text: str, *, backends: tuple[str, ...] = ("post", "court", "rural")) -> Path:
    """Write settings with a portal and backends of these names."""
    path = folder / "govpost.toml"
    path.write_text(PORTAL + text + "".join(BACKEND.format(name=name) for name in backends), encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("routes", "backend"),
    [
        ([], "own"),
        ([{"portal": "city"}], "r0"),
        ([{"portal": "other"}], "own"),
        ([{"direction": "to_applicant"}], "r0"),
        ([{"direction": "round_trip"}], "own"),
        ([{"project": "115001137194835317350"}], "r0"),
        ([{"project": "11500113"}], "own"),
        ([{"project": "11500113*"}], "r0"),
        ([{"project": "51*"}], "own"),
        ([{"district": "500113"}], "r0"),
        ([{"district": "500000"}], "r0"),
        ([{"district": "500100"}], "r0"),
        ([{"district": "500103"}], "own"),
        ([{"district": "510000"}], "own"),
        ([{"portal": "city", "direction": "to_applicant", "project": "1*", "district": "500113"}], "r0"),
        ([{"portal": "city", "direction": "to_applicant", "project": "1*", "district": "500103"}], "own"),
        ([{"district": "500103"}, {"district": "500113"}, {}], "r1"),
        ([{}, {"district": "500113"}], "r0"),
    ],
)
def test_the_first_that_matches_takes_it(bench: Bench, routes: list[dict[str, str]], backend: str) -> None:
    """Everything that a route says must fit; what it does not say matches everything."""
    order = bench.content(
        direction=Direction.TO_APPLICANT, matter={"code": "115001137194835317350", "division_code": "500113"}
    )
    given = [Route.model_validate({**route, "backend": f"r{number}"}) for number, route in enumerate(routes)]
    own = type("Section", (), {"backend": "own"})
    assert Routes(given, {"city": own}).backend_for("city", order) == backend


@pytest.mark.parametrize(("matter", "sender", "backend"), [(None, "500113", "r0"), ("500103", "500113", "own")])
def test_a_district_is_where_the_matter_is_handled(bench: Bench, matter: str | None, sender: str, backend: str) -> None:
    """Where the order does not say, it is where the mail begins."""
    address = bench.SENDER.address.model_copy(update={"division_code": sender})
    order = bench.content(matter={"division_code": matter}, sender=bench.SENDER.model_copy(update={"address": address}))
    own = type("Section", (), {"backend": "own"})
    routes = Routes([Route(backend="r0", district="500113")], {"city": own})
    assert routes.backend_for("city", order) == backend


def test_orders_go_where_their_route_says(tmp_path: Path, bench: Bench) -> None:
    """Through the gateway, and for good: a cancel goes to the backend that has the order."""
    path = write(
        tmp_path,
        '[[routes]]\ndirection = "round_trip"\nbackend = "rural"\n'
        '[[routes]]\nproject = "51*"\nbackend = "court"\n[[routes]]\nbackend = "post"\n',
    )
    with Gateway.from_toml(path) as gateway:
        for ref, facts in {
            "R1": {"direction": "round_trip"},
            "R2": {"matter": {"code": "511500"}},
            "R3": {"matter": {"code": "500113"}},
        }.items():
            gateway.place("yukuaiban", bench.content(ref, **facts))
        rows = {row.portal_ref: row.backend for row in gateway.ledger.find_orders().rows}
    assert rows == {"R1": "rural", "R2": "court", "R3": "post"}


OWN = 'backend = "post"\n'
#: Together these take every order.
DIRECTIONS = "".join(f'[[routes]]\nbackend = "court"\ndirection = "{way.value}"\n' for way in Direction)
DIRECTION_PLACES = "[[routes]] no. 1, [[routes]] no. 2, [[routes]] no. 3"
#: Another portal, with a backend of its own.
SECOND = '[portals.second]\nadapter = "yukuaiban"\n' + PORTAL.partition("[portals.yukuaiban]\n")[2] + OWN


def test_routes_may_take_all_orders_together(tmp_path: Path, bench: Bench) -> None:
    """A portal needs no `backend` where its routes leave none of its orders over: one for each direction."""
    path = write(tmp_path, DIRECTIONS, backends=("court",))
    assert check_settings(load_settings(path)) == []
    with Gateway.from_toml(path) as gateway:
        for way in Direction:
            gateway.place("yukuaiban", bench.content(way.value, direction=way))
        assert {row.backend for row in gateway.ledger.find_orders().rows} == {"court"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (OWN + '[[routes]]\nbackend = "cuort"\n', "no. 1 backend: there is no [backends.cuort]; did you mean 'court'"),
        (OWN + '[[routes]]\nbackend = "post"\nportal = "yukuai"\n', "no. 1 portal: there is no [portals.yukuai]"),
        (OWN + '[[routes]]\nbackend = "post"\ndirction = "x"\n', "no. 1 dirction: unknown key; did you mean 'direc"),
        (OWN + '[[routes]]\nbackend = "post"\ndirection = "up"\n', "no. 1 direction: "),
        (OWN + '[[routes]]\nportal = "yukuaiban"\n', "no. 1 backend: is missing"),
        (OWN + '[[routes]]\nbackend = "post"\ndistrict = "5001"\n', "no. 1 district: a division code is six"),
        (OWN + '[[routes]]\nbackend = "post"\nproject = "5*1"\n', "no. 1 project: holds a character"),
        (OWN + '[routes]\nbackend = "post"\n', "[routes]: must be a list of sections: [[routes]]"),
        ("", "[portals.yukuaiban] backend: is missing"),
        ('[[routes]]\nbackend = "post"\ndistrict = "500113"\n', "[portals.yukuaiban] backend: is missing"),
        (DIRECTIONS.replace("round_trip", "to_applicant"), "[portals.yukuaiban] backend: is missing"),
        (DIRECTIONS + 'project = "50*"\n', "[portals.yukuaiban] backend: is missing"),
    ],
)
def test_a_route_that_cannot_be_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    """By its number, the key and what is wrong with it."""
    with pytest.raises(ConfigurationError) as caught:
        check_settings(load_settings(write(tmp_path, text)))
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ('backend = "post"\n[[routes]]\nbackend = "court"\ndirection = "round_trip"\n', []),
        (
            '[[routes]]\nbackend = "court"\n[[routes]]\nbackend = "post"\ndirection = "round_trip"\n',
            ["[[routes]] no. 2: matches nothing, all goes to [[routes]] no. 1; move it up or remove it"],
        ),
        (
            'backend = "post"\n[[routes]]\nbackend = "court"\nportal = "yukuaiban"\n',
            ["[portals.yukuaiban] backend: matches nothing, all goes to [[routes]] no. 1; move it up or remove it"],
        ),
        (
            OWN + '[[routes]]\nbackend = "court"\nproject = "50*"\n[[routes]]\nbackend = "post"\nproject = "5001*"\n',
            ["[[routes]] no. 2: matches nothing, all goes to [[routes]] no. 1; move it up or remove it"],
        ),
        (
            OWN
            + '[[routes]]\nbackend = "court"\ndistrict = "500000"\n[[routes]]\nbackend = "post"\ndistrict = "500113"\n',
            ["[[routes]] no. 2: matches nothing, all goes to [[routes]] no. 1; move it up or remove it"],
        ),
        (
            'backend = "post"\n[[routes]]\nbackend = "court"\ndistrict = "999999"\n',
            ["[[routes]] no. 1 district: no division has this code, so it matches nothing; check it"],
        ),
        (
            OWN + DIRECTIONS + '[[routes]]\nbackend = "post"\nproject = "50*"\n',
            [
                f"{place}: matches nothing, all goes to {DIRECTION_PLACES}; move it up or remove it"
                for place in ("[[routes]] no. 4", "[portals.yukuaiban] backend")
            ],
        ),
        (
            OWN
            + SECOND
            + '[[routes]]\nbackend = "court"\nportal = "yukuaiban"\n'
            + '[[routes]]\nbackend = "court"\nportal = "second"\n[[routes]]\nbackend = "post"\n',
            [
                f"{place}: matches nothing, all goes to {takers}; move it up or remove it"
                for place, takers in {
                    "[[routes]] no. 3": "[[routes]] no. 1, [[routes]] no. 2",
                    "[portals.yukuaiban] backend": "[[routes]] no. 1",
                    "[portals.second] backend": "[[routes]] no. 2",
                }.items()
            ],
        ),
        (
            OWN + SECOND + DIRECTIONS.replace("[[routes]]\n", '[[routes]]\nportal = "second"\n'),
            [f"[portals.second] backend: matches nothing, all goes to {DIRECTION_PLACES}; move it up or remove it"],
        ),
    ],
)
def test_what_matches_nothing_is_warned_of(tmp_path: Path, text: str, warnings: list[str]) -> None:
    """A route behind one, or several together, that take all of its orders, and a district that does not exist."""
    found = check_settings(load_settings(write(tmp_path, text, backends=("post", "court"))))
    assert [warning for warning in found if "route" in warning or "matches" in warning] == warnings
