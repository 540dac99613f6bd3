"""Tells how old the samples under an answer are: Prometheus answers for minutes after the last one.

Asked once a round, for all queries together, by `timestamp()` of what they read. What vanished
since keeps the time it had: `rate(m[5m])` goes on for as long as its window holds old samples.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from cockpit.model.observed.metrics import QueryResult, Sample
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
_USUAL_S = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 90.0, 120.0)
#: Counted over five minutes, an interval is known to about a sample.
SLACK = 0.1
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
        for text, groups in (await self._asked_together(ask, self._questions)).items():
            self._take(text, groups)

    async def _asked_together(self, ask: Ask, questions: Sequence[str]) -> dict[str, dict[Group, float]]:
        found: dict[str, dict[Group, float]] = {}
        for part in _parts(questions):
            found |= await self._ask(ask, part)
        return found

    async def _ask(self, ask: Ask, questions: Sequence[str]) -> dict[str, dict[Group, float]]:
        """Return the answers by question, without those that have none."""
        try:
            answer = await ask(
                " or ".join(f'label_replace({text}, "{LABEL}", "{n}", "", "")' for n, text in enumerate(questions))
            )
        except PromFault as problem:
            if len(questions) > 1 and problem.rejected:  # one of them is at fault, not all
                half = len(questions) // 2
                return await self._ask(ask, questions[:half]) | await self._ask(ask, questions[half:])
            self._broken.update(dict.fromkeys(questions, problem.line()))
            return {}
        found: dict[str, dict[Group, float]] = {text: {} for text in questions}
        for sample in answer:
            labels = dict(sample.labels)
            number = labels.pop(LABEL, "")
            if number.isdigit() and int(number) < len(questions):
                found[questions[int(number)]][frozenset(labels.items())] = sample.value
        for text in questions:
            self._broken.pop(text, None)
        return found

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
        self, ask: Ask, promql: str, result: QueryResult, max_age_s: float
    ) -> tuple[QueryResult, float, float]:
        """Return the answer with its samples' times, how old the newest is, and how old it may be.

        An empty one says why it is. Raises PromFault when the times are not known.
        """
        samples, at = result.samples, result.evaluated_at
        if at is None:
            return result, 0.0, max_age_s
        if not samples:
            return replace(result, why_empty=await self._why_empty(ask, promql, at)), 0.0, max_age_s
        if promql in self._odd:
            raise _undated(self._odd[promql])
        read = self._read.get(promql, ())
        if not read:
            return result, 0.0, max_age_s
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
        return replace(result, samples=found), max(0.0, at - max(dated)), bound

    async def _why_empty(self, ask: Ask, promql: str, at: float) -> str:
        """Say why an answer is empty though the metric is there: its window holds one sample."""
        for one in self._read.get(promql, ()):
            if one.ranged and self._newest.get(one.newest):
                words = short_window(one.window_s, await self._interval(ask, one, at))
                if words:
                    return words
        return ""

    async def short_windows(self, ask: Ask) -> dict[str, str]:
        """Return, by query, which windows are too short for how often it is scraped."""
        ranged = {one: one.text for found in self._read.values() for one in found if one.ranged}
        counts = {text: f"max(count_over_time({text}[{LOOKBACK_S:.0f}s]))" for text in ranged.values()}
        answered = await self._asked_together(ask, list(counts.values()))
        found: dict[str, str] = {}
        for promql, read in self._read.items():
            for one in read:
                count = max(answered.get(counts.get(one.text, ""), {}).values(), default=0.0)
                words = short_window(one.window_s, usual(LOOKBACK_S / count) if count >= 2.0 else None)
                if one.ranged and words:
                    found[promql] = words
        return found

    def scraped_s(self, promql: str) -> float | None:
        """Return how far apart the samples under a query are, as seen; of several, the longest."""
        gaps = [self._gaps.get(one.newest, ()) for one in self._read.get(promql, ()) if one.ranged]
        return max((statistics.median(each) for each in gaps if len(each) >= 3), default=None)

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
                self._intervals[one.newest] = usual(LOOKBACK_S / counted[0].value)
        return self._intervals.get(one.newest)

    def _due(self, what: str, text: str, at: float) -> bool:
        if at - self._asked.get((what, text), -1e18) < SELDOM_S:
            return False
        self._asked[(what, text)] = at
        return True


def usual(interval_s: float) -> float:
    """Return the usual interval that a counted one stands for."""
    near = min(_USUAL_S, key=lambda each: abs(each - interval_s))
    return near if abs(near - interval_s) <= 0.2 * near else interval_s


def short_window(window_s: float, interval_s: float | None) -> str:
    """Say that a window holds one sample at most times, too few for any rate; "" if it does not."""
    if interval_s is None or window_s >= 2 * interval_s * (1 - SLACK):
        return ""
    window = f"{window_s / 60:g}m" if window_s >= 60 else f"{window_s:g}s"
    return f"one sample in {window}; scraped each {interval_s:.0f} s"


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
