"""Names what can go wrong between the cockpit and an API server, and what to do about it.

Statuses and `reason` words follow the Kubernetes API conventions ("Error handling",
`metav1.Status`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from cockpit.errors import CockpitError
from cockpit.kubeapi.bounds import SHORTEST_WAIT_S, retry_after_s
from cockpit.model.reading import Fault, SourceState
from cockpit.text import safe

#: How Go's HTTP client names a call of its own: to a kubelet for logs, to an admission webhook. The
#: address is long and hides why.
_CALL = re.compile(r'\b(?:Get|Head|Post) "?https?://([^/"\s]++)[^"\s]*+(?:": |(?<=:) )')
_MOST_WARNINGS = 20
_WARNING = re.compile(r'\d{3} [^\s"]++ "((?:[^"\\]|\\.)*+)"')
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?$"
)


class KubeError(CockpitError):
    """The API server refused, failed or could not be reached.

    `reason` and `remedy` are one safe line each; `status` is the HTTP status (None when there was
    no answer); `body` is the decoded `Status` object, or empty when the answer was none (a proxy's
    HTML).
    """

    usual_remedy = "try again; `m0-cockpit doctor kubernetes` tells more"

    state = SourceState.DOWN
    warnings: tuple[str, ...] = ()  # what the server warned of beside it
    too_long = False  # the answer is longer than is read: of a list, a shorter page may be had

    def __init__(self, reason: str, *, status: int | None = None, remedy: str = "", body: dict[str, Any] | None = None):
        super().__init__(reason, remedy)
        self.status = status
        self.body: dict[str, Any] = body if body is not None else {}

    def fault(self) -> Fault:
        """Return the same as a reading's fault."""
        return Fault(self.state, self.reason, self.remedy)


class Unauthorised(KubeError):
    """401: the credentials are missing, expired or not accepted."""

    usual_remedy = "log in again or renew the kubeconfig's token; it is read again by itself"

    state = SourceState.UNAUTHORISED


class Denied(KubeError):
    """403: the reason names verb and resource."""

    usual_remedy = "ask for a role that allows it; `m0-cockpit doctor kubernetes` lists the rights"

    state = SourceState.DENIED


class NotFound(KubeError):
    """404: no such object, or the cluster does not serve this API."""

    usual_remedy = "check the name and the namespace"


class NotServed(NotFound):
    """404: this server has no such kind in this version of the API.

    So nothing is said of the object.
    """

    usual_remedy = "do it in another way, or on a server that has it"


class Conflict(KubeError):
    """409: a stale resourceVersion, an existing name, or a field that another manager owns."""

    usual_remedy = "somebody else was first: look at the object, then plan again"


class Gone(KubeError):
    """410: the resourceVersion or continue token has expired; list again."""

    usual_remedy = "try again: it is read anew"


class Invalid(KubeError):
    """400, 405, 406, 413, 415, 422: the request itself is wrong; sending it again cannot help."""

    usual_remedy = "correct what is sent: it is of no use to send it again"


class Throttled(KubeError):
    """429: the server asks to wait `retry_after_s` seconds."""

    usual_remedy = "wait a moment, then try again"

    def __init__(self, reason: str, *, retry_after_s: float = 1.0, **rest: Any):
        super().__init__(reason, **rest)
        self.retry_after_s = retry_after_s


class ServerFault(KubeError):
    """5xx, a redirect, or an answer that makes no sense."""

    usual_remedy = "try again; if it stays, look at the API server's own health"


class Unreachable(KubeError):
    """No answer.

    `maybe_sent` is True when the server may have carried out the request all the same.

    `timed_out`: the connection was made, then the server was silent for too long.
    """

    usual_remedy = "check the server's address, the network and a proxy between"

    def __init__(self, reason: str, *, maybe_sent: bool, timed_out: bool = False, **rest: Any):
        super().__init__(reason, **rest)
        self.maybe_sent = maybe_sent
        self.timed_out = timed_out


def describe(method: str, path: str, watch: bool = False) -> str:
    """Name a request as RBAC does: "patch deployments/scale m0-quant in m0-prod"."""
    match = _PATH.search(urlsplit(path).path)
    if match is None:
        return f"{method.upper()} {path}"
    name, sub = match["name"], match["sub"]
    verb = _VERBS.get(method.upper()) or ("watch" if watch else "get" if name else "list")
    resource = match["resource"] + (f"/{sub}" if sub else "")
    group = "" if match["group"] in (None, "apps", "autoscaling", "batch") else f".{match['group']}"
    words = [verb, resource + group, *([unquote(name)] if name else [])]
    return " ".join(words) + (f" in {unquote(match['namespace'])}" if match["namespace"] else "")


def _not_served(method: str, path: str, message: str) -> str:
    """Return which kind the server lacks when a 404 is for the kind itself, else ""."""
    match = _PATH.search(urlsplit(path).path)
    if match is None or not re.search(r"could not find the requested resource|404 page not found", message):
        return ""
    group = f"{match['group']}/{match['version']}" if match["group"] else match["version"]
    return f"this server has no {match['resource']} in {group} ({describe(method, path)})"


def decode_status(body: bytes) -> dict[str, Any]:
    """Return the `Status` object of an error answer; empty when the body is not one."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _message(status: int, body: dict[str, Any], raw: bytes) -> str:
    message = body.get("message")
    if isinstance(message, str) and message:
        return message
    text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", raw[:4000].decode("utf-8", "replace"), flags=re.S | re.I)
    text = " ".join(text.split())[:200]
    return f"HTTP {status}" + (f": {text}" if text else "")


def _wait_s(header: str | None, body: dict[str, Any], now: float) -> float:
    details = body.get("details")
    value = header or (details.get("retryAfterSeconds") if isinstance(details, dict) else None)
    asked_s = retry_after_s(str(value), now)
    return 1.0 if asked_s is None else max(SHORTEST_WAIT_S, asked_s)


def from_answer(
    status: int,
    raw: bytes,
    *,
    method: str,
    path: str,
    watch: bool = False,
    retry_after: str | None = None,
    now: float = 0.0,
) -> KubeError:
    """Return the error for an answer with a status of 300 or more.

    `raw` may be anything: JSON, a proxy's HTML, nothing. `now`: unix seconds, for a Retry-After
    that is a date.
    """
    body = decode_status(raw)
    what = describe(method, path, watch)
    message = _message(status, body, raw)
    if status == 401:
        return Unauthorised(
            f"credentials not accepted (401) for {what}",
            status=status,
            body=body,
            remedy="log in again or renew the kubeconfig's token; it is read again by itself",
        )
    if status == 403:
        reason = message if what.split(" ")[0] in message else f"not allowed to {what}: {message}"
        return Denied(reason, status=status, body=body, remedy=f"ask for a role that allows: {what}")
    if status == 404:
        lacking = _not_served(method, path, message)
        if lacking:
            return NotServed(lacking, status=status, body=body)
        return NotFound(message if body.get("message") else f"not found: {what}", status=status, body=body)
    if status == 409:
        return Conflict(message, status=status, body=body)
    if status == 410:
        return Gone(message, status=status, body=body)
    if status == 429:
        return Throttled(
            f"the API server asks to wait ({what})",
            status=status,
            body=body,
            retry_after_s=_wait_s(retry_after, body, now),
        )
    if status in (400, 405, 406, 413, 415, 422):
        return Invalid(message, status=status, body=body)
    if 300 <= status < 400:
        return ServerFault(
            f"redirected ({status}) for {what}",
            status=status,
            body=body,
            remedy="the server address leads to something else, perhaps a login page",
        )
    called = _CALL.search(message)
    if called is not None:
        message = _CALL.sub(r"the API server could not call \1: ", message)
        remedy = f"is {called[1]} up, and can the control plane reach it?"
        return ServerFault(f"{what}: {message}", status=status, body=body, remedy=remedy)
    return ServerFault(f"{what}: {message}", status=status, body=body)


def warned(headers: Sequence[str]) -> tuple[str, ...]:
    """Return the texts of `Warning: 299 - "text"` headers (RFC 7234, KEP-1693), each once."""
    found = [text for header in headers[:_MOST_WARNINGS] for text in _WARNING.findall(header[:4096])]
    texts = (safe(re.sub(r"\\(.)", r"\1", text), 400) for text in found[:_MOST_WARNINGS])
    return tuple(dict.fromkeys(text for text in texts if text))
