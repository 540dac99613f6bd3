"""H11: what is kept of a hidden value needs the state directory's key: no guess can be tried
against a journal, or evidence, that was handed on; journals of 0.1.0 are compared as before.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import re
from pathlib import Path
from typing import Any

import pytest

from cockpit import secrets as kept
from cockpit.canonical_json import canonical
from cockpit.errors import CockpitError
from cockpit.journal.journal import Journal
from cockpit.journal.key import FILE, open_key
from cockpit.model.plan import Phase
from cockpit.secrets import KeyMissing, fingerprint, new_salt
from tests.support.kube_rig import Rig, carry, ended, plan, step

PIN = "4711"


def guesses(record: dict[str, Any]) -> list[str]:
    """What somebody finds who knows the record, all but the secret, and tries each short one."""
    digests = set(re.findall(r"[0-9a-f]{64}", json.dumps(record)))
    salt, found = str(record["salt"]), []
    for number in range(10_000):
        word = f"{number:04}"
        texts = [word, canonical({"value": word}), canonical(word), canonical({"name": "M0_PIN", "value": word})]
        for text in texts:
            tries = (f"{salt}\0{text}", text, f"{salt}{text}")
            if any(hashlib.sha256(one.encode()).hexdigest() in digests for one in tries):
                found.append(word)
    return found


def test_a_short_secret_cannot_be_guessed_from_its_record(rig: Rig) -> None:
    executor = rig.executor()
    made = plan(executor, step("set-env", "m0-quant", env={"M0_PIN": PIN, "M0_API_TOKEN": PIN}))
    carry(executor, made)
    number = ended(executor, made).journal
    (record,) = [r for r in rig.journal.records() if r["kind"] == "intent" and r["number"] == number]
    assert guesses(record) == []
    old = {**record, "salt": "ab", "relevant": {"env M0_PIN": fingerprint("ab", {"value": PIN})}}
    assert guesses(old) == [PIN], "this is how it was found before"
    key = (rig.journal_path.parent / FILE).read_text().strip()
    assert key not in rig.journal_path.read_text()
    assert (rig.journal_path.parent / FILE).stat().st_mode & 0o777 == 0o600


def test_what_the_request_was_cannot_be_guessed_by_its_digest_either(rig: Rig) -> None:
    executor = rig.executor()
    made = plan(executor, step("set-env", "m0-quant", env={"M0_API_TOKEN": PIN}))
    carry(executor, made)
    ended(executor, made)
    (sent,) = rig.writes()
    (record,) = [r for r in rig.journal.records() if r["kind"] == "intent"]
    bodies = [json.dumps(sent.body, ensure_ascii=False), canonical(sent.body)]
    known = {hashlib.sha256(body.encode()).hexdigest() for body in bodies}
    assert not known & {record["request_sha256"], record["digest"]}


def test_another_cockpit_in_the_same_directory_takes_it_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(rig.executor(), step("set-env", "m0-quant", env={"M0_API_TOKEN": PIN}))
    carry(rig.executors[0], made)
    number = ended(rig.executors[0], made).journal
    assert number is not None
    rig.executors[0].close(5.0)
    monkeypatch.setattr(kept, "_KEYS", {})  # another process
    later = rig.executor(journal=Journal.open(rig.journal_path))
    undo = later.plan_undo(number).result(20)
    carry(later, undo)
    assert ended(later, undo).phase is Phase.DONE


def test_without_its_key_an_undo_says_so_and_sends_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(rig.executor(), step("set-env", "m0-quant", env={"M0_API_TOKEN": PIN}))
    carry(rig.executors[0], made)
    number = ended(rig.executors[0], made).journal
    assert number is not None
    rig.executors[0].close(5.0)
    (rig.journal_path.parent / FILE).unlink()
    monkeypatch.setattr(kept, "_KEYS", {})
    later = rig.executor(journal=Journal.open(rig.journal_path))
    before = len(rig.writes())
    with pytest.raises(CockpitError, match="its key is not in this state directory"):
        later.plan_undo(number).result(20)
    assert len(rig.writes()) == before


def test_salts_of_0_1_0_are_compared_as_they_were() -> None:
    value = {"value": PIN}
    old = "sha256:" + hashlib.sha256(f"00ff\0{canonical(value)}".encode()).hexdigest()
    assert fingerprint("00ff", value) == old
    with pytest.raises(KeyMissing):
        fingerprint("k1:0123456789ab:00", value)


def test_each_directory_has_a_key_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    one, other = open_key(tmp_path / "a"), open_key(tmp_path / "b")
    assert one != other and open_key(tmp_path / "a") == one
    salt = new_salt(one)
    assert fingerprint(salt, PIN) == fingerprint(salt, PIN) != fingerprint(new_salt(one), PIN)


@pytest.mark.parametrize("content", [b"", b"ab", b"\0" * 64, b"g" * 64, b"\x80" * 64, b"x" * 1_000_000])
def test_a_damaged_key_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    first = open_key(tmp_path)
    assert open_key(tmp_path) == first and len((tmp_path / FILE).read_text()) == 65


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("ab" * 32)
    state = tmp_path / "state"
    state.mkdir()
    (state / FILE).symlink_to(target)
    first = open_key(state)
    assert open_key(state) != first, "each for itself alone"
    assert target.read_text() == "ab" * 32


def test_eight_cockpits_that_begin_together_have_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(8) as pool:
        found = set(pool.map(open_key, [tmp_path / "state"] * 32))
    assert len(found) == 1


def test_in_a_shared_directory_the_group_reads_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    open_key(tmp_path)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o640
