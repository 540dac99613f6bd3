"""Declares what the configuration says of probes."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from cockpit.settings import Key, Section, Settings
from cockpit.sources.transport import PLAIN, in_the_clear
from cockpit.text import clean, url_keys


class OutputProbe(Section, frozen=True, kw_only=True):
    """Holds `[probes.output]`: the newest output of each market, as the API gateway serves it.

    `epoch`, `tick` and `as-of` are JSON pointers (RFC 6901) into the answer; as-of may be RFC 3339
    text, unix seconds or milliseconds.
    """

    url: str | None = None  # where the newest output is, with {market} in it
    markets: tuple[str, ...] = ()  # whose outputs are asked for
    headers: dict[str, str] = msgspec.field(default_factory=dict)  # sent there alone
    epoch: str = "/epoch"  # a JSON pointer into the answer
    tick: str = "/sequence"  # a JSON pointer into the answer
    bundle: str | None = None  # where the newest bundle is, with {market} in it: it is verified as a consumer does
    as_of: str = "/as_of"  # a JSON pointer to RFC 3339, unix seconds or milliseconds


class ProbesSettings(Section, frozen=True, kw_only=True):
    """Holds `[probes]`: what is asked from outside, over HTTP."""

    SECRETS = ("output.headers",)

    interval: float = 5.0  # seconds between two questions to one address; twice that while all is well
    timeout: float = 4.0  # seconds for one whole answer
    ca_file: str | None = None  # else the system's authorities; verification is never off
    services: dict[str, str] = msgspec.field(default_factory=dict)  # service → base URL of /healthz and /readyz
    output: OutputProbe = OutputProbe()
    signers: dict[str, str] = msgspec.field(default_factory=dict)  # signer agent → URL of what it reports, as JSON
    signer_pubkey: str = "/pubkey"  # a JSON pointer into what agents report
    signer_set_id: str = "/signer_set_id"  # a JSON pointer into what agents report

    @property
    def asked(self) -> bool:
        """Return whether there is anything to ask."""
        return bool(self.services or self.signers or ((self.output.url or self.output.bundle) and self.output.markets))


PROBES = Key("probes", ProbesSettings, ProbesSettings())


def exposed(settings: Settings) -> Iterator[str]:
    """Yield what of probes travels unprotected; certificates are always verified."""
    own = settings.of(PROBES)
    if in_the_clear(own.output.url) and (own.output.headers or url_keys(own.output.url or "")):
        yield f"probes: the credentials of the outputs go {PLAIN}"
    for name, url in (*own.services.items(), *own.signers.items()):
        if in_the_clear(url) and url_keys(url):
            yield f"probes: the key in the address of {clean(name, 40)} goes {PLAIN}"
