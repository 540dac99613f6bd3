"""Updates reach a real HTTP server: retried, bounded; and the address never gets out."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cockpit.clock import ManualClock
from cockpit.config import load_settings
from cockpit.incident import webhook
from cockpit.incident.webhook import TRIES, Message, Webhook, address
from cockpit.settings import ConfigProblem, WebhookSettings
from tests.support.samples.records import START, incident_service, situation

KEY = "T0KENB0OK/s3cretPathOfTheHook99"
MESSAGE = Message(
    incident=14,
    title="Publishing <!channel> stops",
    severity="SEV1",
    words="we *look* & wait",
    who="ops1",
    commander="alice",
    place="prod-eu/m0-prod",
    at=START,
    journal=(3, "ab"),
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Hook:
    """Answers with each of `answers` in turn, the last one for ever."""

    url: str = ""
    answers: list[Any] = field(default_factory=lambda: [200])
    bodies: list[Any] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.path)
        self.headers.append(request.headers)
        self.bodies.append(await request.json() if request.method == "POST" else None)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            return await answer(request)  # type: ignore[no-any-return]
        return web.Response(status=answer, text=f"echo {self.url}")


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    made = Hook()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/services/{KEY}?token={KEY}"
    yield made
    await runner.cleanup()


async def no_wait(seconds: float) -> None:
    assert 0 <= seconds <= 30
    await asyncio.sleep(0)


async def deliver(hook: Hook, **settings: Any) -> tuple[str, int]:
    own = WebhookSettings(url=settings.pop("url", hook.url), **settings)
    shown = await Webhook(own, sleep=no_wait, rng=random.Random(1)).deliver(MESSAGE)
    assert_hidden(shown)
    return shown


def assert_hidden(*shown: Any) -> None:
    for part in (KEY, *KEY.split("/"), "127.0.0.1"):
        assert part not in repr(shown)


async def test_slack_and_json(hook: Hook) -> None:
    assert await deliver(hook) == ("", 1)
    text = hook.bodies[0]["text"]
    assert "Incident #14 SEV1" in text and "<" not in text.replace("&lt;", "") and "&lt;!channel&gt;" in text
    assert await deliver(hook, format="json", headers={"X-Key": "k"}) == ("", 1)
    assert hook.headers[1]["X-Key"] == "k"
    assert hook.bodies[1] == {
        "incident": 14,
        "title": "Publishing <!channel> stops",
        "severity": "SEV1",
        "update": "we *look* & wait",
        "by": "ops1",
        "commander": "alice",
        "place": "prod-eu/m0-prod",
        "at": START,
        "journal": {"records": 3, "hash": "ab"},
    }


async def test_it_is_tried_again_and_no_more_than_that(hook: Hook) -> None:
    hook.answers = [503, 429, 200]
    assert await deliver(hook) == ("", 3)
    hook.answers = [500]
    assert await deliver(hook) == ("answered 500", TRIES)
    assert len(hook.bodies) == 3 + TRIES


async def test_a_wait_that_the_server_asks_for_is_bounded(hook: Hook) -> None:
    async def later(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "86400"})

    hook.answers = [later, 200]
    assert await deliver(hook) == ("", 2)


async def test_what_is_refused_is_not_repeated(hook: Hook) -> None:
    hook.answers = [403]
    problem, tries = await deliver(hook)
    assert (problem, tries) == ("refused (403): check the address and its credentials", 1)


async def test_a_redirect_is_not_followed(hook: Hook) -> None:
    elsewhere: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        elsewhere.append(str(request.url))
        return web.Response(status=307, headers={"Location": f"/stolen/{KEY}"})

    hook.answers = [redirect]
    problem, tries = await deliver(hook)
    assert "redirect (307)" in problem and tries == 1
    assert len(elsewhere) == 1 and hook.paths == [f"/services/{KEY}"]


async def test_a_server_that_hangs_costs_a_bounded_time(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    hook.answers = [hang]
    monkeypatch.setattr(webhook, "_ANSWER_S", 0.05)
    monkeypatch.setattr(webhook, "_CONNECT_S", 0.05)
    problem, tries = await deliver(hook)
    release.set()
    assert "no answer" in problem and tries == TRIES


async def test_a_dead_or_broken_peer(hook: Hook) -> None:
    problem, tries = await deliver(hook, url=f"http://127.0.0.1:9/{KEY}")
    assert (problem, tries) == ("the connection was refused", TRIES)
    problem, _ = await deliver(hook, url=f"https://{hook.url.removeprefix('http://')}")
    assert problem == "the TLS handshake failed"
    problem, _ = await deliver(hook, url=f"http://no-such-host.invalid/{KEY}")
    assert "cannot connect" in problem or "the connection failed" in problem


async def test_credentials_in_the_address_are_used_and_not_shown(hook: Hook) -> None:
    url = hook.url.replace("http://", f"http://user:{KEY.partition('/')[0]}@")
    assert await deliver(hook, url=url) == ("", 1)
    assert hook.headers[0]["Authorization"].startswith("Basic ")
    hook.answers = [500]
    await deliver(hook, url=url)


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://x/{KEY}",
        f"http://[{KEY}",
        f"http:///{KEY}",
        f"http://x:99999/{KEY}",
        f"http://x/{KEY} y",
        f"htt\nps://{KEY}",
    ],
)
async def test_an_address_that_is_none_is_not_shown(hook: Hook, url: str) -> None:
    problem, tries = await deliver(hook, url=url)
    said = "the webhook's address is not an http(s) URL (see [webhook] in the configuration)"
    assert (problem, tries) == (said, 0)
    with pytest.raises(ConfigProblem) as caught:
        address(WebhookSettings(url=url))
    assert_hidden(str(caught.value), caught.value.remedy, caught.value.__cause__)


async def test_a_header_that_cannot_be_sent_is_not_shown(hook: Hook) -> None:
    problem, _ = await deliver(hook, headers={"X-Key": f"{KEY}\r\nX: y"})
    assert problem


def test_the_address_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("https://hooks.example/x\n")
    config = tmp_path / "config.toml"
    config.write_text(f'[webhook]\nurl-file = "{tmp_path}/hook"\nformat = "json"\nheaders = {{ X_a = "b" }}\n')
    settings = load_settings(config=str(config), env={}).webhook
    assert (address(settings), settings.configured, settings.headers) == ("https://hooks.example/x", True, {"X_a": "b"})
    with pytest.raises(ConfigProblem, match="cannot read the webhook's address"):
        address(WebhookSettings(url_file=str(tmp_path / "none")))
    config.write_text(f'[webhook]\nurl = ["{KEY}"]\n')
    with pytest.raises(ConfigProblem) as caught:
        load_settings(config=str(config), env={})
    assert KEY not in str(caught.value)


# --- through the service ---


async def until(true: Callable[[], Any]) -> Any:
    async with asyncio.timeout(15):
        while not (found := true()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


async def test_the_journal_tells_how_it_ended_and_nothing_waits(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(webhook, "_FIRST_WAIT_S", 0.001)
    caplog.set_level(logging.DEBUG)
    clock = ManualClock(START, 1000.0)
    own = incident_service(
        tmp_path, clock, situation(clock), record=False, webhook=WebhookSettings(url=hook.url, format="json")
    )
    own.do("open", {"title": "t", "severity": "SEV1", "commander": "alice"})
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    hook.answers = [slow, 500]
    assert own.do("update", {"words": "first"}) == "update recorded; being sent"
    now = own.snapshot(situation(clock))
    assert now is not None and now.webhook and now.incident.updates[0].delivery == "sending"
    release.set()
    await until(lambda: own.journal.records()[-1]["kind"] == "update-sent")
    assert hook.bodies[0]["commander"] == "alice"
    own.do("update", {"words": "second"})
    await until(lambda: own.journal.records()[-1].get("result") == "failed")
    later = own.snapshot(situation(clock))
    assert later is not None
    assert [(u.words, u.delivery, u.detail) for u in later.incident.updates] == [
        ("first", "delivered", ""),
        ("second", "failed", "answered 500"),
    ]
    assert later.reminder.words == "update NOT delivered"
    assert own.notices == ("an update of incident #1 was NOT delivered: answered 500",)
    own.close()
    assert_hidden(
        (tmp_path / "journal.jsonl").read_text(),
        own.notices,
        [r.getMessage() for r in caplog.records if r.name != "asyncio"],
    )


async def test_one_that_was_still_on_its_way_at_the_end_has_failed(hook: Hook, tmp_path: Path) -> None:
    clock = ManualClock(START, 1000.0)
    own = incident_service(tmp_path, clock, record=False, webhook=WebhookSettings(url=hook.url))
    own.do("open", {"title": "t", "severity": "SEV1"})
    release = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    hook.answers = [hang]
    own.do("update", {"words": "first"})
    await until(lambda: hook.bodies)
    await asyncio.to_thread(own.close, 0.05)
    release.set()
    last = own.journal.records()[-1]
    assert (last["result"], last["words"]) == ("failed", "the cockpit ended before it was confirmed")


def test_read_only_sends_nothing(tmp_path: Path) -> None:
    clock = ManualClock(START, 1000.0)
    own = incident_service(
        tmp_path, clock, record=False, webhook=WebhookSettings(url="http://127.0.0.1:9/x"), read_only=True
    )
    own.do("open", {"title": "t", "severity": "SEV1"})
    assert own.do("update", {"words": "x"}) == "update recorded, not sent (read-only: nothing is sent)"
    assert json.dumps(own.journal.records()[-1]["delivery"]) == '"not sent"'
