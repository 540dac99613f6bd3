"""Asks one question over HTTP: no redirects, a bounded body, one limit for all, TLS verified.

A certificate is read in a handshake of its own, in which all but the date is verified and nothing
is sent: so an expired one says since when. What is asked goes over connections that verify the date
too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from cockpit.errors import CockpitError
from cockpit.host.files import plain
from cockpit.kubeapi.bounds import BodyProblem, whole
from cockpit.kubeapi.network import causes, words
from cockpit.model.observed.probe import Certificate
from cockpit.model.reading import Fault, SourceState
from cockpit.sources.http_session import http_session
from cockpit.text import safe, url_hint

MOST_BYTES = 256 * 1024
MOST_DEPTH = 32
DAY_S = 86_400.0
CERTIFICATE_EVERY_S = 60.0  # at a host's certificate
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL: Python has no name for it
_EXPIRED = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


class ProbeProblem(CockpitError):
    """There is no answer to use.

    `certificate`: what the host presented, when that is the reason and it could be read.
    """

    usual_remedy = "is the service up, and its address in the configuration right?"

    def __init__(self, reason: str, remedy: str = "", certificate: Certificate | None = None) -> None:
        super().__init__(reason, remedy)
        self.fault = Fault(SourceState.DOWN, self.reason, self.remedy)
        self.certificate = certificate


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Holds an answer that came whole.

    `now`: unix seconds on the server's clock when it answered, where it tells; a cache's Age is
    added, so that what was stored is not taken for fresh.
    """

    status: int
    body: bytes = field(repr=False)
    took_s: float
    now: float | None
    html: bool
    location: str
    certificate: Certificate | None
    stored_s: float = 0.0  # how long a cache had kept it (RFC 9111, 5.1)

    @property
    def line(self) -> str:
        """Return the body's first line that is not blank, cleaned."""
        text = self.body[:4096].decode("utf-8", "replace")
        return next((safe(one.strip(), 120) for one in text.splitlines() if one.strip()), "")

    def json(self) -> Any:
        """Return the decoded body.

        Raises ProbeProblem, with what it is instead.
        """
        self._must_be_plain()
        try:
            text = self.body.decode("utf-8")
            if text.count("[") + text.count("{") > MOST_DEPTH and _depth(text) > MOST_DEPTH:
                raise ProbeProblem(f"the answer nests deeper than {MOST_DEPTH} levels")
            return json.loads(text)
        except (ValueError, RecursionError):
            raise ProbeProblem(
                f"the answer is not JSON: {self.line!r}" if self.line else "the answer is empty"
            ) from None

    def _must_be_plain(self) -> None:
        if 300 <= self.status < 400:
            raise ProbeProblem(self.redirect, "redirects are not followed: name the address that answers itself")
        if not 200 <= self.status < 300:
            raise ProbeProblem(f"HTTP {self.status}" + (f": {self.line}" if self.line and not self.html else ""))
        if self.html:
            raise ProbeProblem("HTML instead of JSON: a sign-in page or a proxy answers", "check the address")

    @property
    def redirect(self) -> str:
        return f"HTTP {self.status} redirects to {self.location or 'nowhere'} (not followed)"


class Prober:
    """Asks over one pooled session.

    `ask` raises ProbeProblem, nothing else.

    `section`: the table of the configuration in which its addresses stand, for the remedies.

    aiohttp rather than httpx: a third of the CPU for each of some ten requests a second.
    """

    def __init__(self, timeout_s: float, context: ssl.SSLContext, ca_file: str | None, *, section: str) -> None:
        self._timeout_s = timeout_s
        self._section = section
        self._ca_file = ca_file
        #: host → its certificate, and when it was looked at
        self._known: dict[str, tuple[Certificate | None, float]] = {}
        self._since: dict[str, float] = {}  # host → wall: when its certificate was first refused
        self._session = http_session(
            {
                "accept": "application/json, text/plain;q=0.9, */*;q=0.1",
                "accept-encoding": "identity",
            },
            limit=32,
            idle_s=30,
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            tls=context,
            unpack=False,
        )

    async def aclose(self) -> None:
        with contextlib.suppress(Exception):
            await self._session.close()

    async def ask(self, url: str, wall: float, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        if not url.startswith(("http://", "https://")):
            raise ProbeProblem(f"{safe(url, 80)} is no http(s) URL", f"correct [{self._section}] in the configuration")
        try:
            return await self._get(url, wall, headers)
        except TimeoutError:
            raise ProbeProblem(f"no answer from {url_hint(url)} in {self._timeout_s:g} s", self._advice()) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            found = [getattr(error, "certificate_error", None), *causes(error)]
            refused = next(
                (e for e in found if isinstance(e, ssl.SSLCertVerificationError) and hasattr(e, "verify_code")), None
            )
            if refused is not None:
                raise await self._untrusted(url, refused, wall) from error
            raise ProbeProblem(f"cannot ask {url_hint(url)}: {words(error)}", self._advice()) from error

    def _advice(self) -> str:
        return f"is it up, and its address in [{self._section}] right?"

    async def _get(self, url: str, wall: float, headers: Mapping[str, str] | None) -> HttpAnswer:
        started = asyncio.get_running_loop().time()
        async with self._session.get(url, headers=headers, allow_redirects=False) as response:
            try:
                body = await whole(response.content.iter_any(), response.headers, MOST_BYTES)
            except BodyProblem as problem:
                raise ProbeProblem(f"{url_hint(url)}: {problem.reason}") from problem
        took_s = asyncio.get_running_loop().time() - started
        self._since.pop(_host(url), None)
        certificate = await self._certificate(url, wall) if url.startswith("https://") else None
        kind = response.headers.get("content-type", "").lower()
        return HttpAnswer(
            status=response.status,
            body=body,
            took_s=took_s,
            now=_server_now(response.headers),
            html="text/html" in kind or body.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")),
            location=safe(url_hint(response.headers.get("location", "")) or "", 120),
            certificate=certificate,
            stored_s=_stored_s(response.headers),
        )

    async def _certificate(self, url: str, wall: float) -> Certificate | None:
        """Return what the host presents, looked at every minute; the last one while that fails."""
        host = _host(url)
        known, at = self._known.get(host, (None, -math.inf))
        if wall - at >= CERTIFICATE_EVERY_S or wall < at:
            self._known[host] = (known, wall)  # others that ask the same host need not look too
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                found = await asyncio.to_thread(dated_certificate, url, self._ca_file, self._timeout_s, wall)
                self._known[host] = (found or known, wall)
            known = self._known[host][0]
        return known

    async def _untrusted(self, url: str, refused: ssl.SSLCertVerificationError, wall: float) -> ProbeProblem:
        """Say which certificate is refused, why, and since when."""
        host = _host(url)
        first = self._since.setdefault(host, wall)
        certificate = None
        if refused.verify_code in _EXPIRED:
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                async with asyncio.timeout(self._timeout_s):
                    certificate = await asyncio.to_thread(dated_certificate, url, self._ca_file, self._timeout_s, wall)
        if certificate is not None and certificate.days_left < 0:
            ago = f"{-certificate.days_left:,.0f} d ago"
            expired = f"the certificate of {host} expired on {_day(certificate.not_after)}, {ago}"
            return ProbeProblem(expired, f"renew the certificate of {host}", certificate)
        why = safe(refused.verify_message or "verification failed", 120)
        reason = (
            f"the certificate of {host} is not trusted: {why}; so since {_clock(first)}, when it was first refused here"
        )
        remedy = f"mend the certificate of {host}, or name its authority in [{self._section}] ca-file"
        return ProbeProblem(reason, remedy, certificate)


def open_context(ca_file: str | None, *, section: str) -> ssl.SSLContext:
    """Make the TLS context.

    Blocking: reads certificates.

    Raises ProbeProblem.
    """
    try:
        return ssl.create_default_context(cafile=plain(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ProbeProblem(
            f"CA file {safe(ca_file, 200)}: {error.strerror or error}", f"correct [{section}] ca-file"
        ) from error


def dated_certificate(url: str, ca_file: str | None, timeout_s: float, wall: float) -> Certificate | None:
    """Return what a host presents when everything but the date is verified.

    Blocking.

    What a host presents when everything but the date is verified. Raises OSError (ssl.SSLError
    among them).
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags = ssl.VerifyFlags(int(context.verify_flags) | _NO_CHECK_TIME)
    with (
        socket.create_connection((host, port), timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        return certificate_of(secured.getpeercert(), _host(url), wall)


def certificate_of(presented: Mapping[str, Any] | None, host: str, wall: float) -> Certificate | None:
    """Read what `getpeercert()` gives; None without one."""
    if not presented or "notAfter" not in presented:
        return None
    try:
        not_after = float(ssl.cert_time_to_seconds(str(presented["notAfter"])))
    except ValueError:
        return None
    return Certificate(
        host,
        _common_name(presented.get("subject")),
        _common_name(presented.get("issuer")),
        not_after,
        (not_after - wall) / DAY_S,
    )


def _common_name(names: Any) -> str:
    """Return the common name, else the organisation, of a subject or issuer."""
    flat = {key: value for group in names or () for key, value in group}
    return safe(flat.get("commonName") or flat.get("organizationName") or "", 120)


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return safe(url, 80)
    host = safe(parts.hostname or "", 200)
    return host if port in (None, 443) else f"{host}:{port}"


def _server_now(headers: Mapping[str, str]) -> float | None:
    try:
        date = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() + _stored_s(headers)


def _stored_s(headers: Mapping[str, str]) -> float:
    """Return how long a cache had kept the answer, by its Age."""
    stored = headers.get("age", "").strip()
    return float(stored) if stored.isascii() and stored.isdigit() and len(stored) < 10 else 0.0


def _depth(text: str) -> int:
    deepest = depth = 0
    for char in text:  # brackets inside strings count too: that only makes it stricter
        depth += (char in "[{") - (char in "]}")
        deepest = max(deepest, depth)
    return deepest


def _day(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%MZ")


def _clock(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M:%SZ")
