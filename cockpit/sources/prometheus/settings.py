"""Declares what the configuration says of Prometheus."""

from __future__ import annotations

import msgspec

from cockpit.settings import Key, Section


class PrometheusSettings(Section, frozen=True, kw_only=True):
    """Holds `[prometheus]`.

    Secrets may be kept in files of their own (`password-file`, `bearer-file`).
    """

    SECRETS = ("password", "bearer", "headers")
    SECRET_FILES = ("password_file", "bearer_file")

    url: str | None = None
    interval: float = 3.0  # seconds between two rounds of all queries, as every interval: twice that while all is well
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    bearer: str | None = None
    bearer_file: str | None = None
    ca_file: str | None = None
    insecure: bool = False
    direct: dict[str, str] = msgspec.field(default_factory=dict)  # service → URL of its own /metrics


PROMETHEUS = Key("prometheus", PrometheusSettings, PrometheusSettings())
