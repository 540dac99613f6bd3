"""Operators and scripts call `m0-cockpit incident …`.

Each call is a process of its own; all share one journal and its exit codes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cockpit.journal.operator import user_name
from tests.support.paths import ROOT

KEY = "s3cretPathOfTheHook99"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def call(*arguments: str, command: str = "incident") -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "M0_COCKPIT_STATE_DIR": str(tmp_path / "state"),
            "PYTHONPATH": str(ROOT),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "LANG": "C.UTF-8",
        }
        return subprocess.run(
            [sys.executable, "-m", "cockpit.cli", command, *arguments],
            capture_output=True,
            text=True,
            env=env,
            timeout=60,
            check=False,
        )

    return call


@pytest.fixture
def hook() -> Iterator[tuple[str, list[int], list[bytes]]]:
    codes, bodies = [200], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(codes[0])
            self.send_header("Location", f"/elsewhere/{KEY}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook/{KEY}", codes, bodies
    server.shutdown()
    server.server_close()


def test_an_incident_from_the_shell(run: Run, tmp_path: Path) -> None:
    nothing = run("note", "x")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr.startswith("m0-cockpit: no incident is open (open one: ") and nothing.stderr.count("\n") == 1
    assert run("list").stdout == "no incident yet\n"
    opened = run("open", "--title", "Publishing stops", "--severity", "sev1", "--commander", "alice", "--runbook", "1")
    assert (opened.returncode, opened.stdout) == (0, "incident #1 is open\n")
    assert (
        run("open", "--title", "x", "--severity", "SEV1").stderr
        == "m0-cockpit: incident #1 is open (note in it, or close it first)\n"
    )
    for arguments, expected in (
        (("note", "restarted nothing"), "noted in incident #1\n"),
        (("severity", "0", "--reason", "all markets"), "incident #1 is SEV0\n"),
        (("role", "scribe", "bob"), "incident #1: scribe is bob\n"),
        (("check", "4", "--words", "told the channel"), "checked: communication started\n"),
        (("update", "we are on it"), "update recorded, not sent (no webhook is configured)\n"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
    shown = json.loads(run("show", "--json").stdout)
    assert (shown["severity"], shown["runbook_number"], shown["opened_by"], shown["reminder"]["level"]) == (
        "SEV0",
        1,
        user_name(os.getuid()),
        "quiet",
    )
    assert [(x["item"], x["state"]) for x in shown["checklist"]][0::3] == [
        ("16.incident.1", "done"),
        ("16.incident.4", "done"),
    ]
    assert "scribe               bob" in run("show").stdout
    assert run("check", "16.incident.9").returncode == 64
    assert run("role", "king", "x").returncode == 64
    assert run("open").returncode == 64
    report = tmp_path / "report.md"
    assert run("report", "--out", str(report)).stdout == f"{report}\n"
    assert report.stat().st_mode & 0o777 == 0o600 and "# Incident 1: Publishing stops" in report.read_text()
    assert run("report", "--out", str(tmp_path / "no" / "x")).returncode == 70
    assert run("close", "--reason", "over").stdout == "incident #1 is closed\n"
    (listed,) = json.loads(run("list", "--json").stdout)["incidents"]
    assert (listed["number"], listed["open"], listed["close_reason"]) == (1, False, "over")
    assert "still open" not in run("report", "1").stdout
    assert run("show", "7").stderr == "m0-cockpit: there is no incident #7 (see `m0-cockpit incident list`)\n"


def test_verify_names_the_line(run: Run, tmp_path: Path) -> None:
    run("open", "--title", "t", "--severity", "SEV2")
    run("note", "before")
    good = run("verify", command="journal")
    assert good.returncode == 0 and good.stdout.splitlines()[0].endswith("journal.jsonl: intact")
    path = tmp_path / "state" / "journal.jsonl"
    path.write_text(path.read_text().replace("before", "behind"))
    bad = run("verify", command="journal")
    assert bad.returncode == 1
    assert bad.stderr.splitlines()[0].startswith("line 2: ") and "journal.jsonl: 1 problem\n" in bad.stdout
    assert "not compared with the cluster's anchor: " in bad.stdout
    assert "Journal: 2 records, **1 problem**" in run("report").stdout


def test_an_update_is_posted_or_said_not_to_be(
    run: Run, hook: tuple[str, list[int], list[bytes]], tmp_path: Path
) -> None:
    url, codes, bodies = hook
    config = tmp_path / "config.toml"
    config.write_text(f'[webhook]\nurl = "{url}"\n')
    run("open", "--title", "t", "--severity", "SEV1")
    sent = run("update", "first", "--config", str(config))
    assert (sent.returncode, sent.stdout) == (0, "update recorded and delivered\n")
    assert b"first" in bodies[0]
    assert "asked not to be sent" in run("update", "quiet", "--no-send", "--config", str(config)).stdout
    codes[0] = 302
    refused = run("update", "second", "--config", str(config), "--debug")
    assert refused.returncode == 1
    assert "NOT delivered: answered with a redirect (302)" in refused.stderr
    assert len(bodies) == 2
    said = (
        refused.stderr
        + refused.stdout
        + run("show", command="journal").stdout
        + (tmp_path / "state" / "journal.jsonl").read_text()
    )
    assert KEY not in said and url not in said
    assert "update NOT delivered" in run("show").stdout


def test_evidence_without_a_cluster_says_what_is_missing_and_verifies(run: Run, tmp_path: Path) -> None:
    kubeconfig = str(tmp_path / "none")
    run("open", "--title", "t", "--severity", "SEV0")
    made = run("evidence", "--kubeconfig", kubeconfig)
    assert made.returncode == 0, made.stderr
    path = Path(made.stdout.splitlines()[0])
    assert path.exists() and "not collected: pods.json:" in made.stdout
    checked = run("evidence", "--verify", str(path))
    assert checked.returncode == 0 and "intact" in checked.stdout and "journal record 2" in checked.stdout
    data = bytearray(path.read_bytes())
    at = data.index(b"incident-opened")
    data[at : at + 8] = b"INCIDENT"
    path.chmod(0o600)
    path.write_bytes(bytes(data))
    spoilt = run("evidence", "--verify", str(path))
    assert spoilt.returncode == 1
    assert "journal.jsonl: its content is not what the manifest says" in spoilt.stderr
    assert "the journal holds another digest" in spoilt.stderr
    assert run("evidence", "--verify", str(tmp_path / "absent")).returncode == 70
