"""govpost: an integration gateway and adapter library between China's government portals and the post.

``from govpost import Gateway`` is the front door of the library. What stands here is loaded when first asked for, so
that a command line starts fast and adapters can be used without the engine's weight.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from govpost.gateway.gateway import Gateway
    from govpost.schemas import Event, OrderContent, WireReply, WireRequest

__all__ = ["Event", "Gateway", "OrderContent", "WireReply", "WireRequest"]

_HOMES = dict.fromkeys(__all__, "govpost.schemas") | {"Gateway": "govpost.gateway.gateway"}


def __getattr__(name: str) -> Any:
    """Load what is asked for from where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
