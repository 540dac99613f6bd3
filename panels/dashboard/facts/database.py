"""Looks up the topics of the database, and why any of them cannot be believed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cockpit.model.reading import NOTHING_READ, Known, SourceState, Unknown, believed, last_known, light_of
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation
from panels.dashboard.facts.metrics import Trouble
from panels.kit.words import age, count, duration

TOPICS = ("connections", "queries", "indexes", "vacuum", "replication", "activity", "archiver")


def data(situation: Situation, topic: str) -> Any:
    """Return the last data of this topic, stale or not; None when nothing was ever read."""
    return last_known(believed(situation.postgres.get(topic), situation.mono))


def live(situation: Situation, topic: str) -> bool:
    """Return whether the topic's data can be believed now."""
    return isinstance(believed(situation.postgres.get(topic), situation.mono), Known)


def since(situation: Situation, topic: str) -> float:
    """Return the seconds since the data was true, to be added to every age in it."""
    return believed(situation.postgres.get(topic), situation.mono).age_s or 0.0


def oldest(situation: Situation, topics: Iterable[str] = TOPICS) -> float | None:
    ages = [r.believed(situation.mono).age_s for name in topics if (r := situation.postgres.get(name)) is not None]
    return max((a for a in ages if a is not None), default=None)


def level_of(situation: Situation, topic: str, names: Iterable[str], calm: Level = Level.OK) -> Level:
    """Return the worst of these signals; unknown unless the topic is live.

    `calm` where the runbooks define none of them.
    """
    if not live(situation, topic):
        return Level.UNKNOWN
    own: list[SignalStatus] = [situation.signals[name] for name in names if name in situation.signals]
    return max((signal.level for signal in own), key=lambda level: level.rank, default=calm)


def trouble(situation: Situation, topics: Iterable[str] = TOPICS) -> list[Trouble]:
    """Return the faults of these topics; the same fault of several is told once.

    Not configured is a state.
    """
    if "postgres" not in situation.configured:
        return [Trouble("Postgres", "not configured", "", "give [postgres] url in the configuration", hard=False)]
    wanted = list(topics)
    whole = situation.postgres.get("source")
    broken = whole.believed(situation.mono) if whole is not None else None
    if isinstance(broken, Unknown):
        return [Trouble("Postgres", light_of(broken).value, broken.reason, broken.remedy)]
    if not situation.postgres:
        return [Trouble("Postgres", SourceState.STARTING.value, NOTHING_READ, hard=False)]
    faults: dict[tuple[SourceState, str, str], list[str]] = {}
    for name in wanted:
        reading = situation.postgres.get(name)
        if reading is None:
            continue  # the first look has not come to it
        found = reading.believed(situation.mono)
        if isinstance(found, Unknown):
            faults.setdefault((light_of(found), found.reason, found.remedy), []).append(name)
    out = []
    for (state, reason, remedy), places in faults.items():
        seconds = oldest(situation, places)
        shown = f" (shown: {age(seconds)} old)" if seconds is not None and seconds > 1.5 else ""
        what = "Postgres" if len(places) >= min(3, len(wanted)) else " and ".join(places)
        out.append(Trouble(what, state.value, reason + shown, remedy, hard=not (state.starting or state.stale)))
    if len(out) <= 2:
        return out
    return [*out[:2], Trouble("and", f"{len(out) - 2} more", "", "the Postgres view tells each", hard=False)]


def table_name(name: str) -> str:
    """Return the name without `public.`, as people say it."""
    return name.removeprefix("public.")


def milliseconds(ms: float) -> str:
    """Return "0.09ms", "395ms" or "1.2s", as most statements take less than a millisecond."""
    return f"{ms:.2f}ms" if ms < 1 else duration(ms / 1000)


def size(number: int | float | None) -> str:
    """Return a number of bytes as "1.2 GiB"."""
    if number is None:
        return "?"
    value = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{count(value)} {unit}"
        value /= 1024
    return f"{count(value)} TiB"
