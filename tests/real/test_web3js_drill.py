"""Runs the npm package @solana/web3.js, unmodified, against the drill's Solana.

One run of node answers many questions.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from solders.instruction import Instruction

from cockpit.drill.solana.load import load
from cockpit.drill.solana.node.servers import SolanaServers
from cockpit.drill.solana.program import instructions
from cockpit.drill.solana.program.layouts import Market, discriminator

pytestmark = pytest.mark.real

PACKAGE = "@solana/web3.js@1"
SCRIPT = Path(__file__).with_name("web3js_drill.cjs")
MARKET = "NBA_LAL_BOS"


@pytest.fixture(scope="module")
def modules() -> Path:
    """Return a directory with the package in its node_modules, kept from one run to the next."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    home = Path(platformdirs.user_cache_dir("m0-cockpit-tests")) / "web3js-1"
    if not (home / "node_modules" / "@solana" / "web3.js").is_dir():
        home.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", PACKAGE]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode != 0:
            pytest.skip(f"npm could not install {PACKAGE}: {done.stderr.strip()[-200:]}")
    return home / "node_modules"


def plain(part: Instruction) -> dict[str, Any]:
    keys = [{"pubkey": str(m.pubkey), "isSigner": m.is_signer, "isWritable": m.is_writable} for m in part.accounts]
    return {"program": str(part.program_id), "data": base64.b64encode(bytes(part.data)).decode(), "keys": keys}


async def answers(modules: Path) -> tuple[dict[str, Any], SolanaServers]:
    """Return what the script printed; a publisher of 30 transactions a second runs meanwhile."""
    async with SolanaServers.alone() as servers:
        own = servers.oracle.keys
        given = {
            "url": servers.url(),
            "program": servers.oracle.program_id,
            "market": str(own.market(MARKET)),
            "committer": base64.b64encode(bytes(own.committer.pair)).decode(),
            "authority": base64.b64encode(bytes(own.authority.pair)).decode(),
            "pause": plain(instructions.update_market(own, "FED_RATE_JAN", False)),
            "pause_wrong": plain(instructions.set_paused(own, True, own.committer.key)),
            "friend": str(own.named("friend").key),
        }
        publishing = asyncio.create_task(load(servers.oracle, 30, 90))
        process = await asyncio.create_subprocess_exec(
            "node",
            str(SCRIPT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "NODE_PATH": str(modules)},
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(json.dumps(given).encode()), 80)
        finally:
            if process.returncode is None:
                process.kill()
            publishing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await publishing
        assert process.returncode == 0, err.decode()[-3000:]
        found: dict[str, Any] = json.loads(out)
        return found, servers


@pytest.fixture(scope="module")
def printed(modules: Path) -> dict[str, Any]:
    found, servers = asyncio.run(answers(modules))
    return {**found, "servers": servers}


def test_it_reads_the_cluster(printed: dict[str, Any]) -> None:
    ledger = printed["servers"].oracle.ledger
    assert printed["version"]["solana-core"]
    assert printed["genesis"] == ledger.genesis
    assert printed["slot"] <= ledger.slot()
    assert printed["epoch"]["absoluteSlot"] - printed["epoch"]["blockHeight"] > 0
    assert printed["height"] == ledger.height(printed["slot"]) or printed["height"] > ledger.height(printed["slot"])
    assert printed["fees"] > 100 and printed["performance"] == 2
    assert printed["blockhash_valid"] is True


def test_it_reads_accounts_and_filters_them(printed: dict[str, Any]) -> None:
    assert printed["balance"] > 0
    assert printed["account"] == {
        "owner": printed["servers"].oracle.program_id,
        "size": Market.SPACE,
        "head": discriminator("account", "Market").hex(),
    }
    assert printed["markets"] == 8
    assert printed["several"] == [False, True, None]
    assert printed["rent"] == (128 + 146) * 6960


def test_it_hears_logs_slots_and_changes(printed: dict[str, Any]) -> None:
    heard = printed["heard"]
    assert heard["logs"] >= 10 and heard["doubles"] == 0
    assert heard["slots"] >= 3
    assert heard["accounts"] >= 1 and heard["size"] == Market.SPACE
    assert heard["program"] >= 1
    assert any(line.startswith("Program data: ") for line in heard["log"])


def test_it_pages_signatures_and_reads_transactions_and_blocks(printed: dict[str, Any]) -> None:
    assert printed["paging"] == {"count": 8, "distinct": 8, "until": True}
    assert printed["transaction"]["slot"] is True and printed["transaction"]["logs"] > 3
    assert printed["transaction"]["version"] == "legacy"
    assert printed["parsed"] == 1
    assert printed["several_transactions"] == 3
    assert printed["block"] == {"has": True, "time": True}
    assert set(printed["statuses"]) <= {"confirmed", "finalized"}


def test_it_simulates_sends_and_confirms(printed: dict[str, Any]) -> None:
    wrong = {"InstructionError": [0, {"Custom": 6000}]}
    assert printed["fee"] == 5000
    assert printed["simulated"]["err"] is None and printed["simulated"]["units"] > 0
    assert "Program log: Instruction: UpdateMarket" in printed["simulated"]["logs"]
    assert printed["simulated_bad"] == wrong
    assert printed["confirmed"] is None
    assert printed["servers"].oracle.refusal("FED_RATE_JAN") == "MarketNotActive"
    assert printed["confirmed_failing"] == wrong
    assert printed["dropped"] == 5_000_000


def test_it_understands_the_errors(printed: dict[str, Any]) -> None:
    refused = printed["refused"]
    assert refused["name"] == "SendTransactionError"
    assert "custom program error: 0x1770" in refused["message"]
    assert any("Error Number: 6000" in line for line in refused["logs"])
    assert printed["unknown_method"]["error"] == {"code": -32601, "message": "Method not found"}
    assert printed["skipped"]["code"] == -32001
    assert printed["old_version"]["code"] == -32015
    assert printed["bad_filter"]["code"] == -32602
