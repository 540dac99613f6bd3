"""Values that signals take from the chain by name (`solana.behind`), or in words why they are
unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from cockpit.assessment.values.family import Family, Look, Value, doubt
from cockpit.assessment.variables import variable
from cockpit.model.observed.chain import Disagreement, EndpointStatus, ProgramActivity, Rate, signer_differences
from cockpit.model.observed.probe import SignerReport
from cockpit.model.reading import Reading, SourceState
from cockpit.oracle.errors import INVALID_SIGNATURES, REPLAY_PROTECTION, REVEAL_FAILS

PREFIX, ENDPOINT = "solana/", "solana/endpoint/"
#: An endpoint so many slots behind is not fit for use: blockhashes it gives are half a minute old.
BAD_SLOTS = 50
#: ... or one that fails so many of its requests.
BAD_ERROR_RATIO = 0.2

Endpoints = Mapping[str, Reading[EndpointStatus]]


class SolanaValues:
    """One look at what the endpoints and the program said; made for each evaluation, cheap."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._mono = look.mono
        readings = look.board.under(PREFIX)
        self._source = readings.get(f"{PREFIX}source")
        self._endpoints: Endpoints = {
            t.removeprefix(ENDPOINT): r for t, r in readings.items() if t.startswith(ENDPOINT)
        }
        self._readings = readings

    def get(self, name: str) -> Value:
        """The value called `name`; the schema has checked that there is such a one."""
        if not self._readings or (self._source is not None and len(self._readings) == 1):
            return Value(None, f"solana: {self._source.reason(self._mono) if self._source else 'nothing read yet'}")
        return _VALUES[name.partition(".")[2]](self)

    # -- endpoints
    # ---------------------------------------------------------------------------------------------------------

    def _used(self) -> str | None:
        """The endpoint that the submitter's SOLANA_RPC_URL points to, when it is one of the
        configured.
        """
        url = variable(self._look.cluster, "SOLANA_RPC_URL")
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            place = f"{parts.hostname}:{parts.port}" if parts.port is not None else parts.hostname
        except ValueError:
            return None
        hosts = {name: reading.data.host for name, reading in self._endpoints.items() if reading.data is not None}
        return next((name for name, host in hosts.items() if host == place), None)

    def _of_endpoint(self, number: Callable[[EndpointStatus], float | None], missing: str) -> Value:
        """The used endpoint's, else the worst of all that tell."""
        used = self._used()
        if used is not None:
            return self._one(used, number, missing)
        told = [self._one(name, number, missing) for name in self._endpoints]
        known = [value for value in told if value.number is not None]
        if known:
            return max(known, key=lambda value: value.number or 0.0)
        return told[0] if told else Value(None, "solana: no endpoint was looked at yet")

    def _one(self, name: str, number: Callable[[EndpointStatus], float | None], missing: str) -> Value:
        reading = self._endpoints[name]
        unknown = doubt(reading, name, self._mono)
        if unknown is not None:
            return unknown
        assert reading.data is not None
        value = number(reading.data)
        return Value(
            value, "" if value is not None else f"{name}: {missing}", reading.age_s(self._mono), {"endpoint": name}
        )

    def behind(self) -> Value:
        return self._of_endpoint(_behind, "no other endpoint of its cluster to compare it with")

    def latency(self) -> Value:
        return self._of_endpoint(lambda status: status.latency_p95_ms, "no request was answered yet")

    def errors(self) -> Value:
        """Known of an endpoint that is down as well: all its requests fail."""
        used = self._used()
        asked = {name: r for name, r in self._endpoints.items() if used in (None, name)}
        known = [
            Value(100.0 * r.data.error_ratio, "", r.age_s(self._mono), {"endpoint": name})
            for name, r in asked.items()
            if r.data is not None and r.data.error_ratio is not None and r.state(self._mono) is not SourceState.STALE
        ]
        return (
            max(known, key=lambda value: value.number or 0.0)
            if known
            else Value(None, "solana: no request was made yet")
        )

    def throttled(self) -> Value:
        known = {name: r.data.throttled for name, r in self._endpoints.items() if r.data is not None}
        if not known:
            return Value(None, "solana: no request was made yet")
        worst = max(known, key=lambda name: known[name])
        return Value(float(sum(known.values())), "", None, {"endpoint": worst} if known[worst] else None)

    def bad_endpoints(self) -> Value:
        bad = {name: why for name, reading in self._endpoints.items() if (why := unfit(reading, self._mono))}
        if bad:
            return Value(float(len(bad)), "", None, bad)
        starting = [n for n, r in self._endpoints.items() if r.state(self._mono) is SourceState.STARTING]
        if starting or not self._endpoints:
            return Value(None, f"{', '.join(starting) or 'solana'}: nothing read yet")
        return Value(0.0, "", max(r.age_s(self._mono) or 0.0 for r in self._endpoints.values()))

    def disagreements(self) -> Value:
        reading: Reading[tuple[Disagreement, ...]] | None = self._readings.get(f"{PREFIX}disagreements")
        unknown = doubt(reading, "solana disagreements", self._mono)
        if unknown is not None:
            return unknown
        assert reading is not None and reading.data is not None
        if reading.data:
            first = reading.data[0]
            return Value(float(len(reading.data)), "", reading.age_s(self._mono), {first.what: first.words})
        live = [r for r in self._endpoints.values() if r.state(self._mono) is SourceState.LIVE]
        if len(live) < 2:
            return Value(None, "fewer than two endpoints answer: nobody could disagree", reading.age_s(self._mono))
        return Value(0.0, "", reading.age_s(self._mono))

    # -- the program
    # -------------------------------------------------------------------------------------------------------

    def _program(
        self,
        read: Callable[[ProgramActivity], tuple[float | None, str, Mapping[str, str] | None]],
        *,
        floor: bool = False,
    ) -> Value:
        """`floor`: what is known already is bad enough, whatever is missing; zero is not known
        then.
        """
        reading: Reading[ProgramActivity] | None = self._readings.get(f"{PREFIX}program")
        unknown = doubt(reading, "solana program", self._mono)
        if unknown is not None:
            return unknown
        assert reading is not None and reading.data is not None
        age, seen = reading.age_s(self._mono), reading.data
        number, reason, labels = read(seen)
        if seen.doubtful and not (floor and number):
            return Value(None, f"solana program: {seen.gap or 'transactions may be missing'}", age)
        return Value(number, reason, age, labels)

    def rate(self, pick: Callable[[ProgramActivity], Rate], *, floor: bool = False) -> Value:
        def read(seen: ProgramActivity) -> tuple[float | None, str, None]:
            per_minute = pick(seen).per_minute
            return per_minute, "" if per_minute is not None else "solana program: watched for less than a minute", None

        return self._program(read, floor=floor)

    def failures(self, runbook: int) -> Value:
        def read(seen: ProgramActivity) -> tuple[float | None, str, Mapping[str, str] | None]:
            own = [each for each in seen.failures if each.runbook == runbook and each.per_minute]
            number = sum(each.per_minute for each in own)
            if not number and seen.failed.per_minute is None:
                return None, "solana program: watched for less than a minute", None
            return number, "", {"error": own[0].name, "instruction": own[0].instruction} if own else None

        return self._program(read, floor=True)

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
    # ----------------------------------------------------------------------------------------------------------

    def _agreed(self, *what: str) -> str:
        reading: Reading[tuple[Disagreement, ...]] | None = self._readings.get(f"{PREFIX}disagreements")
        said = [each.words for each in (reading.data or () if reading is not None else ()) if each.what in what]
        return f"endpoints disagree: {said[0]}" if said else ""

    def paused(self) -> Value:
        reading = self._readings.get(f"{PREFIX}protocol")
        unknown = doubt(reading, "solana protocol", self._mono)
        if unknown is not None:
            return unknown
        assert reading is not None and reading.data is not None
        quarrel = self._agreed("protocol", "paused")
        return Value(None if quarrel else float(reading.data.paused), quarrel, reading.age_s(self._mono))

    def signer_set_mismatch(self) -> Value:
        """Differences between the configured set's account and what the agents report; unknown, not
        zero, without reports.
        """
        reading = self._readings.get(f"{PREFIX}signer-set")
        unknown = doubt(reading, "solana signer-set", self._mono)
        if unknown is not None:
            return unknown
        assert reading is not None and reading.data is not None
        age = reading.age_s(self._mono)
        reports: Reading[Mapping[str, SignerReport]] | None = self._look.board.get("probes/signers")
        unreported = doubt(reports, "what signer agents report", self._mono)
        told = reports.data or {} if reports is not None else {}
        found = signer_differences(reading.data, told)
        if found:
            return Value(float(len(found)), "", age, {"first": found[0]})
        quarrel = self._agreed("signer set")
        if quarrel or unreported is not None:
            reason = quarrel or (unreported.reason if unreported is not None else "")
            return Value(None, reason, age, off=not quarrel and unreported is not None and unreported.off)
        return Value(0.0, "", age)


def _behind(status: EndpointStatus) -> float | None:
    return float(status.behind) if status.behind is not None else None


def unfit(reading: Reading[EndpointStatus], mono: float) -> str:
    """Why the endpoint is not fit for use, or an empty string."""
    state, status = reading.state(mono), reading.data
    if state is SourceState.STARTING or status is None:
        return reading.reason(mono) if reading.fault is not None else ""
    if state is not SourceState.LIVE:
        return reading.reason(mono) or state.value
    if status.foreign:
        return f"is on {status.cluster}"
    if status.health not in ("ok", ""):
        return status.health
    if (status.error_ratio or 0.0) >= BAD_ERROR_RATIO:
        return f"{100 * (status.error_ratio or 0.0):.0f} % of requests fail"
    return f"{status.behind} slots behind" if (status.behind or 0) >= BAD_SLOTS else ""


def _oldest(seen: ProgramActivity) -> Mapping[str, str] | None:
    overdue = [commit for commit in seen.pending if commit.overdue]
    return {"market": overdue[0].market, "epoch": overdue[0].epoch} if overdue else None


_VALUES: Mapping[str, Callable[[SolanaValues], Value]] = {
    "behind": SolanaValues.behind,
    "endpoints-bad": SolanaValues.bad_endpoints,
    "endpoint-latency-p95": SolanaValues.latency,
    "endpoint-errors": SolanaValues.errors,
    "throttled": SolanaValues.throttled,
    "commits": lambda values: values.rate(lambda seen: seen.commits),
    "reveals": lambda values: values.rate(lambda seen: seen.reveals),
    "failed": lambda values: values.rate(lambda seen: seen.failed, floor=True),
    "pending": SolanaValues.pending,
    "pending-oldest": SolanaValues.pending_oldest,
    "slots-since-publish": SolanaValues.slots_since_publish,
    "signature-failures": lambda values: values.failures(INVALID_SIGNATURES),
    "reveal-failures": lambda values: values.failures(REVEAL_FAILS),
    "replay-failures": lambda values: values.failures(REPLAY_PROTECTION),
    "paused": SolanaValues.paused,
    "signer-set-mismatch": SolanaValues.signer_set_mismatch,
    "disagreements": SolanaValues.disagreements,
}

SOLANA = Family("solana", "Solana is", SolanaValues, plain=tuple(f"solana.{name}" for name in _VALUES))
