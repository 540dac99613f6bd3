"""Evidence is redacted, complete or says why not, in time; a touched bundle is found out."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import stat
import tarfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cockpit.canonical_json import canonical
from cockpit.clock import ManualClock
from cockpit.incident import actions
from cockpit.incident.evidence import bundle
from cockpit.incident.evidence.bundle import MANIFEST, Missing, capture, tarred, verify
from cockpit.incident.evidence.collectors import collectors
from cockpit.incident.evidence.redaction import redacted
from cockpit.model.observed.chain import FailureClass, ProgramActivity, ProtocolState, Reveal, SignerSetState
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.secrets import display_value
from cockpit.sources.kubernetes.log_lines import LogLine, parse
from tests.support.samples.records import (
    OPS1,
    RUNBOOKS,
    SECRET,
    START,
    down,
    incident_service,
    journal,
    plan,
    situation,
)

SIGNATURE = "5VERv8NMvzbJMEkV8xnrLkEaWRtSz9CosKDYjCJjBRnbJLgp8uirBgmQpjKhoR4tjF3ZpRzrFmBV6UjKdiSZkQUW"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def part(data: Any) -> Any:
    async def collect() -> Any:
        return data

    return collect


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]


async def made(directory: Path, **collect: Any) -> bundle.Captured:
    return await capture(directory, "bundle", collect, {"incident": 1}, wall=START, budget_s=0.3)


async def test_the_same_content_gives_the_same_bytes_and_never_overwrites(tmp_path: Path) -> None:
    one = await made(tmp_path, b=part(["x"]), a=part({"k": 1}))
    two = await made(tmp_path, a=part({"k": 1}), b=part(["x"]))
    assert (one.path.name, two.path.name) == ("bundle.tar", "bundle-2.tar")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.sha256 == hashlib.sha256(one.path.read_bytes()).hexdigest()
    assert stat.S_IMODE(one.path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["bundle-2.tar", "bundle.tar"]
    assert verify(one.path)[0] == []


async def test_what_could_not_be_collected_is_said_and_holds_nothing_up(tmp_path: Path) -> None:
    hanging = threading.Event()

    async def hangs() -> Any:
        await asyncio.sleep(3600)

    async def stubborn() -> Any:
        while not hanging.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    async def absent() -> Any:
        raise Missing("not configured")

    async def broken() -> Any:
        raise RuntimeError("token=abcdefgh \x1b[2J")

    try:
        captured = await made(
            tmp_path, good=part(["line"]), hangs=hangs, stubborn=stubborn, absent=absent, broken=broken
        )
    finally:
        hanging.set()
    assert captured.parts == ("good",)
    assert dict(captured.missing) == {
        "absent": "not configured",
        "broken": "RuntimeError: token=*** \\e[2J",
        "hangs": "not collected within 0.3 s",
        "stubborn": "not collected within 0.3 s",
    }
    manifest = json.loads(unpacked(captured.path)[MANIFEST])
    assert [m["part"] for m in manifest["missing"]] == ["absent", "broken", "hangs", "stubborn"]


async def test_a_long_part_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "PART_LIMIT", 100)
    monkeypatch.setattr(bundle, "TOTAL_LIMIT", 150)
    captured = await made(tmp_path, log=part([f"line {n}" for n in range(50)]), other=part(["y" * 80]))
    kept = unpacked(captured.path)
    assert kept["log"].endswith(b"line 49\n") and kept["log"].startswith(b"line ")
    assert [name for name, _ in captured.missing] == ["log", "other"]
    assert "the bundle is full" in dict(captured.missing)["other"]


def damaged(path: Path, **changes: bytes | None) -> Path:
    members = {name.replace(".", "_"): (name, data) for name, data in unpacked(path).items()}
    for key, data in changes.items():
        if data is None:
            members.pop(key)
        else:
            members[key] = (members[key][0] if key in members else key, data)
    other = path.with_name("other.tar")
    other.write_bytes(tarred(dict(members.values()), int(START)))
    return other


async def test_verify_finds_every_difference(tmp_path: Path) -> None:
    path = (await made(tmp_path, a=part(["x"]), b=part(["y"]))).path
    assert verify(damaged(path, a=b"z\n"))[0] == ["a: its content is not what the manifest says"]
    assert verify(damaged(path, a=None))[0] == ["a: in the manifest, not in the bundle"]
    assert verify(damaged(path, c=b"more"))[0] == ["c: in the bundle, not in the manifest"]
    assert "not a bundle" in verify(damaged(path, manifest_json=b"{}"))[0][0]
    other = tmp_path / "x.tar"
    data = path.read_bytes()
    other.write_bytes(data + b"tail")
    assert "bytes around them" in verify(other)[0][0]
    other.write_bytes(data[:-700])
    assert verify(other)[0]
    other.write_bytes(b"not a tar")
    assert "not a whole tar" in verify(other)[0][0]


async def test_a_hostile_bundle_is_read_without_being_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../../escape", "../../escape", "\x1b[2Jx"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    problems, _ = verify(path)
    assert "link: not a plain file" in problems and "../../escape: there twice" in problems
    assert all(problem.isprintable() for problem in problems)
    assert names(tmp_path) == ["evil.tar"]


def test_redaction_reaches_every_depth() -> None:
    kept = redacted(
        {
            "env": [{"API_TOKEN": SECRET}],
            f"Bearer {SECRET}": 1,
            "url": f"postgres://u:{SECRET}@db/x",
            "nan": float("nan"),
            "n": 3,
            "key": list(range(64)),
            "esc": "\x1b]52;c;x\x07",
        }
    )
    assert SECRET not in json.dumps(kept)
    assert kept["key"] == "[key pair ***]"
    assert (kept["nan"], kept["n"]) == ("nan", 3)
    assert kept["esc"].isprintable()
    assert redacted(kept) == kept


# --- what the parts hold --------------------------------------------------------------------------


def chain(mono: float) -> dict[str, Reading[Any]]:
    reveal = Reveal(market="NBA", epoch="epoch", bundle_hash="ab" * 32, sequence=7, slot=900, signature=SIGNATURE)
    failure = FailureClass(
        name="SignatureVerificationFailed",
        code=6018,
        instruction="RevealPrediction",
        count=12,
        per_minute=3.0,
        runbook=2,
        last_signature=SIGNATURE,
        last_slot=901,
    )
    program = ProgramActivity(
        "prog", "rpc-a", START, True, last_reveal=reveal, failures=(failure,), reveals_by_market={"NBA": reveal}
    )
    signers = SignerSetState(
        address="addr",
        signer_set_id=100,
        threshold=5,
        pubkeys=("KeyA", "KeyB"),
        active=True,
        created_at_slot=1,
        slot=900,
    )
    return {
        "program": Reading("solana/program", program, mono),
        "signer-set": Reading("solana/signer-set", signers, mono - 99),
        "protocol": Reading(
            "solana/protocol",
            ProtocolState(
                address="p",
                paused=False,
                authority="auth",
                next_signer_set_id=101,
                default_reveal_delay_slots=10,
                slot=900,
            ),
            mono,
        ),
    }


async def logs(namespace: str, pods: Sequence[tuple[str, str | None]], tail: int) -> list[LogLine | Fault]:
    lines: list[LogLine | Fault] = (
        [Fault(SourceState.DENIED, "pods/log is forbidden")] if "signer" in pods[0][0] else []
    )
    text = f"2026-11-23T10:00:00Z ERROR invalid signature tx={SIGNATURE} trace_id={TRACE} password={SECRET}"
    return [*lines, *([parse(text.encode(), pods[0][0], pods[0][1] or "")[0]] if not lines else [])]


async def collected(tmp_path: Path, **changes: Any) -> tuple[dict[str, bytes], dict[str, str]]:
    clock = ManualClock(START, 1000.0)
    seen = situation(clock, **{"configured": frozenset({"solana"}), "solana": chain(clock.mono()), **changes})
    record = journal(tmp_path, clock)
    if not record.records():
        actions.open_(record, OPS1, title="t", severity="SEV0")
    parts = collectors(
        situation=seen,
        records=record.records(),
        changes=(),
        runbooks=RUNBOOKS,
        read_logs=logs,
        shown=lambda name, value: display_value(RUNBOOKS, name, value),
    )
    captured = await capture(tmp_path, "b", parts, {}, wall=START)
    return unpacked(captured.path), dict(captured.missing)


async def test_runbook_2_s_list_is_in_it(tmp_path: Path) -> None:
    parts, missing = await collected(tmp_path)
    assert json.loads(parts["bundle.json"])["bundle_content_hash"] == "ab" * 32
    signers = json.loads(parts["signer-set.json"])
    assert (signers["signer_set_id"], signers["pubkeys"], signers["reading"]["state"]) == (
        100,
        ["KeyA", "KeyB"],
        "stale",
    )
    assert json.loads(parts["failed-transactions.json"])["signatures"] == [SIGNATURE]
    log = parts["logs/m0-submitter.log"].decode()
    assert f"#   {TRACE}\n" in log and f"#   {SIGNATURE}\n" in log
    submitter = json.loads(parts["deployments.json"])["workloads"][1]["containers"]["m0-submitter"]
    assert submitter["env"] == {"API_TOKEN": "***", "SOLANA_RPC_URL": "https://rpc-a.example/***"}
    assert submitter["image"] == "ghcr.io/m0-submitter@sha256:bb"
    assert json.loads(parts["signals.json"])["invalid-signatures"]["value"] == 0.0
    assert canonical(json.loads(parts["journal.jsonl"])).encode() + b"\n" == parts["journal.jsonl"]
    assert len(json.loads(parts["runbooks.json"])["sha256"]) == 64
    assert missing["logs/m0-signer-agent.log"] == "denied: pods/log is forbidden"
    assert SECRET.encode() not in b"".join(parts.values())


async def test_what_was_never_read_is_missing_with_its_reason(tmp_path: Path) -> None:
    faulty: dict[str, Reading[Any]] = {"program": Reading("solana/program", None, None, fault=down("rpc-a: timed out"))}
    _, missing = await collected(tmp_path, solana=faulty, kinds={})
    assert missing["bundle.json"] == "down: rpc-a: timed out"
    assert missing["signer-set.json"] == "solana/signer-set was never read"
    assert missing["deployments.json"] == "deployments were never read"
    assert (await collected(tmp_path, configured=frozenset()))[1]["bundle.json"].startswith(
        "no Solana endpoints are configured"
    )


# --- before the first change of a SEV0 ------------------------------------------------------------


def test_it_is_taken_by_itself_once_and_delays_nothing(tmp_path: Path) -> None:
    clock = ManualClock(START, 1000.0)
    held, asked = threading.Event(), threading.Event()

    def access() -> Any:  # where a cluster hangs: in a thread, out of reach of any cancelling
        asked.set()
        held.wait(20)
        raise OSError("gone")

    own = incident_service(tmp_path, clock, situation(clock), access=access, budget_s=0.2, record=False)
    own.do("open", {"title": "t", "severity": "SEV0"})
    own.snapshot(situation(clock))
    try:
        began = time.monotonic()
        own.before_change(plan(5))
        own.before_change(plan(5))
        assert asked.wait(10)  # it hangs now, and yet we came back
        assert time.monotonic() - began < 10
        record = _wait_for_record(own.journal)
    finally:
        held.set()
    assert record["reason"] == "before the first change: Kill switch"
    assert any("not collected within 0.2 s" in m for m in record["missing"])
    assert record["incident"] == 1
    own.close()
    assert sum(r["kind"] == "evidence" for r in own.journal.records()) == 1


def _wait_for_record(record: Any) -> Any:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        found = next((r for r in record.records() if r["kind"] == "evidence"), None)
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError("no evidence was journalled")


@pytest.mark.parametrize(
    ("severity", "runbook", "taken"),
    [("SEV1", 1, False), ("SEV1", 13, True), ("", 2, True), ("", 4, False), ("SEV0", None, True)],
)
def test_when_it_is_taken(
    tmp_path: Path, severity: str, runbook: int | None, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(START, 1000.0)
    own = incident_service(tmp_path, clock, situation(clock), record=False)
    begun: list[str] = []
    monkeypatch.setattr(own.capturer, "begin", begun.append)
    if severity:
        own.do("open", {"title": "t", "severity": severity})
    own.snapshot(situation(clock))
    own.before_change(plan(runbook))
    assert bool(begun) is taken


def test_a_service_that_fails_stops_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(START, 1000.0)
    own = incident_service(tmp_path, clock, situation(clock), record=False)

    def fails(reason: str) -> None:
        raise RuntimeError("no thread")

    monkeypatch.setattr(own.capturer, "begin", fails)
    own.before_change(plan(13))


async def test_a_bundle_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    clock = ManualClock(START, 1000.0)
    own = incident_service(tmp_path, clock, situation(clock), record=False)
    (tmp_path / "evidence").write_text("in the way")
    with pytest.raises(OSError):
        await own.evidence("on demand")
    assert any("evidence was NOT captured" in words for words in own.notices)
