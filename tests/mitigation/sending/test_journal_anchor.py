"""The lease bears the journal's newest record: what was done to the files is told from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cockpit import cli
from cockpit.drill.kubernetes.objects.resources import LEASES
from cockpit.drill.kubernetes.objects.store import Stored
from cockpit.drill.kubernetes.serving import write_kubeconfig
from cockpit.journal.anchor import KEPT, PREFIX, compare, key_of, written
from cockpit.journal.hash_chain import GENESIS, CheckedJournal, hashed_line
from cockpit.journal.journal import Journal
from cockpit.mitigation.cluster.lease import NAME
from cockpit.model.plan import Phase
from tests.support.kube_rig import NAMESPACE, Rig, carry, ended, plan, step


@pytest.fixture
def acted(rig: Rig) -> Rig:
    """A cluster in which one step was taken, and the lease given back."""
    executor = rig.executor()
    made = plan(executor, step("scale", "m0-ingestor", replicas=5))
    carry(executor, made)
    assert ended(executor, made).phase is Phase.DONE
    executor.close(5.0)
    return rig


def lease(rig: Rig) -> Stored:
    found = rig.world.store.get(LEASES, NAMESPACE, NAME)
    assert found is not None
    return found


def anchors(rig: Rig) -> dict[str, Any]:
    raw = rig.do(lambda: lease(rig).copy())
    notes = raw["metadata"]["annotations"]
    return {key: json.loads(text) for key, text in notes.items() if key.startswith(PREFIX)}


def verify(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return how `journal verify` ends, and what it prints."""
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", rig.served)
    monkeypatch.setenv("M0_COCKPIT_STATE_DIR", str(rig.journal_path.parent))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    capsys.readouterr()
    code = cli.main(["--kubeconfig", str(kubeconfig), "-n", NAMESPACE, "journal", "verify"])
    out, err = capsys.readouterr()
    return code, out, err


def at_start(rig: Rig) -> list[str]:
    """Return what a cockpit that starts is told."""
    executor = rig.executor(journal=Journal.open(rig.journal_path))
    found, why = executor.compare_journal().result(20)
    executor.close(5.0)
    assert not why
    return [one.words for one in found if one.wrong or one.newer]


def rewritten(path: Path, records: list[dict[str, Any]]) -> None:
    """Write a chain that is whole, and the head that belongs to it."""
    lines, previous = b"", GENESIS
    for seq, record in enumerate(records, 1):
        body = {**{k: v for k, v in record.items() if k != "hash"}, "seq": seq}
        line, previous = hashed_line(body, previous)
        lines += line
    path.write_bytes(lines)
    path.with_name(path.name + ".head").write_text(f"{len(records)} {previous}".ljust(95) + "\n")


def forged(path: Path) -> None:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    rewritten(path, [*records, {**records[0], "number": 2, "intents": 2, "title": "Never done"}])


def noted(path: Path) -> None:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    rewritten(path, [*records, {"kind": "note", "words": "never said", "at": 1.0, "intents": 1}])


def cut(path: Path) -> None:
    rewritten(path, [json.loads(line) for line in path.read_text().splitlines()][:-1])


def edited(path: Path) -> None:
    records = [json.loads(line) for line in path.read_text().splitlines()]
    rewritten(path, [{**records[0], "title": "Something else"}, *records[1:]])


def removed(path: Path) -> None:
    path.unlink()
    path.with_name(path.name + ".head").unlink()


@pytest.mark.parametrize(
    ("harm", "says", "code"),
    [
        (forged, "(intent Never done) is newer than the anchor, though no step was under way", 1),
        (noted, "(note never said) is newer than the anchor: nothing outside vouches", 3),
        (cut, "; the file has ", 1),
        (edited, ", and its record ", 1),
        (removed, "; the file has no record", 1),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_the_files_alone_cannot_tell_the_lease_does(
    acted: Rig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[Path], None],
    says: str,
    code: int,
) -> None:
    """H14: a forged record, a cut with its head rewritten, an edit, files gone: one line each."""
    before = verify(acted, tmp_path, monkeypatch, capsys)
    assert before[0] == 0 and "as the cluster's anchor says: " in before[1] and at_start(acted) == []
    harm(acted.journal_path)
    assert not [line for line in Journal(acted.journal_path).verify() if "anchor" not in line]
    found = verify(acted, tmp_path, monkeypatch, capsys)
    lines = [line for line in (found[1] + found[2]).splitlines() if "the cluster's anchor says" in line]
    assert found[0] == code and len(lines) == 1 and says in lines[0], found
    (notice,) = at_start(acted)
    assert says in notice


def test_without_a_cluster_it_is_not_compared_and_never_fine(
    acted: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """H14: an unreachable cluster or a missing right is "not compared", with why."""
    acted.do(lambda: acted.world.chaos.forbidden.update({"leases"}))
    code, out, _ = verify(acted, tmp_path, monkeypatch, capsys)
    assert code == 0 and "not compared with the cluster's anchor: " in out and "as the cluster's" not in out
    acted.do(lambda: acted.world.chaos.forbidden.clear())
    acted.do(lambda: acted.world.store.remove(LEASES, lease(acted)))
    code, out, _ = verify(acted, tmp_path, monkeypatch, capsys)
    assert "not compared: the cluster's lease has no anchor of it yet" in out


def test_a_contradiction_stands_in_the_journal_for_ever(acted: Rig) -> None:
    """H14: the next anchor takes the old one's place, so what was found is journalled first."""
    cut(acted.journal_path)
    executor = acted.executor(journal=Journal.open(acted.journal_path))
    made = plan(executor, step("scale", "m0-ingestor", replicas=6))
    carry(executor, made)
    assert ended(executor, made).phase is Phase.DONE
    executor.close(5.0)
    (found,) = Journal(acted.journal_path).verify()
    assert "when it was written, the cluster's anchor says" in found
    assert at_start(acted) == []


def test_what_is_noted_beside_the_steps_is_anchored_at_the_end(acted: Rig) -> None:
    """H14: a cockpit that closes moves the anchor on over its own notes, over no others'."""
    journal = Journal.open(acted.journal_path)
    executor = acted.executor(journal=journal)
    executor.compare_journal().result(20)
    journal.append({"kind": "note", "words": "said by this cockpit"})
    executor.close(5.0)
    assert at_start(acted) == []
    (anchor,) = anchors(acted).values()
    assert (anchor["seq"], anchor["hash"], anchor["open"]) == (*journal.end(), False)
    Journal.open(acted.journal_path).append({"kind": "note", "words": "said by another"})
    later = acted.executor(journal=Journal.open(acted.journal_path))
    later.compare_journal().result(20)
    later.close(5.0)
    assert "said by another" in at_start(acted)[0]


def held_by(rig: Rig, holder: str) -> None:
    """Another takes the lease, or gives it back; the anchors on it stay."""
    raw = lease(rig).copy()
    times = {"acquireTime": "2099-01-01T00:00:00.000000Z", "renewTime": "2099-01-01T00:00:00.000000Z"}
    raw["spec"] = {"holderIdentity": holder, "leaseDurationSeconds": 600, **times}
    rig.world.store.replace(LEASES, lease(rig), raw)


def test_a_step_that_went_on_without_the_lease_says_so_and_accuses_nobody(
    acted: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """H14: another held it, the operator typed the name: no forgery, but unvouched."""
    acted.do(lambda: held_by(acted, "ops2@bastion#1"))
    executor = acted.executor(journal=Journal.open(acted.journal_path))
    carry(executor, made := plan(executor, step("scale", "m0-ingestor", replicas=6)))
    assert ended(executor, made).phase is Phase.DONE
    executor.close(5.0)
    intent = [r for r in Journal(acted.journal_path).records() if r["kind"] == "intent"][-1]
    assert intent["without_lease"].startswith("someone else is acting: ops2@bastion#1")
    acted.do(lambda: held_by(acted, ""))
    code, out, _ = verify(acted, tmp_path, monkeypatch, capsys)
    assert code == 3 and "by its own words taken without the lease: nothing outside vouches" in out
    later = acted.executor(journal=Journal.open(acted.journal_path))
    carry(later, made := plan(later, step("scale", "m0-ingestor", replicas=7)))
    assert ended(later, made).phase is Phase.DONE
    later.close(5.0)
    assert Journal(acted.journal_path).verify() == [] and at_start(acted) == []
    assert any(
        "taken without the lease" in r["words"] for r in Journal(acted.journal_path).records() if r["kind"] == "note"
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.text(max_size=20), st.one_of(st.none(), st.text(max_size=20), st.integers()), max_size=2),
    st.binary(max_size=60),
)
def test_no_annotation_breaks_the_comparison(notes: dict[str, Any], text: bytes) -> None:
    """H14: whoever may write the lease may put anything there."""
    here = Path("/nonexistent")
    notes[key_of(4101, here)] = text.decode("latin-1")
    made = written(notes, 4102, here, (1, "ab"), 1.0, under_way=False)
    found = {one.uid: one.wrong for one in compare(made, {4101: CheckedJournal()}, here, ("c", "n"))}
    assert found[4102] and not found.get(4101)


def test_a_lease_bears_a_bounded_number_of_anchors_and_keeps_strangers_notes(tmp_path: Path) -> None:
    """H14: hosts that are gone make room; what is no anchor is left alone."""
    notes: dict[str, Any] = {"team": "m0", PREFIX + "nonsense": "{", "m0-cockpit/doing": "scale"}
    for number in range(KEPT + 5):
        notes = written(notes, number + 1, tmp_path, (number, "ab" * 32), float(number + 1), under_way=False)
    kept = [key for key in notes if key.startswith(PREFIX)]
    assert len(kept) == KEPT and notes["team"] == "m0" and "m0-cockpit/doing" in notes
    assert all(json.loads(notes[key])["at"] > 5 for key in kept)
    assert all(len(key.rpartition("/")[2]) <= 63 for key in kept)
