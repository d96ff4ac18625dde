"""What the demo asks of mocks, and whether it would notice if something went wrong."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from govpost.mocks._demo_checks import (
    find_leftovers,
    find_misled,
    find_rejections,
    find_unended,
    find_unlike_ledger,
    find_wrong_mail,
)
from govpost.mocks._demo_daemon import toml_value, write_settings
from govpost.mocks._demo_show import Row
from govpost.mocks._demo_stories import Tale, hear
from govpost.mocks.base import CarrierMock, PortalMock
from govpost.mocks.chuanyu_tongban import ChuanyuTongbanMock
from govpost.mocks.court_waybill import CourtWaybillMock
from govpost.mocks.ems import EmsMock
from govpost.mocks.postal import Mail, PostalMock
from govpost.mocks.quanyu_tongban import QuanyuTongbanMock
from govpost.mocks.registry import find_mocks, load_mock
from govpost.mocks.vehicle_admin import VehicleAdminMock
from govpost.mocks.yukuaiban import Push, YukuaibanMock
from govpost.schemas import Status, WireRequest

ORDER_ID = "01HGJ0000000000000000000AA"
REF = "YKB20231201000123"
NUMBER, BACK_NUMBER = "EA969294768CN", "EB969294768CN"
REVOKED = "delivery revoked, then made"
MOCKS = [load_mock(key) for key in find_mocks()]
PORTALS = [mock for mock in MOCKS if issubclass(mock, PortalMock)]
CARRIERS = [mock for mock in MOCKS if issubclass(mock, CarrierMock)]


def words(*told: str) -> dict[int, list[Status | None]]:
    """Read what each leg was told; - takes back."""
    return {
        leg: [None if word == "-" else Status(word) for word in line.split()] for leg, line in enumerate(told, start=1)
    }


def tale_of(portal: PortalMock, title: str) -> Tale:
    """Begin the story of an order that the post has taken."""
    post = PostalMock()
    legs = post.stories[title].legs
    post.orders[ORDER_ID] = Mail(ORDER_ID, portal.key, REF, {}, dict(enumerate((NUMBER, BACK_NUMBER)[:legs], start=1)))
    return Tale(portal, REF, post, ORDER_ID, title)


def push(state: str, n: int = 1, number: str = NUMBER) -> Push:
    """Say something to 渝快办."""
    call = "pushlogisticode" if state == "20" else "pushtrace"
    return Push(call, f"{n:032x}", REF, 1, number, state, {})


class TestMocks:
    """What each mock brings."""

    @pytest.mark.parametrize("mock_type", PORTALS)
    def test_samples(self, mock_type: type[PortalMock]) -> None:
        """A portal's samples can be handed over: a push each, or none where it is polled. No order is in two."""
        portal = mock_type()
        samples = portal.samples()
        requests = [portal.hand_over(sample.document) for sample in samples]
        assert {request is None for request in requests} == {portal.is_polled}
        refs = [ref for sample in samples for ref in sample.legs]
        assert len(set(refs)) == len(refs) > 0
        assert {legs for sample in samples for legs in sample.legs.values()} <= {1, 2}

    @pytest.mark.parametrize("mock_type", PORTALS)
    def test_portals_statuses(self, mock_type: type[PortalMock]) -> None:
        """A portal has a word for every status that an order can come to."""
        assert set(mock_type.statuses.values()) >= set(Status) - {Status.ACCEPTED, Status.UNKNOWN}

    @pytest.mark.parametrize("mock_type", CARRIERS)
    def test_stories(self, mock_type: type[CarrierMock]) -> None:
        """A backend has stories for single ways and for round trips; nothing happened to what was not placed."""
        assert {story.legs for story in mock_type.stories.values()} == {1, 2}
        assert list(mock_type().happened(ORDER_ID)) == []

    @pytest.mark.parametrize("title", PostalMock.stories)
    def test_ends(self, title: str) -> None:
        """A story of the post ends with the status that it says, each leg of it."""
        tale = tale_of(YukuaibanMock(), title)
        for _ in tale.story.courses:
            tale.go_on(tale.due())
        assert {told[-1] for told in tale.due().values()} == {tale.story.ends}
        assert len(tale.due()) == tale.story.legs


class TestTale:
    """What a portal has to hear, and when the story goes on."""

    @pytest.mark.parametrize(
        ("portal", "begins", "back"),
        [
            (YukuaibanMock, "", "out_for_delivery"),
            (QuanyuTongbanMock, "accepted ", "out_for_delivery"),
            (ChuanyuTongbanMock, "", "-"),
        ],
    )
    def test_due(self, portal: type[PortalMock], begins: str, back: str) -> None:
        """A polled portal hears of acceptance; one that has a word for taking back hears it, others where it stands."""
        tale = tale_of(portal(), REVOKED)
        assert tale.due() == words(f"{begins}numbered")
        tale.go_on(tale.due())
        whole = f"{begins}numbered collected in_transit out_for_delivery delivered"
        assert tale.due() == words(whole)
        tale.go_on(tale.due())
        assert tale.due() == words(f"{whole} {back} undelivered out_for_delivery delivered")

    def test_both_legs(self) -> None:
        """Each leg is told for itself."""
        tale = tale_of(YukuaibanMock(), "there and back")
        assert tale.due() == words("numbered", "numbered")
        tale.go_on(tale.due())
        assert tale.due() == words(*["numbered collected in_transit out_for_delivery delivered"] * 2)

    def test_goes_on(self) -> None:
        """The next course waits until the portal has heard all of the last; after the last there is none."""
        tale = tale_of(YukuaibanMock(), REVOKED)
        assert tale.go_on({}) == ()
        assert len(tale.go_on(words("numbered"))) == 4
        assert tale.go_on(words("numbered collected in_transit out_for_delivery")) == ()
        assert len(tale.go_on(tale.due())) == 4
        assert tale.go_on(tale.due()) == ()

    @pytest.mark.parametrize(
        ("heard", "has_ended"),
        [
            ("numbered collected in_transit lost", True),
            ("numbered collected in_transit", False),
            ("numbered collected in_transit lost lost", False),
            ("numbered in_transit collected lost", False),
            ("collected in_transit lost", False),
        ],
    )
    def test_has_ended(self, heard: str, has_ended: bool) -> None:
        """It has ended when everything was heard, once and in order."""
        tale = tale_of(YukuaibanMock(), "lost")
        assert not tale.has_ended(tale.due())
        tale.go_on(tale.due())
        assert tale.has_ended(words(heard)) is has_ended

    def test_hear(self) -> None:
        """What portals heard is sorted by order and leg, in arrival order; what is no status is left out."""
        yukuaiban, other = YukuaibanMock(), ChuanyuTongbanMock()
        yukuaiban.pushes += [push("20"), push("40"), push("receipt"), push("30")]
        assert hear([yukuaiban, other]) == {("yukuaiban", REF): words("numbered in_transit collected")}


class TestChecks:
    """Each finds what is wrong, and nothing where all is well."""

    ORDERS = (
        {
            "order_id": ORDER_ID,
            "portal": "yukuaiban",
            "portal_ref": REF,
            "backend": "postal",
            "status": "lost",
            "legs": [{"leg": 1, "waybill_no": NUMBER}],
        },
    )

    def test_unended(self) -> None:
        """An order that is not among those that ended is named, with its story."""
        tale = tale_of(YukuaibanMock(), "lost")
        assert list(find_unended([tale], [tale])) == []
        assert list(find_unended([tale], [])) == [f"yukuaiban/{REF} (lost) did not end as it should"]

    @pytest.mark.parametrize(
        ("due", "problems"),
        [
            ({("yukuaiban", REF): "lost"}, []),
            ({("yukuaiban", REF): "delivered"}, [f"the ledger says of yukuaiban/{REF} lost, not delivered"]),
            ({}, [f"the ledger says of yukuaiban/{REF} lost, not None"]),
            (
                {("yukuaiban", REF): "lost", ("city", "1"): "lost"},
                ["the ledger says of city/1 None, not lost"],
            ),
        ],
    )
    def test_unlike_ledger(self, due: Mapping[tuple[str, str], str], problems: list[str]) -> None:
        """An order is missing, too many, or stands elsewhere."""
        assert list(find_unlike_ledger(due, self.ORDERS)) == problems

    @pytest.mark.parametrize(("number", "problems"), [(NUMBER, 0), ("", 0), (BACK_NUMBER, 1)])
    def test_misled(self, number: str, problems: int) -> None:
        """A number that the portal was told is the leg's."""
        portal = YukuaibanMock()
        portal.pushes.append(push("30", number=number))
        assert len(list(find_misled([portal], self.ORDERS))) == problems

    @pytest.mark.parametrize(
        ("placements", "problems"),
        [
            ({ORDER_ID: 1}, []),
            ({ORDER_ID: 2}, [f"postal mails ['{ORDER_ID}'] too often, [] not at all"]),
            ({}, [f"postal mails [] too often, ['{ORDER_ID}'] not at all"]),
        ],
    )
    def test_wrong_mail(self, placements: Mapping[str, int], problems: list[str]) -> None:
        """A backend mails what the ledger has for it, once, and nothing else."""
        post = PostalMock()
        post.placements.update(placements)
        assert list(find_wrong_mail([post, EmsMock()], self.ORDERS)) == problems

    def test_rejections(self) -> None:
        """Whatever a mock refused as unfit is a problem."""
        post = PostalMock()
        assert list(find_rejections([post])) == []
        post.handle(WireRequest("POST", "/elsewhere", {}, b""))
        assert list(find_rejections([post])) == ["postal refused: path is not /orders"]

    def test_leftovers(self) -> None:
        """Only what is there is named."""
        assert list(find_leftovers(dead=0, strays=2)) == ["2 strays left over"]


class TestSettings:
    """What the gateway of the demo is told."""

    @pytest.fixture
    def document(self, tmp_path: Path) -> dict[str, Any]:
        """Write settings for two portals and two backends, and read them."""
        portals, carriers = [QuanyuTongbanMock(), YukuaibanMock()], [EmsMock(), PostalMock()]
        return tomllib.loads(write_settings(tmp_path, portals, carriers).read_text(encoding="utf-8"))

    def test_sections(self, document: dict[str, Any]) -> None:
        """Every mock has a section with what it says itself; a polled portal is asked often."""
        assert document["backends"]["postal"] == {"adapter": "webhook", **PostalMock().settings()}
        assert document["portals"]["quanyu_tongban"].items() >= QuanyuTongbanMock().settings().items()
        assert {name for name, section in document["portals"].items() if "poll_every_s" in section} == {
            "quanyu_tongban"
        }

    def test_what_a_portal_wants_of_backends(self, tmp_path: Path) -> None:
        """It stands in those backends' sections, beside what they say themselves."""
        written = write_settings(tmp_path, [VehicleAdminMock(), YukuaibanMock()], [EmsMock(), PostalMock()])
        ems, postal = tomllib.loads(written.read_text(encoding="utf-8"))["backends"].values()
        own = {"adapter": "ems", **EmsMock().settings()}
        assert ems == {**own, "projects": {**own.get("projects", {}), "vehicle_admin": "GAWSCG"}}
        assert "projects" not in postal

    def test_mail_that_must_be_signed_for(self, tmp_path: Path) -> None:
        """A court's goes to backends that say who signed, wherever it stands among the portals; if there are any."""
        court, other = CourtWaybillMock(), YukuaibanMock()
        for portals in ([court, other], [other, court]):
            written = tomllib.loads(write_settings(tmp_path, portals, [EmsMock(), PostalMock()]).read_text("utf-8"))
            named = {route["backend"] for route in written["routes"] if route["portal"] == "court_waybill"}
            assert named | {written["portals"]["court_waybill"]["backend"]} == {"postal"}
        alone = tomllib.loads(write_settings(tmp_path, [court], [EmsMock()]).read_text("utf-8"))
        assert alone["portals"]["court_waybill"]["backend"] == "ems"

    def test_routes(self, document: dict[str, Any]) -> None:
        """The portals take turns at the backends, and what each sets apart goes to another."""
        assert {name: section["backend"] for name, section in document["portals"].items()} == {
            "quanyu_tongban": "ems",
            "yukuaiban": "postal",
        }
        assert document["routes"] == [
            {"portal": "quanyu_tongban", "direction": "from_applicant", "backend": "postal"},
            {"portal": "yukuaiban", "direction": "from_applicant", "backend": "ems"},
        ]

    @pytest.mark.parametrize(
        "value",
        [
            'a"b\\c\n车管',
            1,
            0.5,
            True,
            ["a", ["b"]],
            {"500113000400": "k"},
            [{"glbm": "1", "names": ["甲", "乙"]}],
            [],
            {},
        ],
    )
    def test_toml(self, value: Any) -> None:
        """Whatever a mock's settings hold is read as it was written."""
        assert tomllib.loads(f"value = {toml_value(value)}") == {"value": value}


def test_rows_add_up() -> None:
    """Every figure of two rows is added, kind by kind for faults."""
    row = Row(1, 2, 3, 4, 5, 6, {"busy": 1, "reset": 2})
    assert row + Row(10, 20, 30, 40, 50, 60, {"busy": 1}) == Row(11, 22, 33, 44, 55, 66, {"busy": 2, "reset": 2})
