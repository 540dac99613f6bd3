"""RPC, Publish, Signers and API with chain and probes: both views side by side, disagreements in
words, unknown never OK.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cockpit.model.observed.chain import ProtocolState
from cockpit.model.observed.crosscheck import SetDifference, SignerSetCheck
from cockpit.model.observed.probe import Certificate, Certificates, ProbeStatus
from cockpit.model.reading import Fault, SourceState
from cockpit.model.signal import Level
from cockpit.model.situation import Situation, SourceLight
from panels.dashboard.api import ApiPanel
from panels.dashboard.frame.panel import LinesPanel
from panels.dashboard.publish import PublishPanel
from panels.dashboard.rpc import RpcPanel
from panels.dashboard.signers import SignersPanel
from panels.dashboard.strips.topstrip import source_lights
from panels.kit.spans import line_width, plain
from tests.support.samples import situations

NARROW, WIDE = 36, 76


def lines(panel: LinesPanel, situation: Situation, width: int = WIDE) -> list[str]:
    made = panel.content(situation, width)
    assert all(line_width(line) <= 200 for line in made)
    return [plain(line).rstrip() for line in made]


def said(panel: LinesPanel, situation: Situation, width: int = WIDE) -> str:
    return "\n".join(lines(panel, situation, width))


def row(panel: LinesPanel, situation: Situation, name: str, width: int = WIDE) -> list[str]:
    return next(line.split() for line in lines(panel, situation, width) if name in line)


OFF = Fault(SourceState.OFF, "no program id is configured")


def down(reason: str = "connection refused") -> Fault:
    return Fault(SourceState.DOWN, reason)


# --- RPC ------------------------------------------------------------------------------------------


def test_one_row_an_endpoint_with_both_views_merged_by_name() -> None:
    situation = situations.rpc_outage()
    assert row(RpcPanel(), situation, "rpc-a") == ["▲", "rpc-a", "214", "4.1s", "38", "%", "12", "38", "%", "4.1s"]
    assert row(RpcPanel(), situation, "rpc-b") == ["●", "rpc-b", "0", "91ms", "0", "%", "0", "▶", "0.1", "%", "870ms"]
    assert RpcPanel().level(situation) is Level.CRIT


def test_in_a_narrow_panel_the_submitters_view_is_a_table_of_its_own() -> None:
    made = lines(RpcPanel(), situations.rpc_outage(), NARROW)
    assert made[0].split() == ["node", "behind", "p95", "err", "429"]
    assert next(m for m in made if "submitter" in m).split() == ["submitter", "errors", "confirm", "p95"]
    assert all(len(line) <= NARROW for line in made)


def test_foreign_clusters_complaints_and_disagreements_are_words() -> None:
    text = said(RpcPanel(), situations.rpc_outage())
    assert "rpc-c is on another cluster: devnet" in text
    assert "rpc-a: behind by 214 slots" in text
    assert "≠ commits: rpc-a says 8 in the last minute, rpc-b 31" in text


def test_an_endpoint_that_is_not_read_is_unknown_with_its_reason() -> None:
    situation = situations.calm(
        solana={
            **situations.solana(),
            **situations.on_board("solana", 40.0, down(), endpoint__rpc_a=situations.endpoint("rpc-a")),
        }
    )
    assert row(RpcPanel(), situation, "rpc-a")[0] == "?"
    assert "rpc-a: down: connection refused (shown: 40s old)" in said(RpcPanel(), situation)
    assert RpcPanel().level(situation) is Level.UNKNOWN
    assert {role for line in RpcPanel().content(situation, WIDE) for text, role in line if "rpc-a:" in text} == {
        "unknown"
    }


def test_not_configured_is_a_quiet_line_and_the_metrics_stay() -> None:
    situation = situations.calm(solana={}, configured=frozenset({"kubernetes", "prometheus"}))
    text = said(RpcPanel(), situation, NARROW)
    assert "rpc-a" in text and "870ms" in text and "measured here  not configured" in text
    assert RpcPanel().level(situation) is Level.OK
    assert "no data" in said(RpcPanel(), replace(situation, queries={}))


# --- Publish --------------------------------------------------------------------------------------


def test_metrics_and_chain_stand_side_by_side() -> None:
    situation = situations.rpc_outage()
    assert row(PublishPanel(), situation, "reveals")[:5] == ["reveals/m", "3", "64", "▲", "CRIT"]
    text = said(PublishPanel(), situation)
    assert "≠ reveals: the chain has 61/min more than metrics (3 and 64) for 22s" in text
    assert "waiting for reveal  231, oldest 1,904 slots" in text
    assert "BlockhashNotFound" in text and "→ runbook 4" in text and "763" in text


def test_what_could_not_be_read_is_said_and_a_paused_program_stands_out() -> None:
    counted = situations.program(undecodable=3)
    held = ProtocolState(
        address="P", paused=True, authority="A", next_signer_set_id=101, default_reveal_delay_slots=10, slot=88_214
    )
    text = said(PublishPanel(), situations.calm(solana=situations.solana(program=counted, protocol=held)))
    assert "? 3 events of the program not readable" in text and "the program is PAUSED" in text
    calm = said(PublishPanel(), situations.calm())
    assert "not readable" not in calm and "PAUSED" not in calm


def test_a_count_with_a_gap_is_shown_and_not_believed() -> None:
    gapped = situations.program(complete=False, gap="paging back 4 minutes")
    situation = situations.calm(solana=situations.solana(program=gapped))
    made = PublishPanel().content(situation, WIDE)
    assert "? chain: gap: paging back 4 minutes" in said(PublishPanel(), situation)
    chain = [role for line in made for text, role in line if text.strip() == "118" and role == "unknown"]
    assert len(chain) == 2  # commits and reveals of the chain; the metrics' own are as they were
    assert PublishPanel().level(situation) is Level.UNKNOWN


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"solana": {}, "configured": frozenset({"kubernetes", "prometheus"})}, "chain    not configured"),
        (
            {"solana": situations.on_board("solana", endpoint__rpc_a=situations.endpoint("rpc-a"))},
            "no program id configured",
        ),
        (
            {"solana": {**situations.solana(), **situations.on_board("solana", 0.0, OFF, program=None)}},
            "no program id configured",
        ),
    ],
)
def test_without_the_chain_the_metrics_stand_alone(changes: dict[str, object], words: str) -> None:
    situation = situations.calm(**changes)
    text = said(PublishPanel(), situation)
    assert words in text and "118/min" in text and "commits/m" not in text
    assert PublishPanel().level(situation) is Level.OK
    assert plain(PublishPanel().aside(situation)) == "metrics only"


# --- Signers --------------------------------------------------------------------------------------


def test_the_active_set_stands_above_the_agents() -> None:
    assert lines(SignersPanel(), situations.calm(), NARROW)[0] == "set 100  threshold 5 of 7  chain ✓"
    situation = situations.rpc_outage()
    text = said(SignersPanel(), situation, NARROW)
    assert "set 100  threshold 5 of 7  ✗ differs" in text
    assert "✗ signer-2 reports set 99, active is" in text
    assert SignersPanel().level(situation) is Level.CRIT


def test_what_could_not_be_compared_is_not_agreed() -> None:
    lost = SignerSetCheck(
        signer_set_id="100",
        threshold=None,
        keys=None,
        sides=("cluster",),
        differences=(),
        unknown=("the set on the chain: connection refused",),
    )
    situation = situations.calm(signer_set=lost)
    text = said(SignersPanel(), situation)
    assert "chain ?" in text and "? the set on the chain: connection refused" in text
    assert SignersPanel().level(situation) is Level.UNKNOWN
    many = tuple(SetDifference("missing key", str(n), f"key {n} is reported by no agent") for n in range(7))
    assert "and 4 more" in said(
        SignersPanel(), situations.calm(signer_set=replace(situations.agreed(), differences=many))
    )


# --- API ------------------------------------------------------------------------------------------


def test_outputs_are_shown_as_seen_from_outside_beside_the_metrics() -> None:
    situation = situations.rpc_outage()
    assert row(ApiPanel(), situation, "nba-finals") == ["◐", "nba-finals", "51s", "50s", "88,121", "42"]
    assert "tick" not in said(ApiPanel(), situation, NARROW)  # there is no room for it
    text = said(ApiPanel(), situation)
    assert "▲ m0-api-gateway readyz: HTTP 503: outputs are stale" in text
    assert "▲ certificate api.m0club.example: 5 d left" in text
    assert ApiPanel().level(situation) is Level.CRIT


def test_an_output_or_service_that_cannot_be_asked_is_unknown() -> None:
    found = situations.probes()
    found |= situations.on_board(
        "probes", 30.0, down("HTTP 502"), output__us_senate=situations.output("us-senate", 3.0)
    )
    found |= situations.on_board(
        "probes", 30.0, down(), m0_realtime__readyz=ProbeStatus("m0-realtime", "readyz", True, 200, 1.0)
    )
    situation = situations.calm(probes=found)
    assert row(ApiPanel(), situation, "us-senate")[0] == "?"
    assert "? m0-realtime readyz: down: connection refused (shown: 30s old)" in said(ApiPanel(), situation)
    assert ApiPanel().level(situation) is Level.UNKNOWN


def test_an_expired_certificate_and_one_that_is_refused() -> None:
    lapsed = {"a.example": Certificate("a.example", "a", "CA", 0.0, -3.2)}
    seen = Certificates(lapsed, "the certificate of b.example is not trusted")
    found = {
        **situations.probes(),
        **situations.on_board("probes", 1.0, certificates=seen),
    }
    text = said(ApiPanel(), situations.calm(probes=found))
    assert "certificate a.example: expired 3 d ago" in text and "? the certificate of b.example is not trusted" in text


def test_without_probes_the_api_panel_is_as_the_metrics_have_it() -> None:
    situation = situations.calm(probes={}, configured=frozenset({"prometheus"}))
    text = said(ApiPanel(), situation)
    assert "output age" in text and "from outside  not configured" in text
    assert ApiPanel().level(situation) is Level.OK


# --- the strip ------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [200, 76, 60, 52, 44, 36])
def test_five_lights_fit_and_what_is_off_gives_way_first(room: int) -> None:
    light = source_lights(situations.calm(), room)
    text = plain(light)
    assert line_width(light) <= room - 4
    assert all(name in text for name in ("k8s", "prom", "rpc", "probes"))
    assert ("pg ○ OFF" in text) or room <= 60


def test_a_light_that_is_not_live_keeps_its_word() -> None:
    situation = situations.calm()
    broken = tuple(SourceLight(s.name, SourceState.DOWN, 40.0) for s in situation.sources)
    assert plain(source_lights(replace(situation, sources=broken), 40)).count("DOWN 40s") == 5
