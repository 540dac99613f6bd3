"""Says where a failed connection comes from: httpx and anyio bury it several exceptions deep."""

from __future__ import annotations

import os
import ssl

from cockpit.kubeapi.errors import Unreachable

NETWORK = "check network, VPN and the server address"


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


def tls_trouble(error: BaseException, host: str, *, maybe_sent: bool) -> Unreachable | None:
    """Return what TLS had against it, None when it was something else."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unreachable(
                f"certificate of {host} not trusted: {cause.verify_message or cause.reason}",
                maybe_sent=False,
                remedy="check the cluster's certificate-authority and server in the kubeconfig",
            )
        if isinstance(cause, ssl.SSLError):
            return Unreachable(
                f"TLS with {host} failed: {cause.reason or cause}",
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


def words(error: BaseException) -> str:
    """Return the system's own words ("Connection refused"), else the error's."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno is not None:
            # asyncio puts the address into strerror; name lookups have (negative) numbers and words
            # of their own
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
    return str(error) or type(error).__name__
