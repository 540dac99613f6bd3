"""Declares what the configuration says of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cockpit.settings import Key, Section, Settings
from cockpit.sources.transport import PLAIN, UNVERIFIED, in_the_clear, leaves
from cockpit.text import url_keys


class PrometheusSettings(Section, frozen=True, kw_only=True):
    """Holds `[prometheus]`.

    Secrets may be kept in files of their own (`password-file`, `bearer-file`).
    """

    SECRETS = ("password", "bearer", "headers")
    SECRET_FILES = ("password_file", "bearer_file")

    url: str | None = None  # its address, path prefix included
    interval: float = 3.0  # seconds between two rounds of all queries, as every interval: twice that while all is well
    headers: dict[str, str] = msgspec.field(default_factory=dict)  # sent with each question
    username: str | None = None  # of basic authentication
    password: str | None = None  # the password to it
    password_file: str | None = None  # a file that holds it
    bearer: str | None = None  # a bearer token
    bearer_file: str | None = None  # a file that holds it
    ca_file: str | None = None  # else the system's authorities
    insecure: bool = False  # true takes any certificate
    direct: dict[str, str] = msgspec.field(default_factory=dict)  # service → URL of its own /metrics


PROMETHEUS = Key("prometheus", PrometheusSettings, PrometheusSettings())


def exposed(settings: Settings) -> Iterator[str]:
    """Yield what of Prometheus travels unprotected."""
    own = settings.of(PROMETHEUS)
    secret = own.bearer or own.bearer_file or own.password or own.password_file or own.headers
    if in_the_clear(own.url) and (secret or url_keys(own.url or "")):
        yield f"Prometheus: its credentials go {PLAIN}"
    if own.insecure and (own.url or "").startswith("https") and leaves(own.url):
        yield f"Prometheus: its {UNVERIFIED} (insecure = true)"
    for service, url in own.direct.items():
        if in_the_clear(url) and url_keys(url):
            yield f"metrics of {service}: the key in the address goes {PLAIN}"
