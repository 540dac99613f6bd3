"""Examines one thing at a time: how it is, and what to do about it.

Each check has its own few seconds and never raises.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from cockpit.clock import Clock, SystemClock
from cockpit.model.runbook import Runbooks
from cockpit.settings import Settings
from cockpit.text import safe

LIMIT_S = 5.0


class State(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"  # it could not be told: never taken for ok, nor for a failure
    OFF = "off"  # not configured, or nothing that this place has


class Finding(msgspec.Struct, frozen=True):
    """Holds `words` and `remedy` that are clean and hold no secret: `found` makes sure of it."""

    area: str
    check: str
    state: State
    words: str
    remedy: str = ""


@dataclass(frozen=True)
class Examination:
    """Holds what is examined.

    `limit_s` bounds each check; `env` and `tty` are the terminal's, None for none.
    """

    settings: Settings
    runbooks: Runbooks
    limit_s: float = LIMIT_S
    clock: Clock = field(default_factory=SystemClock)
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)
    tty: int | None = None  # a file descriptor of the terminal
    #: why the configuration could not be read, and what to do: defaults are examined
    problem: tuple[str, str] | None = None


Check = Callable[[], Awaitable[Sequence[Finding]]]


def found(area: str, check: str, state: State, words: object, remedy: object = "") -> Finding:
    return Finding(area, check, state, safe(words, 600), safe(remedy, 300))


async def bounded(exam: Examination, area: str, check: str, ask: Check) -> list[Finding]:
    """Return the findings of `ask` within the examination's limit.

    Out of time, or a bug: unknown, in words.
    """
    try:
        async with asyncio.timeout(exam.limit_s):
            return list(await ask())
    except TimeoutError:
        return [
            found(
                area,
                check,
                State.UNKNOWN,
                f"no answer in {exam.limit_s:g} s",
                "try again; is the network slow or filtered?",
            )
        ]
    except Exception as error:  # whatever a source may send: the other checks go on
        words = f"the check itself failed: {type(error).__name__}: {error}"
        return [found(area, check, State.UNKNOWN, words, "this is a bug of m0-cockpit: please report it")]


async def together(checks: Iterable[Awaitable[list[Finding]]]) -> list[Finding]:
    """Run all checks at once; the findings come in the checks' order."""
    return [finding for findings in await asyncio.gather(*checks) for finding in findings]


def verdict(findings: Iterable[Finding]) -> State:
    """Judge as `status` does: fail, then warn, then unknown, else ok.

    What is off is no fault.
    """
    states = {finding.state for finding in findings}
    return next((state for state in (State.FAIL, State.WARN, State.UNKNOWN) if state in states), State.OK)


def skew(area: str, seconds: float, whose: str, grain_s: float) -> Finding:
    """Judge a clock.

    `seconds`: their clock minus this machine's, known to `grain_s`.

    The network bears 15 s (its own target).
    """
    words = f"{whose} clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    if abs(seconds) <= 2.0 + grain_s:
        return found(area, "clock", State.OK, f"{whose} clock and this machine's agree within {2.0 + grain_s:g} s")
    state = State.WARN if abs(seconds) <= 15.0 else State.FAIL
    return found(
        area,
        "clock",
        state,
        words,
        "set the clock that is wrong (chrony, timedatectl); 15 s is the most the network bears",
    )


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return "a, b, c and 4 more"."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
