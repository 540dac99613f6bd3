"""Says where a failed connection comes from: httpx and anyio bury it several exceptions deep."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from cockpit.kubeapi.errors import Unreachable
from cockpit.text import safe

NETWORK = "check network, VPN and the server address"


#: OpenSSL's reasons when the other side does not speak TLS.
_PLAIN = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"})


def causes(error: BaseException) -> list[BaseException]:
    """Return the error and all it came from, newest first, exception groups opened."""
    found: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop(0)
        if one is None or one in found:
            continue
        found.append(one)
        todo += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]
    return found


def _refused_certificate(error: BaseException) -> str:
    """Return why a certificate is not trusted, "" when it was not that."""
    # aiohttp's own error of that class has no such message; OpenSSL's is beneath it.
    every = (getattr(e, "verify_message", "") for e in causes(error) if isinstance(e, ssl.SSLCertVerificationError))
    return safe(next((message for message in every if message), ""), 120)


def tls_trouble(error: BaseException, host: str, *, maybe_sent: bool) -> Unreachable | None:
    """Return what TLS had against it, None when it was something else."""
    refused = _refused_certificate(error)
    if refused:
        return Unreachable(
            f"certificate of {host} not trusted: {refused}",
            maybe_sent=False,
            remedy="check the cluster's certificate-authority and server in the kubeconfig",
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes(error)):
        return Unreachable(
            f"{host}: {words(error)}",
            maybe_sent=maybe_sent,
            remedy="check http or https in the server address, and the client certificate",
        )
    return None


def unreachable(error: BaseException, host: str, *, maybe_sent: bool, waited_s: float | None) -> Unreachable:
    """Say a failed connection in an operator's words.

    `waited_s`: for how long, when it is silence that failed it.
    """
    trouble = tls_trouble(error, host, maybe_sent=maybe_sent)
    if trouble is not None:
        return trouble
    if waited_s is not None:
        what = "answer" if maybe_sent else "connection"
        before = "from" if maybe_sent else "to"
        return Unreachable(
            f"no {what} {before} {host} in {waited_s:g} s", maybe_sent=maybe_sent, timed_out=maybe_sent, remedy=NETWORK
        )
    what = "lost the connection to" if maybe_sent else "cannot reach"
    return Unreachable(f"{what} {host}: {words(error)}", maybe_sent=maybe_sent, remedy=NETWORK)


#: What the HTTP libraries' errors mean, by the name of the class: their own words are for
#: programmers ("Response payload is not completed: <TransferEncodingError: 400, …>"). httpx says
#: two things by one class, told apart by a word of its text.
_BROKE_OFF = "the answer broke off in the middle"
_CLOSED = "the connection was closed before an answer came"
_NO_HTTP = "what answers there does not speak HTTP as it should"
_LOST = "the connection was lost"
_SENTENCES: Mapping[str, str] = {
    "ClientPayloadError": _BROKE_OFF,
    "ContentLengthError": _BROKE_OFF,
    "TransferEncodingError": _BROKE_OFF,
    "IncompleteReadError": _BROKE_OFF,
    "ContentEncodingError": "the answer's compression cannot be read",
    "DecodingError": "the answer's compression cannot be read",
    "ServerDisconnectedError": _CLOSED,
    "BadStatusLine": _NO_HTTP,
    "BadHttpMessage": _NO_HTTP,
    "BadHttpMethod": _NO_HTTP,
    "InvalidHeader": _NO_HTTP,
    "LineTooLong": _NO_HTTP,
    "LocalProtocolError": _NO_HTTP,
    "RemoteProtocolError": _NO_HTTP,
    "ClientResponseError": _NO_HTTP,
    "ClientConnectionResetError": _LOST,
    "ClientConnectionError": _LOST,
    "ClientOSError": _LOST,
    "ClientConnectorError": "the connection broke while it was being made",
    "ConnectError": "the connection broke while it was being made",
    "ConnectionClosed": "the other side closed it",
    "ConnectionClosedError": "the other side closed it",
    "ConnectionClosedOK": "the other side closed it",
    "InvalidMessage": _NO_HTTP,
    "InvalidHandshake": "it does not answer as a WebSocket does",
    "InvalidUpgrade": "it does not answer as a WebSocket does",
    "ReadError": _LOST,
    "WriteError": _LOST,
    "BrokenResourceError": _LOST,
    "ClosedResourceError": _LOST,
    "EndOfStream": _LOST,
    "InvalidURL": "the address is no URL",
    "InvalidUrlClientError": "the address is no URL",
    "UnsupportedProtocol": "the address is no http(s) URL",
    "TooManyRedirects": "it redirects without end",
}
_OF_HTTPX = (("incomplete", _BROKE_OFF), ("without sending a response", _CLOSED))


def words(error: BaseException) -> str:
    """Return a plain sentence: the system's own words ("Connection refused"), or what it means."""
    refused = _refused_certificate(error)
    if refused:
        return f"its certificate is not trusted: {refused}"
    found = causes(error)
    tls = [cause for cause in found if isinstance(cause, ssl.SSLError)]
    if tls:
        plain = any(getattr(cause, "reason", None) in _PLAIN for cause in tls)
        return "TLS failed" + (": does it speak http, not https?" if plain else "")
    for cause in found:
        if isinstance(cause, OSError) and cause.errno is not None:
            # asyncio puts the address into strerror; name lookups have (negative) numbers and words
            # of their own
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    for cause in found:
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return "no answer in time"
        status = getattr(cause, "status", None)
        if type(cause).__name__ == "WSServerHandshakeError":
            return f"the WebSocket is refused: HTTP {status}"
    for cause in found:
        sentence = _SENTENCES.get(type(cause).__name__)
        if sentence is not None:
            return next((meant for word, meant in _OF_HTTPX if word in str(cause)), sentence)
    return f"the connection failed ({type(error).__name__})"
