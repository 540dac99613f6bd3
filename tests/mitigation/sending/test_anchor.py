"""H14: what the lease keeps of the journal tells of a journal that was forged as a whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.cli import main
from cockpit.journal import anchor, hash_chain
from cockpit.journal.journal import Journal
from cockpit.kubeapi.access import load_access
from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation.cluster import lease
from tests.support.kube_rig import NAMESPACE, Rig, carry, ended, plan, step
from tests.support.waiting import wait_for


def head_of(path: Path) -> Path:
    return path.with_name(path.name + ".head")


def chained(path: Path, records: list[dict[str, Any]]) -> None:
    """Write the journal and its head anew, as whoever knows how would."""
    lines, previous = [], hash_chain.GENESIS
    for number, record in enumerate(records, 1):
        body = {key: value for key, value in record.items() if key != "hash"} | {"seq": number}
        line, previous = hash_chain.hashed_line(body, previous)
        lines.append(line)
    path.write_bytes(b"".join(lines))
    head_of(path).write_text(f"{len(records)} {previous}".ljust(95) + "\n")


def appended(path: Path, records: list[dict[str, Any]]) -> None:
    chained(path, [*records, {**records[0], "number": 2, "intents": 2, "title": "somebody else did that"}])


def cut(path: Path, records: list[dict[str, Any]]) -> None:
    chained(path, records[:1])


def edited(path: Path, records: list[dict[str, Any]]) -> None:
    chained(path, [{**records[0], "title": "scaled to 4, not to 5"}, *records[1:]])


def removed(path: Path, records: list[dict[str, Any]]) -> None:
    path.unlink()
    head_of(path).unlink()


FORGED = [
    pytest.param(appended, "newer than what the cluster's lease knows", id="a record appended"),
    pytest.param(cut, "the end was cut off", id="cut, the head rewritten"),
    pytest.param(edited, "written anew", id="edited and chained anew"),
    pytest.param(removed, "none is left", id="both files removed"),
]


@pytest.fixture
def done(rig: Rig) -> Rig:
    """A mitigation was carried out to its end, and the lease given back."""
    executor = rig.executor()
    made = plan(executor, step("scale", "m0-ingestor", replicas=5))
    carry(executor, made)
    ended(executor, made)
    wait_for(lambda: not held(rig).holder)
    executor.close(5.0)
    return rig


def held(rig: Rig) -> lease.Held:
    async def read() -> lease.Held:
        access = load_access(str(next(rig.directory.glob("kubeconfig-*"))))
        async with KubeClient(access) as client:
            return await lease.read(client, NAMESPACE, lambda: client.server_time() or 0.0)

    return asyncio.run(read())


def test_the_lease_keeps_the_journals_end_and_agrees_with_it(done: Rig) -> None:
    kept = anchor.read(held(done).journals)
    journal = Journal.open(done.journal_path)
    assert kept == {anchor.name_of(done.journal_path): journal.end()}
    assert journal.anchored(held(done).journals) and journal.compare(held(done).journals, held=False) == []
    journal.append({"kind": "note", "words": "no mitigation: it takes no lease"})
    assert journal.compare(held(done).journals, held=False) == []
    journal.close()


@pytest.mark.parametrize(("forge", "said"), FORGED)
def test_a_journal_that_was_forged_as_a_whole_is_found_out(
    done: Rig, forge: Callable[[Path, list[dict[str, Any]]], None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = done.journal_path
    forge(path, [json.loads(line) for line in path.read_text().splitlines()])
    journal = Journal(path)
    assert journal.verify() == []  # by itself it is whole
    found = journal.compare(held(done).journals, held=False)
    assert len(found) == 1 and said in found[0]
    config = done.directory / "config.toml"
    kubeconfig = next(done.directory.glob("kubeconfig-*"))
    config.write_text(f'kubeconfig = "{kubeconfig}"\nnamespace = "{NAMESPACE}"\nstate-dir = "{path.parent}"\n')
    assert main(["journal", "verify", "--config", str(config)]) == 1
    assert said in capsys.readouterr().err


def test_verify_says_what_it_was_compared_with(done: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    config = done.directory / "config.toml"
    kubeconfig = next(done.directory.glob("kubeconfig-*"))
    text = f'namespace = "{NAMESPACE}"\nstate-dir = "{done.journal_path.parent}"\n'
    config.write_text(f'kubeconfig = "{kubeconfig}"\n{text}')
    assert main(["journal", "verify", "--config", str(config)]) == 0
    assert "compared with what the cluster's lease knows" in capsys.readouterr().out
    config.write_text(f'kubeconfig = "{done.directory}/gone"\n{text}')
    assert main(["journal", "verify", "--config", str(config)]) == 0
    assert "not compared with the cluster: " in capsys.readouterr().out


def test_a_mitigation_under_way_is_no_forgery(done: Rig) -> None:
    path = done.journal_path
    appended(path, [json.loads(line) for line in path.read_text().splitlines()])
    assert Journal(path).compare(held(done).journals, held=True) == []


_ANNOTATIONS = st.one_of(st.none(), st.text(), st.integers(), st.dictionaries(st.text(), st.integers()).map(json.dumps))


@given(_ANNOTATIONS, st.integers(0, 10**6))
def test_whatever_stood_in_the_annotation_the_anchor_is_kept_in_it(was: object, count: int) -> None:
    text = anchor.renewed(was, ("host/1", count, "abc"))
    assert anchor.read(text)["host/1"] == (count, "abc")


def test_anchors_of_others_stay_and_are_no_more_than_a_few() -> None:
    text = ""
    for number in range(100):
        text = anchor.renewed(text, (f"host/{number}", number, "h"))
    kept = anchor.read(text)
    assert len(kept) == anchor.MOST and kept["host/99"] == (99, "h") and kept["host/98"] == (98, "h")
