"""What a gateway must be told to talk to the mocks: the synthetic keys of the contracts' worked examples."""

from collections.abc import Mapping
from typing import Any

from govpost.mocks.chuanyu_tongban import DEMO_APP_CODE, DEMO_GATEWAY_KEY, DEMO_PORTAL_KEY, DEMO_SM4_KEY
from govpost.mocks.ems import DEMO_AUTHORIZATION, DEMO_SENDER_NO, DEMO_SIGN_KEY
from govpost.mocks.postal import DEMO_SECRET
from govpost.mocks.quanyu_tongban import DEMO_PAASID, DEMO_TOKEN
from govpost.mocks.yukuaiban import DEMO_APP_ID, DEMO_APP_KEY, DEMO_APP_SECRET

__all__ = ["MOCKS", "SECTIONS", "section"]

#: Adapter → what its section holds; `{url}` stands for where its mock is served.
SECTIONS: Mapping[str, Mapping[str, Any]] = {
    "chuanyu_tongban": {
        "base_url": "{url}",
        "app_code": DEMO_APP_CODE,
        "sm4_key": DEMO_SM4_KEY,
        "verify_keys": [DEMO_PORTAL_KEY.public],
        "sign_key": DEMO_GATEWAY_KEY.private,
    },
    "ems": {
        "url": "{url}/amp/api/open",
        "sender_no": DEMO_SENDER_NO,
        "authorization": DEMO_AUTHORIZATION,
        "sign_key": DEMO_SIGN_KEY,
    },
    "quanyu_tongban": {"base_url": "{url}", "paasid": DEMO_PAASID, "token": DEMO_TOKEN},
    "webhook": {"url": "{url}/orders", "secret": DEMO_SECRET},
    "yukuaiban": {
        "base_url": "{url}",
        "app_id": DEMO_APP_ID,
        "app_secret": DEMO_APP_SECRET,
        "app_key": DEMO_APP_KEY,
    },
}
#: Adapter → the mock that it talks to, where that has another name.
MOCKS: Mapping[str, str] = {"webhook": "postal"}


def section(key: str, *, url: str) -> dict[str, Any]:
    """Fill in where the mock is; KeyError for a system that nobody told us the keys of."""
    return {
        name: value.replace("{url}", url) if isinstance(value, str) else value for name, value in SECTIONS[key].items()
    }
