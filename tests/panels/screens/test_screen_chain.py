"""The views of the chain: every key with its agent, failed transactions, commits that wait; nothing
unknown passes for well.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cockpit.model.observed.chain import Disagreement, ProtocolState
from cockpit.model.observed.probe import SignerReport
from cockpit.model.situation import Situation
from panels.kit.spans import Line, line_width, plain
from panels.screens.chain import PAGES, ChainView, endpoints, signer_set, transactions
from tests.support.harness import DashboardApp
from tests.support.samples import situations


def said(lines: list[Line]) -> str:
    return "\n".join(plain(line).rstrip() for line in lines)


def roles(lines: list[Line], word: str) -> set[str]:
    return {role for line in lines for text, role in line if word in text}


def reports(**changed: SignerReport) -> dict[str, SignerReport]:
    known = {f"signer-{n}": SignerReport(f"signer-{n}", key, "100", True) for n, key in enumerate(situations.KEYS)}
    return {**known, **{name.replace("_", "-"): report for name, report in changed.items()}}


def test_every_key_stands_beside_the_agent_that_reports_it() -> None:
    stranger = SignerReport("signer-2", "Zzzz" + "1" * 40, "99", True)
    silent = SignerReport("signer-5", None, None, False, "HTTP 500: kms: access denied")
    situation = situations.calm(probes=situations.probes(signers=reports(signer_2=stranger, signer_5=silent)))
    lines = signer_set(situation, 110)
    text = said(lines)
    rows = {line.split()[1]: line for line in text.splitlines() if line[:1] in "✓✗?" and len(line.split()) > 2}
    assert rows[situations.KEYS[0]].split() == ["✓", situations.KEYS[0], "signer-0", "100"]
    assert "no agent reports it" in rows[situations.KEYS[2]] and rows[situations.KEYS[2]].startswith("✗")
    assert rows[stranger.pubkey or ""].split()[2:] == ["signer-2", "99"]
    assert "HTTP 500: kms: access denied" in text
    assert "account  Set1  at slot 88,214" in text


def test_keys_of_a_set_that_is_stale_are_not_confirmed() -> None:
    lines = signer_set(situations.stale(), 110)
    assert roles(lines, "✓") == {"unknown"} and roles(lines, situations.KEYS[0]) == {"unknown"}
    assert "no key is known" in said(signer_set(situations.denied(), 80))


def test_failed_transactions_come_with_code_runbook_and_newest_signature() -> None:
    text = said(transactions(situations.rpc_outage(), 158))
    row = next(line for line in text.splitlines() if "SignatureVerificationFailed" in line).split()
    assert row[:5] == ["SignatureVerificationFailed", "6018", "RevealPrediction", "2", "0/min"]
    assert "runbook 4" in text and "4Fail" in text
    assert "231, oldest 1,904 slots" in text and "market-0" in text and "1,904 slots overdue" in text
    assert "and 219 more" in text


def test_a_slot_of_today_fits_where_a_commit_waits() -> None:
    soon = replace(situations.pending(1, -4), reveal_after_slot=489_890_290)
    situation = situations.calm(solana=situations.solana(program=situations.program(pending=(soon,))))
    assert "from 489,890,290 on" in said(transactions(situation, 78))


def test_without_the_program_it_says_so() -> None:
    assert "chain  not configured" in said(transactions(situations.denied(), 80))
    gapped = situations.calm(solana=situations.solana(program=situations.program(complete=False, gap="paging")))
    assert "? gap: paging" in said(transactions(gapped, 80))
    assert "no failed transaction" in said(transactions(situations.calm(), 80))
    assert roles(transactions(situations.stale(), 80), "no failed transaction") == {"unknown"}


def test_endpoints_stand_side_by_side_with_all_that_is_measured() -> None:
    full = situations.endpoint(
        "rpc-b",
        latency_p50_ms=44.0,
        blockhash_age_slots=3,
        genesis="Gen" + "x" * 40,
        cluster="mainnet-beta",
        version="2.2.14",
        priority_fee_p50=1200,
        throttled=2,
        retry_after_s=7.0,
    )
    situation = situations.calm(solana=situations.solana(endpoint__rpc_b=full))
    row = next(line for line in said(endpoints(situation, 158)).splitlines() if "rpc-b" in line)
    for expected in ("ok", "88,214", "44ms", "91ms", "0 %", "7.0s", "mainnet-beta", "1,200", "2.2.14"):
        assert expected in row, expected
    narrow = next(line for line in said(endpoints(situation, 78)).splitlines() if "rpc-b" in line)
    assert all(expected in narrow for expected in ("ok", "88,214", "44ms", "91ms", "0 %"))
    assert "cluster: rpc-a ?, rpc-b mainnet-beta" in said(endpoints(situation, 78))
    outage = said(endpoints(situations.rpc_outage(), 158))
    assert "rpc-c is on another cluster: devnet" in outage and "≠ commits: rpc-a says 8" in outage
    assert roles(endpoints(situations.stale(), 158), "88,214") == {"unknown"}
    assert "not configured" in said(endpoints(situations.denied(), 80))


def test_what_was_counted_the_last_bundle_and_the_programs_own_switch_are_reported() -> None:
    counted = situations.program(rotations=situations.rate(1), pauses=situations.rate(2), undecodable=3)
    text = said(transactions(situations.calm(solana=situations.solana(program=counted)), 158))
    assert "rotations 7" in text and "pauses 14" in text and "not readable 3" in text
    assert "ab" * 32 in text and "sequence 42" in text and "epoch Epoch9" in text and "not paused" in text
    paused = situations.on_board(
        "solana",
        protocol=ProtocolState(
            address="P", paused=True, authority="A", next_signer_set_id=101, default_reveal_delay_slots=10, slot=9
        ),
    )
    assert "PAUSED" in said(transactions(situations.calm(solana={**situations.solana(), **paused}), 80))
    disagreement = (Disagreement("paused", "rpc-a says paused, rpc-b says not paused"),)
    doubted = situations.calm(solana={**situations.solana(disagreements=disagreement), **paused})
    assert "?  rpc-a says paused" in said(transactions(doubted, 80))


@pytest.mark.parametrize("width", [78, 118, 158])
@pytest.mark.parametrize(
    "situation", [situations.calm(), situations.rpc_outage(), situations.stale(), situations.denied()]
)
def test_tables_fit(situation: Situation, width: int) -> None:
    for make in PAGES.values():
        for line in make(situation, width):
            assert line_width(line) <= width or plain(line).startswith(
                (
                    "program",
                    "commits",
                    "account",
                    "and",
                    "no key",
                    "publishing by",
                    "not readable",
                    "blockhash:",
                    "fee:",
                )
            )


async def test_the_view_turns_its_pages_and_follows_the_situation() -> None:
    app = DashboardApp(situations.calm())
    async with app.run_test(size=(120, 30)) as pilot:
        view = ChainView("signer-set", situations.calm())
        await app.screen.mount(view)
        await pilot.pause()
        assert "SIGNER SET" in app.text() and situations.KEYS[3] in app.text()
        await pilot.press("right")
        await pilot.pause()
        assert "no failed transaction" in app.text()
        view.show(replace(situations.rpc_outage(), wall=situations.WALL + 1))
        await pilot.pause()
        assert "BlockhashNotFound" in app.text()
        await pilot.press("end", "left")
        await pilot.pause()
        assert "✗ signer-2 reports set 99" in app.text()
