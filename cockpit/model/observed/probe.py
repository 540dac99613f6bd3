"""Holds what services say when they are asked from outside, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

#: A certificate with fewer days left than these is near its end, or about to break everything.
CERTIFICATE_WARN_DAYS, CERTIFICATE_CRIT_DAYS = 21.0, 7.0


class Certificate(msgspec.Struct, frozen=True):
    """Describes the TLS certificate that a probed host presented.

    Times in unix seconds.
    """

    host: str
    subject: str
    issuer: str
    not_after: float
    days_left: float


class Certificates(msgspec.Struct, frozen=True):
    """Holds the certificates of all probed hosts, on the board as `probes/certificates`.

    `refused`: why some host's could not be verified, and so is not among those known.
    """

    known: Mapping[str, Certificate]  # by host
    refused: str = ""


class ProbeStatus(msgspec.Struct, frozen=True):
    """Describes a service's URL, on the board as `probes/SERVICE/CHECK` (healthz, readyz, ...).

    `ok` is the verdict of the last answer; a probe that could not be asked is a fault of its
    reading instead.
    """

    service: str
    check: str
    ok: bool
    status: int
    took_ms: float
    words: str = ""  # the body's first line, or why it is not ok
    certificate: Certificate | None = None


class MarketOutput(msgspec.Struct, frozen=True):
    """Describes the newest output of one market, on the board as `probes/output/MARKET`.

    As the API gateway serves it.
    """

    market: str
    epoch: int | None
    tick: int | None  # the sequence within the stream of outputs
    as_of: float | None  # unix seconds, the output's own
    age_s: float | None  # against the server's clock (HTTP Date) where it tells
    status: int
    took_ms: float
    #: monotonic: when epoch or tick was last seen to grow; at first, by the output's own age
    advanced_at: float | None = None
    words: str = ""  # what of it could not be read, and why


class SignerReport(msgspec.Struct, frozen=True):
    """Holds what a signer agent reports of itself; `probes/signers` maps agents to reports."""

    agent: str
    pubkey: str | None
    signer_set_id: str | None
    ok: bool
    words: str = ""
    extra: Mapping[str, str] = {}


class ServedBundle(msgspec.Struct, frozen=True):
    """Describes the newest bundle of a market as it is served; `probes/bundle/MARKET`.

    `wrong`: what a consumer finds wrong with it whatever the signer set, "" for nothing; `keys`
    are those whose signature holds. `raw` is kept to be verified again.
    """

    market: str
    raw: bytes
    sequence: int
    epoch: int
    signer_set_id: int
    keys: tuple[str, ...]
    wrong: str = ""
