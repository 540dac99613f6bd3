"""The cockpit where operators use it: on another machine, through a real sshd, by keys alone, over
lines that drop.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cockpit.drill.names import INGESTOR, SIGNER
from cockpit.drill.server import DrillThread
from cockpit.journal.journal import Journal
from cockpit.journal.processes import alive
from tests.support.terminals.by_keys import quick
from tests.support.terminals.pty_terminal import until
from tests.support.terminals.ssh_rig import Remote, Sshd, cockpit

pytestmark = pytest.mark.real

#: Simulated seconds a second; what the cockpit measures itself stays in real seconds (see `quick`).
SPEED = 10.0
#: What is usual is known after so long a past; where nothing asks for it a drill begins with less.
USUAL_S, PAST_S = 3600.0, 900.0
PROVEN = r"verdict +✓ PASS"


@pytest.fixture(scope="module")
def sshd(need: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(need, tmp_path_factory.mktemp("ssh"))
    yield server
    server.close()


@pytest.fixture
def remote(need: Callable[[str], str], sshd: Sshd) -> Iterator[Callable[[int, int], Remote]]:
    """`remote(width, height)` → a terminal on the operator's machine; all are closed at the end of
    the test.
    """
    tmux = need("tmux")
    opened: list[Remote] = []

    def make(width: int, height: int) -> Remote:
        opened.append(Remote(tmux, sshd, width, height))
        return opened[-1]

    yield make
    for pane in opened:
        pane.kill()


class Site:
    """Runs a drill that outlives the cockpit, and holds the configuration that points at it."""

    def __init__(self, drill: DrillThread, config: Path) -> None:
        self.drill = drill
        self.config = str(config)
        self.at_scale: Callable[[], None] = lambda: None  # what happens just before the next scale is carried out
        self.sent: list[str] = []  # paths of the patches that came to the API server, dry runs too
        self.journal_path = Path(drill.config).parent / "state" / "journal.jsonl"

    def asked(self, method: str, path: str) -> None:
        """At the API server, before anything is carried out."""
        if method == "PATCH":
            self.sent.append(path)
            if path.endswith("/scale"):
                then, self.at_scale = self.at_scale, lambda: None
                then()

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Records of the journal, which holds together."""
        if not self.journal_path.exists():
            return []
        journal = Journal.open(self.journal_path)
        try:
            assert journal.verify() == []
            return [dict(record) for record in journal.records() if record["kind"] == kind]
        finally:
            journal.close()

    def wrote(self, kind: str) -> bool:
        return self.journal_path.exists() and f'"kind":"{kind}"' in self.journal_path.read_text()


@contextmanager
def site(scenario: str, directory: Path, number: int, speed: float = SPEED, past_s: float = PAST_S) -> Iterator[Site]:
    """What a minute proves, a second or two prove at this speed: runbook `number` validates so."""
    runbooks = directory / "quick.toml"
    runbooks.write_text(quick(number))
    with DrillThread(scenario, speed=speed, history_s=past_s) as drill:
        drill.call(lambda running: setattr(running.world, "step_s", 2.0))
        given = Path(drill.config).read_text()
        for section in ("prometheus", "solana"):
            given = given.replace(f"\n[{section}]\n", f"\n[{section}]\ninterval = 0.5\n")
        config = directory / "cockpit.toml"
        config.write_text(f"runbooks = {json.dumps(str(runbooks))}\n{given}")
        made = Site(drill, config)
        drill.call(lambda running: setattr(running.world.kube.chaos, "before", made.asked))
        yield made


@pytest.mark.long
def test_runbook_1_the_rpc_endpoint_fails(remote: Callable[[int, int], Remote], tmp_path: Path) -> None:
    """160×48, tmux.

    Symptoms → runbook 1 ranks first → switch to the healthy endpoint → proof passes → the change is
    undone.
    """
    with site("rpc-outage", tmp_path, 1, past_s=USUAL_S) as world:
        pane = remote(160, 48)
        pane.tmux("--config", world.config)
        pane.wait(r"MATCH\s+1 Publishing stops\s+3 of 3 symptoms")
        pane.wait(r"it stops at: commit")
        pane.keys("r")
        pane.wait(r"▸ 3/3 +1 Publishing stops")  # the best match is already open
        pane.wait(r"likeliest +RPC endpoint fails or is slow")
        pane.keys("n")
        pane.wait(r"▸ ▶ A +Switch RPC endpoint")

        pane.keys("Enter")
        pane.wait(r"▸ http://127\.0\.0\.1:\d+/\*\*\*")
        pane.keys("Enter")
        shown = pane.wait(r"y do it")
        assert "PRODUCTION" in shown
        assert "KEYLIKE" not in shown, "the endpoint's key is on screen"
        pane.keys("Enter")
        pane.wait(r"y do it", absent=True)  # Enter cancels, never accepts
        assert world.records("intent") == []

        pane.keys("Enter")
        pane.wait(r"▸ http://127\.0\.0\.1:\d+/\*\*\*")
        pane.keys("Enter")
        pane.wait(r"y do it")
        pane.keys("y")
        pane.wait(r"VERIFYING +rolled out: 1 of 1 pods|verdict")
        pane.wait(PROVEN)
        pane.keys("Escape", "Escape")
        pane.wait(r"no runbook matches|MATCH\s+(?!1 )")

        pane.keys("u")
        pane.wait(r"y do it|type m0-submitter")
        pane.keys("y")
        pane.wait(r"VERIFYING|ROLLING OUT|DONE")
        intents = world.records("intent")
        assert len(intents) == 2
        assert "KEYLIKE" not in json.dumps(intents)


@pytest.mark.long
def test_runbook_3_the_kms_refuses_agents(remote: Callable[[int, int], Remote], tmp_path: Path) -> None:
    """80×24, without tmux, no colours.

    Symptoms → runbook 3 ranks first → typed ahead in one piece to the question → new pods.
    """
    with site("kms-denied", tmp_path, 3) as world:
        pane = remote(80, 24)
        pane.log_in(shlex.join(["exec", "env", "NO_COLOR=1", *cockpit("--config", world.config)]))
        pane.wait(r"MATCH\s+3 Signer threshold misses.*3 of 3")
        pane.wait(r"it stops at +sign|it stops at: sign")
        pane.keys("3")
        pane.wait(r"3 Signers")
        pane.keys("r")
        pane.wait(r"likeliest +KMS")  # known only now: it decides which step `n` goes to
        pane.keys("Escape")
        pane.wait(r"likeliest +KMS", absent=True)
        pane.type_ahead("rn\r")
        shown = pane.wait(r"y do it")
        assert SIGNER in shown and "PRODUCTION" in shown
        pane.keys("Enter")
        pane.wait(r"y do it", absent=True)
        assert world.records("intent") == []
        pane.keys("Enter")
        pane.wait(r"y do it")
        pane.keys("y")
        pane.wait(PROVEN)
        pane.keys("Escape", "Escape")
        pane.wait(r"no runbook matches|MATCH\s+(?!3 )")
        assert not re.search(r"\x1b\[[0-9;]*(3|4|9|10)[0-9]\b", pane.painted())
        assert [record["result"] for record in world.records("outcome")] == ["sent"]
        pane.keys("q")
        pane.wait(r"ssh=0")


def test_runbook_6_the_line_drops_and_tmux_keeps_the_cockpit(
    remote: Callable[[int, int], Remote], tmp_path: Path
) -> None:
    """80×24, tmux.

    Symptoms → runbook 6 ranks first → scale the ingestors; the line drops in the rollout; the proof
    passes meanwhile.
    """
    with site("ingest-backlog", tmp_path, 6) as world:
        pane = remote(80, 24)
        pane.tmux("--config", world.config)
        pane.wait(r"MATCH\s+6 Data ingestion lag.*3 of 3")
        pane.wait(r"it stops at +ingest")
        pane.keys("4")
        pane.wait(r"4 Watermark")
        pane.keys("r")
        pane.wait(r"RUNBOOKS[\s\S]*6 Data ingestion lag")
        pane.keys("n")
        pane.wait(r"▸ ▶ 1 +Scale ingestor")
        pane.keys("Enter")
        pane.wait(r"\b8\b")
        pane.keys("Enter")
        pane.wait(r"y do it")
        world.sent.clear()
        pane.keys("y")
        until(lambda: world.wrote("outcome"), 20, pane.screen)
        pane.door.cut()
        pane.wait(r"ssh=255")
        until(lambda: world.records("proof"), 60, "the cockpit went on without anybody looking")

        pane.tmux("--config", world.config)
        pane.wait(PROVEN)
        assert world.drill.drill.world.kube.replicas(INGESTOR) == 8
        assert [path.rpartition("/deployments/")[2] for path in world.sent] == [f"{INGESTOR}/scale"]
        pane.keys("Escape")
        pane.wait(PROVEN, absent=True)
        pane.keys("u")
        pane.wait(r"replicas +8 +→ +4")


@pytest.mark.parametrize("moment", ["while the request is on its way", "during the rollout"])
def test_the_line_drops_in_the_middle_of_a_mitigation(
    remote: Callable[[int, int], Remote], tmp_path: Path, moment: str
) -> None:
    """Without tmux the cockpit ends with the line.

    The next one says how it ended, sends nothing again, and can take it back.
    """
    with site("calm", tmp_path, 6, speed=1.0) as world:
        pane = remote(80, 24)
        there = shlex.join(["exec", *cockpit("--config", world.config)])
        pane.log_in(there)
        pane.wait(r"m0-submitter +1/1")
        pane.wait(r"6 Grd ")  # the metrics are there: nothing to override
        pane.type_ahead(":scale ingestor")
        pane.wait(r"runbook 6 · scale")
        pane.keys("Enter")
        pane.wait(r"nothing is sent yet")
        pane.keys("Enter")
        pane.wait(r"y do it")
        del world.sent[:]
        if moment.startswith("while"):
            world.at_scale = pane.door.cut
        pane.keys("y")
        until(lambda: world.wrote("outcome"), 20, pane.screen)
        if moment.startswith("during"):
            pane.door.cut()
        pane.wait(r"ssh=255")
        (intent,) = world.records("intent")
        until(lambda: not alive(intent), 10, "the cockpit ended with its terminal")
        assert [record["result"] for record in world.records("outcome")] == ["sent"]

        pane.log_in(there)
        pane.wait(r"ended in the middle of something")
        pane.wait(r"APPLIED")
        assert [record["judgement"] for record in world.records("judged")] == ["applied"]
        assert [path for path in world.sent if path.endswith("/scale")] == world.sent[:1], "something was sent again"
        pane.keys("Escape")
        pane.wait(r"ended in the middle", absent=True)
        pane.keys("u")
        pane.wait(r"replicas +8 +→ +4")
        pane.wait(r"y do it")
        pane.keys("y")
        until(lambda: len(world.records("outcome")) == 2, 20, pane.screen)
        assert world.drill.drill.world.kube.replicas(INGESTOR) == 4
