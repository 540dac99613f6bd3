"""Lines of the rounds and checklists that stand on more than the sources: prices, tables, dates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cockpit.drill.clock import rfc3339
from cockpit.drill.kubernetes import write_kubeconfig
from cockpit.drill.kubernetes.objects.resources import JOBS, SECRETS
from cockpit.kubeapi.access import Access, load_access
from cockpit.maintenance import lookups
from cockpit.maintenance.chainfacts import authority
from cockpit.maintenance.costs import Price, costs
from cockpit.maintenance.deploy import Deploying, deploy_lines
from cockpit.maintenance.lookups import Lookups
from cockpit.model.maintenance import RoundLine
from cockpit.model.observed.chain import Governance, Multisig, ProtocolState
from cockpit.model.observed.postgres import Migration, Migrations
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.oracle.base58 import encode
from cockpit.oracle.governance import LOADER, SQUADS, multisig, program_data_address, upgrade_authority
from cockpit.oracle.layouts import Account, Undecodable, account_discriminator
from tests.maintenance.test_maintenance import NOW, RUNBOOKS, WEEK, Prometheus, ready, series, situation
from tests.support.kube_rig import NAMESPACE, Rig
from tests.support.kube_rig import rig as make_rig


def spent(*prices: Price, **answers: Any) -> tuple[list[tuple[str, str]], bool]:
    found, unpriced = asyncio.run(costs(prices, RUNBOOKS, Prometheus(**answers), WEEK))
    return [(one.state, one.words) for one in found], unpriced


def test_what_an_endpoint_costs_is_worked_out_and_an_unknown_price_is_asked() -> None:
    """15.weekly.4: requests of the week by price, and its part of a monthly fee."""
    asked = {"m0_rpc_requests": [series([600.0] * 336, endpoint="rpc-a"), series([60.0] * 48, endpoint="rpc-b")]}
    (line,), unpriced = spent(Price("rpc-a", 10.0, 30.0), **asked)
    assert line == ("ok", "cost of rpc-a: 67.48 in 7 d (6,048,000 requests at 10 a million, 30 a month)")
    assert not unpriced
    lines, unpriced = spent(Price("rpc-b", 10.0, None), Price("rpc-c", None, None), **asked)
    assert [state for state, _ in lines] == ["unknown", "unknown"] and unpriced
    assert "requests known for 24 h of the time" in lines[0][1]
    assert spent(Price("rpc-a", None, None), **asked) == ([], True)


def migrated(reading: Reading[Any] | None) -> RoundLine:
    now = situation(postgres={} if reading is None else {"migrations": reading})
    lines = deploy_lines(Deploying(situation=now, runbooks=RUNBOOKS, records=(), wall=NOW))
    return next(line for line in lines if line.item == "16.deploy.1")


@pytest.mark.parametrize(
    ("applied", "state", "words"),
    [
        (
            (Migration("7", True, NOW - 7200.0), Migration("6", True)),
            "ask",
            "2, none failed; newest 7, applied 2 h ago",
        ),
        ((Migration("7", False), Migration("6", True)), "attention", "7 FAILED"),
        ((), "attention", "none is recorded"),
    ],
)
def test_migrations_are_read_from_their_table(applied: tuple[Migration, ...], state: str, words: str) -> None:
    """16.deploy.1: what is recorded is said; whether that is all of this release is asked."""
    line = migrated(ready("postgres/migrations", Migrations(applied)))
    assert line.state == state and words in line.findings[0].words


def test_a_migration_table_that_cannot_be_read_is_unknown() -> None:
    denied = Reading[Any]("postgres/migrations", fault=Fault(SourceState.DENIED, "permission denied", ""))
    assert "permission denied" in migrated(denied).findings[0].words
    assert migrated(None).findings == ()


def governed(governance: Governance | None, *records: dict[str, str]) -> list[tuple[str, str]]:
    protocol = ProtocolState("p", False, "vault", 101, 10, 5)
    topics = {"protocol": ready("solana/protocol", protocol)}
    if governance is not None:
        topics["governance"] = ready("solana/governance", governance)
    found = authority(situation(solana=topics, configured=frozenset({"solana"})), records)
    return [(one.state, one.words) for one in found]


def test_authorities_and_multisig_are_read_from_the_chain() -> None:
    """15.monthly.2: upgrade authority, threshold and voters; what is not read is unknown."""
    squad = Multisig("squad", 2, ("a", "b", "c"), 4, 0, vault="vault")
    well = governed(Governance("vault", 7, multisig=squad), {"kind": "maintenance", "upgrade_authority": "vault"})
    assert [state for state, _ in well] == ["ok"] * 7
    assert well[3][1] == "Upgrade authority vault, as at the last round; code last changed in slot 7"
    assert well[4][1] == "Multisig squad: 2 of 3 voters approve, 4 members"
    ill = governed(
        Governance("other", 9, single_key=True, multisig=replace(squad, threshold=3, config_authority="boss")),
        {"kind": "maintenance", "upgrade_authority": "vault"},
    )
    words = [said for state, said in ill if state == "attention"]
    assert [word.split(" ")[0] for word in words] == ["Upgrade", "The", "Multisig", "No", "boss", "It"], words
    assert "it was vault at the last round" in words[0] and words[-1] == "It does not hold the upgrade authority"
    assert governed(None)[-1][0] == "unknown"
    assert governed(Governance(None, 9))[3] == (
        "ok",
        "Upgrade authority: none, nobody can change the code; code last changed in slot 9",
    )
    assert governed(Governance(None, 9))[-1] == ("unknown", "Multisig: [solana] multisig is not configured")


def test_a_squads_multisig_and_the_loaders_accounts_are_decoded() -> None:
    """15.monthly.2: bytes as Squads (v4) and the upgradeable loader write them."""
    key = b"k" * 32
    head = account_discriminator("Multisig") + bytes(32) + bytes(32) + (2).to_bytes(2, "little")
    body = (3600).to_bytes(4, "little") + bytes(16) + b"\1" + bytes(32) + b"\xff" + (2).to_bytes(4, "little")
    raw = head + body + key + b"\x07" + b"m" * 32 + b"\x01"
    found = multisig(Account("a", SQUADS, raw, 5))
    assert (found.threshold, found.members, found.time_lock_s, found.config_authority) == (2, 2, 3600, "")
    assert found.voters == (encode(key),), "one that may only propose is no voter"
    with pytest.raises(Undecodable, match="cut off"):
        multisig(Account("a", SQUADS, raw[:-20], 5))
    with pytest.raises(Undecodable, match="no Squads multisig"):
        multisig(Account("a", LOADER, raw, 5))
    assert program_data_address(Account("a", LOADER, (2).to_bytes(4, "little") + key, 5)) == encode(key)
    data = (3).to_bytes(4, "little") + (9).to_bytes(8, "little")
    assert upgrade_authority(Account("a", LOADER, data + b"\1" + key, 5)) == (encode(key), 9)
    assert upgrade_authority(Account("a", LOADER, data + b"\0" + bytes(32), 5)) == (None, 9)
    with pytest.raises(Undecodable):
        upgrade_authority(Account("a", LOADER, data, 5))


def looked(rig: Rig, **own: Any) -> Lookups:
    def reach(context: str | None) -> Access:
        return load_access(str(write_kubeconfig(rig.directory / "rounds", rig.served, token="admin")), context)

    return Lookups(reach=reach, namespace=NAMESPACE, **own)


def job(rig: Rig, name: str, **status: Any) -> None:
    meta = {"name": name, "namespace": NAMESPACE}
    rig.do(lambda: rig.world.store.create(JOBS, {"metadata": meta, "spec": {}, "status": status}))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with make_rig(tmp_path) as made:
        yield made


def test_restore_tests_and_secrets_are_looked_up_when_a_round_is_made(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """14.verify.3, 15.weekly.5: the newest restore Job of staging; secrets by metadata alone."""
    now = rig.do(lambda: rig.world.clock.now())
    here = looked(rig, staging_namespace=NAMESPACE, secrets=("m0-rpc-keys", "not-there"), secret_age_s=3600.0)

    def tests() -> tuple[str, str]:
        (found,) = asyncio.run(here.restore_tests(now + 8700.0, 35 * 86400.0))
        return found.state, found.words

    assert tests() == ("attention", f"restore test in {NAMESPACE}: no Job of that name is there")
    done = {"type": "Complete", "status": "True"}
    began, ended = rfc3339(now), rfc3339(now + 840.0)
    job(rig, "pg-restore-test", conditions=[done], startTime=began, completionTime=ended)
    state, words = tests()
    assert state == "ok" and "succeeded 2 h ago, took 14 min" in words, words
    (late,) = asyncio.run(here.restore_tests(now + 40 * 86400.0, 35 * 86400.0))
    assert late.state == "attention" and "older than 35 d" in late.words

    secret = {"metadata": {"name": "m0-rpc-keys", "namespace": NAMESPACE}, "data": {"key": "c2VjcmV0"}}
    rig.do(lambda: rig.world.store.create(SECRETS, secret))
    old, missing = asyncio.run(here.secret_ages(now + 8700.0))
    assert (old.state, missing.state) == ("attention", "unknown")
    assert old.words == "secret m0-rpc-keys: written 2 h ago, due after 60 min" and "not-there" in missing.words
    monkeypatch.setattr(lookups, "METADATA", "Secret")  # a server that answers with the whole secret
    whole, _ = asyncio.run(here.secret_ages(now + 9000.0))
    assert whole.state == "unknown" and "does not answer its metadata alone" in whole.words
    assert asyncio.run(looked(rig).restore_tests(now, 1.0)) == asyncio.run(looked(rig).secret_ages(now)) == []
