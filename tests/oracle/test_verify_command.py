"""`m0-cockpit verify`: three answers, three exit codes; the chain is asked, and endpoints must
agree.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from cockpit.cli import main
from tests.oracle.test_bundle import KEYS, SET, bundle

PROGRAM = str(Keypair.from_seed(bytes([50] * 32)).pubkey())


def account(name: str, body: bytes, owner: str = PROGRAM) -> dict[str, Any]:
    raw = sha256(f"account:{name}".encode()).digest()[:8] + body + bytes(100)
    return {
        "owner": owner,
        "data": [base64.b64encode(raw).decode(), "base64"],
        "lamports": 1,
        "executable": False,
        "rentEpoch": 0,
    }


def signer_set(threshold: int = 5, active: bool = True, owner: str = PROGRAM) -> dict[str, Any]:
    keys = b"".join(bytes(k.pubkey()) for k in KEYS)
    body = (100).to_bytes(8, "little") + threshold.to_bytes(2, "little") + (7).to_bytes(4, "little") + keys
    return account("SignerSet", body + bytes([active]) + (9).to_bytes(8, "little") + b"\xff", owner)


def market(epoch: int = 88_000, sequence: int = 42) -> dict[str, Any]:
    name = b"NBA_LAL_BOS"
    body = len(name).to_bytes(4, "little") + name + bytes([0, 1]) + (0).to_bytes(4, "little")
    return account("Market", body + epoch.to_bytes(8, "little") + sequence.to_bytes(8, "little") + b"\xff")


@contextmanager
def chain(*nodes: Callable[[Any], Any] | dict[str, Any]) -> Iterator[list[str]]:
    """RPC nodes that know these accounts, by address; a callable answers as it likes.

    In a loop of its own: the command has one.
    """
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    urls: list[str] = []

    def handler(node: Any) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            asked = await request.json()
            if callable(node):
                answer: web.StreamResponse = node(asked)
                return answer
            values = [node.get(address) for address in asked["params"][0]]
            return web.json_response({"jsonrpc": "2.0", "id": 1, "result": {"context": {"slot": 7}, "value": values}})

        return handle

    async def serve() -> None:
        runners = []
        for node in nodes:
            app = web.Application()
            app.router.add_post("/", handler(node))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}/")
            runners.append(runner)
        ready.set()
        await stop.wait()
        for runner in runners:
            await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield urls
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()


def accounts(
    set_: dict[str, Any] | None, market_: dict[str, Any] | None = None, *, protocol: bool = False
) -> dict[str, Any]:
    program = Pubkey.from_string(PROGRAM)
    config = account("ProtocolConfig", b"\x01" + bytes(100)) if protocol else None
    places: tuple[tuple[list[bytes], dict[str, Any] | None], ...] = (
        ([b"signer_set", (100).to_bytes(8, "little")], set_),
        ([b"market", b"NBA_LAL_BOS"], market_),
        ([b"protocol"], config),
    )
    return {str(Pubkey.find_program_address(seeds, program)[0]): value for seeds, value in places if value is not None}


def verify(tmp_path: Path, raw: bytes, *flags: str, urls: list[str] | None = None) -> int:
    file, config = tmp_path / "bundle.json", tmp_path / "config.toml"
    file.write_bytes(raw)
    lines = [f'[solana]\nprogram-id = "{PROGRAM}"'] if urls else []
    lines += [f'[[rpc-endpoints]]\nname = "rpc-{n}"\nurl = "{url}"' for n, url in enumerate(urls or [])]
    config.write_text("\n".join(lines))
    return main(["verify", str(file), "--config", str(config), *flags])


def test_against_a_signer_set_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "set.json"
    own.write_text(json.dumps({"signer_set_id": 100, "threshold": 5, "pubkeys": list(SET.pubkeys)}))
    assert verify(tmp_path, bundle(), "--signer-set", str(own)) == 0
    assert "VALID: 5 signatures of signer set 100, threshold 5" in capsys.readouterr().out
    assert verify(tmp_path, bundle(), "--signer-set", str(own), "--sequence", "43", "--json") == 2
    answer = json.loads(capsys.readouterr().out)
    assert answer["verdict"] == "invalid"
    assert {
        "check": "sequence",
        "answer": "fail",
        "words": "wrong sequence: the bundle says 42, expected 43",
    } in answer["findings"]


def test_against_the_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = accounts(signer_set(), market())
    with chain(good, good) as urls:
        assert verify(tmp_path, bundle(), urls=urls) == 0
        assert "sequence 42 is the newest on the chain" in capsys.readouterr().out
        assert verify(tmp_path, bundle(KEYS[:4]), urls=urls) == 2
        assert "too few signatures: 4" in capsys.readouterr().out
        assert verify(tmp_path, bundle(signer_set_id=99), "--signer-set-id", "100", urls=urls) == 2
        assert "wrong signer set: the bundle names 99" in capsys.readouterr().out
        assert (
            verify(tmp_path, bundle(at=(7, 88_000, 42), signer_set_id=7), urls=urls) == 3
        )  # nobody knows a set 7: unknown, never valid
        assert "knows no account of this signer set" in capsys.readouterr().out


def test_what_the_chain_does_not_have_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once every endpoint knows the program itself: else the program id may be the mistake."""
    good = accounts(signer_set(), market(), protocol=True)
    with chain(good, good) as urls:
        assert verify(tmp_path, bundle(at=(7, 88_000, 42), signer_set_id=7), urls=urls) == 2
        assert "wrong signer set: there is no set 7 on the chain" in capsys.readouterr().out
        assert verify(tmp_path, bundle(market="NOPE"), urls=urls) == 2
        assert "wrong market: there is no market NOPE on the chain" in capsys.readouterr().out
        assert verify(tmp_path, bundle(market="N" * 33), urls=urls) == 2  # no account can have that name
        assert verify(tmp_path, bundle(market=...), urls=urls) == 0
    with chain(good, accounts(None)) as urls:
        assert verify(tmp_path, bundle(at=(7, 88_000, 42), signer_set_id=7), urls=urls) == 3


def test_a_market_that_cannot_be_asked_leaves_the_verdict_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chain(accounts(signer_set())) as urls:
        assert verify(tmp_path, bundle(), urls=urls) == 3
        assert "epoch and sequence not compared: market NBA_LAL_BOS" in capsys.readouterr().out
        assert verify(tmp_path, bundle(), "--epoch", "88000", "--sequence", "42", urls=urls) == 0


@pytest.mark.parametrize(
    ("nodes", "code", "words"),
    [
        ((accounts(signer_set(), market()), lambda _: web.Response(status=429)), 0, "VALID"),
        ((accounts(signer_set()), accounts(signer_set(threshold=1))), 3, "rpc-0 and rpc-1 disagree on signer set 100"),
        ((accounts(signer_set()), accounts(None)), 3, "rpc-1 knows no account of this signer set, rpc-0 does"),
        ((accounts(signer_set(active=False)),), 2, "signer set 100 is not active"),
        ((accounts(signer_set(), market(sequence=50)),), 2, "wrong sequence: 42 is below 50"),
        ((accounts(signer_set(owner="11111111111111111111111111111111")),), 3, "belongs to 1111"),
        ((lambda _: web.Response(status=429),), 3, "rpc-0 answers HTTP 429"),
        ((lambda _: web.Response(text="<html>"),), 3, "rpc-0 answers with nonsense"),
        ((lambda _: web.json_response({"error": {"code": -32005, "message": "behind \x1b[2J"}}),), 3, "behind \\e[2J"),
        ((lambda _: web.json_response({"result": {"value": [{"owner": 5}, None]}}),), 3, "no owner and base64 data"),
        ((lambda _: web.Response(body=b"x" * 600_000),), 3, "more than 512 KiB"),
    ],
)
def test_what_endpoints_say_otherwise(
    nodes: Any, code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chain(*nodes) as urls:
        assert verify(tmp_path, bundle(), urls=urls) == code
    assert words in capsys.readouterr().out


def test_without_anybody_to_ask_it_is_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(tmp_path, bundle()) == 3
    assert "[[rpc-endpoints]] are not configured, and no --signer-set was given" in capsys.readouterr().out
    assert verify(tmp_path, bundle(payload={"x": 1})) == 2  # altered is altered
    assert verify(tmp_path, b"nonsense") == 2
    assert "the file is not JSON" in capsys.readouterr().out
    assert verify(tmp_path, b"nonsense", "--json") == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "invalid"


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path / "none"), "--config", str(tmp_path / "absent.toml")]) == 70
    assert "cannot read" in capsys.readouterr().err
    (tmp_path / "set.json").write_text("{}")
    assert verify(tmp_path, bundle(), "--signer-set", str(tmp_path / "set.json")) == 70
    assert "pubkeys: missing" in capsys.readouterr().err
