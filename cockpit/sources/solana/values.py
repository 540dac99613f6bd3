"""Gives values of the chain by name (`solana.behind`), or says why they are unknown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from cockpit.model.observed.chain import (
    Disagreement,
    EndpointStatus,
    ProgramActivity,
    ProtocolState,
    Rate,
    RequestCount,
    SignerSetState,
    signer_differences,
)
from cockpit.model.observed.cluster import Cluster
from cockpit.model.observed.variables import variable
from cockpit.model.reading import NOTHING_READ, Known, Reading, Unknown, believed, last_known
from cockpit.model.runbook import CADENCE
from cockpit.oracle.errors import INVALID_SIGNATURES, REPLAY_PROTECTION, REVEAL_FAILS
from cockpit.oracle.rates import SLOT_S, WINDOW_S
from cockpit.sources.solana.refused import values as refusals
from cockpit.sources.values import Family, Snapshot, Value, broken, pods_running, unknown
from cockpit.text import counted

PREFIX, ENDPOINT, REQUESTS = "solana/", "solana/endpoint/", "solana/requests/"
_NOT_ASKED = "solana: no request was made yet"
#: An endpoint so many slots behind is not fit for use: blockhashes it gives are half a minute old.
BAD_SLOTS = 50
#: ... or one that fails so many of its requests.
BAD_ERROR_RATIO = 0.2
#: A commit in so many of the newest slots (8 s): somebody commits.
COMMITTING_SLOTS = 20
WITHOUT, BEYOND = "solana.commits-without", "solana.commits-beyond"

Endpoints = Mapping[str, Reading[EndpointStatus]]


class SolanaValues:
    """Reads values from one snapshot; made for each evaluation, cheap."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._mono = snapshot.mono
        readings = snapshot.board.under(PREFIX)
        self._source = readings.get(f"{PREFIX}source")
        self._endpoints: Endpoints = {
            t.removeprefix(ENDPOINT): r for t, r in readings.items() if t.startswith(ENDPOINT)
        }
        self._requests: Mapping[str, Reading[RequestCount]] = {
            t.removeprefix(REQUESTS): r for t, r in readings.items() if t.startswith(REQUESTS)
        }
        self._readings = readings

    def get(self, name: str) -> Value:
        """Return the value called `name`; the schema has checked that there is such a one."""
        if not self._readings or (self._source is not None and len(self._readings) == 1):
            return broken(self._source, "solana", self._mono)
        for head, read in ((WITHOUT, self.commits_without), (BEYOND, self.commits_beyond)):
            if name.startswith(f"{head}."):
                return read(name.removeprefix(f"{head}."))
        return _VALUES[name.partition(".")[2]](self)

    # -- endpoints

    def _used(self) -> str | None:
        """Return the configured endpoint that the submitter's SOLANA_RPC_URL points to, if any."""
        url = variable(self.snapshot.cluster, "SOLANA_RPC_URL")
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            place = f"{parts.hostname}:{parts.port}" if parts.port is not None else parts.hostname
        except ValueError:
            return None
        return next((name for name, host in self._hosts().items() if host == place), None)

    def _hosts(self) -> dict[str, str]:
        """Return where each endpoint is: that does not change with whether it answers."""
        seen = {name: last_known(reading.believed(self._mono)) for name, reading in self._endpoints.items()}
        return {name: status.host for name, status in seen.items() if status is not None}

    def _of_endpoint(self, number: Callable[[EndpointStatus], float | None], missing: str) -> Value:
        """Return the used endpoint's value, else the worst of all that tell."""
        used = self._used()
        if used is not None:
            return self._one(used, number, missing)
        values = [self._one(name, number, missing) for name in self._endpoints]
        known = [value for value in values if value.number is not None]
        if known:
            return max(known, key=lambda value: value.number or 0.0)
        return values[0] if values else Value(None, "solana: no endpoint was looked at yet")

    def _one(self, name: str, number: Callable[[EndpointStatus], float | None], missing: str) -> Value:
        found = self._endpoints[name].believed(self._mono)
        if isinstance(found, Unknown):
            return unknown(found, name)
        value = number(found.data)
        return Value(value, "" if value is not None else f"{name}: {missing}", found.age_s, {"endpoint": name})

    def behind(self) -> Value:
        return self._of_endpoint(_behind, "no other endpoint of its cluster to compare it with")

    def latency(self) -> Value:
        return self._of_endpoint(lambda status: status.latency_p95_ms, "no request was answered yet")

    def errors(self) -> Value:
        """Return the share of failed requests, also of an endpoint that is down: all fail."""
        used = self._used()
        counted = self._counted()
        if isinstance(counted, Value):
            return counted
        known = [
            Value(100.0 * count.data.error_ratio, "", count.age_s, {"endpoint": name})
            for name, count in counted.items()
            if used in (None, name) and count.data.error_ratio is not None
        ]
        return max(known, key=lambda value: value.number or 0.0, default=Value(None, _NOT_ASKED))

    def throttled(self) -> Value:
        counted = self._counted()
        if isinstance(counted, Value):
            return counted
        known = {name: count.data.throttled for name, count in counted.items()}
        worst = max(known, key=lambda name: known[name])
        age = max(count.age_s for count in counted.values())
        return Value(float(sum(known.values())), "", age, {"endpoint": worst} if known[worst] else None)

    def _counted(self) -> dict[str, Known[RequestCount]] | Value:
        """Return this source's own requests by endpoint, or why they are not known.

        A count is true whether the endpoint answers or not; none may be older than it may be.
        """
        found = {name: reading.believed(self._mono) for name, reading in self._requests.items()}
        late = next(((name, one) for name, one in found.items() if isinstance(one, Unknown)), None)
        if late is not None:
            return unknown(late[1], f"requests to {late[0]}")
        return {name: one for name, one in found.items() if isinstance(one, Known)} or Value(None, _NOT_ASKED)

    def bad_endpoints(self) -> Value:
        bad = {name: why for name, reading in self._endpoints.items() if (why := unfit(reading, self._mono))}
        if bad:
            return Value(float(len(bad)), "", None, bad)
        found = {name: reading.believed(self._mono) for name, reading in self._endpoints.items()}
        starting = [name for name, one in found.items() if isinstance(one, Unknown)]
        if starting or not self._endpoints:
            return Value(None, f"{', '.join(starting) or 'solana'}: {NOTHING_READ}", starting=True)
        return Value(0.0, "", max(one.age_s or 0.0 for one in found.values()))

    def disagreements(self) -> Value:
        found = self._disagreements()
        if isinstance(found, Unknown):
            return unknown(found, "solana disagreements")
        if found.data:
            first = found.data[0]
            return Value(float(len(found.data)), "", found.age_s, {first.what: first.words})
        live = [r for r in self._endpoints.values() if isinstance(r.believed(self._mono), Known)]
        if len(live) < 2:
            return Value(None, "fewer than two endpoints answer: nobody could disagree", found.age_s)
        return Value(0.0, "", found.age_s)

    def _disagreements(self) -> Known[tuple[Disagreement, ...]] | Unknown[tuple[Disagreement, ...]]:
        return believed(self._readings.get(f"{PREFIX}disagreements"), self._mono)

    # -- the program

    def _program(
        self,
        read: Callable[[ProgramActivity], tuple[float | None, str, Mapping[str, str] | None]],
        *,
        floor: bool = False,
    ) -> Value:
        """Return a value of the program's activity.

        `floor`: what is known already is bad enough, whatever is missing; zero is not known then.
        """
        found = believed(self._readings.get(f"{PREFIX}program"), self._mono, ProgramActivity)
        if isinstance(found, Unknown):
            return unknown(found, "solana program")
        age, seen = found.age_s, found.data
        number, reason, labels = read(seen)
        if seen.doubtful and not (floor and number):
            return Value(None, f"solana program: {seen.gap or 'transactions may be missing'}", age)
        return Value(number, reason, age, labels)

    def rate(self, pick: Callable[[ProgramActivity], Rate], *, floor: bool = False) -> Value:
        def read(seen: ProgramActivity) -> tuple[float | None, str, None]:
            per_minute = pick(seen).per_minute
            return per_minute, "" if per_minute is not None else "solana program: watched for less than a minute", None

        return self._program(read, floor=floor)

    def commits_share(self) -> Value:
        """Return the commits a minute, of what the cadence of the markets that publish asks."""
        paused = self.snapshot.paused
        if paused.every:
            return Value(None, "every market is paused")
        cadence_ms = cadence(self.snapshot.cluster)
        if cadence_ms is None:
            return Value(None, f"how often markets publish is not known: no {CADENCE} in a ConfigMap that is watched")
        found = self.rate(lambda seen: seen.commits)
        if found.number is None:
            return found
        return dataclasses.replace(found, number=100.0 * found.number * cadence_ms / 60_000.0 / paused.share)

    def committers(self) -> Value:
        """Count who commits beside the one that commits most: there should be nobody."""

        def read(seen: ProgramActivity) -> tuple[float | None, str, Mapping[str, str] | None]:
            ranked = sorted(seen.committers.items(), key=lambda one: (-one[1], one[0]))
            if not ranked:
                return None, "solana program: no commit was seen yet", None
            labels = {"committer": ranked[1][0], "commits": f"{ranked[1][1]:,}"} if len(ranked) > 1 else None
            return float(len(ranked) - 1), "", labels

        return self._program(read, floor=True)

    def commits_without(self, service: str) -> Value:
        """Return 1 while commits appear on the chain though no pod of ours could send them."""
        pods = pods_running(self.snapshot, service)
        if pods.number is None or pods.number:
            return pods if pods.number is None else Value(0.0, "", pods.age_s)

        def read(seen: ProgramActivity) -> tuple[float | None, str, None]:
            last = seen.commits.last_slot
            return float(last is not None and (seen.slot or 0) - last < COMMITTING_SLOTS), "", None

        return self._program(read, floor=True)

    def commits_beyond(self, service: str) -> Value:
        """Return the commits a minute, of what the cadence asks of each of our pods."""
        pods, share = pods_running(self.snapshot, service), self.commits_share()
        if pods.number is None or share.number is None:
            return pods if pods.number is None else share
        return dataclasses.replace(share, number=share.number / max(1.0, pods.number))

    def reveals_missing(self) -> Value:
        """Count overdue reveals, unless rejections for signature or sequence explain them."""

        def read(seen: ProgramActivity) -> tuple[float | None, str, Mapping[str, str] | None]:
            rejected = any(f.per_minute for f in seen.failures if f.runbook in (INVALID_SIGNATURES, REPLAY_PROTECTION))
            return (0.0, "", None) if rejected else (float(seen.overdue_total), "", _oldest(seen))

        return self._program(read)

    def failures(self, runbook: int, error: str = "") -> Value:
        """Return the failures a minute that a runbook is for; of one error alone, if given."""

        def read(seen: ProgramActivity) -> tuple[float | None, str, Mapping[str, str] | None]:
            own = [f for f in seen.failures if f.runbook == runbook and f.per_minute and error in ("", f.name)]
            number = sum(each.per_minute for each in own)
            if not number and seen.failed.per_minute is None:
                return None, "solana program: watched for less than a minute", None
            return number, "", {"error": own[0].name, "instruction": own[0].instruction} if own else None

        value = self._program(read, floor=True)
        found = believed(self._readings.get(f"{PREFIX}program"), self._mono, ProgramActivity)
        if not value.number or isinstance(found, Unknown):
            return value
        return dataclasses.replace(value, quiet_s=_quiet_s(found.data, runbook), window_s=float(WINDOW_S))

    def pending(self) -> Value:
        return self._program(lambda seen: (float(seen.overdue_total), "", _oldest(seen)))

    def pending_oldest(self) -> Value:
        return self._program(
            lambda seen: (
                float(max((c.overdue_slots for c in seen.pending if c.overdue), default=0)),
                "",
                _oldest(seen),
            )
        )

    def slots_since_publish(self) -> Value:
        def read(seen: ProgramActivity) -> tuple[float | None, str, None]:
            last = max(
                (each for each in (seen.commits.last_slot, seen.reveals.last_slot) if each is not None),
                default=seen.covered_slot,
            )
            if seen.slot is None or last is None:
                return None, "solana program: no slot is known yet", None
            return float(max(0, seen.slot - last)), "", None

        return self._program(read)

    # -- accounts

    def _agreed(self, *what: str) -> str:
        found = self._disagreements()
        if isinstance(found, Unknown):
            return f"whether endpoints agree is not known: {found.reason}"
        said = [each.words for each in found.data if each.what in what]
        return f"endpoints disagree: {said[0]}" if said else ""

    def paused(self) -> Value:
        found = believed(self._readings.get(f"{PREFIX}protocol"), self._mono, ProtocolState)
        if isinstance(found, Unknown):
            return unknown(found, "solana protocol")
        disagreement = self._agreed("protocol", "paused")
        return Value(None if disagreement else float(found.data.paused), disagreement, found.age_s)

    def signer_set_mismatch(self) -> Value:
        """Count differences between the set's account and agents' reports.

        Unknown, not zero, without reports.
        """
        found = believed(self._readings.get(f"{PREFIX}signer-set"), self._mono, SignerSetState)
        if isinstance(found, Unknown):
            return unknown(found, "solana signer-set")
        reports = believed(self.snapshot.board.get("probes/signers"), self._mono)
        differences = signer_differences(found.data, reports.data if isinstance(reports, Known) else {})
        if differences:
            return Value(float(len(differences)), "", found.age_s, {"first": differences[0]})
        disagreement = self._agreed("signer set")
        if disagreement:
            return Value(None, disagreement, found.age_s)
        if isinstance(reports, Unknown):
            return Value(None, f"what signer agents report: {reports.reason}", found.age_s, off=reports.off)
        return Value(0.0, "", found.age_s)


def cadence(cluster: Cluster) -> float | None:
    """Return the milliseconds from one publish to the next, as the engine's ConfigMap says."""
    texts = (config.data.get(CADENCE, "") for config in cluster.configmaps.values())
    numbers = [float(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 10]
    return next((number for number in numbers if number > 0), None)


def _behind(status: EndpointStatus) -> float | None:
    return float(status.behind) if status.behind is not None else None


def unfit(reading: Reading[EndpointStatus], mono: float) -> str:
    """Return why the endpoint is not fit for use, or an empty string."""
    found = reading.believed(mono)
    if isinstance(found, Unknown):
        return "" if found.starting else found.reason
    status = found.data
    if status.foreign:
        return f"is on {status.cluster}"
    if status.health not in ("ok", ""):
        return status.health
    if (status.error_ratio or 0.0) >= BAD_ERROR_RATIO:
        return f"{100 * (status.error_ratio or 0.0):.0f} % of requests fail"
    return f"{counted(status.behind or 0, 'slot')} behind" if (status.behind or 0) >= BAD_SLOTS else ""


def _quiet_s(seen: ProgramActivity, runbook: int) -> float | None:
    """Return for how long none of these came while reveals did; None: that is not known."""
    last = max((each.last_slot for each in seen.failures if each.runbook == runbook), default=None)
    revealed = seen.reveals.last_slot
    if last is None or seen.slot is None or revealed is None or revealed <= last or seen.doubtful or not seen.complete:
        return None
    return (seen.slot - last) * SLOT_S


def _oldest(seen: ProgramActivity) -> Mapping[str, str] | None:
    overdue = [commit for commit in seen.pending if commit.overdue]
    return {"market": overdue[0].market, "epoch": overdue[0].epoch} if overdue else None


_VALUES: Mapping[str, Callable[[SolanaValues], Value]] = {
    "behind": SolanaValues.behind,
    "endpoints-bad": SolanaValues.bad_endpoints,
    "endpoint-latency-p95": SolanaValues.latency,
    "endpoint-errors": SolanaValues.errors,
    "throttled": SolanaValues.throttled,
    "commits-share": SolanaValues.commits_share,
    "other-committers": SolanaValues.committers,
    "reveals-missing": SolanaValues.reveals_missing,
    "commits": lambda values: values.rate(lambda seen: seen.commits),
    "reveals": lambda values: values.rate(lambda seen: seen.reveals),
    "failed": lambda values: values.rate(lambda seen: seen.failed, floor=True),
    "pending": SolanaValues.pending,
    "pending-oldest": SolanaValues.pending_oldest,
    "slots-since-publish": SolanaValues.slots_since_publish,
    "signature-failures": lambda values: values.failures(INVALID_SIGNATURES),
    "reveal-failures": lambda values: values.failures(REVEAL_FAILS),
    "replay-failures": lambda values: values.failures(REPLAY_PROTECTION),
    "reveal-mismatches": lambda values: values.failures(REVEAL_FAILS, "RevealMismatch"),
    "reveals-too-early": lambda values: values.failures(REVEAL_FAILS, "RevealTooEarly"),
    "sequence-behind": lambda values: refusals.sequence_behind(values.snapshot),
    "rejects-after-restart": lambda values: refusals.rejects_after_restart(values.snapshot),
    "refused-keys": lambda values: refusals.refused(values.snapshot, "keys"),
    "refused-hash": lambda values: refusals.refused(values.snapshot, "hash"),
    "refused-format": lambda values: refusals.refused(values.snapshot, "format"),
    "refused-sequence": lambda values: refusals.refused(values.snapshot, "sequence"),
    "paused": SolanaValues.paused,
    "signer-set-mismatch": SolanaValues.signer_set_mismatch,
    "signers-spare": lambda values: refusals.signers_spare(values.snapshot),
    "disagreements": SolanaValues.disagreements,
}

FAMILY = Family(SolanaValues, plain=tuple(f"solana.{name}" for name in _VALUES), of_service=(WITHOUT, BEYOND))
