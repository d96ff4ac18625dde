"""What `[portals.vehicle_admin]` holds, and each vehicle office as its mail needs it (contract: vehicle_admin)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from govpost.adapters.base import AdapterSettings, Secret
from govpost.adapters.vehicle_admin.calls import SERVICES
from govpost.schemas._model import Model
from govpost.schemas.divisions import division
from govpost.schemas.documents import JsonObject
from govpost.schemas.identifiers import Phone
from govpost.schemas.order import PersonName

__all__ = ["OfficeSettings", "VehicleAdminSettings", "VehicleOffice", "vehicle_offices"]

#: What an office is called where nobody says.
_SOME_OFFICE = "车辆管理所"

_LONGEST_NAME = 50

_Argument = Annotated[str, StringConstraints(max_length=100)]


class OfficeSettings(Model):
    """One of `[[portals.vehicle_admin.offices]]`."""

    #: 管理部门. Its first six digits are the division that the office lies in.
    glbm: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{6,12}$")]
    #: 接口序列号, the office's own.
    jkxlh: Secret
    #: What the sender of its mail is called, in place of dwmc.
    name: PersonName | None = None
    #: Where a courier reaches the office; without one, the recipient's own number stands in for it.
    phone: Phone | None = None
    #: Where mail comes back to, from the province down; without one, the office's name and division stand in for it.
    address: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None


class VehicleAdminSettings(AdapterSettings):
    """What `[portals.vehicle_admin]` holds beside the gateway's own keys."""

    addresses: ClassVar[tuple[str, ...]] = ("endpoints",)

    #: Of the same service, in the order in which they are tried.
    endpoints: Annotated[tuple[str, ...], Field(min_length=1)]
    #: The old service; the new one; the new one's operations that end in New.
    service: Literal["out", "out_new", "out_new_new"]
    #: 系统类别, and what else each call says of who calls, as the service wants it: 场景编号, 用户标识, 单位名称,
    #: 单位机构代码, 用户姓名, 终端标识.
    xtlb: _Argument = ""
    cjsqbh: _Argument = ""
    yhbz: _Argument = ""
    dwmc: _Argument = ""
    dwjgdm: _Argument = ""
    yhxm: _Argument = ""
    zdbs: _Argument = ""
    offices: Annotated[tuple[OfficeSettings, ...], Field(min_length=1)]
    #: Between two rounds of all offices, seconds.
    poll_every_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30
    #: Records that were last changed before that day (Asia/Shanghai) are never asked for.
    since: date = date(2020, 1, 1)

    @model_validator(mode="after")
    def _check_arguments(self) -> Self:
        for name in SERVICES[self.service].said:
            if not getattr(self, name).strip():
                raise ValueError(f'{name} is missing: service = "{self.service}" needs it')
        return self

    @model_validator(mode="after")
    def _check_offices(self) -> Self:
        known: set[str] = set()
        for office in self.offices:
            if office.glbm in known:
                raise ValueError(f"offices: {office.glbm} stands there twice")
            known.add(office.glbm)
        return self


@dataclass(frozen=True, slots=True)
class VehicleOffice:
    """An office, as it asks and as it sends."""

    glbm: str
    jkxlh: Secret
    name: str
    phone: str | None
    address: str
    #: None where the glbm begins with no division that we know.
    division_code: str | None

    def sender(self, recipient_phone: str) -> JsonObject:
        """Build the sender of its mail: the members of a Party."""
        address = {"street": self.address, "division_code": self.division_code}
        phone = self.phone or recipient_phone
        return {"name": self.name, "organization": self.name, "phone": phone, "address": address}


def vehicle_offices(settings: VehicleAdminSettings) -> Mapping[str, VehicleOffice]:
    """Complete the offices with what stands in for what they do not say: glbm → office, in the settings' order."""
    return {office.glbm: _office(office, settings.dwmc.strip()) for office in settings.offices}


def _office(office: OfficeSettings, dwmc: str) -> VehicleOffice:
    name = office.name or dwmc[:_LONGEST_NAME] or _SOME_OFFICE
    code = office.glbm[:6]
    return VehicleOffice(
        glbm=office.glbm,
        jkxlh=office.jkxlh,
        name=name,
        phone=office.phone,
        address=office.address or name,
        division_code=code if division(code) else None,
    )
