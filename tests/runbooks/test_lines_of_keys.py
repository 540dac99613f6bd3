"""Runbook 13 sees commits that are not ours, and outputs that should not have been published."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cockpit.assessment.board import Board
from cockpit.model.observed.chain import MarketState, ProgramActivity, Rate
from cockpit.model.observed.cluster import Cluster, ConfigMap
from cockpit.model.reading import Reading
from cockpit.model.runbook import CADENCE
from cockpit.oracle.ledger import COMMITTED_SLOTS
from cockpit.runbooks.schema import load
from cockpit.sources.inventory import Inventory
from cockpit.sources.solana.values import SolanaValues
from cockpit.sources.values import Snapshot
from tests.oracle.test_ledger import NOW, activity_of, ledger
from tests.support.chain_encoder import commit_logs, signature
from tests.support.samples.cluster import sample_pod, sample_workload
from tests.support.scenario_rig import Operator

MONO = 1000.0


def value(name: str, activity: ProgramActivity, pods: int) -> float | None:
    found = {f"u{n}": sample_pod(uid=f"u{n}", name=f"m0-submitter-{n}", service="m0-submitter") for n in range(pods)}
    cluster = Cluster(
        pods=found,
        workloads={("m0-prod", "m0-submitter"): sample_workload(replicas=pods)},
        configmaps={("m0-prod", "c"): ConfigMap("m0-prod", "c", "1", {CADENCE: "500"})},
    )
    board, inventory = Board(), Inventory()
    markets = {"a": MarketState("a", "NBA", "Sports", True, 1, 1)}
    topics: dict[str, Any] = {
        "solana/program": activity,
        "solana/markets": markets,
        "kubernetes/pods/m0-prod": found,
    }
    for topic, data in topics.items():
        board.put(Reading(topic, data, MONO - 1))
    inventory.update(cluster, MONO)
    return SolanaValues(Snapshot(board, cluster, inventory, NOW, MONO)).get(f"solana.{name}").number


def activity(**changes: Any) -> ProgramActivity:
    usual: dict[str, Any] = {"commits": Rate(9, 118.0, 4990), "slot": 5000, "covered_slot": 10}
    return msgspec.structs.replace(ProgramActivity("prog", "rpc-a", 0.0, True), **(usual | changes))


def test_a_second_key_that_commits_is_seen_on_the_chain() -> None:
    """13.when.1: who commits beside us, for as long as it goes on."""
    made = ledger()
    for n in range(9):
        made.take(signature(("c", n)), 200 + n, None, commit_logs(0, n, 210 + n), NOW)
    assert value("other-committers", activity_of(made), 1) == 0.0
    made.take(signature("x"), 230, None, commit_logs(0, 99, 240, "somebody"), NOW)
    assert len(activity_of(made).committers) == 2 and value("other-committers", activity_of(made), 1) == 1.0
    made.tip(230 + COMMITTED_SLOTS + 1, NOW)
    made.take(signature("y"), 231 + COMMITTED_SLOTS, None, commit_logs(0, 100, 9000), NOW)
    assert value("other-committers", activity_of(made), 1) == 0.0


def test_commits_beyond_our_cadence_or_without_our_pods_are_not_ours() -> None:
    """13.when.1: with our own key, too; two submitters of ours are another runbook's."""
    assert value("commits-beyond.m0-submitter", activity(), 1) == pytest.approx(118 / 1.2)
    assert (value("commits-beyond.m0-submitter", activity(commits=Rate(9, 178.0, 4990)), 1) or 0) > 140
    assert (value("commits-beyond.m0-submitter", activity(commits=Rate(9, 236.0, 4990)), 2) or 0) < 100
    assert value("commits-without.m0-submitter", activity(), 1) == 0.0
    assert value("commits-without.m0-submitter", activity(), 0) == 1.0
    assert value("commits-without.m0-submitter", activity(slot=5100), 0) == 0.0


def test_any_of_its_cases_is_enough_for_the_kill_switch_to_lead() -> None:
    """13.when.1: measured, drawn among the symptoms, and by itself enough."""
    runbook = load().runbook("13")
    assert [s.item for s in runbook.symptoms] == ["13.when.1", "13.when.2", "13.when.3"] and runbook.any
    assert runbook.symptoms[0].weight == 1.0 and not runbook.checklist


def test_a_relaxed_guardrail_that_lets_unsafe_outputs_out_is_seen() -> None:
    """13.when.3: by what was published, not by what a relaxed guardrail says of it."""
    operator = Operator("source-diverges", load())
    blocked = operator.situation()
    assert not blocked.signals["unsafe-markets"].level.bad
    operator.act("1/relax-guardrail")
    operator.wait(180)
    assert operator.situation().signals["unsafe-markets"].level.bad


def test_who_communicated_is_asked_to_open_the_incident() -> None:
    """13.step.3: the answer is followed by the form that begins the response."""
    step = load().step("13", "13.step.3")[1]
    assert step.args["opens"] == "incident"
