"""R8, R12: `status` asks again what failed, and says one reason once."""

from __future__ import annotations

from threading import Event
from types import SimpleNamespace
from typing import Any

from cockpit.assessment.board import Board
from cockpit.assessment.match import match
from cockpit.assessment.signals import Evaluator
from cockpit.assessment.verdicts.stages import stages
from cockpit.clock import SystemClock
from cockpit.commands import status
from cockpit.commands.status import as_json, as_text, first_situation
from cockpit.model.observed.cluster import Cluster
from cockpit.model.reading import SourceState
from cockpit.model.signal import Level
from cockpit.model.situation import Publishing, SourceLight
from cockpit.runbooks import schema
from cockpit.sources.prometheus.queries import query_specs
from tests.support.kube_rig import status as sample_signal


def situation(light: SourceLight, **signals: Any) -> Any:
    return SimpleNamespace(
        context="c",
        namespaces=("n",),
        sources=(light,),
        signals=signals,
        stages=(),
        services=(),
        matches=(),
        publishing=Publishing(),
        mono=100.0,
        solana={},
    )


def session(*found: Any) -> Any:
    class Session:
        engine = SimpleNamespace(located=Event())
        runbooks = SimpleNamespace(signals={})

        def __init__(self) -> None:
            self.left = list(found)

        @property
        def situation(self) -> Any:
            return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    Session.engine.located.set()
    return Session()


DOWN = SourceLight("prom", SourceState.DOWN, None, "HTTP 503: starting")
PART = SourceLight("prom", SourceState.STALE, 1.0, "1 of 9 failed", parts=(("signals/x", SourceState.DOWN, "500"),))
WELL = SourceLight("prom", SourceState.LIVE, 1.0)


def test_the_first_failed_answer_is_not_the_last_word() -> None:
    """R8: it has 12 s, and printed UNKNOWN after the first 503."""
    for failed in (DOWN, PART):
        found = first_situation(session(*[situation(failed)] * 3, situation(WELL)), read_back=True)
        assert found.sources == (WELL,)


def test_what_stays_down_is_said_when_patience_is_over(monkeypatch: Any) -> None:
    assert first_situation(session(situation(DOWN)), 0.0, read_back=True).sources == (DOWN,)
    monkeypatch.setattr(status, "SECOND_TRY_S", 0.0)
    assert first_situation(session(situation(PART), situation(WELL)), read_back=True).sources == (PART,)


def test_many_signals_with_one_reason_are_one_line() -> None:
    """R12: without Prometheus there were 45 lines of the same UNKNOWN."""
    why = "Prometheus: cannot reach it"
    blind = {f"s{n}": sample_signal(f"s{n}", Level.UNKNOWN, None, reason=why) for n in range(45)}
    own = {"bad": sample_signal("bad", Level.CRIT, 9.0, reason=why), "odd": sample_signal("odd", Level.UNKNOWN, None)}
    text = as_text(situation(DOWN, **blind, **own))
    assert text.count(why) == 2 and f"  UNKNOWN 45 signals: {why}" in text.splitlines()


def test_a_signal_that_is_off_is_listed_and_is_neither_ok_nor_unknown() -> None:
    """R12: a metric that a stack does not have made its stage unknown for ever."""
    own = '[signals.signer-p95]\noff = "no histogram here"\n[signals.kms-errors]\noff = "no KMS"\n'
    runbooks, problems = schema.check(own, "mine.toml")
    assert runbooks is not None and not problems
    assert "signals/signer-p95" not in query_specs(runbooks) and "signals/signer-misses" in query_specs(runbooks)
    clock = SystemClock()
    found = Evaluator(runbooks, clock).evaluate(Board(), Cluster(), clock.wall())
    p95 = found["signer-p95"]
    assert (p95.off, p95.reason, p95.level) == (True, "no histogram here", Level.UNKNOWN)
    assert all(p95 not in stage.signals for stage in stages(runbooks, found))
    assert not any(s.symptom.signal == "signer-p95" for m in match(runbooks, found) for s in m.symptoms)
    text = as_text(situation(WELL, **found))
    assert "  off     signer-p95: no histogram here" in text and "  off     kms-errors: no KMS" in text
    assert as_json(situation(WELL, **{"signer-p95": p95}))["signals"]["signer-p95"]["off"] is True
