"""govpost: an integration gateway and adapter library between China's government portals and the post.

``from govpost import Gateway`` is the front door of the library; it is loaded when first asked for, so that adapters
and schemas can be used without the engine's weight.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from govpost.schemas import Event, OrderContent, WireReply, WireRequest

if TYPE_CHECKING:
    from govpost.gateway.gateway import Gateway

__all__ = ["Event", "Gateway", "OrderContent", "WireReply", "WireRequest"]


def __getattr__(name: str) -> Any:
    """Load the engine when it is first asked for."""
    if name != "Gateway":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("govpost.gateway.gateway").Gateway
