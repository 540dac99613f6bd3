"""A signal is explained, and what signals know of a service stands above its pods."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cockpit.assessment.explain.selected import explain
from cockpit.assessment.explain.signal import explain_signal, service_of, unwell_signals
from cockpit.model.observed.metrics import Alert
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import ALERT, SIGNAL, Level
from cockpit.runbooks.schema import load
from panels.dashboard.signals import SignalsPanel
from panels.messages import Selection
from tests.support.samples import situations


@pytest.fixture(scope="module")
def runbooks() -> Runbooks:
    return load()


@pytest.mark.parametrize(
    ("signal", "service"),
    [
        ("ingestor-ready", "m0-ingestor"),
        ("watermark-lag", "m0-ingestor"),
        ("signer-errors", "m0-signer-agent"),
        ("reveal-too-large", "m0-submitter"),
        ("api-internal", "m0-api-gateway"),
        ("rpc-behind", "m0-submitter"),
        ("drift", "m0-quant"),
        ("pg-wraparound", ""),
        ("no-such", ""),
    ],
)
def test_a_signal_belongs_to_a_service_or_to_none(runbooks: Runbooks, signal: str, service: str) -> None:
    """U7: whose logs `l` opens on a signal."""
    assert service_of(signal, runbooks) == service


def test_a_signal_says_what_it_is(runbooks: Runbooks) -> None:
    """U7: its number, its thresholds, where it is read, who uses it, and the next key."""
    lines = explain_signal("rpc-errors", situations.rpc_outage(), runbooks)
    assert lines[0].startswith("CRIT 38 % for ")
    assert "warn from 5 %, crit from 20 %" in lines
    assert any(line.startswith("from Prometheus: ") for line in lines)
    assert "decides the stage commit" in lines
    assert any("1 Publishing stops" in line for line in lines)
    assert lines[-1] == "next: l opens the logs of m0-submitter"
    assert explain_signal("gone", situations.calm(), runbooks) == ("There is no signal gone any more.",)


def test_a_service_is_not_all_well_while_its_signals_are_not(runbooks: Runbooks) -> None:
    """U7: "All well" stood where the p95 of a service was CRIT."""
    calm, place = situations.calm(), ("m0-prod", "m0-submitter", "")
    assert explain("Deployment", place, calm, runbooks)[0].startswith("All well: ")
    bad = replace(calm.signals["rpc-errors"], level=Level.CRIT, value=38.0, reason="38 at or above 20")
    ill = replace(calm, signals={**calm.signals, "rpc-errors": bad})
    lines = explain("Deployment", place, ill, runbooks)
    assert lines[0] == "CRIT RPC errors 38 %: 38 at or above 20"
    assert lines[1].startswith("Its pods are well: ")
    assert explain("Deployment", ("m0-prod", "m0-quant", ""), ill, runbooks)[0].startswith("All well: ")
    assert explain(SIGNAL, ("", "rpc-errors", ""), ill, runbooks)[0].startswith("CRIT 38 %")


def test_a_signal_that_is_off_or_still_asked_for_tells_nothing_of_a_service(runbooks: Runbooks) -> None:
    calm = situations.calm()
    off = replace(calm.signals["rpc-errors"], level=Level.UNKNOWN, off=True)
    assert unwell_signals("m0-submitter", replace(calm, signals={"rpc-errors": off}), runbooks) == ()


def test_a_signal_names_the_newest_steps_that_touched_it(runbooks: Runbooks) -> None:
    """Enter on anything: the steps that stand on it, or were to move it, with how they ended."""
    runbook, step = next((b, s) for b in runbooks.runbooks for s in b.mitigations if "rpc-errors" in s.signals)
    line = replace(situations.journal()[0], runbook=runbook.id, step=step.id, wall=situations.WALL - 60.0)
    other = replace(line, step="nothing of the kind")
    lines = explain_signal("rpc-errors", situations.rpc_outage(journal=(line, line, line, line, other)), runbooks)
    listed = [one for one in lines if one.startswith(f"step #{line.number} ")]
    assert len(listed) == 3 and "60 s ago" in listed[0] and line.title in listed[0] and line.outcome in listed[0]


def test_an_alert_that_names_no_signal_is_no_dead_row(runbooks: Runbooks) -> None:
    """Enter on anything: what it is of, since when, and what its rule says."""
    labels = {"severity": "page", "node": "n1"}
    alert = Alert("NodeDown", "firing", labels, "a node is gone", since=situations.WALL - 120.0)
    lines = explain(ALERT, ("", "NodeDown", ""), situations.calm(alerts=(alert,)), runbooks)
    assert lines[0] == "firing for 2:00, severity page: a node is gone" and lines[1] == "  of node n1"
    assert explain(ALERT, ("", "Gone", ""), situations.calm(), runbooks) == ("No alert Gone is active any more.",)
    panel = SignalsPanel()
    panel.show(situations.calm(alerts=(alert,)))
    assert panel.point_at(("NodeDown", tuple(sorted(labels.items()))))
    assert panel.selection == Selection(ALERT, "", "NodeDown") and panel.charted == {"panel": "signals"}
