"""A step that would run backwards, or that is allowed only if, is stopped with the figure."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cockpit.drill import changes
from cockpit.drill.kubernetes import KubernetesWorld
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Phase, Plan, Verdict
from cockpit.model.sections.order import Way, way
from cockpit.model.situation import ConditionStatus
from cockpit.runbooks.schema import load
from tests.support.kube_rig import Rig, carry, guard, plan, status, yes

PACKAGED = load()
CONFIG = "m0-engine-config"
Now = Callable[[KubernetesWorld], None]


def scaled(service: str, count: int) -> Now:
    return lambda world: changes.scale(world, service, count)


def set_to(service: str, name: str, value: str) -> Now:
    return lambda world: changes.set_env(world, service, {name: value})


def configured(key: str, value: str) -> Now:
    return lambda world: changes.set_config(world, CONFIG, key, value)


#: Step → what makes it run backwards, what is given to it, and the figure.
BACKWARDS: dict[str, tuple[Now, dict[str, str], str]] = {
    "6/scale-ingestors": (scaled("m0-ingestor", 12), {}, "replicas: now 12, this step raises: 8 would lower"),
    "9/scale-gateway": (scaled("m0-api-gateway", 10), {}, "replicas: now 10, this step raises: 6 would lower"),
    "3/scale-signers": (scaled("m0-signer-agent", 14), {}, "now 14, this step raises: 9 would lower"),
    "3/reduce-concurrency": (
        set_to("m0-submitter", "M0_PUBLISH_CONCURRENCY", "1"),
        {},
        "M0_PUBLISH_CONCURRENCY: now 1, this step lowers: 2 would raise",
    ),
    "10/write-less": (set_to("m0-submitter", "M0_PUBLISH_CONCURRENCY", "1"), {}, "now 1, this step lowers: 2"),
    "4/raise-priority-fee": (
        set_to("m0-submitter", "M0_PRIORITY_FEE_MICROLAMPORTS", "200000"),
        {},
        "now 200000, this step raises: 50000 would lower",
    ),
    "4/shorten-reveal-delay": (set_to("m0-submitter", "M0_REVEAL_DELAY_MS", "300"), {}, "now 300, this step lowers"),
    "4/smaller-bundles": (set_to("m0-submitter", "M0_MAX_MARKETS_PER_BUNDLE", "4"), {}, "now 4, this step lowers"),
    "6/slow-polling": (set_to("m0-ingestor", "M0_POLL_INTERVAL_MS", "10000"), {}, "now 10000, this step raises: 3000"),
    "6/raise-cache-ttl": (set_to("m0-ingestor", "M0_CACHE_TTL_MS", "60000"), {}, "now 60000, this step raises: 5000"),
    "8/degrade": (
        set_to("m0-quant", "M0_RISK_SCORE_FLOOR", "0.9"),
        {},
        "M0_RISK_SCORE_FLOOR: now 0.9, this step raises: 0.5 would lower",
    ),
    "1/relax-guardrail": (
        set_to("m0-quant", "M0_GUARDRAIL_POLICY_LEVEL", "FAST"),
        {},
        "now FAST, this step raises: NORMAL would lower",
    ),
    # of the same kind, and not in the audit's list
    "5/single-submitter": (scaled("m0-submitter", 0), {}, "replicas: now 0, this step lowers: 1 would raise"),
    "14/start-quant": (scaled("m0-quant", 5), {"replicas": "2"}, "now 5, this step raises: 2 would lower"),
    "7/expect-fewer-sources": (configured("M0_EXPECTED_SOURCES", "3"), {"sources": "5"}, "now 3, this step lowers: 5"),
    "7/quarantine-connector": (
        set_to("m0-ingestor", "M0_CONNECTORS_DISABLED", "macro,politics"),
        {"connector": "politics,sports"},
        "now macro,politics, this step adds to it: politics,sports would take macro out",
    ),
    "4/shorten-reveal-delay by the ConfigMap": (
        configured("reveal_delay_ms", "200"),
        {"delay_ms": "400"},
        "M0_REVEAL_DELAY_MS: now 200, this step lowers: 400 would raise",
    ),
}


def planned(rig: Rig, name: str, now: Now | None, parameters: dict[str, str]) -> Plan:
    rig.runbooks = PACKAGED
    rig.signals = {signal: status(signal) for signal in PACKAGED.signals}
    rig.conditions = {condition: ConditionStatus(True) for condition in PACKAGED.conditions}
    rig.watch_configmaps = True
    if rig.do(lambda: rig.world.workload("m0-api-gateway")) is None:
        rig.do(lambda: rig.world.deploy("m0-api-gateway", image="m0/gateway@sha256:" + "5" * 64, replicas=3))
    if now is not None:
        rig.do(lambda: now(rig.world))
        rig.settle()
    runbook, step = PACKAGED.step(*name.partition(" ")[0].split("/"))
    rig.conditions |= {condition: ConditionStatus(False) for condition in step.unless}
    return plan(rig.executors[0] if rig.executors else rig.executor(), step, runbook, **parameters)


@pytest.mark.parametrize(("name", "case"), BACKWARDS.items(), ids=list(BACKWARDS))
def test_what_would_run_backwards_is_stopped_with_the_figure(
    rig: Rig, name: str, case: tuple[Now, dict[str, str], str]
) -> None:
    """B12: all twelve, and their kin; the target's name must be typed."""
    now, parameters, figure = case
    made = planned(rig, name, now, parameters)
    found = guard(made, "backwards")
    assert found is not None, made.changes
    assert found.verdict is Verdict.CONFIRM
    assert figure in found.reason
    assert made.typed == made.target.name
    with pytest.raises(PlanProblem):
        rig.executors[0].carry_out(made, replace(yes(made), typed=None)).result(20)


def test_what_goes_the_right_way_or_changes_nothing_is_not_stopped(rig: Rig) -> None:
    """B12: the usual way on has no such guard, and "nothing would change" stays so."""
    made = planned(rig, "6/scale-ingestors", None, {})
    assert guard(made, "backwards") is None
    assert made.typed is None
    same = planned(rig, "6/scale-ingestors", scaled("m0-ingestor", 8), {})
    assert same.nothing_to_do
    assert guard(same, "backwards") is None


def test_which_way_it_goes_is_unknown_where_the_value_now_is(rig: Rig) -> None:
    """B12: what is not set, or no number, is unknown: never well."""
    made = planned(rig, "6/slow-polling", None, {})
    assert guard(made, "backwards").verdict is Verdict.UNKNOWN
    assert "M0_POLL_INTERVAL_MS: now not set" in guard(made, "backwards").reason
    assert made.typed == "m0-ingestor"
    odd = planned(rig, "6/slow-polling", set_to("m0-ingestor", "M0_POLL_INTERVAL_MS", "often"), {})
    assert "now often" in guard(odd, "backwards").reason
    # what a variable means that is not set, where the file says so
    assert guard(planned(rig, "4/raise-priority-fee", None, {}), "backwards") is None
    assert guard(planned(rig, "4/smaller-bundles", None, {}), "backwards") is None


def test_what_is_allowed_only_if_is_measured(rig: Rig) -> None:
    """A9, C (3.mitigation.2): not met or not known wants the name, with the figure; met is said."""
    met = planned(rig, "3/scale-signers", None, {})
    assert guard(met, "only-if").verdict is Verdict.PASS
    rig.conditions["more-signers-allowed"] = ConditionStatus(False, "m0-signer-agent is a StatefulSet")
    runbook, step = PACKAGED.step("3", "scale-signers")
    made = plan(rig.executors[0], step, runbook)
    assert guard(made, "only-if").verdict is Verdict.CONFIRM
    assert "only if signer agents are stateless" in guard(made, "only-if").reason
    assert "is a StatefulSet" in guard(made, "only-if").reason
    assert made.typed == "m0-signer-agent"
    rig.conditions["more-signers-allowed"] = ConditionStatus(None, "deployments: not read")
    assert guard(plan(rig.executors[0], step, runbook), "only-if").verdict is Verdict.UNKNOWN
    del rig.conditions["more-signers-allowed"]
    assert guard(plan(rig.executors[0], step, runbook), "only-if").verdict is Verdict.UNKNOWN


def test_unless_stops_what_its_condition_speaks_against(rig: Rig) -> None:
    """C (6.mitigation.1): more workers, while the provider refuses our rate, only make it worse."""
    planned(rig, "6/scale-ingestors", None, {})
    rig.conditions["rate-limited"] = ConditionStatus(True, "rate-limited 40 /min (crit)")
    runbook, step = PACKAGED.step("6", "scale-ingestors")
    found = guard(plan(rig.executors[0], step, runbook), "only-if")
    assert found.verdict is Verdict.CONFIRM
    assert "not if a provider limits our rate: rate-limited 40 /min" in found.reason


def test_a_condition_that_fails_after_the_yes_stops_the_send(rig: Rig) -> None:
    """Issue 14.2: judged at the plan and again at the send."""
    made = planned(rig, "3/scale-signers", None, {})
    rig.conditions["more-signers-allowed"] = ConditionStatus(False, "volume added")
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.STALE
    assert "only-if" in progress.words
    assert rig.writes() == []


@given(before=st.integers(0, 10**6), after=st.integers(0, 10**6), levels=st.lists(st.text(max_size=3), max_size=3))
def test_one_direction_is_the_other_turned_round(before: int, after: int, levels: list[str]) -> None:
    up, down = (way(direction, str(before), str(after), levels) for direction in ("raises", "lowers"))
    assert {up, down} == ({Way.SAME} if before == after else {Way.ALONG, Way.AGAINST})


@given(before=st.text(max_size=12), after=st.text(max_size=12))
def test_what_is_no_number_is_never_along(before: str, after: str) -> None:
    """What cannot be compared is unknown or the same; nothing raises."""
    found = way("raises", f"x{before}", f"y{after}")
    assert found is Way.UNKNOWN
    assert way("raises", None, after) is Way.UNKNOWN


@pytest.mark.parametrize("before", [None, "strict", "", "LOOSE"])
def test_the_last_level_that_way_runs_never_backwards(before: str | None) -> None:
    """B12: STRICT wanted a name typed where the level before was misspelt, or not set at all."""
    levels = ("STRICT", "NORMAL", "FAST")
    assert way("lowers", before, "STRICT", levels) is Way.ALONG
    assert way("raises", before, "FAST", levels) is Way.ALONG
    assert way("raises", before, "NORMAL", levels) is way("lowers", before, "FAST", levels) is Way.UNKNOWN
    assert way("raises", before, "true", ("true", "false")) is Way.ALONG
    assert way("raises", before, "false", ("true", "false")) is Way.UNKNOWN
