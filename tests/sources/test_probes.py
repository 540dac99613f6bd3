"""The probes over real HTTP and TLS: what services say, what they do not, and that nothing doubtful
passes for well.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from msgspec.structs import replace

from cockpit.assessment.board import Board
from cockpit.clock import ManualClock, SystemClock
from cockpit.config import load_settings
from cockpit.model.observed.probe import Certificate, MarketOutput, ProbeStatus, SignerReport
from cockpit.model.reading import Reading, SourceState
from cockpit.sources.probes import source
from cockpit.sources.probes.answers import moment, pointed, whole
from cockpit.sources.probes.http import MOST_BYTES, ProbeProblem, Prober, open_context
from cockpit.sources.probes.settings import PROBES, OutputProbe, ProbesSettings
from cockpit.sources.probes.source import ProbesSource
from cockpit.sources.registry import configured
from cockpit.sources.timing import Timings
from tests.support.readings import data_of, fault_in, kept, seen_at, server_time_of
from tests.support.waiting import HANG_S

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
FAST = Timings(backoff_s=0.01, backoff_cap_s=0.05)


@asynccontextmanager
async def served(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def until(settings: ProbesSettings, enough: Callable[[Board], bool], clock: Any = None) -> Board:
    """The board once `enough` of it is there, without what is not configured."""
    board = Board()
    source = ProbesSource(settings, clock or SystemClock(), timings=FAST, rng=random.Random(1))
    async with asyncio.timeout(HANG_S):
        readings = source.readings()
        async for reading in readings:
            if reading.believed(0.0).off:
                continue
            board.put(reading)
            if enough(board):
                break
        await readings.aclose()
    return board


async def one(settings: ProbesSettings, topic: str, clock: Any = None) -> Reading[Any]:
    """The first reading of a topic that says anything."""

    def there(board: Board) -> bool:
        reading = board.get(topic)
        return reading is not None and (fault_in(reading) is not None or kept(reading) is not None)

    found = (await until(settings, there, clock)).get(topic)
    assert found is not None
    return found


def answering(body: Any, status: int = 200, **more: Any) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        if isinstance(body, bytes):
            return web.Response(body=body, status=status, **more)
        return web.json_response(body, status=status, **more)

    return handler


def services(base: str, **more: Any) -> ProbesSettings:
    return ProbesSettings(services={"m0-api-gateway": base}, interval=0.5, timeout=2.0, **more)


def outputs(base: str, **more: Any) -> ProbesSettings:
    output = OutputProbe(url=f"{base}/v1/markets/{{market}}/latest", markets=("NBA",), **more)
    return ProbesSettings(output=output, interval=0.5, timeout=2.0)


async def off(settings: ProbesSettings) -> dict[str, str]:
    """What the source says is not configured, before it asks anything."""
    readings = ProbesSource(settings, SystemClock()).readings()
    found: dict[str, str] = {}
    async with asyncio.timeout(HANG_S):
        async for reading in readings:
            if not reading.believed(0.0).off:
                break
            found[reading.topic.removeprefix("probes/")] = reading.believed(0.0).reason
        await readings.aclose()
    return found


async def test_what_is_not_configured_is_off_and_not_unknown() -> None:
    async with served(answering(b"ok")) as base:
        assert await off(services(base)) == {
            "outputs": "no market's output is asked for",
            "bundles": "no market's bundle is verified",
            "signers": "no signer agent is asked",
            "certificates": "no https address is probed",
        }
        agents = {"signer-0": base.replace("http:", "https:")}
        assert set(await off(ProbesSettings(signers=agents, timeout=0.5))) == {"services", "outputs", "bundles"}


# --- health ------------------------------------------------------------------------------------


async def test_health_is_asked_at_both_addresses_and_reported_with_its_words() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        ready = request.path.endswith("/readyz")
        return web.Response(text="\n  database: no connection\n" if ready else "ok\n", status=503 if ready else 200)

    async with served(handler) as base:
        board = await until(services(base + "/"), lambda b: len(b.under("probes/")) == 2)
    healthy, ready = board.get("probes/m0-api-gateway/healthz"), board.get("probes/m0-api-gateway/readyz")
    assert healthy is not None and ready is not None
    assert isinstance(kept(healthy), ProbeStatus) and kept(healthy).ok and kept(healthy).words == "ok"
    assert isinstance(kept(ready), ProbeStatus) and not kept(ready).ok
    assert kept(ready).words == "HTTP 503: database: no connection"
    assert ready.believed(SystemClock().mono()).live  # it was asked, and it said no


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (
            answering(b"", 302, headers={"Location": "https://login.example/x?token=abcdef"}),
            "redirects to https://login.example/*** (not followed)",
        ),
        (answering(b"<!DOCTYPE html><p>Sign in", content_type="text/plain"), "HTML instead of a health answer"),
        (answering(b"down \x1b[2J\x07 password=hunter2secret", 500), "HTTP 500: down \\e[2J\\x07 password=***"),
        (answering(b"", 404), "HTTP 404"),
    ],
)
async def test_what_is_no_health_answer_is_not_well(handler: Handler, words: str) -> None:
    async with served(handler) as base:
        found = await one(services(base), "probes/m0-api-gateway/healthz")
    assert isinstance(kept(found), ProbeStatus) and not kept(found).ok
    assert words in kept(found).words
    assert kept(found).words.isprintable()


async def test_what_cannot_be_asked_is_a_fault_in_words() -> None:
    async def huge(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x" * (MOST_BYTES + 1))

    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def packed(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    for handler, words in ((huge, "more than 256 kB"), (hang, "no answer from http://localhost"), (packed, "gzip")):
        async with served(handler) as base:
            found = await one(ProbesSettings(services={"a": base}, timeout=0.5), "probes/a/healthz")
        assert (
            fault_in(found) is not None
            and words in fault_in(found).reason
            and fault_in(found).state is SourceState.DOWN
        )
    async with served(huge) as gone:
        pass
    for base, words in (
        (gone, "Connection refused"),
        ("ftp://x", "no http(s) URL"),
        ("http://[", "cannot ask"),
        ("http://a..b", "cannot ask"),
    ):
        found = await one(services(base), "probes/m0-api-gateway/healthz")
        assert fault_in(found) is not None and words in fault_in(found).reason


@pytest.mark.parametrize("section", ["probes", "statuspage"])
async def test_what_to_do_names_the_table_in_which_the_address_stands(section: str, authority: trustme.CA) -> None:
    """Another source may ask over the same connections, of addresses in a table of its own."""
    async with (
        served(answering({}, 503)) as sick,
        served(answering({}), context_of(authority.issue_cert("127.0.0.1"))) as strange,
    ):
        prober = Prober(1.0, open_context(None, section=section), None, section=section)
        try:
            for url in ("http://127.0.0.1:9/", "ftp://x/", strange):
                with pytest.raises(ProbeProblem) as caught:
                    await prober.ask(url, 0.0)
                assert f"[{section}]" in caught.value.remedy and caught.value.fault.remedy == caught.value.remedy
            with pytest.raises(ProbeProblem) as caught:
                (await prober.ask(sick, 0.0)).json()
            assert caught.value.reason.startswith("HTTP 503") and caught.value.remedy == ProbeProblem.usual_remedy
        finally:
            await prober.aclose()
    with pytest.raises(ProbeProblem, match="CA file /nowhere") as caught:
        open_context("/nowhere", section=section)
    assert caught.value.remedy == f"correct [{section}] ca-file"


async def test_one_that_hangs_holds_up_no_other() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if "slow" in request.path:
            await asyncio.Event().wait()
        return web.Response(text="ok")

    async with served(handler) as base:
        settings = ProbesSettings(services={"a": f"{base}/slow", "b": base}, interval=0.5, timeout=60.0)
        board = await until(settings, lambda b: len(b.under("probes/b/")) == 2)
    assert not board.under("probes/a/")


async def test_it_recovers_and_keeps_the_last_good_data_meanwhile() -> None:
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 2:
            return web.Response(status=404)
        return web.json_response({"epoch": asked, "sequence": asked, "as_of": 1})

    seen: list[Reading[Any]] = []
    async with served(handler) as base:
        await until(outputs(base), lambda b: bool(seen.append(b.get("probes/output/NBA")) or len(seen) == 3))  # type: ignore[func-returns-value, arg-type]
    assert [fault_in(r) is not None for r in seen] == [False, True, False]
    assert kept(seen[1]) == kept(seen[0]) and seen_at(seen[1]) == seen_at(seen[0])
    assert fault_in(seen[1]) is not None and fault_in(seen[1]).reason == "HTTP 404"


# --- outputs -----------------------------------------------------------------------------------


async def test_age_is_measured_against_the_servers_own_clock() -> None:
    there = datetime(2031, 5, 1, 12, 0, 30, tzinfo=UTC)  # a clock far from ours
    headers = {"Date": format_datetime(there, usegmt=True)}
    body = {"data": {"epoch_id": "88121", "seq": 42, "ts": "2031-05-01T12:00:26.5Z"}}
    async with served(answering(body, headers=headers)) as base:
        found = await one(
            outputs(base, epoch="/data/epoch_id", tick="/data/seq", as_of="/data/ts"), "probes/output/NBA"
        )
    assert isinstance(kept(found), MarketOutput)
    assert (kept(found).epoch, kept(found).tick, kept(found).age_s) == (88121, 42, 3.5)
    assert server_time_of(found) == there.timestamp()


async def test_what_a_cache_stored_is_not_fresh() -> None:
    headers = {"Date": format_datetime(datetime.fromtimestamp(1_900_000_000, UTC), usegmt=True), "Age": "300"}
    async with served(answering({"epoch": 1, "as_of": 1_900_000_000}, headers=headers)) as base:
        found = await one(outputs(base), "probes/output/NBA")
    assert data_of(found).age_s == 0.0 and data_of(found).words == "no tick in the answer"
    seen = found.believed(SystemClock().mono())
    assert seen.reason == "last sample 5:00 ago" and seen.age_s == pytest.approx(300.0, abs=HANG_S)


def outputs_of(base: str, clock: ManualClock) -> AsyncGenerator[Reading[Any], None]:
    return ProbesSource(outputs(base), clock).readings()


async def test_an_answer_with_the_date_of_the_last_one_is_as_old_as_that() -> None:
    """P12: a proxy that gives a stored 200 again and again, with no Age, makes nothing fresh."""
    headers = {"Date": format_datetime(datetime.fromtimestamp(1_900_000_000, UTC), usegmt=True)}
    clock, board, asked = ManualClock(), Board(), 0
    stored = answering({"epoch": 1, "sequence": 7, "as_of": 1_900_000_000}, headers=headers)
    async with asyncio.timeout(HANG_S), served(stored) as base, aclosing(outputs_of(base, clock)) as readings:
        async for reading in readings:
            board.put(reading)
            if reading.topic != "probes/output/NBA":
                continue
            asked += 1
            clock.advance(13.0)
            if asked == 4:
                break
    found = board.get("probes/output/NBA")
    assert found is not None and found.believed(clock.mono()).reason == "last sample 52 s ago"


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (answering(b"<html>", content_type="text/html"), "HTML instead of JSON"),
        (answering(b"{}"), "neither an epoch at /epoch nor a tick at /sequence"),
        (answering(b"[" * 5000), "nests deeper"),
        (answering(b"nonsense \xff"), "is not JSON"),
        (answering(b""), "the answer is empty"),
        (answering(b"7"), "no JSON object"),
        (answering(b'{"epoch": 1e999, "sequence": true}'), "neither an epoch"),
        (answering({"epoch": 1}, 404), "HTTP 404"),
        (answering(b"", 307, headers={"Location": "/x"}), "(not followed)"),
    ],
)
async def test_an_output_that_is_none_is_a_fault(handler: Handler, words: str) -> None:
    async with served(handler) as base:
        found = await one(outputs(base), "probes/output/NBA")
    assert kept(found) is None and fault_in(found) is not None and words in fault_in(found).reason


async def test_a_gateway_that_refuses_has_said_no() -> None:
    """B10: a 503 is an answer, and no market is served by it."""
    async with served(answering(b"no pod is ready", 503)) as base:
        found = await one(outputs(base), "probes/output/NBA")
    output = kept(found)
    assert fault_in(found) is None and output is not None
    assert (output.status, output.epoch, output.age_s, output.words) == (503, None, None, "HTTP 503: no pod is ready")


async def test_a_first_bad_answer_is_asked_for_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets an answer that a proxy dropped stand no longer than it must: it matched a runbook."""
    monkeypatch.setattr(source, "AGAIN_S", 0.05)
    statuses = iter([503, 200, 200])

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"epoch": 1, "sequence": 1}, status=next(statuses))

    def enough(board: Board) -> bool:
        reading = board.get("probes/output/NBA")
        found = kept(reading) if reading is not None else None
        return found is not None and found.status == 200

    async with served(handler) as base:
        await until(replace(outputs(base), interval=10 * HANG_S), enough)


async def test_progress_is_remembered_and_an_output_of_the_future_has_no_age() -> None:
    numbers = iter([(7, 1), (7, 1), (7, 2), (6, 9)])  # then an epoch that went back: no progress
    held: list[float | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        epoch, tick = next(numbers, (6, 9))
        return web.json_response({"epoch": epoch, "sequence": tick, "as_of": 4_000_000_000})

    def enough(board: Board) -> bool:
        found = board.get("probes/output/NBA")
        if found is not None and kept(found) is not None:
            held.append(kept(found).advanced_at)
            assert kept(found).age_s is None and "in the future" in kept(found).words
        return len(held) == 4

    async with served(handler) as base:
        await until(outputs(base), enough)
    first, second, third, fourth = held
    assert first == second and second is not None and third is not None and third > second and fourth == third


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_790_000_000, 1.79e9),
        (1_790_000_000_000, 1.79e9),
        ("1790000000.5", None),
        ("1790000000", 1.79e9),
        (1_790_000_000_000_000_000, 1.79e9),
        ("2026-09-21T14:13:20Z", 1_790_000_000.0),
        ("2026-09-21T16:13:20+02:00", 1_790_000_000.0),
        ("yesterday", None),
        (5, None),
        (True, None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        ([], None),
    ],
)
def test_times_in_whatever_form(value: Any, expected: float | None) -> None:
    assert moment(value) == expected


def test_pointers_and_numbers() -> None:
    document = {"a": [{"b/c": 1, "~": 2}], "": 5}
    assert pointed(document, "/a/0/b~1c") == 1
    assert pointed(document, "/a/0/~0") == 2
    assert pointed(document, "") == document
    for wrong in ("/a/1", "/a/x", "/a/0/b", "/z", "/a/-1", "/a/0/b~1c/d"):
        assert pointed(document, wrong) is None
    assert [whole(v) for v in (3, "3", 3.0, 3.5, True, "x", -1, 2**64, "²")] == [
        3,
        3,
        3,
        None,
        None,
        None,
        -1,
        None,
        None,
    ]


# --- signer agents -----------------------------------------------------------------------------


async def test_what_signer_agents_report_comes_together() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/2":
            return web.Response(status=500, text="kms: access denied")
        if request.path == "/3":
            return web.json_response({"status": "ok"})
        return web.json_response({"pubkey": f"Key{request.path[1:]}", "signer_set_id": 100, "version": "1.4\x1b"})

    async with served(handler) as base:
        urls = {f"signer-{n}": f"{base}/{n}" for n in range(4)}
        found = await one(ProbesSettings(signers=urls), "probes/signers")
    reports: dict[str, SignerReport] = data_of(found)
    assert reports["signer-0"] == SignerReport(
        agent="signer-0", pubkey="Key0", signer_set_id="100", ok=True, words="", extra={"version": "1.4\\e"}
    )
    assert not reports["signer-2"].ok and reports["signer-2"].words == "HTTP 500: kms: access denied"
    assert not reports["signer-3"].ok and "no pubkey at /pubkey" in reports["signer-3"].words
    assert json.loads(json.dumps(list(reports))) == sorted(urls)


# --- TLS ---------------------------------------------------------------------------------------


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    return made


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


async def test_a_certificate_tells_its_days(authority: trustme.CA, ca_file: str) -> None:
    ends = datetime.now(UTC) + timedelta(days=12, hours=1)
    leaf = authority.issue_cert("localhost", not_after=ends, common_name="api.m0club.example")
    async with served(answering(b"ok"), context_of(leaf)) as base:
        board = await until(services(base, ca_file=ca_file), lambda b: b.get("probes/certificates") is not None)
    reading = board.get("probes/certificates")
    assert reading is not None and fault_in(reading) is None
    (certificate,) = data_of(reading).known.values()
    assert isinstance(certificate, Certificate) and int(certificate.days_left) == 12
    assert certificate.subject == "api.m0club.example" and certificate.host.startswith("localhost:")
    healthy = next(r for t, r in board.under("probes/").items() if t.endswith("z"))
    assert data_of(healthy).certificate == certificate


async def test_an_expired_certificate_says_which_and_since_when(authority: trustme.CA, ca_file: str) -> None:
    now = datetime.now(UTC)
    leaf = authority.issue_cert(
        "localhost", not_before=now - timedelta(days=90), not_after=now - timedelta(days=3, hours=1)
    )
    async with served(answering(b"ok"), context_of(leaf)) as base:
        settings = services(base, ca_file=ca_file)
        board = await until(settings, lambda b: len(b.under("probes/")) == 3)
    found = board.get("probes/m0-api-gateway/healthz")
    assert found is not None and kept(found) is None and fault_in(found) is not None
    assert f"the certificate of {base.removeprefix('https://')} expired on" in fault_in(found).reason
    assert "3 d ago" in fault_in(found).reason and "renew" in fault_in(found).remedy
    reading = board.get("probes/certificates")
    assert reading is not None and next(iter(data_of(reading).known.values())).days_left < -3


@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_a_certificate_that_is_not_trusted_is_a_fault(wrong: str, authority: trustme.CA, ca_file: str) -> None:
    leaf = trustme.CA().issue_cert("localhost") if wrong == "authority" else authority.issue_cert("other.example")
    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(text="ok")

    async with served(handler, context_of(leaf)) as base:
        board = await until(services(base, ca_file=ca_file), lambda b: len(b.under("probes/")) == 3)
    found = board.get("probes/m0-api-gateway/healthz")
    assert found is not None and fault_in(found) is not None and "is not trusted: " in fault_in(found).reason
    assert "so since" in fault_in(found).reason
    reading = board.get("probes/certificates")
    assert reading is not None and "is not trusted" in kept(reading).refused and not kept(reading).known
    assert asked == 0  # nothing was sent to whom is not trusted


async def test_an_authority_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    found = await one(
        services("https://localhost:1", ca_file=str(tmp_path / "none.pem")), "probes/m0-api-gateway/healthz"
    )
    assert fault_in(found) is not None and "CA file" in fault_in(found).reason


# --- configuration -----------------------------------------------------------------------------


def test_what_is_asked_is_read_from_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[probes]\nca_file = "x"\n[probes.services]\nm0_api = "https://a"\n[probes.output]\nurl = "https://a/{market}"\n'
        'markets = ["A_B"]\nas-of = "/ts"\nheaders = { X_Key = "k" }\n[probes.signers]\nsigner_0 = "https://s"\n'
    )
    own = load_settings(config=str(file)).of(PROBES)
    assert own.services == {"m0_api": "https://a"} and own.signers == {
        "signer_0": "https://s"
    }  # names stay as they are
    assert own.output == OutputProbe(url="https://a/{market}", markets=("A_B",), as_of="/ts", headers={"X_Key": "k"})
    assert own.ca_file == "x" and own.asked
    assert "probes" in configured(load_settings(config=str(file)))
    file.write_text('[probes.output]\nurl = "https://a"\n')  # no market: there is nothing to ask
    assert not load_settings(config=str(file)).of(PROBES).asked and "probes" not in configured(
        load_settings(config=str(file))
    )
