"""▶ is the step that the situation calls for, or none, with the reason (U12, B14, B15, A10)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cockpit.model.plan import JournalLine, Phase, Proof
from cockpit.model.runbook import Cause, Condition, Param, Runbook, Service, SignalDef, Step
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import ConditionStatus, Publishing, PublishingState, ServiceStatus, Situation
from panels.screens.runbook.next_step import called
from tests.support.samples.dialogs import STOPS, match, plan, progress, signal, situation


def status(name: str, level: Level) -> SignalStatus:
    return signal(name=name, title=name, level=level, value=1.0, unit="", reason="because")


def step(name: str, **more: Any) -> Step:
    return Step(id=name, title=name.capitalize(), **{"kind": "restart", "service": "m0-quant", **more})


def runbook_of(*steps: Step, causes: tuple[Cause, ...] = ()) -> Runbook:
    return replace(STOPS, mitigations=steps, causes=causes)


def at(runbook: Runbook, levels: dict[str, Level], **more: Any) -> Situation:
    found = situation(signals={name: status(name, level) for name, level in levels.items()})
    conditions = {name: Condition(text=f"{name} holds", signals=("x",)) for name in ("safe", "refused")}
    services = {"m0-submitter": Service(publishes=True)}
    signals = {"invalid-signatures": SignalDef(title="invalid signatures", value="x", dangerous=True)}
    runbooks = replace(found.runbooks, runbooks=(runbook,), conditions=conditions, services=services, signals=signals)
    return replace(found, **{"runbooks": runbooks, "progress": (), "journal": (), **more})


def next_of(runbook: Runbook, levels: dict[str, Level], **more: Any) -> tuple[str | None, str]:
    found = called(match(runbook, 2), at(runbook, levels, **more))
    return found.step.id if found.step is not None else None, found.reason


CAUSES = (Cause(id="full", text="Full", signals=("full",)), Cause(id="refused", text="Refused", signals=("refused",)))
TIED = runbook_of(
    step("scale", cause="full"), step("slower", cause="refused"), step("none", cause="gone"), causes=CAUSES
)


def test_a_step_is_called_for_by_its_cause() -> None:
    """B14: the statement's step for a slow statement, never one of another cause."""
    assert next_of(TIED, {"full": Level.WARN, "refused": Level.OK})[0] == "scale"
    assert next_of(TIED, {"full": Level.WARN, "refused": Level.CRIT})[0] == "slower"
    name, reason = next_of(TIED, {"full": Level.OK, "refused": Level.OK})
    assert (name, reason) == (None, "no step of this runbook answers what shows")


def test_nothing_dangerous_is_called_for_while_every_cause_is_unknown() -> None:
    """U12: an index was the next step while the database could not be asked."""
    blind = {"full": Level.UNKNOWN, "refused": Level.UNKNOWN, "lag": Level.CRIT}
    runbook = runbook_of(step("index", signals=("lag",), dangerous=True), causes=CAUSES)
    assert next_of(runbook, blind) == (None, "Index: dangerous, and no cause is known")
    assert next_of(runbook, {**blind, "full": Level.OK})[0] == "index"
    assert next_of(runbook_of(step("safe", signals=("lag",)), causes=CAUSES), blind)[0] == "safe"


def test_what_its_condition_does_not_allow_is_not_called_for() -> None:
    """A9: neither what requires what does not hold or is not known, nor what is spoken against."""
    runbook = runbook_of(step("relax", signals=("bad",), requires=("safe",)), step("scale", signals=("bad",)))
    levels = {"bad": Level.CRIT}

    def with_(held: bool | None) -> str | None:
        return next_of(runbook, levels, conditions={"safe": ConditionStatus(held, "figure")})[0]

    assert (with_(True), with_(False), with_(None)) == ("relax", "scale", "scale")
    only = runbook_of(step("scale", signals=("bad",), unless=("refused",)))
    name, reason = next_of(only, levels, conditions={"refused": ConditionStatus(True, "429s 40 /min")})
    assert (name, reason) == (None, "Scale: not if refused holds: 429s 40 /min")
    assert next_of(only, levels)[0] is None  # not measured: not known


def test_what_would_run_backwards_or_no_further_is_not_called_for() -> None:
    """A10: "Scale ingestor workers 12 → 8" was the next step of a backlog."""
    service = ServiceStatus("m0-ingestor", "m0-prod", "Deployment", 9, 9, 0, None, "", "ok")
    fixed = step("fixed", kind="scale", service="m0-ingestor", replicas=8, direction="raises", signals=("bad",))
    name, reason = next_of(runbook_of(fixed), {"bad": Level.CRIT}, services=(service,))
    assert name is None
    assert "replicas: now 9, this step raises: 8 would lower" in reason
    param = Param(name="n", type="int", default=8, minimum=1, maximum=9)
    most = replace(fixed, replicas="{n}", params=(param,))
    assert "it cannot be raised further" in next_of(runbook_of(most), {"bad": Level.CRIT}, services=(service,))[1]
    more = replace(most, params=(replace(param, maximum=32),))
    assert next_of(runbook_of(more), {"bad": Level.CRIT}, services=(service,))[0] == "fixed"


def test_what_was_done_or_failed_is_not_called_for_again() -> None:
    """B14, C 12.step.3: after a pause ▶ moves on; what failed its proof is not the next step."""
    pause = step("pause", signals=("bad",), holds=True, dangerous=True)
    other = step("other", signals=("bad",), dangerous=True)
    runbook, levels = runbook_of(pause, other), {"bad": Level.CRIT}
    mine = replace(plan(), runbook=runbook.id, step="pause", part=None)
    held = progress(mine, phase=Phase.DONE, proof=Proof.NONE)
    assert next_of(runbook, levels, progress=(held,))[0] == "other"
    only = runbook_of(pause)
    assert next_of(only, levels, progress=(held,)) == (None, "Pause: it was done")
    failed = progress(replace(mine, step="other"), phase=Phase.DONE, proof=Proof.FAIL)
    name, reason = next_of(runbook_of(other), levels, progress=(failed,))
    assert (name, reason) == (None, "Other: it was tried, and did not prove itself")
    running = progress(mine, phase=Phase.VERIFYING)
    name, reason = next_of(runbook, levels, progress=(running,))
    assert name is None
    assert "verifying" in reason


def test_the_journal_tells_what_another_cockpit_did() -> None:
    """The same after a restart of the cockpit: by the journal alone."""
    pause, other = step("pause", signals=("bad",), holds=True), step("other", signals=("bad",))
    runbook, levels = runbook_of(pause, other), {"bad": Level.CRIT}
    here = at(runbook, levels)

    def line(name: str, proof: str, **more: Any) -> JournalLine:
        return JournalLine(
            number=7,
            wall=here.wall - 60,
            operator="ops2",
            title=name,
            target="",
            outcome="sent",
            runbook=runbook.id,
            step=name,
            proof=proof,
            **more,
        )

    assert next_of(runbook, levels)[0] == "other"
    assert next_of(runbook, levels, journal=(line("other", "fail"),))[0] == "pause"
    assert next_of(runbook, levels, journal=(line("other", "fail"), line("pause", "none")))[0] is None
    assert next_of(runbook, levels, journal=(line("other", "fail", undone=True),))[0] == "other"
    old = replace(line("other", "fail"), wall=here.wall - 7200)
    assert next_of(runbook, levels, journal=(old,))[0] == "other"


def test_a_view_is_over_once_it_was_opened() -> None:
    """C 1.mitigation.C1: ▶ stayed on the logs for ever."""
    shows = step("why", kind="view", view="logs", cause="full", service=None, args={"service": "m0-quant"})
    relax = step("relax", cause="full", dangerous=True)
    runbook, levels = runbook_of(shows, relax, causes=CAUSES), {"full": Level.CRIT, "refused": Level.OK}
    assert next_of(runbook, levels)[0] == "why"
    here = at(runbook, levels)
    seen = JournalLine(
        number=0, wall=here.wall, operator="me", title="looked", target="", outcome="", runbook=runbook.id, step="why"
    )
    assert next_of(runbook, levels, journal=(seen,))[0] == "relax"


def test_a_later_part_of_a_sequence_is_never_the_next_step() -> None:
    whole = step("whole", kind="sequence", steps=("one", "two"), signals=("bad",), service=None)
    runbook = runbook_of(whole, step("two", signals=("bad",)), step("one", signals=("bad",), dangerous=True))
    assert next_of(runbook, {"bad": Level.CRIT})[0] == "whole"


def test_after_a_stop_a_bundle_is_verified_before_publishing_is_enabled() -> None:
    """C 2.validation.2: nothing is enabled before what would be published is known to be safe."""
    verify = step("verify", kind="verify-signatures", service=None, args={"bundle": "{file}"})
    start = step("start", kind="scale", service="m0-submitter", replicas=1, dangerous=True, signals=("bad",))
    runbook = runbook_of(verify, start)
    service = ServiceStatus("m0-submitter", "m0-prod", "Deployment", 0, 0, 0, None, "", "warn")
    off = {"publishing": Publishing(state=PublishingState.OURS), "services": (service,)}
    here = {"bad": Level.OK, "invalid-signatures": Level.UNKNOWN}
    assert next_of(runbook, here, **off)[0] == "verify"
    mine = replace(plan(), runbook=runbook.id, step="verify", kind="verify-signatures", part=None)
    verified = progress(mine, phase=Phase.DONE, proof=Proof.PASS, ended_mono=-1e9)
    assert next_of(runbook, here, **off, progress=(verified,))[0] == "start"
    failed = progress(mine, phase=Phase.DONE, proof=Proof.FAIL)
    name, reason = next_of(runbook, here, **off, progress=(failed,))
    assert (name, reason) == (None, "Start: not before what is published is known to be safe")
    assert next_of(runbook, here)[0] is None  # publishing is on: there is nothing to enable
