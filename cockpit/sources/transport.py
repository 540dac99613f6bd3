"""Says what travels unprotected: secrets without TLS, certificates that nobody verifies.

A connection that stays on this machine (a port-forward, a socket) is none.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cockpit.settings import ConfigProblem, Settings, secret_of
from cockpit.sources.registry import sources

if TYPE_CHECKING:
    from cockpit.kubeapi.access import Access

PLAIN = "without TLS (http://)"
UNVERIFIED = "certificate is not verified"
REMEDY = "whoever is on the way can read it, or answer in its place: use TLS, verified"


def stays_here(host: str | None) -> bool:
    """Tell whether a host is this machine."""
    name = (host or "").strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def in_the_clear(url: str | None) -> bool:
    """Tell whether what is sent to an address leaves this machine without TLS."""
    try:
        parts = urlsplit((url or "").strip())
        return parts.scheme.lower() in ("http", "ws") and not stays_here(parts.hostname)
    except ValueError:
        return False


def leaves(url: str | None) -> bool:
    """Tell whether an address is not on this machine."""
    try:
        return not stays_here(urlsplit((url or "").strip()).hostname)
    except ValueError:
        return True


def exposed(settings: Settings) -> tuple[str, ...]:
    """Return one line for each secret or certificate of the configuration; the cluster's apart."""
    return tuple(dict.fromkeys((*_of(settings, (row.exposed for row in sources().values())), *_webhook(settings))))


def exposed_by(access: Access) -> tuple[str, ...]:
    """Return the same of a kubeconfig."""
    if in_the_clear(access.server):
        return (f"Kubernetes: all that is sent, credentials too, goes {PLAIN}",)
    if access.tls is not None and not access.tls.verify_mode and leaves(access.server):
        return (f"Kubernetes: the API server's {UNVERIFIED} (insecure-skip-tls-verify)",)
    return ()


def _of(settings: Settings, rows: Iterable[object]) -> Iterator[str]:
    for row in rows:
        assert callable(row)
        yield from row(settings)


def _webhook(settings: Settings) -> Iterator[str]:
    own = settings.webhook
    try:
        url = secret_of(own.url, own.url_file, "[webhook] url")
    except ConfigProblem:
        return
    if in_the_clear(url):
        yield f"webhook: the updates, and the key in its address, go {PLAIN}"
