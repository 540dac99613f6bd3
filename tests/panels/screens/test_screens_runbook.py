"""The runbook screen: live answers in every line, and a cursor that begins on the next sensible
step.
"""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from cockpit.model.observed.cluster import Cluster, ConfigMap, ContainerTemplate, EnvVar
from cockpit.model.plan import Phase, Proof
from cockpit.model.runbook import Param, Step, Triage, Validation
from cockpit.model.signal import SIGNAL, Level
from panels.kit.prose import plain
from panels.messages import AskParameters, CloseLayer, Explain, LogsOf, OpenView, PlanStep, Undo
from panels.screens.runbook.next_step import called, hindered, next_step, preview
from panels.screens.runbook.page import holds_now, page
from panels.screens.runbook.view import RunbookView
from tests.support.samples import situations
from tests.support.samples.cluster import sample_workload
from tests.support.samples.dialogs import (
    BACKLOG,
    HOSTILE,
    SIGNALS,
    STOPS,
    SWITCH,
    Harness,
    match,
    plan,
    progress,
    signal,
    situation,
)

SIZES = [(80, 24), (160, 48)]
RELAX = STOPS.mitigations[3]


def test_the_next_step_answers_the_worst_cause() -> None:
    found = next_step(match(STOPS, 2), situation())
    assert found is not None
    assert found.id == "switch-rpc"


def test_signers_that_miss_make_their_restart_the_next_step() -> None:
    calm = {n: replace(s, level=Level.OK) for n, s in SIGNALS.items()}
    found = next_step(
        match(STOPS, 2),
        situation(signals={**calm, "signer-misses": replace(SIGNALS["signer-misses"], level=Level.CRIT)}),
    )
    assert found is not None
    assert found.id == "restart-signers"


def test_the_safer_of_two_steps_for_a_cause_comes_first() -> None:
    calm = {n: replace(s, level=Level.OK) for n, s in SIGNALS.items()}
    blocks = situation(signals={**calm, "guardrail-blocks": replace(SIGNALS["guardrail-blocks"], level=Level.CRIT)})
    found = next_step(match(STOPS, 2), blocks)
    assert found is not None
    assert found.id == "blocked-why"


def test_there_is_no_next_step_without_a_symptom_or_while_one_is_under_way_or_proved() -> None:
    assert next_step(match(STOPS, 0), situation()) is None
    assert next_step(match(STOPS, 2), situation(progress=(progress(plan()),))) is None
    assert (
        next_step(match(STOPS, 2), situation(progress=(progress(plan(), phase=Phase.DONE, proof=Proof.PASS),))) is None
    )


def test_a_step_that_failed_its_proof_is_not_pointed_at_again_first() -> None:
    two = msgspec.structs.replace(
        STOPS,
        mitigations=(
            SWITCH,
            Step(id="other", title="Other", kind="restart", cause="1.cause.rpc", service="m0-submitter"),
        ),
    )
    found = next_step(match(two, 2), situation(progress=(progress(plan(), phase=Phase.DONE, proof=Proof.FAIL),)))
    assert found is not None
    assert found.id == "other"


def test_what_is_to_be_done_at_once_comes_first_whatever_the_cause() -> None:
    stop = Step(
        id="stop", title="Stop", kind="scale", service="m0-submitter", replicas=0, dangerous=True, item="2.immediate.1"
    )
    keep = Step(id="keep", title="Evidence", kind="evidence", item="2.immediate.2")
    runbook = msgspec.structs.replace(STOPS, mitigations=(stop, keep, *STOPS.mitigations))

    def following(*done: tuple[str, Phase, Proof]) -> str | None:
        mine = tuple(
            progress(plan(step=step, runbook=runbook.id), phase=phase, proof=proof) for step, phase, proof in done
        )
        found = next_step(match(runbook, 2), situation(progress=mine))
        return found.id if found is not None else None

    stopped, kept = ("stop", Phase.DONE, Proof.PASS), ("keep", Phase.DONE, Proof.UNKNOWN)
    assert following() == "stop"
    assert following(("stop", Phase.FAILED, Proof.FAIL)) == "stop"  # not stopped yet: nothing else comes first
    assert following(stopped) == "keep"
    assert following(kept, stopped) == "switch-rpc"
    words = plain(page(match(runbook, 2), situation()))
    assert words.index("AT ONCE") < words.index("1  Stop") < words.index("MITIGATION") < words.index("Switch")


def test_read_only_has_no_next_step_and_says_so() -> None:
    assert hindered(SWITCH, situation(read_only=True)) == "read-only"
    found = called(match(STOPS, 2), situation(read_only=True))
    assert found.step is None
    assert found.reason.endswith("read-only")


def test_protection_is_not_relaxed_while_invalid_signatures_hold() -> None:
    bad = {**SIGNALS, "invalid-signatures": replace(SIGNALS["invalid-signatures"], level=Level.CRIT)}
    assert hindered(RELAX, situation(signals=bad)) == "invalid signatures hold"
    assert hindered(RELAX, situation()) == ""


def test_previews_say_what_would_change_now() -> None:
    now = situation()
    assert preview(SWITCH, now) == "SOLANA_RPC_URL https://rpc-a.example/*** → <RPC endpoint> on m0-submitter"
    assert preview(BACKLOG.mitigations[0], now) == "m0-ingestor replicas 4 → 8"
    assert preview(STOPS.mitigations[0], now) == "replaces all 7 pods of m0-signer-agent"
    assert preview(RELAX, now) == "M0_GUARDRAIL_POLICY_LEVEL STRICT → NORMAL on m0-quant"


def test_a_variable_that_is_no_toggle_is_read_from_the_deployment() -> None:
    step = Step(
        id="slow", title="Slow", kind="set-env", service="m0-ingestor", env={"M0_POLL_INTERVAL_MS": "3000", "NEW": "1"}
    )
    container = ContainerTemplate("m0-ingestor", "i", (EnvVar("M0_POLL_INTERVAL_MS", "1000"),))
    workload = sample_workload(
        name="m0-ingestor",
        desired=4,
        replicas=4,
        ready=4,
        updated=4,
        available=4,
        strategy="RollingUpdate",
        containers=(container,),
    )
    now = situation(cluster=Cluster(workloads={("m0-prod", "m0-ingestor"): workload}))
    assert preview(step, now) == "M0_POLL_INTERVAL_MS 1000 → 3000, NEW (unset) → 1 on m0-ingestor"
    assert "? → 3000" in preview(step, situation())


@pytest.mark.parametrize(
    ("item", "level", "value", "baseline", "proof"),
    [
        (Validation(text="t", signal="s"), Level.OK, 1.0, None, Proof.PASS),
        (Validation(text="t", signal="s"), Level.WARN, 1.0, None, Proof.FAIL),
        (Validation(text="t", signal="s"), Level.UNKNOWN, None, None, Proof.UNKNOWN),
        (Validation(text="t", signal="s", expect="near-baseline"), Level.OK, 0.9, 1.0, Proof.PASS),
        (Validation(text="t", signal="s", expect="near-baseline"), Level.OK, 1.5, 1.0, Proof.FAIL),
        (Validation(text="t", signal="s", expect="rises"), Level.OK, 5.0, None, Proof.PENDING),
    ],
)
def test_a_validation_holds_fails_or_is_unknown(
    item: Validation, level: Level, value: float | None, baseline: float | None, proof: Proof
) -> None:
    assert holds_now(item, signal("s", "S", level, value, "", baseline=baseline)) is proof


def test_an_absent_signal_is_unknown_everywhere_never_ok() -> None:
    words = plain(page(match(STOPS, 0, 3), situation(signals={})))
    assert "✓" not in words
    assert words.count("?") >= 8


def test_the_page_tells_symptoms_triage_causes_validation_and_debt() -> None:
    words = plain(page(match(STOPS, 2, 1), situation()))
    for needed in (
        "2 of 3 symptoms, 1 unknown",
        "✗ CRIT",
        "API shows stale outputs",
        "? UNKNOWN",
        "RPC error rate 38 % on rpc-a",
        "likeliest",
        "▶ A",
        "not yet",
        "guardrail relaxed to NORMAL",
    ):
        assert needed in words, needed


def test_while_a_step_is_proved_the_gauges_are_its_own() -> None:
    words = plain(page(match(STOPS, 2), situation(progress=(progress(plan()),))))
    assert "held 12 of 30 s" in words
    assert "████·" in words
    assert "under way" in words


async def test_wide_it_begins_on_the_next_step_and_enter_asks_for_its_parameters() -> None:
    app = Harness(lambda: RunbookView(situation()))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        assert [(w.runbook_id, w.step.id) for w in app.requested(AskParameters)] == [("publishing-stops", "switch-rpc")]


@pytest.mark.parametrize("size", [(80, 24), (160, 48), (200, 100)])
async def test_the_page_opens_on_the_next_step_also_where_another_is_turned_to(size: tuple[int, int]) -> None:
    """Opens with the cursor on the ▶ line, in view, at every size (B27)."""
    app = Harness(lambda: RunbookView(situation()))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "▸ ▶ A" in app.words()
        await pilot.press("right", "left")
        await pilot.pause()
        assert "▸ ▶ A" in app.words()


async def test_narrow_n_goes_back_to_the_next_step_and_enter_never_acts_on_what_is_out_of_view() -> None:
    app = Harness(lambda: RunbookView(situation()))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "next Switch RPC endpoint" in app.words()
        await pilot.press("home")
        await pilot.pause()
        assert "MITIGATION" not in app.words()
        await pilot.press("n")
        await pilot.pause()
        assert "▸ ▶ A" in app.words()
        app.subject.page.scroll_to(y=0, animate=False)
        await pilot.pause()
        await pilot.press("enter")
        assert app.requested(AskParameters) == []
        await pilot.pause()
        await pilot.press("enter")
        assert len(app.requested(AskParameters)) == 1


async def test_enter_opens_the_view_of_a_triage_line_and_plans_a_step_without_parameters() -> None:
    app = Harness(lambda: RunbookView(situation()))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        await pilot.press("home", "enter")
        assert [(w.name, dict(w.args)) for w in app.requested(OpenView)] == [("pods", {"service": "m0-submitter"})]
        app.subject.page.move_to("step:restart-signers")
        await pilot.press("enter")
        assert [(w.step_id, w.parameters) for w in app.requested(PlanStep)] == [("restart-signers", {})]
        app.subject.page.move_to("debt:29")
        await pilot.press("enter")
        assert [w.number for w in app.requested(Undo)] == [29]


@pytest.mark.parametrize("size", SIZES)
async def test_arrows_turn_to_the_next_runbook_and_details_open_over_it(size: tuple[int, int]) -> None:
    app = Harness(lambda: RunbookView(situation(), "6"))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "Watermark lag" in app.words()
        assert "4 → 8" in app.words()
        await pilot.press("left")
        await pilot.pause()
        assert "1 Publishing stops" in app.words() and "Switch RPC endpoint" in app.words()
        app.subject.page.move_to("step:relax-guardrail")
        await pilot.press("d")
        await pilot.pause()
        assert "stays listed as debt" in app.words()


async def test_a_new_situation_keeps_the_cursor_on_its_line_and_paints_only_what_differs() -> None:
    app = Harness(lambda: RunbookView(situation()))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        view = app.subject
        view.page.move_to("step:relax-guardrail")
        await pilot.pause()
        painted: list[int] = []
        refresh_line = view.page.refresh_line

        def painting(y: int) -> None:
            painted.append(y)
            refresh_line(y)

        view.page.refresh_line = painting
        view.show(situation())
        assert painted == []
        view.show(situation(signals={**SIGNALS, "signer-p95": replace(SIGNALS["signer-p95"], value=222.0)}))
        await pilot.pause()
        assert 1 <= len(painted) <= 2
        assert "222ms" in app.words()
        assert view.page.key == "step:relax-guardrail"


async def test_hostile_words_are_shown_as_they_are() -> None:
    runbook = msgspec.structs.replace(STOPS, title=HOSTILE, summary=HOSTILE)
    bad = {**SIGNALS, "rpc-errors": replace(SIGNALS["rpc-errors"], title=HOSTILE, worst_labels={"endpoint": HOSTILE})}
    app = Harness(lambda: RunbookView(situation(matches=(match(runbook, 2),), signals=bad, context=HOSTILE)))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        assert app.words().count("a[/b]c") >= 5


async def test_escape_leaves() -> None:
    app = Harness(lambda: RunbookView(situation(matches=())))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("escape")
        assert app.requested(CloseLayer)


def test_a_variable_that_is_set_to_nothing_is_not_unknown() -> None:
    step = Step(
        id="off",
        title="Disable",
        kind="set-env",
        service="m0-ingestor",
        env={"M0_CONNECTORS_DISABLED": "{c}", "M0_X": "1"},
    )
    assert preview(step, situations.calm()) == "M0_CONNECTORS_DISABLED (empty) → {c}, M0_X (unset) → 1 on m0-ingestor"


def test_a_key_of_a_configmap_is_previewed_with_what_it_holds() -> None:
    args = {"configmap": "m0-engine-config", "key": "M0_EXPECTED_SOURCES", "value": "{n}"}
    step = Step(id="fewer", title="Fewer", kind="set-config", args=args, params=(Param(name="n", title="sources"),))
    calm = situations.calm()
    assert preview(step, calm) == "M0_EXPECTED_SOURCES ? → <sources> in m0-engine-config"
    held = ConfigMap(situations.NAMESPACE, "m0-engine-config", "1", {"M0_EXPECTED_SOURCES": "4"})
    known = replace(calm, cluster=Cluster(configmaps={(situations.NAMESPACE, "m0-engine-config"): held}))
    assert preview(step, known) == "M0_EXPECTED_SOURCES 4 → <sources> in m0-engine-config"


def test_a_question_is_not_pointed_at_while_a_step_that_acts_fits_whatever_holds_worse() -> None:
    ask = Step(id="ask", title="Was it scaled?", kind="manual", question="?", signals=("bad",), dangerous=True)
    act = Step(id="act", title="End the report", kind="sql", signals=("worse",), dangerous=True)
    mine = replace(STOPS, mitigations=(ask, act))
    levels = {"bad": Level.CRIT, "worse": Level.WARN}
    held = {
        n: signal(name=n, title=n, level=level, value=1.0, unit="", reason="because") for n, level in levels.items()
    }
    found = next_step(match(mine, 3), situation(signals=held))
    assert found is not None and found.id == "act"


def test_a_harmless_part_is_not_pointed_at_where_the_sequence_does_something_before_it() -> None:
    room = Step(id="room", title="Make room", kind="run-job", dangerous=True, signals=("age",))
    part = Step(id="backup", title="Take a backup", kind="run-job", signals=("age",))
    whole = Step(id="both", title="Both", kind="sequence", steps=("room", "backup"), dangerous=True, signals=("age",))
    held = {"age": signal(name="age", title="age", level=Level.CRIT, value=1.0, unit="", reason="because")}
    found = next_step(match(replace(STOPS, mitigations=(whole, part, room)), 3), situation(signals=held))
    assert found is not None and found.id == "both"


def test_what_only_looks_and_answers_nothing_that_holds_is_not_pointed_at_before_what_acts() -> None:
    tell = Step(id="tell", title="Communicate", kind="manual", question="?")
    stop = Step(id="stop", title="Kill switch", kind="scale", service="m0-submitter", replicas=0, dangerous=True)
    found = next_step(match(replace(STOPS, mitigations=(tell, stop)), 3), situation())
    assert found is not None and found.id == "stop"
    whole = Step(id="restore", title="Restore", kind="sequence", steps=("off", "on"), dangerous=True)
    back = Step(id="on", title="On", kind="sequence", steps=("start",), dangerous=True)
    start = Step(id="start", title="Scale back", kind="scale", service="m0-quant", replicas="{n}")
    found = next_step(match(replace(STOPS, mitigations=(start, stop, whole, back)), 3), situation())
    assert found is not None and found.id == "stop"


def test_triage_lines_without_items_have_keys_of_their_own() -> None:
    """A file of one's own need not name the items of the packaged document."""
    lines = (Triage(text="Which pods", view="pods"), Triage(text="Which endpoint", view="rpc"))
    own = replace(STOPS, triage=lines)
    keys = [line.key for line in page(match(own, 2), situation()) if str(line.key).startswith("triage:")]
    assert keys == ["triage:1", "triage:2"]


async def test_a_triage_line_without_an_item_opens_its_own_view() -> None:
    own = replace(STOPS, triage=(Triage(text="Which pods", view="pods"), Triage(text="Which endpoint", view="rpc")))
    app = Harness(lambda: RunbookView(situation(matches=(match(own, 2),))))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.subject.page.move_to("triage:2")
        await pilot.press("enter")
        assert [one.name for one in app.requested(OpenView)] == ["rpc"]


@pytest.mark.parametrize("size", SIZES)
async def test_x_and_l_explain_what_the_line_is_about(size: tuple[int, int]) -> None:
    """U7: the worst signal of a question, the service of a step; never a pod behind the page."""
    app = Harness(lambda: RunbookView(situation()))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        asked = next(t for t in STOPS.triage if t.signals and t.item)
        worst = max((SIGNALS[name] for name in asked.signals if name in SIGNALS), key=lambda s: s.level.rank)
        app.subject.page.move_to(f"triage:{asked.item}")
        await pilot.press("x", "l")
        step = next(s for s in STOPS.mitigations if s.service)
        app.subject.page.move_to(f"step:{step.id}")
        await pilot.press("x", "l")
        for kind in (Explain, LogsOf):
            signal_, service = [one.selection for one in app.requested(kind)]
            assert (signal_.kind, signal_.name) == (SIGNAL, worst.name)
            assert (service.kind, service.name) == ("Deployment", step.service)
