"""Parameters are checked before anything is read or sent."""

from __future__ import annotations

import pytest

from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.check import evaluate
from cockpit.mitigation.steps.parameters import filled, resolve
from cockpit.model.plan import Proof
from cockpit.model.runbook import Param, Step
from cockpit.secrets import display_value
from tests.support.kube_rig import DIGEST, runbooks, step


def asking(**param: object) -> Step:
    return step("scale", "m0-ingestor", replicas="{n}", params=(Param(name="n", **param),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "given", "value"),
    [
        (asking(type="int", default=8, minimum=1, maximum=32), None, "8"),
        (asking(type="int", minimum=1, maximum=32), "08", "8"),
        (asking(type="url"), "https://rpc.example/v2/KEY", "https://rpc.example/v2/KEY"),
        (asking(type="image"), DIGEST, DIGEST),
        (asking(type="choice", choices=("a", "b")), "b", "b"),
        (asking(choices_from="toggle:M0_GUARDRAIL_POLICY_LEVEL"), "FAST", "FAST"),
        (asking(choices_from="label:lag-by-connector:connector"), "sports", "sports"),
        (asking(pattern="[a-z]+"), "abc", "abc"),
    ],
)
def test_good_values(made: Step, given: str | None, value: str) -> None:
    assert resolve(made, {} if given is None else {"n": given}, runbooks()) == {"n": value}


@pytest.mark.parametrize(
    ("made", "given", "words"),
    [
        (asking(type="int"), {}, "is missing"),
        (asking(type="int"), {"n": "8.5"}, "whole number"),
        (asking(type="int"), {"n": "８"}, "whole number"),
        (asking(type="int", maximum=32), {"n": "33"}, "at most 32"),
        (asking(type="int", minimum=1), {"n": "0"}, "at least 1"),
        (asking(type="url"), {"n": "rpc.example"}, "a URL"),
        (asking(type="url"), {"n": "https://"}, "a URL"),
        (asking(type="url"), {"n": "https://a b"}, "a URL"),
        (asking(type="url"), {"n": "javascript:alert(1)"}, "a URL"),
        (asking(type="image"), {"n": "m0/x:v1"}, "digest"),
        (asking(choices=("a", "b")), {"n": "c"}, "one of a, b"),
        (asking(choices_from="toggle:M0_GUARDRAIL_POLICY_LEVEL"), {"n": "LOOSE"}, "one of STRICT"),
        (asking(pattern="[a-z]+"), {"n": "abc9"}, "something like"),
        (asking(), {"n": "a\nb"}, "control characters"),
        (asking(), {"n": "x", "m": "y"}, "no parameter m"),
    ],
)
def test_wrong_values_are_named(made: Step, given: dict[str, str], words: str) -> None:
    with pytest.raises(PlanProblem, match=words):
        resolve(made, given, runbooks())


def test_a_wrong_url_does_not_leak() -> None:
    with pytest.raises(PlanProblem) as caught:
        resolve(asking(type="url"), {"n": "htp://user:hunter2@x"}, runbooks())
    assert "hunter2" not in str(caught.value)


def test_templates_take_only_parameters() -> None:
    assert filled("{a}-{b}", {"a": "1", "b": "{a}"}, "x") == "1-{a}"
    with pytest.raises(PlanProblem, match="not a parameter"):
        filled("{c}", {}, "x")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("SOLANA_RPC_URL", "https://rpc-a.example/v2/short", "https://rpc-a.example/***"),
        ("SOLANA_RPC_URL", "https://rpc-a.example", "https://rpc-a.example"),
        ("ANYTHING", "https://user:pw@host.example/x?y=1", "https://host.example/***"),
        ("M0_RPC_KEY", "plain", "***"),
        ("X_TOKEN", "plain", "***"),
        ("M0_PUBLIC_KEY", "plain", "plain"),
        ("M0_PUBLISH_CONCURRENCY", "4", "4"),
        ("EMPTY", "", ""),
        ("ODD", "a\x1b[2Jb", "a\\e[2Jb"),
    ],
)
def test_what_is_shown_of_a_value(name: str, value: str, shown: str) -> None:
    assert display_value(runbooks(), name, value) == shown


def test_a_check_has_three_answers() -> None:
    from cockpit.clock import ManualClock
    from cockpit.model.signal import Level
    from tests.support.kube_rig import situation, status

    check = step("check", "m0-quant", signals=("a", "b"))
    clock = ManualClock()
    assert evaluate(check, situation(clock, status("a"), status("b")))[0] is Proof.PASS
    assert evaluate(check, situation(clock, status("a"), status("b", Level.WARN)))[0] is Proof.FAIL
    assert evaluate(check, situation(clock, status("a")))[0] is Proof.UNKNOWN
    assert evaluate(check, None)[0] is Proof.UNKNOWN
