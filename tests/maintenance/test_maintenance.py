"""Rounds and the deploy checklist say what was measured with its bounds.

What is not known is never filled in.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as changed

from cockpit.clock import ManualClock
from cockpit.config import load_settings
from cockpit.journal.journal import Journal
from cockpit.journal.operator import Operator
from cockpit.maintenance import report
from cockpit.maintenance.chainfacts import authority, last_authority, rotation
from cockpit.maintenance.deploy import Deploying, deploy_lines
from cockpit.maintenance.findings import by_label, counted, over_time
from cockpit.maintenance.measure import Span, measured, summary, widened
from cockpit.maintenance.service import MaintenanceService
from cockpit.model.maintenance import Finding, Question, Round, RoundLine
from cockpit.model.observed.chain import MarketState, ProtocolState, SignerSetState
from cockpit.model.observed.cluster import Cluster, ConfigMap, ContainerTemplate, Pod, ReplicaSet, Workload
from cockpit.model.observed.metrics import History
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation, SourceLight
from cockpit.runbooks.own_commands import with_commands
from cockpit.runbooks.schema import load
from cockpit.settings import ConfigProblem, MaintenanceSettings
from tests.support.samples import records as samples
from tests.support.samples.cluster import sample_situation

RUNBOOKS = load()
NOW = 1_790_000_000.0
WEEK = Span(NOW - 7 * 86400.0, NOW)
DIGEST = "@sha256:" + "a" * 64


def ready(topic: str, data: Any = ()) -> Reading[Any]:
    return Reading(topic, data, 1000.0, server_time=NOW)


def situation(**more: Any) -> Situation:
    kinds = {f"{plural}/m0-prod": ready(plural) for plural in ("pods", "deployments", "replicasets", "configmaps")}
    return sample_situation(wall=NOW, mono=1000.0, **{"kinds": kinds, "runbooks": RUNBOOKS, **more})


def series(values: Sequence[float], span: Span = WEEK, **labels: str) -> History:
    step = span.step
    first = span.end - step * (len(values) - 1)
    return History(labels, tuple((first + i * step, value) for i, value in enumerate(values)))


class Prometheus:
    """Answers each query with what stands beside a word in it; all others with nothing."""

    def __init__(self, **answers: Sequence[History]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, promql: str, start: float, end: float, step: float) -> Sequence[History]:
        self.asked.append(promql)
        return next((found for word, found in self.answers.items() if word in promql), ())


def finding(name: str, prometheus: Prometheus | None, now: Situation | None = None, *, trend: bool = False) -> Finding:
    found = asyncio.run(over_time(name, RUNBOOKS, prometheus, WEEK, now or situation(), trend=trend))
    return found[0]


# --- measuring ------------------------------------------------------------------------------------


def test_windows_are_widened_so_that_no_event_falls_between_two_points() -> None:
    assert (
        widened('60 * sum(rate(x_total{a=~"[Ss]ig.*"}[2m]))', 1800.0) == '60 * sum(rate(x_total{a=~"[Ss]ig.*"}[1800s]))'
    )
    assert widened("rate(x[1h])", 1800.0) == "rate(x[1h])"


@pytest.mark.parametrize("days", [7.0, 30.0])
def test_the_last_point_of_a_round_is_its_end_however_prometheus_adds_up_the_steps(days: float) -> None:
    asked: list[tuple[float, float, float]] = []

    async def ranges(_: str, start: float, end: float, step: float) -> Sequence[History]:
        asked.append((start, end, float(f"{step:g}")))
        return ()

    asyncio.run(measured(ranges, "x", Span(NOW - days * 86400.0, NOW)))
    ((start, end, step),) = asked
    points = (end - start) / step
    assert (
        points == int(points) and 330 < points < 340 and NOW - days * 86400.0 < start < NOW - days * 86400.0 + 2 * step
    )


def test_a_week_in_a_few_numbers() -> None:
    one = summary(series([100.0] * 300 + [700.0] * 36), WEEK, RUNBOOKS.signals["signer-p95"])
    assert one is not None
    assert (one.median, one.p95, one.most, one.newest) == (100.0, 700.0, 700.0, 700.0)
    assert one.over == pytest.approx(36 / 336) and one.covered == 1.0
    low = summary(series([0.97] * 300 + [0.6] * 36), WEEK, RUNBOOKS.signals["coverage"])
    assert (
        low is not None and (low.median, low.p95, low.most) == (0.97, 0.6, 0.6) and low.over == pytest.approx(36 / 336)
    )


def test_what_is_no_number_does_not_count() -> None:
    assert summary(series([math.nan, math.inf]), WEEK) is None
    one = summary(series([math.nan] * 168 + [5.0] * 168), WEEK)
    assert one is not None and one.median == 5.0 and one.covered == pytest.approx(0.5)


def test_out_of_bounds_wants_attention_and_says_for_how_long() -> None:
    shown = finding("signer-p95", Prometheus(m0_signer=[series([100.0] * 300 + [700.0] * 36)]))
    assert shown.state == "attention" and "out of bounds 11 % of the time" in shown.words


def test_a_short_memory_is_said_and_is_not_well() -> None:
    """U11, B22: the weekly round said "ok" on 90 minutes of seven days."""
    shown = finding("signer-p95", Prometheus(m0_signer=[series([100.0] * 48)]))
    assert shown.state == "unknown" and "known for 24 h of 7 d" in shown.words


@pytest.mark.parametrize(("points", "state"), [(3, "unknown"), (250, "unknown"), (276, "ok"), (336, "ok")])
def test_well_wants_four_fifths_of_the_time(points: int, state: str) -> None:
    """U11, B22: of a signal, of a trend, of a table and of a count alike; what was bad was bad."""
    given = Prometheus(m0_signer=[series([1.0] * points)], m0_db_cpu=[series([40.0] * points)])
    assert finding("signer-p95", given).state == state
    assert finding("db-cpu", given, trend=True).state == state
    bad = Prometheus(m0_signer=[series([7000.0] * points)])
    assert finding("signer-p95", bad).state == "attention"
    label = asyncio.run(by_label("signer-p95", "p95", "signer", RUNBOOKS, given, WEEK))
    assert {one.state for one in label} == {state}
    none = Prometheus(m0_signer=[series([0.0] * points)])
    count = asyncio.run(counted("signer-misses", "misses", RUNBOOKS, none, WEEK))
    assert [one.state for one in count] == [state]


def test_nothing_measured_is_unknown_with_its_reason() -> None:
    assert finding("signer-p95", None) == Finding(
        "unknown", "Signature collection p95: not known: no Prometheus is configured"
    )
    assert "keeps nothing of that time" in finding("signer-p95", Prometheus()).words

    async def broken(*_: Any) -> Sequence[History]:
        raise OSError("connection refused")

    found = asyncio.run(over_time("signer-p95", RUNBOOKS, broken, WEEK, situation()))
    assert found == [Finding("unknown", "Signature collection p95: not known: connection refused")]


def test_a_trend_says_when_the_bound_is_reached() -> None:
    rising = [40.0 + 20.0 * i / 335 for i in range(336)]
    shown = finding("db-cpu", Prometheus(m0_db_cpu=[series(rising)]), trend=True)
    assert shown.state == "ok" and "trend +20.1 % a week: 80 % is reached in 1 week" in shown.words
    flat = finding("db-cpu", Prometheus(m0_db_cpu=[series([40.0] * 48)]), trend=True)
    assert "too little is kept to tell a trend" in flat.words


def test_a_value_that_has_no_history_is_reported_as_it_is_now() -> None:
    def now(level: Level, reason: str = "") -> Situation:
        return situation(
            signals={
                "pg-pitr": SignalStatus(
                    name="pg-pitr", title="PITR works", level=level, value=1.0, unit="", reason=reason
                )
            }
        )

    assert finding("pg-pitr", None, now(Level.OK)).state == "ok"
    assert finding("pg-pitr", None, now(Level.CRIT, "0: crit")).state == "attention"
    assert finding("pg-pitr", None, now(Level.UNKNOWN, "postgres: down")) == Finding(
        "unknown", "PITR works: postgres: down"
    )


# --- rounds ---------------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.open(tmp_path / "journal.jsonl", wall=lambda: NOW - 86400.0)


def rounds(
    journal: Journal | None, now: Situation, ranges: Any = None, tmp_path: Path | None = None, **settings: Any
) -> MaintenanceService:
    return MaintenanceService(
        runbooks=lambda: RUNBOOKS,
        situation=lambda: now,
        clock=ManualClock(NOW),
        operator=Operator.current,
        state_dir=tmp_path or Path(),
        settings=MaintenanceSettings(**settings),
        ranges=ranges,
        journal=journal,
    )


def answered(journal: Journal, runbook: str, step: str, text: str) -> None:
    from cockpit.mitigation.sending import records

    words = f"runbook {runbook}, {step}: {text}"
    journal.append(records.answer(words, Operator.current(), runbook=runbook, step=step, item=None, choice="", of=None))


def test_the_weekly_round_has_every_line_of_the_document_and_asks_what_only_people_know(journal: Journal) -> None:
    answered(journal, "routine-maintenance", "weekly-keys", "rotated the news feed's")
    prometheus = Prometheus(
        m0_signer_threshold=[series([2.0] * 336)],
        m0_signer_latency=[series([180.0] * 336, signer="signer-0")],
        result=[series([0.001] * 336, endpoint="rpc-a")],
    )
    made = asyncio.run(rounds(journal, situation(), prometheus).make("weekly"))
    assert [line.item for line in made.lines] == [f"15.weekly.{n}" for n in range(1, 6)]
    lines = {line.item: line for line in made.lines}
    signers = [f.words for f in lines["15.weekly.1"].findings]
    assert any("20,160 threshold misses" in words for words in signers)  # two a minute for a week
    assert any(words.startswith("p95 of signer-0: median 180 ms") for words in signers)
    keys = lines["15.weekly.5"].question
    assert keys is not None and keys.fresh and keys.answer == "rotated the news feed's"
    assert lines["15.weekly.5"].state == "answered"
    asked = {q.step for line in made.lines if (q := line.question) is not None and not q.fresh}
    assert asked == {"test-restore", "weekly-rpc-costs"}


def test_an_old_answer_is_shown_and_asked_again(tmp_path: Path) -> None:
    old = Journal.open(tmp_path / "old.jsonl", wall=lambda: NOW - 20 * 86400.0)
    answered(old, "routine-maintenance", "weekly-keys", "none due")
    answered(old, "backup-restore", "test-restore", "42 minutes")
    made = asyncio.run(rounds(old, situation()).make("weekly"))
    shown = {q.step: q for line in made.lines if (q := line.question) is not None}
    assert (shown["weekly-keys"].fresh, shown["weekly-keys"].answer) == (False, "none due")
    assert shown["test-restore"].fresh  # a restore drill of three weeks ago counts still


def test_the_monthly_round_goes_through_the_weekly_lines_too() -> None:
    made = asyncio.run(rounds(None, situation()).make("monthly"))
    assert [line.item for line in made.lines][:3] == ["15.monthly.1", "15.monthly.2", "15.monthly.3"]
    assert len(made.lines) == 8 and made.since == NOW - 30 * 86400.0
    assert made.notes and all(line.state in ("unknown", "ask") for line in made.lines)


def chain(**more: Any) -> Situation:
    held = {
        "protocol": ready(
            "p",
            ProtocolState(
                address="P",
                paused=False,
                authority="AuthorityKey",
                next_signer_set_id=101,
                default_reveal_delay_slots=10,
                slot=5,
            ),
        ),
        "signer-set": ready(
            "s",
            SignerSetState(
                address="S",
                signer_set_id=100,
                threshold=5,
                pubkeys=tuple("abcdefg"),
                active=True,
                created_at_slot=1000,
                slot=1000 + 216_000 * 30,
            ),
        ),
    }
    return situation(solana={**held, **more}, configured=frozenset({"solana"}))


def test_the_authority_on_the_chain_is_compared_with_the_last_round(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j.jsonl")
    service = rounds(journal, chain(), None, tmp_path)
    first = asyncio.run(service.make("monthly"))
    assert any("no earlier round" in f.words for f in first.lines[1].findings)
    service.keep(first)
    assert last_authority(journal.records()) == "AuthorityKey" and journal.verify() == []
    again = authority(chain(), journal.records())
    assert again[0] == Finding("ok", "Program authority AuthorityKey, as at the last round")
    other = authority(
        chain(
            protocol=ready(
                "p",
                ProtocolState(
                    address="P",
                    paused=True,
                    authority="Thief",
                    next_signer_set_id=101,
                    default_reveal_delay_slots=10,
                    slot=5,
                ),
            )
        ),
        journal.records(),
    )
    assert [f.state for f in other[:2]] == ["attention", "attention"]


def test_the_signer_sets_age_and_what_is_not_known_of_it() -> None:
    assert rotation(chain())[0].words == "Signer set 100: 5 of 7 keys, made about 30 d ago (slot 1,000)"
    fault: Reading[Any] = Reading("s", None, fault=Fault(SourceState.DOWN, "rpc-a refuses"))
    assert rotation(chain(**{"signer-set": fault}))[0] == Finding(
        "unknown", "Active signer set: not known: rpc-a refuses"
    )
    assert rotation(situation())[0].state == "unknown"


# --- the report -----------------------------------------------------------------------------------


def test_the_report_is_dated_private_and_says_what_is_not_known(tmp_path: Path) -> None:
    lines = (
        RoundLine(
            "15.weekly.1",
            "signers",
            (Finding("ok", "p95 180 ms"), Finding("unknown", "misses: not known: no Prometheus")),
        ),
        RoundLine(
            "15.weekly.5",
            "keys",
            (),
            Question(
                runbook="routine-maintenance",
                step="weekly-keys",
                text="Which keys?",
                answer="`rm` [x](y)\x1b[2J",
                who="ann",
                answered=NOW,
            ),
        ),
    )
    made = Round(
        name="weekly",
        title="Weekly round",
        place="prod-eu/m0-prod",
        operator="ann",
        wall=NOW,
        at=NOW,
        since=NOW - 7 * 86400.0,
        lines=lines,
    )
    path = report.write(tmp_path / "state", made)
    assert path.name == "maintenance-weekly-2026-09-21.md" and path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert "## 15.weekly.1 signers: **NOT KNOWN**" in text and "misses: not known: no Prometheus" in text
    assert "Not answered for this round; the last answer" in text
    assert "\x1b" not in text and "[x](" not in text


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    from cockpit.maintenance.service import RoundProblem

    made = asyncio.run(rounds(None, situation(), None, tmp_path).make("deploy"))
    with pytest.raises(RoundProblem, match="cannot be written"):
        rounds(None, situation(), None, tmp_path / "journal").keep(made, tmp_path / "none" / "x.md")
    with pytest.raises(RoundProblem, match="there is no round"):
        asyncio.run(rounds(None, situation()).make("yearly"))


# --- the deploy checklist -------------------------------------------------------------------------


def deploy(now: Situation, runbooks: Runbooks = RUNBOOKS, **more: Any) -> dict[str, RoundLine]:
    return {line.item: line for line in deploy_lines(Deploying(now, runbooks, (), NOW, **more))}


def pod(owner: str, phase: str, kind: str = "Job", age_s: float = 600.0) -> Pod:
    made = samples.pod(owner, owner + "-x1", owner_kind=kind, owner_name=owner, phase=phase)
    return changed(made, uid=owner + phase, created_at=NOW - age_s)


def workload(name: str) -> Workload:
    return changed(samples.workload(name), uid=name, containers=(ContainerTemplate(name, "img" + DIGEST),))


def replicaset(name: str, revision: int, image: str) -> ReplicaSet:
    made = situation().cluster_now - 86400.0 * (9 - revision)
    return ReplicaSet(
        uid=f"{name}-{revision}",
        namespace="m0-prod",
        name=f"{name}-{revision}",
        owner_name=name,
        revision=revision,
        created_at=made,
        desired=1,
        ready=1,
        images=(image,),
    )


@pytest.mark.parametrize(
    ("pods", "state"),
    [
        ([], "ask"),
        ([pod("m0-migrate-7", "Succeeded")], "ok"),
        ([pod("m0-migrate-7", "Failed")], "attention"),
        ([pod("m0-migrate-7", "Running")], "unknown"),
        ([pod("m0-migrate-8", "Failed", age_s=60.0), pod("m0-migrate-7", "Succeeded")], "attention"),
        ([pod("m0-migrator", "Running", "ReplicaSet")], "ask"),
    ],
)
def test_migrations_are_reported_by_the_newest_job(pods: list[Pod], state: str) -> None:
    now = situation(cluster=Cluster(pods={p.uid: p for p in pods}))
    assert deploy(now)["16.deploy.1"].state == state


def test_pods_that_cannot_be_seen_are_no_answer() -> None:
    blind: dict[str, Reading[Any]] = {
        "pods/m0-prod": Reading("pods", None, fault=Fault(SourceState.DENIED, "may not list pods"))
    }
    line = deploy(situation(kinds=blind))["16.deploy.1"]
    assert line.state == "unknown" and "may not list pods" in line.findings[0].words


def config(**data: str) -> Situation:
    return situation(
        cluster=Cluster(
            configmaps={("m0-prod", "m0-engine-config"): ConfigMap("m0-prod", "m0-engine-config", "1", data)}
        )
    )


def test_configs_are_valid_when_the_runbooks_are_and_every_key_is_known() -> None:
    assert deploy(config(M0_GUARDRAIL_POLICY_LEVEL="STRICT", M0_EXPECTED_SOURCES="4"))["16.deploy.2"].state == "ok"
    strange = deploy(config(M0_GARDRAIL_POLICY_LEVEL="FAST"))["16.deploy.2"]
    assert strange.state == "attention"
    assert any("M0_GARDRAIL_POLICY_LEVEL" in found.words for found in strange.findings if found.state == "attention")
    broken = changed(RUNBOOKS, problems=("mine.toml:3: signals.x.warn: expected a number",))
    assert deploy(config(), broken)["16.deploy.2"].state == "attention"
    assert deploy(situation())["16.deploy.2"].state == "unknown"


def markets(**active: bool) -> Situation:
    held = {
        name: MarketState(address=name, market_id=name, domain="Sports", active=on, current_epoch_id=1, last_sequence=1)
        for name, on in active.items()
    }
    return situation(solana={"markets": ready("m", held)}, configured=frozenset({"solana"}))


@pytest.mark.parametrize(
    ("active", "state"),
    [
        ({"A": True, "B": False}, "ok"),
        ({"A": True, "B": True}, "attention"),
        ({"A": False, "B": False}, "attention"),
        ({"B": False}, "attention"),
    ],
)
def test_the_canary_publishes_and_nothing_else_does(active: dict[str, bool], state: str) -> None:
    assert deploy(markets(**active), canaries=("A",))["16.deploy.3"].state == state


def test_without_named_canaries_it_is_asked_and_without_the_chain_it_is_unknown() -> None:
    assert deploy(situation())["16.deploy.3"].state == "ask"
    assert deploy(situation(), canaries=("A",))["16.deploy.3"].state == "unknown"


def test_dashboards_are_monitored_when_every_configured_source_answers() -> None:
    live, off = SourceLight("k8s", SourceState.LIVE, 1.0), SourceLight("pg", SourceState.OFF, None)
    line = deploy(situation(sources=(live, off)))["16.deploy.4"]
    assert line.state == "ask" and line.findings == (Finding("ok", "live: k8s"),), "who watches, people know"
    down = SourceLight("prom", SourceState.DOWN, 40.0, "refused")
    line = deploy(situation(sources=(live, down)))["16.deploy.4"]
    assert line.state == "unknown" and "prom: down, refused" in line.findings[-1].words
    assert deploy(situation())["16.deploy.4"].state == "unknown"


@pytest.mark.parametrize(("older", "state"), [(["img" + DIGEST], "ok"), ([], "attention"), (["img:v1"], "attention")])
def test_a_way_back_is_an_older_revision_with_a_pinned_image(older: list[str], state: str) -> None:
    sets = [replicaset("m0-quant", i + 1, image) for i, image in enumerate([*older, "new" + DIGEST])]
    cluster = Cluster(
        workloads={("m0-prod", "m0-quant"): workload("m0-quant")}, replicasets={("m0-prod", s.name): s for s in sets}
    )
    only = changed(RUNBOOKS, services={"m0-quant": RUNBOOKS.services["m0-quant"]})
    assert deploy(situation(cluster=cluster), only)["16.deploy.5"].state == state


# --- configuration --------------------------------------------------------------------------------


def settings(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load_settings(config=str(path), env={})


def test_a_configured_restore_command_takes_the_questions_place(tmp_path: Path) -> None:
    assert RUNBOOKS.step("14", "14.restore.2")[1].kind == "manual"
    own = settings(tmp_path, '[restore]\nargv = ["pgbackrest", "--target={time}", "restore"]\ntimeout = 1800\n')
    _, step = with_commands(RUNBOOKS, own).step("14", "14.restore.2")
    assert (step.kind, step.argv[0], step.params[0].name, step.dangerous) == ("command", "pgbackrest", "time", True)
    fixed = settings(tmp_path, '[restore]\nargv = ["restore-latest"]\n')
    assert with_commands(RUNBOOKS, fixed).step("14", "14.restore.2")[1].params == ()
    assert with_commands(RUNBOOKS, replace(own, restore=type(own.restore)())) is RUNBOOKS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[restore]\nargv = ["x", "{where}"]', "only {time}"),
        ("[restore]\ntimeout = 0", "timeout"),
        ('[maintenance]\nmigration-jobs = "("', "regular expression"),
        ("[maintenance]\ncanaries = []", "canaries"),
    ],
)
def test_a_wrong_setting_is_said(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigProblem) as problem:
        settings(tmp_path, text)
    assert words in problem.value.reason
