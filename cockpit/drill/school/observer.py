"""Applies the cockpit's own rules to the world, without the network.

The same evaluator, matcher and verification, fed from the simulation's samples and objects.

The referee judges a drill's recovery with it, and the tests the scenarios.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from cockpit.assessment.assessor import Assessor
from cockpit.assessment.board import Board
from cockpit.assessment.signals import AGAINST_ONSETS
from cockpit.drill.kubernetes.objects import resources
from cockpit.drill.kubernetes.objects.resources import Resource
from cockpit.drill.names import SIGNER_SET_ID, SUBMITTER
from cockpit.drill.prometheus.promql import evaluate
from cockpit.drill.world import World
from cockpit.model.observed.chain import SignerSetState
from cockpit.model.observed.metrics import History, QueryResult, Sample
from cockpit.model.reading import Reading
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.sources.kubernetes.kinds import CONFIGMAPS, KINDS
from cockpit.sources.probes.signer_set import TOGGLE
from cockpit.sources.prometheus.values import BY_SIGNER

HISTORY_STEP_S = 30.0
NORMALS_EVERY_S = 600.0
NORMALS_S = 7200.0
_KINDS = {kind.plural: kind for kind in (*KINDS, CONFIGMAPS)}
_WATCHED = {
    "pods": resources.PODS,
    "deployments": resources.DEPLOYMENTS,
    "statefulsets": resources.STATEFULSETS,
    "replicasets": resources.REPLICASETS,
    "configmaps": resources.CONFIGMAPS,
    "networkpolicies": resources.NETWORKPOLICIES,
}


class Observer:
    """Assesses the world as the cockpit would.

    `only`: the signals to read (None: all that Prometheus and Kubernetes can tell), with those that
    they are only told with; the others stay unknown. `window_s`: what is counted over minutes is
    counted over so many seconds: what is new.
    """

    def __init__(
        self, world: World, runbooks: Runbooks, only: Collection[str] | None = None, *, window_s: float | None = None
    ) -> None:
        self.world = world
        self._runbooks = runbooks
        self._window_s = window_s
        if only is not None and any(runbooks.signals[name].value in AGAINST_ONSETS for name in only):
            only = None  # held against when any other turned bad: they are all needed
        beside = {known.only_with for name, known in runbooks.signals.items() if only is None or name in only}
        self._signals = {
            name: signal
            for name, signal in runbooks.signals.items()
            if only is None or name in only or name in beside  # without it, nothing is known to be well
        }
        self._seen: dict[str, tuple[str, Any]] = {}  # uid → (resourceVersion, as the cockpit reads it)
        self._usual: dict[str, QueryResult] = {}
        self._usual_at = 0.0
        self._assessor = Assessor(
            runbooks,
            world.clock,
            context="drill",
            namespaces=(world.kube.namespace,),
            production=True,
            read_only=True,
            configured=frozenset({"kubernetes", "prometheus"}),
        )

    def snapshot(self) -> Situation:
        """Return the situation now.

        Levels that must hold for a while need one snapshot before and one after.
        """
        return self._assessor.assess(self.board())

    def board(self) -> Board:
        """Return what the cockpit would have read by now."""
        board = Board()
        now, mono = self.world.clock.now(), self.world.clock.mono()
        for name, signal in self._signals.items():
            if signal.promql is not None:
                asked = signal.promql if self._window_s is None else shortened(signal.promql, self._window_s)
                result = self._ask(asked, 0.0, now)
                board.put(
                    Reading(f"prometheus/signals/{name}", result, mono, max_age_s=signal.max_age, server_time=now)
                )
        if any((signal.value or "").startswith("prometheus.") for signal in self._signals.values()):
            query = self._runbooks.queries[BY_SIGNER]
            asked = query.promql if self._window_s is None else shortened(query.promql, self._window_s)
            result = self._ask(asked, 0.0, now)
            board.put(
                Reading(f"prometheus/queries/{BY_SIGNER}", result, mono, max_age_s=query.max_age, server_time=now)
            )
            board.put(Reading("solana/signer-set", self._signer_set(), mono, server_time=now))
        for name, usual in self._normals(now).items():
            board.put(Reading(f"baselines/{name}", usual, mono, max_age_s=3600.0, server_time=now))
        for plural, res in _WATCHED.items():
            topic = f"kubernetes/{plural}/{self.world.kube.namespace}"
            board.put(Reading(topic, self._objects(plural, res), mono, server_time=now))
        return board

    def _signer_set(self) -> SignerSetState | None:
        """Return the set that the submitter uses, as the authority made it."""
        number = next((pod.env.get(TOGGLE, "") for pod in self.world.fleet.working(SUBMITTER)), "") or SIGNER_SET_ID
        made = self.world.authority.signer_sets.get(int(number)) if number.isdecimal() else None
        return None if made is None else SignerSetState("", made.number, made.threshold, made.pubkeys, True, 0, 0)

    def _normals(self, now: float) -> dict[str, QueryResult]:
        """Read what is normal, of the world's whole past; anew each ten minutes, as the cockpit."""
        if not self._usual or now - self._usual_at >= NORMALS_EVERY_S:
            self._usual_at = now
            self._usual = {
                name: self._ask(signal.promql, min(signal.normal_s, NORMALS_S), now)
                for name, signal in self._signals.items()
                if signal.promql is not None and signal.normal_s is not None
            }
        return self._usual

    def _ask(self, promql: str, past_s: float, now: float) -> QueryResult:
        steps = [now - HISTORY_STEP_S * i for i in range(int(past_s // HISTORY_STEP_S), -1, -1)]
        rows = evaluate(self.world.store, promql, steps)
        assert isinstance(rows, list)  # every signal is a vector: the schema's own rule
        return QueryResult(
            samples=tuple(Sample(dict(labels), column[-1]) for labels, column in rows if column[-1] is not None),
            history=tuple(
                History(dict(labels), tuple((t, v) for t, v in zip(steps, column, strict=True) if v is not None))
                for labels, column in rows
            ),
            evaluated_at=now,
        )

    def _objects(self, plural: str, res: Resource) -> dict[Any, Any]:
        kind = _KINDS[plural]
        found = {}
        for stored in self.world.kube.store.select(res, self.world.kube.namespace):
            meta = stored.obj["metadata"]
            known = self._seen.get(meta["uid"])
            if known is None or known[0] != meta["resourceVersion"]:
                known = (meta["resourceVersion"], kind.convert(kind.decoder.decode(stored.item())))
                self._seen[meta["uid"]] = known
            found[kind.key(known[1])] = known[1]
        return found


_COUNT = re.compile(r'increase\(((?:"[^"]*"|[^"\[\]])*)\[(\d+)([smh])\]\)')
_RANGE = re.compile(r"\[(\d+)([smh])\]")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def shortened(promql: str, window_s: float) -> str:
    """Return the query with no window longer than this; what counts events counts as many."""

    def count(match: re.Match[str]) -> str:
        long_s = float(match[2]) * _SECONDS[match[3]]
        short = f"increase({match[1]}[{window_s:.0f}s])"
        return match[0] if long_s <= window_s else f"({short} * {long_s / window_s:g})"

    def window(match: re.Match[str]) -> str:
        return match[0] if float(match[1]) * _SECONDS[match[2]] <= window_s else f"[{window_s:.0f}s]"

    return _RANGE.sub(window, _COUNT.sub(count, promql))
