"""Says what became of a request that got no good answer: it is never sent again blindly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cockpit.kubeapi.errors import KubeError, ServerFault, Throttled, Unreachable
from cockpit.mitigation.cluster.times import SETTLE_S, THROTTLED_S
from cockpit.mitigation.outcome import Judgement, Outcome


def not_carried_out(error: KubeError) -> Outcome | None:
    """Return the outcome of an error that says that nothing was done; None: it has to be read."""
    if isinstance(error, ServerFault) or (isinstance(error, Unreachable) and error.maybe_sent):
        return None
    if isinstance(error, Unreachable):
        return Outcome("not sent", f"the server was not reached: {error.line()}")
    if isinstance(error, Throttled):
        return Outcome("not sent", f"{error.line()}: not carried out, for {THROTTLED_S:g} s; try again later")
    return Outcome("rejected", error.line(), warnings=error.warnings)


async def settled(judge: Callable[[], Awaitable[Judgement]], sleep: Callable[[float], Awaitable[None]]) -> Judgement:
    """Read until it is seen to be applied.

    "Not applied" is believed only after several readings: the request may have been slow.
    """
    judged = Judgement("unknown", "it was not read")
    for pause_s in SETTLE_S:
        await sleep(pause_s)
        try:
            judged = await judge()
        except KubeError as unread:
            judged = Judgement("unknown", unread.line())
        if judged.state == "applied":
            break
    return judged


async def read_back(
    error: KubeError,
    judge: Callable[[], Awaitable[Judgement]],
    sleep: Callable[[float], Awaitable[None]],
    *,
    done: str,
    what: str,
) -> Outcome:
    """Return what became of it by the object, in words: "deleted (…; the pod was read)"."""
    judged = await settled(judge, sleep)
    if judged.state == "applied":
        return Outcome("sent", f"{done} (no good answer came: {error.reason}; the {what} was read)")
    if judged.state == "not applied":
        return Outcome("not sent", f"not {done} ({error.reason}; it was read {len(SETTLE_S)} times since)")
    return Outcome("uncertain", f"{error.reason}; {judged.words}")
