"""Our doors: the portals' (`/portals/…`), the backends' (`/api/v1/…`), and the operator's (health, metrics, API page)."""

from govpost.gateway.ingress.app import create_admin_app, create_app
from govpost.gateway.ingress.server import Bound, run, serve

__all__ = ["Bound", "create_admin_app", "create_app", "run", "serve"]
