"""Posts updates to a webhook: retried with backoff, bounded, failures described in our own words.

The address is a secret, as a key in its path usually is one. No text of an HTTP library, of the
server or of the address itself gets into an error; redirects are not followed (they would carry the
message, and a credential, elsewhere).
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cockpit.kubeapi.bounds import retry_after_s
from cockpit.settings import ConfigProblem, WebhookSettings, secret_of
from cockpit.text import safe

if TYPE_CHECKING:
    import httpx

TRIES = 5
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_CONNECT_S, _ANSWER_S = 5.0, 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """Holds an update of an incident, every text already safe."""

    incident: int
    title: str
    severity: str
    words: str
    who: str
    commander: str
    place: str  # "prod-eu/m0-prod"
    at: float
    journal: tuple[int, str] = (0, "")  # count and hash of the journal's newest line: an anchor outside of it

    def body(self, form: str) -> dict[str, Any]:
        if form == "slack":
            head = f"*Incident #{self.incident} {self.severity}* {_slack(self.title)} ({_slack(self.place)})"
            commander = f", incident commander {_slack(self.commander)}" if self.commander else ""
            return {"text": f"{head}\n{_slack(self.words)}\n_{_slack(self.who)}{commander}_"}
        return {
            "incident": self.incident,
            "title": self.title,
            "severity": self.severity,
            "update": self.words,
            "by": self.who,
            "commander": self.commander,
            "place": self.place,
            "at": self.at,
            "journal": {"records": self.journal[0], "hash": self.journal[1]},
        }


def _slack(text: str) -> str:
    """Make Slack's own control characters, and mentions like <!channel>, plain."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("*", "∗")


class Webhook:
    """Delivers messages; `deliver` never raises (but for being cancelled) and never hangs."""

    def __init__(
        self,
        settings: WebhookSettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._rng = rng or random.Random()

    async def deliver(self, message: Message) -> tuple[str, int]:
        """Return why it could not be delivered ("" when it was), and how often it was tried."""
        try:
            url = address(self._settings)
        except ConfigProblem as wrong:
            return wrong.line(), 0
        import httpx

        for name in ("httpx", "httpcore"):  # at INFO they log every request with its address
            logging.getLogger(name).setLevel(logging.CRITICAL)
        body = message.body(self._settings.format)
        problem = ""
        timeout = httpx.Timeout(_ANSWER_S, connect=_CONNECT_S)
        try:
            headers = dict(self._settings.headers)
            client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, headers=headers, trust_env=False)
        except Exception as error:
            return f"the webhook's settings cannot be used ({type(error).__name__})", 0
        async with client:
            for attempt in range(1, TRIES + 1):
                problem, wait_s, again = await self._try(client, url, body, attempt)
                if not problem or not again or attempt == TRIES:
                    return problem, attempt
                await self._sleep(wait_s)
        return problem, TRIES

    async def _try(
        self, client: httpx.AsyncClient, url: str, body: Mapping[str, Any], attempt: int
    ) -> tuple[str, float, bool]:
        """Return what went wrong, how long to wait, and whether to try again at all."""
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (attempt - 1)) * self._rng.uniform(0.5, 1.0)
        try:
            async with asyncio.timeout(_CONNECT_S + _ANSWER_S):
                async with client.stream("POST", url, json=body) as answer:
                    status, retry_after = answer.status_code, answer.headers.get("retry-after")
        except TimeoutError:
            return f"no answer within {_CONNECT_S + _ANSWER_S:.0f} s", wait_s, True
        except Exception as error:  # the words of httpx may hold the address: only what kind of error it is
            return _kind(error), wait_s, True
        if 200 <= status < 300:
            return "", 0.0, False
        if 300 <= status < 400:
            return f"answered with a redirect ({status}), which is not followed: correct the address", 0.0, False
        if status == 429 or status >= 500:
            asked_s = retry_after_s(retry_after, time.time()) or 0.0
            return f"answered {status}", min(_LONGEST_WAIT_S, max(wait_s, asked_s)), True
        return f"refused ({status}): check the address and its credentials", 0.0, False


def address(settings: WebhookSettings) -> str:
    """Return the URL, from the configuration or its file.

    Raises ConfigProblem, without showing any of it.
    """
    url = (secret_of(settings.url, settings.url_file, "the webhook's address") or "").strip()
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or not url.isascii() or any(char.isspace() for char in url):
        raise ConfigProblem("the webhook's address is not an http(s) URL", "see [webhook] in the configuration")
    return url


def _kind(error: BaseException) -> str:
    """Describe a failure of the connection from the types of its exceptions alone."""
    chain: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and len(chain) < 8:
        chain.append(seen)
        seen = seen.__cause__ or seen.__context__
    name = type(error).__name__
    if any(isinstance(e, ssl.SSLCertVerificationError) for e in chain):
        return "its TLS certificate cannot be verified"
    if any(isinstance(e, ssl.SSLError) for e in chain):
        return "the TLS handshake failed"
    if any(isinstance(e, ConnectionRefusedError) for e in chain):
        return "the connection was refused"
    if "Timeout" in name:
        return "no answer in time" if "Connect" not in name else "cannot connect in time"
    if name == "ConnectError":
        return "cannot connect (name, network or proxy)"
    return safe(f"the connection failed ({name})", 80)
