"""Tests the stand-in for the network's command line, as the cockpit calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cockpit.config import load_settings
from cockpit.drill.names import MARKETS
from cockpit.drill.server import DrillThread
from tests.support.paths import ROOT

MARKET = next(iter(MARKETS))


@pytest.fixture(scope="module")
def drill() -> Iterator[DrillThread]:
    with DrillThread(history_s=30.0, speed=0) as made:
        yield made


def cli(drill: DrillThread, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Call it as the generated configuration says."""
    own = load_settings(config=drill.config, env={}).network_cli
    return subprocess.run(
        [*own.argv, *words], env={**own.env, **env}, capture_output=True, text=True, timeout=30, check=False
    )


def commits(drill: DrillThread) -> float:
    return drill.call(lambda d: d.world.metrics.value("m0-submitter", "m0_publish_attempts_total").value)


def test_the_generated_configuration_points_at_it(drill: DrillThread) -> None:
    own = load_settings(config=drill.config, env={}).network_cli
    assert own.argv == (sys.executable, "-m", "cockpit.drill.cli")
    assert own.cluster == "drill"


def test_a_paused_market_publishes_nothing_until_it_is_unpaused(drill: DrillThread) -> None:
    def sequence() -> int:
        return drill.call(lambda d: d.world.publish.epochs[MARKET])

    done = cli(drill, "market", "pause", "--market-id", MARKET, "--cluster", "drill")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"market_id": MARKET, "active": False, "paused": True}
    drill.advance(20)  # what was on its way is through
    before, others = sequence(), commits(drill)
    drill.advance(60)
    assert sequence() == before
    assert commits(drill) > others
    assert json.loads(cli(drill, "market", "get", "--market-id", MARKET, "--cluster", "drill").stdout)["paused"]
    assert cli(drill, "market", "unpause", "--market-id", MARKET, "--cluster", "drill").returncode == 0
    drill.advance(60)
    assert sequence() > before


def test_a_signer_set_is_made_once(drill: DrillThread) -> None:
    words = (
        "signer-set",
        "create",
        "--signer-set-id",
        "101",
        "--threshold",
        "2",
        "--pubkey",
        "a",
        "--pubkey",
        "b",
        "--activate-epoch",
        "now",
    )
    assert cli(drill, *words).returncode == 0
    found = json.loads(cli(drill, "signer-set", "get", "--signer-set-id", "101").stdout)
    assert found == {"signer_set_id": 101, "threshold": 2, "pubkeys": ["a", "b"], "activate_epoch": "now"}
    again = cli(drill, *words)
    assert (again.returncode, "AlreadyInitialized" in again.stderr) == (1, True)
    greedy = cli(drill, *words[:3], "102", "--threshold", "9", "--pubkey", "a")
    assert (greedy.returncode, "InvalidThreshold" in greedy.stderr) == (1, True)


def test_what_the_program_would_reject_is_rejected(drill: DrillThread) -> None:
    done = cli(drill, "market", "pause", "--market-id", "$(touch x)", "--cluster", "drill")
    assert (done.returncode, "InvalidMarketId" in done.stderr) == (1, True)
    assert cli(drill, "market", "explode", "--market-id", MARKET, "--cluster", "drill").returncode == 2
    assert cli(drill, "market", "get", "--market-id", MARKET).returncode == 2


def test_without_the_token_nothing_is_done(drill: DrillThread) -> None:
    done = cli(drill, "market", "pause", "--market-id", MARKET, "--cluster", "drill", M0_DRILL_TOKEN="wrong")
    assert (done.returncode, "token is not accepted" in done.stderr) == (1, True)
    assert drill.call(lambda d: MARKET not in d.world.authority.paused)
    gone = cli(drill, "market", "get", "--market-id", MARKET, "--cluster", "drill", M0_DRILL_ADMIN="http://127.0.0.1:1")
    assert (gone.returncode, "cannot reach" in gone.stderr) == (1, True)


def test_what_a_server_answers_is_shown_not_sent_to_the_terminal() -> None:
    """H6: escape sequences and secrets of an answer reach no terminal."""

    class Hostile(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"error": "no\x1b[2J\x1b]0;owned\x07 password=hunter2secret"}).encode()
            self.send_response(409)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        words = [sys.executable, "-P", "-m", "cockpit.drill.cli", "market", "get", "--market-id", "M", "--cluster", "c"]
        env = {**os.environ, "M0_DRILL_ADMIN": f"http://127.0.0.1:{server.server_port}", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60)
        server.shutdown()
    assert done.returncode == 1 and done.stderr.startswith("m0-cli: rejected: no\\e[2J")
    assert "\x1b" not in done.stderr and "hunter2secret" not in done.stderr


def test_a_bug_of_its_own_is_one_line_and_no_traceback() -> None:
    """H6: the hooks that the cockpit has, it has too."""
    hook = "import runpy, urllib.request as u; u.build_opener = lambda *a: 1 / 0; "
    code = f"{hook}import sys; sys.argv = ['m0-cli', 'market', 'get', '--market-id', 'M', '--cluster', 'c']; "
    code += "runpy.run_module('cockpit.drill.cli', run_name='__main__')"
    env = {**os.environ, "M0_DRILL_ADMIN": "http://127.0.0.1:1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "a bug ended it: ZeroDivisionError" in done.stderr and len(done.stderr.splitlines()) == 1
