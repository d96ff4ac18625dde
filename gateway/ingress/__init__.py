"""Our doors: the portals' (`/portals/…`), the backends' (`/api/v1/…`), and the operator's (health, metrics)."""

from govpost.gateway.ingress.app import create_admin_app, create_app
from govpost.gateway.ingress.server import Bound, serve

__all__ = ["Bound", "create_admin_app", "create_app", "serve"]
