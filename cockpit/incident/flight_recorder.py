"""Records what changed in the situation, one JSON line each, in a bounded file beside the journal.

It is no evidence by itself (not chained, rewritten when full): it lets the timeline and the report
say how long what was bad, and how bad. `observe` runs on the sources' thread and only compares;
writing is done by a thread of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import msgspec

from cockpit.clock import Clock
from cockpit.journal.state_files import make_own, open_plain, read_plain
from cockpit.model.reading import SourceState
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation
from cockpit.text import clean, safe

#: A file grows to this; then it becomes `NAME.1`, whose predecessor goes.
FILE_LIMIT = 2_000_000
KEPT = 8000  # changes in memory
_WORST_EVERY_S = 30.0  # while a signal stays bad, its worst value is written at most this often
_EVENTS_KNOWN = 2000


class RecordedChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """Describes one change of the situation.

    `kind`: "signal", "source", "service", "runbook", "event", "start", "stop", "worst" (still bad,
    and worse), "onset" (when it left its normal band: `at`) or "change" (what explains that).
    `was` None: first seen by this cockpit. `worst`: the worst value while the level was `was` (for
    "worst": so far).
    """

    at: float  # wall unix seconds
    kind: str
    name: str = ""
    was: str | None = None
    now: str = ""
    words: str = ""
    value: float | None = None
    worst: float | None = None
    unit: str = ""
    title: str = ""
    by: str = ""  # which cockpit: host and process


class Recorder:
    """Records one cockpit's flight: give it every situation (`observe`); read `changes`.

    `problem` says why nothing can be written, "" when it can.
    """

    def __init__(self, path: Path, clock: Clock, *, limit: int = FILE_LIMIT) -> None:
        self.path = path
        self.problem = ""
        self.revision = 0
        self._clock = clock
        self._limit = limit
        self._by = f"{os.uname().nodename}:{os.getpid()}"
        self._changes: deque[RecordedChange] = deque(read(path), maxlen=KEPT)
        self._signals: dict[str, Level] = {}
        self._unread: set[str] = set()  # signals that were never known since this cockpit began to watch
        self._worst: dict[str, tuple[float, float]] = {}  # signal → worst value so far, when it was last written
        self._sources: dict[str, SourceState] = {}
        self._services: dict[tuple[str, str], tuple[str, int]] = {}
        self._runbook: str | None = None
        self._events: dict[tuple[str, str, str], int] = {}
        self._explaining: dict[str, None] = {}  # onsets and changes that were written
        self._waiting: queue.SimpleQueue[RecordedChange | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._put([RecordedChange(clock.wall(), "start", words="the cockpit begins to watch")])

    @property
    def changes(self) -> tuple[RecordedChange, ...]:
        """Return the changes, oldest first; those of earlier runs too."""
        return tuple(self._changes)

    def observe(self, situation: Situation) -> None:
        """Note what differs from the situation before.

        Never raises for what is in it, never waits.
        """
        found: list[RecordedChange] = []
        for signal in situation.signals.values():
            found += self._signal(signal, situation.wall)
        for light in situation.sources:
            was = self._sources.get(light.name)
            if light.state.starting:
                continue  # nothing read yet: nothing changed
            self._sources[light.name] = light.state
            usual = light.state.live or light.state.off
            if was is not light.state and not (usual and was is None):
                before = was.value if was is not None else None
                found.append(
                    RecordedChange(
                        at=situation.wall,
                        kind="source",
                        name=light.name,
                        was=before,
                        now=light.state.value,
                        words=safe(light.reason, 200),
                    )
                )
        found += self._service_changes(situation)
        found += self._matched(situation)
        found += self._new_events(situation)
        found += self._explained(situation)
        self._put(found)

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what waits, and that this cockpit no longer watches."""
        self._put([RecordedChange(self._clock.wall(), "stop", words="the cockpit watches no more")])
        thread = self._thread
        if thread is not None:
            self._waiting.put(None)
            thread.join(timeout_s)

    def _signal(self, signal: SignalStatus, wall: float) -> Iterable[RecordedChange]:
        name, level = signal.name, signal.level
        was = self._signals.get(name)
        worst = self._worst.get(name)
        value = signal.value if signal.value is not None and signal.value == signal.value else None
        if was is not level:
            self._signals[name] = level
            self._worst.pop(name, None)
            if value is not None and level in (Level.WARN, Level.CRIT):
                self._worst[name] = (value, wall)
            if was is None and level is Level.UNKNOWN:
                self._unread.add(name)
                return  # not read yet: no change of anything
            if name in self._unread:
                self._unread.discard(name)
                was = None
            yield RecordedChange(
                at=wall,
                kind="signal",
                name=name,
                was=was.value if was is not None else None,
                now=level.value,
                words=safe(signal.reason, 200),
                value=value,
                worst=worst[0] if worst is not None else None,
                unit=signal.unit,
                title=signal.title,
            )
        elif value is not None and worst is not None and _worse(value, worst[0], signal.direction):
            due = wall - worst[1] >= _WORST_EVERY_S
            self._worst[name] = (value, wall if due else worst[1])
            if due:
                yield RecordedChange(
                    at=wall,
                    kind="worst",
                    name=name,
                    was=None,
                    now=level.value,
                    words="",
                    value=value,
                    worst=value,
                    unit=signal.unit,
                    title=signal.title,
                )

    def _service_changes(self, situation: Situation) -> Iterable[RecordedChange]:
        seen: dict[tuple[str, str], tuple[str, int]] = {}
        for service in situation.services:
            key = (service.namespace, service.name)
            seen[key] = (service.level, service.desired)
            was = self._services.get(key)
            if was == seen[key] or (was is None and service.level == Level.OK.value):
                continue
            words = f"{service.ready}/{service.desired} ready" + (f": {service.why}" if service.why else "")
            if was is not None and was[1] != service.desired:
                words = f"scaled {was[1]} → {service.desired}; {words}"
            before = was[0] if was is not None else None
            yield RecordedChange(
                at=situation.wall,
                kind="service",
                name=service.name,
                was=before,
                now=service.level,
                words=safe(words, 200),
            )
        self._services = seen

    def _matched(self, situation: Situation) -> Iterable[RecordedChange]:
        best = situation.matches[0] if situation.matches and situation.matches[0].holds else None
        name = best.runbook.id if best is not None else ""
        if name != (self._runbook or ""):
            was, self._runbook = self._runbook, name
            title = (
                f"{best.runbook.number} {best.runbook.title}, {best.words}"
                if best is not None
                else "no runbook matches"
            )
            yield RecordedChange(
                at=situation.wall, kind="runbook", name=name, was=was, now=name, words=safe(title, 200)
            )

    def _explained(self, situation: Situation) -> Iterable[RecordedChange]:
        """Yield since when what is bad is bad, and the changes that explain it: as they come up."""
        off = situation.wall - situation.cluster_now
        for onset in situation.changes.onsets.values():
            if not onset.at_latest and self._new(f"{onset.signal} {onset.at:.0f}"):
                yield RecordedChange(
                    at=onset.at + off, kind="onset", name=onset.signal, words=safe(onset.why, 80), title=onset.title
                )
        for one in situation.changes.ranked if situation.changes.onset is not None else ():
            if not one.explains:
                break
            change = one.change
            if self._new(f"{change.object} {change.words}"):
                by = f" by {change.by}" if change.by else ""
                latest = " at the latest" if change.at_latest else ""
                yield RecordedChange(
                    at=change.at + off,
                    kind="change",
                    name=change.object,
                    words=safe(f"{change.words}{by}{latest}", 240),
                )

    def _new(self, key: str) -> bool:
        fresh = key not in self._explaining
        self._explaining[key] = None
        if len(self._explaining) > _EVENTS_KNOWN:
            self._explaining = dict.fromkeys(list(self._explaining)[-_EVENTS_KNOWN // 2 :])
        return fresh

    def _new_events(self, situation: Situation) -> Iterable[RecordedChange]:
        """Yield the cluster's warnings that are new.

        An object and reason come once, and again when they happened ten times as often.
        """
        first = not self._events
        for event in situation.cluster.events.values():
            if event.type != "Warning":
                continue
            key = (event.object_kind, event.object_name, event.reason)
            known = self._events.get(key)
            if known is not None and event.count < known * 10:
                continue
            self._events[key] = max(1, event.count)
            if first and known is None and (event.last_seen or 0.0) < situation.cluster_now - 600:
                continue  # old news when the cockpit started
            about = f"{event.object_kind.lower()} {event.object_name}"
            words = f"{event.reason}: {event.message}" + (f" ({event.count} times)" if event.count > 1 else "")
            yield RecordedChange(
                at=situation.wall, kind="event", name=about, was=None, now=event.reason, words=safe(words, 240)
            )
        if len(self._events) > _EVENTS_KNOWN:
            self._events = dict(list(self._events.items())[-_EVENTS_KNOWN // 2 :])

    def _put(self, found: Iterable[RecordedChange]) -> None:
        for each in found:
            change = msgspec.structs.replace(each, by=self._by)
            self._changes.append(change)
            self._waiting.put(change)
            self.revision += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_forever, name="flight-recorder", daemon=True)
                self._thread.start()

    def _write_forever(self) -> None:
        ended = False
        while not ended:
            batch = [self._waiting.get()]
            while not self._waiting.empty():
                batch.append(self._waiting.get())
            ended = None in batch
            lines = b"".join(msgspec.json.encode(change) + b"\n" for change in batch if change is not None)
            try:
                append(self.path, lines, self._limit)
                self.problem = ""
            except OSError as error:
                self.problem = (
                    f"the flight recorder cannot be written: {error.strerror or error}; the timeline has holes"
                )


def append(path: Path, lines: bytes, limit: int) -> None:
    """Append whole lines under the file's lock, as several cockpits may share it.

    Raises OSError.
    """
    make_own(path.parent)
    fd = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        with contextlib.suppress(OSError):  # no locks here (NFS): whole lines are appended all the same
            fcntl.flock(fd, fcntl.LOCK_EX)
        while lines:
            lines = lines[os.write(fd, lines) :]
        there = path.stat()
        ours = os.fstat(fd)
        if ours.st_size > limit and (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev):
            path.replace(path.with_name(path.name + ".1"))
    finally:
        os.close(fd)


def read(path: Path, since: float = 0.0) -> list[RecordedChange]:
    """Return what was recorded from `since` on, oldest first; the older file too.

    Lines that cannot be read are passed over, and so is what is no plain file of one's own.
    """
    found: list[RecordedChange] = []
    for file in (path.with_name(path.name + ".1"), path):
        with contextlib.suppress(OSError):
            for line in read_plain(file, 2 * FILE_LIMIT).split(b"\n"):
                with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                    change = _DECODER.decode(line) if line else None
                    if change is not None and change.at >= since:
                        found.append(_cleaned(change))
    return sorted(found, key=lambda change: change.at)


_DECODER = msgspec.json.Decoder(RecordedChange)


def _cleaned(change: RecordedChange) -> RecordedChange:
    """Return a change as it may be shown: whoever can write the file may have put anything in."""
    texts = {name: value for name, value in msgspec.structs.asdict(change).items() if isinstance(value, str)}
    return msgspec.structs.replace(change, **{name: clean(value) for name, value in texts.items()})


def _worse(value: float, than: float, direction: str) -> bool:
    return value > than if direction == "above" else value < than
