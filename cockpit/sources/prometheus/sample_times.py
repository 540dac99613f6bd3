"""Tells how old the samples under an answer are: Prometheus answers for minutes after the last one.

Asked once a round, for all queries together, by `timestamp()` of what they read. What vanished
since keeps the time it had: `rate(m[5m])` goes on for as long as its window holds old samples.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

from cockpit.model.observed.metrics import Sample
from cockpit.model.reading import SourceState
from cockpit.sources.prometheus.selectors import LOOKBACK_S, Selector, selectors
from cockpit.sources.prometheus.wire import PromFault

#: Answers a query with its samples; raises PromFault.
Ask = Callable[[str], Awaitable[Sequence[Sample]]]
Group = frozenset[tuple[str, str]]

LABEL = "m0_selector"
#: Of one question: a GET of it must pass proxies.
MOST_CHARACTERS = 3000
#: So many scrapes may be missed.
SCRAPES = 3.0
#: What is asked only where something is missing is asked so often at most.
SELDOM_S = 60.0
_GAPS = 9
_STEP_S = 10.0


def _undated(reason: str) -> PromFault:
    return PromFault(
        SourceState.STALE, f"how old its samples are is not known: {reason}", "is `timestamp()` answered there?"
    )


class SampleTimes:
    """Remembers when the newest sample of each selector was true, in unix seconds of the server."""

    def __init__(self, queries: Iterable[str]) -> None:
        self._read: dict[str, tuple[Selector, ...]] = {}
        self._odd: dict[str, str] = {}  # query → why it cannot be read here
        for promql in queries:
            try:
                self._read[promql] = selectors(promql)
            except ValueError as error:
                self._odd[promql] = str(error)
        every = dict.fromkeys(one for found in self._read.values() for one in found)
        self._questions = list(dict.fromkeys(one.newest for one in every))
        self._newest: dict[str, dict[Group, float]] = {}  # question → labels → time of the newest sample
        self._gaps: dict[str, deque[float]] = {}  # question → seconds between samples, as seen
        self._intervals: dict[str, float] = {}  # … as the server was asked
        self._asked: dict[tuple[str, str], float] = {}  # what was asked seldom, and when
        self._broken: dict[str, str] = {}  # question → why it has no answer

    async def refresh(self, ask: Ask) -> None:
        """Ask for all selectors' newest samples; never raises: what is not answered grows old."""
        for part in _parts(self._questions):
            await self._ask(ask, part)

    async def _ask(self, ask: Ask, questions: Sequence[str]) -> None:
        try:
            answer = await ask(
                " or ".join(f'label_replace({text}, "{LABEL}", "{n}", "", "")' for n, text in enumerate(questions))
            )
        except PromFault as problem:
            if len(questions) > 1 and problem.rejected:  # one of them is at fault, not all
                half = len(questions) // 2
                await self._ask(ask, questions[:half])
                await self._ask(ask, questions[half:])
            else:
                self._broken.update(dict.fromkeys(questions, problem.line()))
            return
        found: dict[str, dict[Group, float]] = {text: {} for text in questions}
        for sample in answer:
            labels = dict(sample.labels)
            number = labels.pop(LABEL, "")
            if number.isdigit() and int(number) < len(questions):
                found[questions[int(number)]][frozenset(labels.items())] = sample.value
        for text, groups in found.items():
            self._broken.pop(text, None)
            self._take(text, groups)

    def _take(self, text: str, groups: Mapping[Group, float]) -> None:
        known = self._newest.setdefault(text, {})
        gaps = self._gaps.setdefault(text, deque(maxlen=_GAPS))
        newest = max((*groups.values(), *known.values()), default=0.0)
        for group, at in groups.items():
            before = known.get(group)
            if before is not None and at > before:
                gaps.append(at - before)
            known[group] = max(at, before or 0.0)
        for group in [group for group, at in known.items() if at < newest - 4 * LOOKBACK_S]:
            del known[group]

    async def dated(
        self, ask: Ask, promql: str, samples: Sequence[Sample], at: float, max_age_s: float
    ) -> tuple[tuple[Sample, ...], float, float]:
        """Return the samples with their times, the newest of them, and how old it may be.

        `at`: when they were evaluated, by the server's clock. Raises PromFault when their times
        are not known.
        """
        if promql in self._odd:
            raise _undated(self._odd[promql])
        read = self._read.get(promql, ())
        if not read or not samples:
            return tuple(samples), at, max_age_s
        times = [self._of(read, sample.labels, at) for sample in samples]
        if None in times:
            await self._last_sample(ask, read, at)
            times = [self._of(read, sample.labels, at) for sample in samples]
            unanswered = self._unanswered(read)
            if None in times and unanswered:
                raise _undated(unanswered)
        dated = [when if when is not None else at for when in times]  # none: no sample is under it
        bound = max_age_s
        if at - min(dated) > bound:
            interval = max([await self._interval(ask, one, at) or 0.0 for one in read])
            bound = max(bound, SCRAPES * interval)
        if at - max(dated) > bound and (unanswered := self._unanswered(read)):
            raise _undated(unanswered)
        found = tuple([Sample(s.labels, s.value, when) for s, when in zip(samples, dated, strict=True)])
        return found, max(dated), bound

    def _unanswered(self, read: Sequence[Selector]) -> str:
        return next((self._broken[one.newest] for one in read if one.newest in self._broken), "")

    def _of(self, read: Sequence[Selector], labels: Mapping[str, str], at: float) -> float | None:
        """Return the time of the newest sample under an answer's series; of several, the oldest."""
        found: list[tuple[float, float]] = []
        for one in read:
            groups = self._newest.get(one.newest)
            if groups and (when := _newest(one, groups, labels)) is not None:
                found.append((when + one.offset_s, one.window_s))
        inside = [when for when, window in found if at - when <= window]
        return min(inside) if inside else max((when for when, _ in found), default=None)

    async def _last_sample(self, ask: Ask, read: Sequence[Selector], at: float) -> None:
        """Ask when the last sample was of what has none now, and still has a value."""
        for one in read:
            if not self._due("back", one.newest, at):
                continue
            window = max(one.window_s, LOOKBACK_S)
            inner = f"max_over_time(timestamp({one.text})[{window:.0f}s:{max(_STEP_S, window / 60):.0f}s]{one.shift})"
            try:
                answer = await ask(one.grouped(inner))
            except PromFault as problem:
                self._broken.setdefault(one.newest, problem.line())
                continue
            self._take(one.newest, {frozenset(sample.labels.items()): sample.value for sample in answer})

    async def _interval(self, ask: Ask, one: Selector, at: float) -> float | None:
        """Return the seconds between two samples of a selector, when that is known."""
        gaps = self._gaps.get(one.newest, ())
        if len(gaps) >= 3:
            return statistics.median(gaps)
        if self._due("interval", one.newest, at):
            newest = max(self._newest.get(one.newest, {}).values(), default=at)
            back = max(0.0, at - newest)
            try:
                counted = await ask(f"max(count_over_time({one.text}[{LOOKBACK_S:.0f}s] offset {back:.0f}s))")
            except PromFault:
                return self._intervals.get(one.newest)
            if counted and counted[0].value >= 2.0:
                self._intervals[one.newest] = LOOKBACK_S / counted[0].value
        return self._intervals.get(one.newest)

    def _due(self, what: str, text: str, at: float) -> bool:
        if at - self._asked.get((what, text), -1e18) < SELDOM_S:
            return False
        self._asked[(what, text)] = at
        return True


def _parts(questions: Sequence[str]) -> Iterator[list[str]]:
    """Yield as many questions at a time as one request may hold."""
    part: list[str] = []
    size = 0
    for text in questions:
        size += len(text) + 60
        if part and size > MOST_CHARACTERS:
            yield part
            part, size = [], len(text) + 60
        part.append(text)
    if part:
        yield part


def _newest(one: Selector, groups: Mapping[Group, float], labels: Mapping[str, str]) -> float | None:
    """Return the newest sample's time among the groups that an answer's series is made of."""
    if one.kept.only:
        return groups.get(frozenset((name, labels[name]) for name in one.kept.names if name in labels))
    whole = groups.get(frozenset((name, value) for name, value in labels.items() if name != "__name__"))
    if whole is not None:
        return whole
    alike = [when for group, when in groups.items() if all(labels.get(name, value) == value for name, value in group)]
    return max(alike, default=None)
