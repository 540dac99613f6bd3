"""Gives values of the probes by name (`probes.output-age`), or says why they are unknown.

What is known to be bad counts though the rest is unknown; what looks well counts only when all of
it is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cockpit.model.observed.chain import SignerSetState
from cockpit.model.observed.probe import MarketOutput, ProbeStatus, ServedBundle, SignerReport
from cockpit.model.reading import NOTHING_READ, Known, Reading, Unknown, believed
from cockpit.sources.probes.signer_set import TOGGLE, compare
from cockpit.sources.values import Family, Snapshot, Value, doubt, unknown

PREFIX = "probes/"
#: Words of a health answer that speak of the database.
_DATABASE = re.compile(r"(?i)\b(?:database|postgres(?:ql)?|db)\b")
_NAMES = (
    "unhealthy",
    "output-age",
    "epoch-stalled",
    "outputs-refused",
    "outputs-failing",
    "without-database",
    "bundles-invalid",
    "api-latency",
    "certificate-days",
    "signers-down",
    "signer-set-mismatch",
)


class ProbeValues:
    """Reads values from one snapshot; made for each evaluation, cheap."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._mono = snapshot.mono
        readings = {topic.removeprefix(PREFIX): r for topic, r in snapshot.board.under(PREFIX).items()}
        self._outputs = {t.removeprefix("output/"): r for t, r in readings.items() if t.startswith("output/")}
        self._signers = readings.get("signers")
        self._certificates = readings.get("certificates")
        self._readings = readings
        self._bundles = {t.removeprefix("bundle/"): r for t, r in readings.items() if t.startswith("bundle/")}
        whole = ("signers", "certificates", "source", "services", "outputs", "bundles")
        parts = ("output/", "bundle/")
        self._checks = {t: r for t, r in readings.items() if t not in whole and not t.startswith(parts)}
        self._broken = readings.get("source")

    def get(self, name: str) -> Value:
        """Return the value called `name`; the schema has checked that there is such a one."""
        found: Mapping[str, Callable[[], Value]] = {
            "unhealthy": self._unhealthy,
            "output-age": self._output_age,
            "epoch-stalled": self._stalled,
            "outputs-refused": self._outputs_refused,
            "outputs-failing": self._outputs_failing,
            "without-database": self._without_database,
            "bundles-invalid": self._bundles_invalid,
            "api-latency": self._latency,
            "certificate-days": self._certificate_days,
            "signers-down": self._signers_down,
            "signer-set-mismatch": self._mismatch,
        }
        return found[name.partition(".")[2]]()

    def _unhealthy(self) -> Value:
        failing: list[ProbeStatus] = []
        doubts = self._doubts(self._checks.items(), "services", "no service is probed")
        for reading in self._checks.values():
            found = believed(reading, self._mono, ProbeStatus)
            if isinstance(found, Known) and not found.data.ok:
                failing.append(found.data)
        if not failing and doubts is not None:
            return doubts
        age = self._oldest(self._checks.values())
        if not failing:
            return Value(0.0, "", age)
        first = failing[0]
        return Value(
            float(len(failing)), "", age, {"service": first.service, "check": first.check, "says": first.words}
        )

    def _bundles_invalid(self) -> Value:
        """Count the markets whose newest served bundle a consumer cannot verify."""
        held = believed(self._snapshot.board.get("solana/signer-set"), self._mono, SignerSetState)
        signers = held.data if isinstance(held, Known) else None
        wrong = {}
        for market, reading in self._bundles.items():
            found = believed(reading, self._mono, ServedBundle)
            why = _unverified(found.data, signers) if isinstance(found, Known) else ""
            if why:
                wrong[market] = why
        doubts = self._doubts(self._bundles.items(), "bundles", "no market's bundle is verified")
        if not wrong and doubts is not None:
            return doubts
        market = next(iter(wrong), "")
        labels = {"market": market, "why": wrong[market]} if wrong else None
        return Value(float(len(wrong)), "", self._oldest(self._bundles.values()), labels)

    def _output_age(self) -> Value:
        """Return the age of the worst market's output.

        An output whose age is not known is a doubt, not an age.
        """

        def age_of(output: Known[MarketOutput]) -> float | None:
            return None if output.data.age_s is None else output.data.age_s + output.age_s

        return self._worst_output(age_of, "age")

    def _stalled(self) -> Value:
        """Return the time since any market advanced: the least of all."""
        known = self._known_outputs()
        if isinstance(known, Value):
            return known
        since = {m: self._mono - at for m, o in known.items() if (at := o.data.advanced_at) is not None}
        if not since:
            return Value(None, "no market's epoch or tick is known", self._oldest(self._outputs.values()))
        best = min(since, key=lambda market: since[market])
        return Value(max(0.0, since[best]), "", self._oldest(self._outputs.values()), {"market": best})

    def _outputs_refused(self) -> Value:
        """Count markets whose output is not served: what is known to be refused counts at once."""
        found = {market: believed(r, self._mono, MarketOutput) for market, r in self._outputs.items()}
        refused = {m: o for m, o in found.items() if isinstance(o, Known) and o.data.status >= 500}
        age = self._oldest(self._outputs.values())
        if refused:
            market, first = next(iter(refused.items()))
            return Value(float(len(refused)), "", age, {"market": market, "says": first.data.words})
        return self._doubts(self._outputs.items(), "outputs", "no market's output is asked for") or Value(0.0, "", age)

    def _outputs_failing(self) -> Value:
        """Return the share of markets whose output a client does not get, for whatever reason.

        A gateway that nobody can connect to gives none either; a proxy of ours that is not set up
        (a certificate, a name that does not resolve) shows in the reason.
        """
        if not self._outputs:
            return self._nothing("outputs", "no market's output is asked for")
        found = {market: believed(r, self._mono, MarketOutput) for market, r in self._outputs.items()}
        starting = [m for m, one in found.items() if isinstance(one, Unknown) and one.starting]
        if starting:
            return Value(None, f"{starting[0]}: not asked yet", starting=True)
        failing = {
            market: one.reason if isinstance(one, Unknown) else one.data.words
            for market, one in found.items()
            if isinstance(one, Unknown) or one.data.status >= 500
        }
        share = 100.0 * len(failing) / len(found)
        market, says = next(iter(failing.items()), ("", ""))
        labels = {"markets": f"{len(failing)} of {len(found)}", "market": market, "says": says} if failing else None
        return Value(share, "", 0.0, labels)

    def _without_database(self) -> Value:
        """Count services that say of themselves that they have no database."""
        doubts = self._doubts(self._checks.items(), "services", "no service is probed")
        saying = [
            found.data
            for reading in self._checks.values()
            if isinstance(found := believed(reading, self._mono, ProbeStatus), Known)
            and not found.data.ok
            and _DATABASE.search(found.data.words)
        ]
        if not saying and doubts is not None:
            return doubts
        labels = {"service": saying[0].service, "says": saying[0].words} if saying else None
        return Value(float(len({one.service for one in saying})), "", self._oldest(self._checks.values()), labels)

    def _latency(self) -> Value:
        return self._worst_output(lambda output: output.data.took_ms, "latency")

    def _worst_output(self, of: Callable[[Known[MarketOutput]], float | None], what: str) -> Value:
        known = self._known_outputs()
        if isinstance(known, Value):
            return known
        numbers = {market: of(output) for market, output in known.items()}
        there = {market: number for market, number in numbers.items() if number is not None}
        age = self._oldest(self._outputs.values())
        missing = next((market for market, number in numbers.items() if number is None), None)
        if missing is not None or not there:
            why = known[missing].data.words if missing is not None else ""
            return Value(None, f"{missing}: no {what} known" + (f": {why}" if why else ""), age)
        worst = max(there, key=lambda market: there[market])
        return Value(there[worst], "", age, {"market": worst})

    def _known_outputs(self) -> dict[str, Known[MarketOutput]] | Value:
        """Return every market's output, or why not: one that is not known may be the worst."""
        doubts = self._doubts(self._outputs.items(), "outputs", "no market's output is asked for")
        if doubts is not None:
            return doubts
        found = {market: believed(r, self._mono, MarketOutput) for market, r in self._outputs.items()}
        paused = self._snapshot.paused.names
        return {m: output for m, output in found.items() if isinstance(output, Known) and m not in paused}

    def _certificate_days(self) -> Value:
        """Return the days left of the certificate that ends first.

        One that could not be verified is unknown, unless another's is known to be bad already.
        """
        found = believed(self._certificates, self._mono)
        if self._certificates is None or found.off:
            return self._nothing("certificates", "no https host has presented a certificate")
        if isinstance(found, Unknown):
            return unknown(found, "certificates")
        seen = found.data
        worst = min(seen.known.values(), key=lambda one: one.days_left, default=None)
        if seen.refused and (worst is None or worst.days_left > 0):
            return Value(None, f"certificates: {seen.refused}", found.age_s)
        if worst is None:
            return Value(None, "no https host has presented a certificate", found.age_s)
        return Value(worst.days_left, "", found.age_s, {"host": worst.host})

    def _signers_down(self) -> Value:
        reports = self._reports()
        if isinstance(reports, Value):
            return reports
        down = [report for report in reports.values() if not report.ok]
        age = believed(self._signers, self._mono).age_s
        labels = {"agent": down[0].agent, "says": down[0].words} if down else None
        return Value(float(len(down)), "", age, labels)

    def _mismatch(self) -> Value:
        """Count differences between chain, agents and cluster.

        Unknown without chain, or without anything beside it.
        """
        reading = self._snapshot.board.get("solana/signer-set")
        chain = believed(reading, self._mono, SignerSetState)
        if isinstance(chain, Unknown):
            return unknown(chain, "the signer set on the chain")
        reports = self._reports()
        if isinstance(reports, Value):
            return reports
        variables = {w.name: w.env(TOGGLE) for w in self._snapshot.cluster.workloads.values()}
        configured = {name: found.value for name, found in variables.items() if found is not None and found.value}
        differences = compare(chain.data, reports, configured)
        age = self._oldest([each for each in (reading, self._signers) if each is not None])
        if differences:
            return Value(float(len(differences)), "", age, {"first": differences[0].words})
        deployments = self._snapshot.board.under("kubernetes/deployments/").items()
        blind = self._doubts(deployments, "", f"deployments: {NOTHING_READ}")
        if blind is not None:
            return blind
        silent = next((report for report in reports.values() if report.pubkey is None), None)
        if silent is not None:
            return Value(None, f"{silent.agent}: {silent.words or 'no key reported'}", age)
        return Value(0.0, "", age)

    def _reports(self) -> Mapping[str, SignerReport] | Value:
        found: Known[Mapping[str, SignerReport]] | Unknown[Any] = believed(self._signers, self._mono)
        if self._signers is None or found.off:
            return self._nothing("signers", "no signer agent is asked")
        return unknown(found, "signer agents") if isinstance(found, Unknown) else found.data

    # --- what all have in common ---------------------------------------------------------------

    def _doubts(self, readings: Iterable[tuple[str, Reading[Any]]], kind: str, none: str) -> Value | None:
        """Return the first reason why not everything is known; None when all of it is live."""
        own = list(readings)
        if not own:
            return self._nothing(kind, none)
        found = [v for topic, r in own if (v := doubt(r, topic.replace("/", " "), self._mono)) is not None]
        if not found:
            return None
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return Value(None, found[0].reason + more, found[0].age_s, starting=found[0].starting)

    def _nothing(self, kind: str, words: str) -> Value:
        """Say why nothing was read of a kind.

        The source says that it is off, or is broken, or has only just begun.
        """
        said = believed(self._readings.get(kind), self._mono)
        if said.off:
            return Value(None, said.reason, off=True)
        broken = self._broken.believed(self._mono) if self._broken is not None else None
        if isinstance(broken, Unknown):
            return Value(None, broken.reason)
        return Value(None, words, starting=not self._readings)

    def _oldest(self, readings: Iterable[Reading[Any]]) -> float | None:
        return max((a for r in readings if (a := r.believed(self._mono).age_s) is not None), default=None)


def _unverified(served: ServedBundle, signers: SignerSetState | None) -> str:
    """Say why a consumer cannot verify a bundle; "" when it can, as far as that is known."""
    if served.wrong or signers is None or served.signer_set_id != signers.signer_set_id:
        return served.wrong
    known = len(set(served.keys) & set(signers.pubkeys))
    if known >= signers.threshold:
        return ""
    return f"{known} signatures of set {signers.signer_set_id}, {signers.threshold} needed"


FAMILY = Family(ProbeValues, plain=tuple(f"probes.{name}" for name in _NAMES))
