"""Says why what is published is not safe, and what of that is not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cockpit.model.runbook import Runbooks
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import ToggleStatus

UNSURE = (Level.UNKNOWN, Level.RECOVERING)


def dangers(runbooks: Runbooks, signals: Mapping[str, SignalStatus]) -> tuple[str, ...]:
    """Return the dangerous signals that are CRIT: what is published now is harmful."""
    return tuple(
        f"{status.title}: {status.reason}"
        for name, status in signals.items()
        if _is_dangerous(runbooks, name) and status.level is Level.CRIT
    )


def unsafe(runbooks: Runbooks, signals: Mapping[str, SignalStatus], toggles: Iterable[ToggleStatus]) -> tuple[str, ...]:
    """Return every reason why what is published may be wrong, one line each."""
    bad = [s for name, s in signals.items() if _counts(runbooks, name) and s.level.bad]
    relaxed = [t for t in toggles if _guards(t) and t.level == "differs"]
    return (
        *(f"{s.title}: {s.reason}" for s in sorted(bad, key=lambda s: -s.level.rank)),
        *(f"{t.name} is {t.value} at {t.deployment}, the safest is {t.toggle.safest}" for t in relaxed),
    )


def doubts_of(
    runbooks: Runbooks, signals: Mapping[str, SignalStatus], toggles: Iterable[ToggleStatus]
) -> tuple[str, ...]:
    """Return what cannot be read of that: unknown is never safe."""
    unknown = [s for n, s in signals.items() if _counts(runbooks, n) and s.level in UNSURE and not s.off]
    unread = [t for t in toggles if _guards(t) and t.level == "unknown"]
    return (
        *(f"{s.title}: {s.reason}" for s in unknown),
        *(f"{t.name} at {t.deployment}: {t.reason or 'not known'}" for t in unread),
    )


def _is_dangerous(runbooks: Runbooks, name: str) -> bool:
    known = runbooks.signals.get(name)
    return known is not None and known.dangerous


def _counts(runbooks: Runbooks, name: str) -> bool:
    known = runbooks.signals.get(name)
    return known is not None and (known.dangerous or known.unsafe)


def _guards(toggle: ToggleStatus) -> bool:
    """Tell whether the toggle holds outputs back by degrees: on and off are publishing's own."""
    return toggle.toggle.safest is not None and len(toggle.toggle.values) > 2
