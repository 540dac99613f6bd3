"""Says where Prometheus is, and how to be let in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cockpit.redaction.own import remember
from cockpit.settings import secret_of
from cockpit.sources.prometheus.settings import PrometheusSettings
from cockpit.text import url_keys


@dataclass(frozen=True)
class PrometheusAddress:
    """Says where Prometheus is and how to be let in.

    `url` may carry a path prefix.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    bearer: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    insecure: bool = False

    def __post_init__(self) -> None:
        own = (self.bearer, self.basic[1] if self.basic else None, *self.headers.values(), *url_keys(self.url))
        remember(secret for secret in own if secret)


def address_of(settings: PrometheusSettings) -> PrometheusAddress:
    """Read the address from the configuration, and its secrets from their files.

    Raises ConfigProblem. `url` must be set.
    """
    assert settings.url is not None
    password = secret_of(settings.password, settings.password_file, "the Prometheus password")
    return PrometheusAddress(
        url=settings.url,
        headers=settings.headers,
        basic=(settings.username, password or "") if settings.username is not None else None,
        bearer=secret_of(settings.bearer, settings.bearer_file, "the Prometheus token"),
        ca_file=settings.ca_file,
        insecure=settings.insecure,
    )
