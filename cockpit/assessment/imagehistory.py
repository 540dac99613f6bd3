"""Tells which images a deployment ran, when, and what the signals did then.

So that "last known good" has a reason.

When comes from the ReplicaSets that the cluster keeps (a revision began when its ReplicaSet was
made, and ended when the next one was). What the signals did comes from Prometheus' history; where
it has none, that is said and nothing is called good.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cockpit.model.observed.cluster import Cluster, ReplicaSet
from cockpit.model.runbook import Runbooks, SignalDef
from cockpit.text import clean, counted

#: What of the time a signal must have been within its bounds for an image to be called good, and
#: how long it must have run.
GOOD_SHARE = 0.99
LONG_ENOUGH_S = 900.0
_MOST = 6  # images that Prometheus is asked about
_WINDOW_S = 7200.0  # of its time: the last of it, finely enough, rather than days at a few points
_BEGIN_S = 120.0  # after its start a rollout is still going on: not counted

#: (PromQL, from, to) → (unix seconds, value) of every series in that time. Raises any Exception
#: when it cannot be asked.
Past = Callable[[str, float, float], Awaitable[tuple[tuple[float, float], ...]]]


@dataclass(frozen=True, slots=True)
class Ran:
    """Describes a revision of a deployment.

    Times are unix seconds on the cluster's clock; `ended` None: it runs now, or nobody knows.
    """

    revision: int
    image: str
    began: float | None
    ended: float | None
    current: bool
    restarts: int | None = None  # of its pods now; None: none of them is there
    env: Mapping[str, str] = field(default_factory=dict)  # what its own container's variables held, as literals

    @property
    def image_words(self) -> str:
        name = self.image.rpartition("/")[2]
        base, at, digest = name.partition("@sha256:")
        return clean(f"{base}@{digest[:12]}" if at else name, 80)

    def words(self, now: float) -> str:
        """Return "revision 4, runs since 2 h" or "revision 3, ran 4 d until 2 h ago"."""
        head = f"revision {self.revision}"
        if self.began is None:
            return head
        if self.current:
            tail = counted(self.restarts, "restart") if self.restarts else ""
            return f"{head}, runs now, made {_span(now - self.began)} ago" + (f", {tail}" if tail else "")
        if self.ended is None:
            return f"{head}, made {_span(now - self.began)} ago"
        return f"{head}, ran {_span(self.ended - self.began)} until {_span(now - self.ended)} ago"


def _span(seconds: float) -> str:
    seconds = max(0.0, seconds)
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def runs(cluster: Cluster, namespace: str, service: str) -> tuple[Ran, ...]:
    """Return the kept revisions of a deployment, newest first."""
    kept = sorted(
        (rs for rs in cluster.replicasets.values() if (rs.namespace, rs.owner_name) == (namespace, service)),
        key=lambda rs: -rs.revision,
    )
    workload = cluster.workloads.get((namespace, service))
    own = next((i for i, c in enumerate(workload.containers) if c.name == service), 0) if workload is not None else 0
    made = sorted(rs.created_at for rs in kept if rs.created_at is not None)
    restarts = [pod.restarts for pod in cluster.pods_of(namespace, service)]
    found = []
    for index, rs in enumerate(kept):
        later = [at for at in made if rs.created_at is not None and at > rs.created_at]
        image = rs.images[own] if own < len(rs.images) else ""
        current = index == 0
        found.append(
            Ran(
                revision=rs.revision,
                image=image,
                began=rs.created_at,
                ended=None if current or not later else later[0],
                current=current,
                restarts=sum(restarts) if current and restarts else None,
                env=_literals(rs, own),
            )
        )
    return tuple(ran for ran in found if ran.image)


def _literals(kept: ReplicaSet, own: int) -> Mapping[str, str]:
    env = kept.containers[own].env if own < len(kept.containers) else ()
    return {variable.name: variable.value for variable in env if variable.value is not None}


async def explained(
    found: Sequence[Ran], signals: Sequence[str], runbooks: Runbooks, past: Past | None, now: float
) -> Mapping[str, str]:
    """Return what the signals did while each image ran; the newest good one is marked, with why."""
    by_image: dict[str, str] = {}
    good = ""
    longest: Ran | None = None
    for ran in found[:_MOST]:
        if ran.image in by_image or ran.began is None:
            continue
        words, fine = await _then(ran, signals, runbooks, past, now)
        end = ran.ended if ran.ended is not None else now
        long = end - ran.began >= LONG_ENOUGH_S
        if not ran.current and not good and fine and long:
            good = ran.image
            words = f"LAST KNOWN GOOD: {words}"
        if (
            not ran.current
            and long
            and (longest is None or end - ran.began > (longest.ended or now) - (longest.began or now))
        ):
            longest = ran
        by_image[ran.image] = words
    if not good and longest is not None and not any(by_image.get(r.image, "").startswith("then: ") for r in found):
        by_image[longest.image] = f"of the older ones it ran longest; {by_image[longest.image]}"
    return by_image


async def _then(
    ran: Ran, signals: Sequence[str], runbooks: Runbooks, past: Past | None, now: float
) -> tuple[str, bool]:
    """Return how it was in words, and whether every signal that is known was within its bounds."""
    assert ran.began is not None
    end = ran.ended if ran.ended is not None else now
    start = max(ran.began + _BEGIN_S, end - _WINDOW_S)
    if past is None:
        return "what the signals did then is not known: no Prometheus", False
    if end - start < _BEGIN_S:
        return "it ran too shortly to tell", False
    words, fine, why, known_s = [], True, "", 0.0
    for name in signals:
        signal = runbooks.signals.get(name)
        if signal is None or signal.promql is None:
            continue
        try:
            points = [(at, v) for at, v in await past(signal.promql, start, end) if v == v]
        except Exception as error:  # it cannot be asked: that is what there is to say
            why = clean(str(error), 120)
            break
        if points:
            known_s = max(known_s, max(at for at, _ in points) - min(at for at, _ in points))
            first = min(at for at, _ in points)
            if first - start > _BEGIN_S:  # it remembers less than was asked for: its first windows are not full
                points = [(at, v) for at, v in points if at >= first + _BEGIN_S] or points
            average, within = _summary(signal, [v for _, v in points])
            words.append(average)
            fine = fine and within
    if not words:
        return f"what the signals did then is not known: {why or 'Prometheus keeps nothing of that time'}", False
    part = "" if known_s >= 0.8 * (end - start) else f" (known for {_span(known_s)} of it)"
    return f"then: {', '.join(words)}{part}", fine and known_s >= min(LONG_ENOUGH_S, 0.8 * (end - start))


def _summary(signal: SignalDef, values: Sequence[float]) -> tuple[str, bool]:
    mean = sum(values) / len(values)
    average = f"{mean * 100:.1f} %" if signal.unit == "ratio" else f"{mean:.4g} {signal.unit}".rstrip()
    if signal.warn is None or signal.baseline is not None:
        return f"{signal.title} {average}", True
    bad = sum(v >= signal.warn if signal.direction == "above" else v <= signal.warn for v in values) / len(values)
    share = f" (out of bounds {bad * 100:.0f} % of the time)" if bad > 1 - GOOD_SHARE else ""
    return f"{signal.title} {average}{share}", bad <= 1 - GOOD_SHARE
