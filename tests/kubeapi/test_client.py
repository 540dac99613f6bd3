"""The client over real HTTP: what the server says, what the network does, and what the operator is
told.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from cockpit.kubeapi import errors
from cockpit.kubeapi.access import Access, load_access
from cockpit.kubeapi.bounds import LineSplitter
from cockpit.kubeapi.client import KubeClient
from cockpit.model.reading import SourceState
from tests.support.api_double import FIXTURES, ApiDouble, kubeconfig, recording, serving, status

EXPECTED = {
    400: errors.Invalid,
    401: errors.Unauthorised,
    403: errors.Denied,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Gone,
    415: errors.Invalid,
    422: errors.Invalid,
}
NAMES = sorted(p.name.partition("-")[0] for p in FIXTURES.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
async def test_every_recorded_answer_of_a_real_server_is_understood(api: ApiDouble, access: Access, name: str) -> None:
    exchange = recording(name)
    response = exchange["response"]
    body = response.get("body", response.get("watch_events"))

    async def replay(request: web.Request) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=response["status"], text=text, content_type="application/json")

    asked = exchange["request"]
    api.on("", replay)
    async with KubeClient(access) as client:
        content = json.dumps(asked["body"]) if asked["body"] is not None else None
        send = client.send(asked["method"], asked["path"], body=content, content_type=asked["content_type"])
        if response["status"] < 300:
            answer = await send
            assert answer.status == response["status"]
            if not isinstance(body, str):
                assert answer.json() == body
            assert answer.server_time is not None
        else:
            with pytest.raises(EXPECTED[response["status"]]) as caught:
                await send
            assert caught.value.body == body
            assert caught.value.status == response["status"]
            assert caught.value.reason
    if asked["content_type"]:
        assert api.requests[0].headers["content-type"] == asked["content_type"]


async def test_a_refusal_names_verb_and_resource(api: ApiDouble, access: Access) -> None:
    async def forbid(request: web.Request) -> web.Response:
        return web.Response(
            status=403,
            text="<html><script>x</script><body>Blocked \x1b[2J by proxy</body></html>",
            content_type="text/html",
        )

    api.on("/scale", forbid)
    async with KubeClient(access) as client:
        with pytest.raises(errors.Denied) as caught:
            await client.send("PATCH", "/apis/apps/v1/namespaces/m0-prod/deployments/m0-quant/scale", body="{}")
    assert "patch deployments/scale m0-quant in m0-prod" in caught.value.reason
    assert (
        "Blocked" in caught.value.reason and "\x1b" not in caught.value.reason and "script" not in caught.value.reason
    )
    assert caught.value.fault().state is SourceState.DENIED


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_a_401_reads_the_kubeconfig_again_and_tries_once_more(
    api: ApiDouble, access: Access, tmp_path: Path, method: str
) -> None:
    api.tokens = {"new"}
    kubeconfig(tmp_path / "config", api.url, user={"token": "new"})
    async with KubeClient(access) as client:
        answer = await client.send(method, "/version", body="{}" if method == "PATCH" else None)
        assert answer.status == 200
        assert len(api.requests) == 2
        api.tokens = {"other"}
        with pytest.raises(errors.Unauthorised) as caught:
            await client.send(method, "/version")
        assert "401" in caught.value.reason and caught.value.remedy


async def test_many_401s_at_once_reload_once(api: ApiDouble, access: Access, tmp_path: Path) -> None:
    api.tokens = {"new"}
    kubeconfig(tmp_path / "config", api.url, user={"token": "new"})
    async with KubeClient(access) as client:
        answers = await asyncio.gather(*(client.send("GET", "/version") for _ in range(7)))
        assert [a.status for a in answers] == [200] * 7
        async with client.stream("/api/v1/pods", {"watch": "1"}, read_timeout_s=5):
            pass


async def test_a_write_that_times_out_may_have_been_done_and_is_not_sent_again(api: ApiDouble, access: Access) -> None:
    api.on("/x", api.frozen)
    async with KubeClient(access) as client:
        with pytest.raises(errors.Unreachable) as caught:
            await client.send("PATCH", "/api/v1/x", body="{}", timeout_s=0.2)
    assert caught.value.maybe_sent and caught.value.timed_out
    assert len(api.requests) == 1


async def test_a_connection_cut_after_sending_may_have_been_done(api: ApiDouble, access: Access) -> None:
    async def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    api.on("/x", cut)
    async with KubeClient(access) as client:
        with pytest.raises(errors.Unreachable) as caught:
            await client.send("DELETE", "/api/v1/x")
    assert caught.value.maybe_sent and len(api.requests) == 1


async def test_nobody_there_was_surely_not_sent(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        access = load_access(str(kubeconfig(tmp_path / "c", f"http://127.0.0.1:{taken.getsockname()[1]}")))
        async with KubeClient(access) as client:
            with pytest.raises(errors.Unreachable) as caught:
                await client.get("/version")
    assert not caught.value.maybe_sent and "refused" in caught.value.reason


async def test_certificates_are_checked_and_the_fault_is_named(tmp_path: Path) -> None:
    ca, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "api.internal").configure_cert(context)
    (tmp_path / "ca.pem").write_bytes(ca.cert_pem.bytes())
    (tmp_path / "other.pem").write_bytes(other.cert_pem.bytes())

    async def tried(cluster: dict[str, Any], host: str = "127.0.0.1") -> int | str:
        server = api.url.replace("127.0.0.1", host)
        async with KubeClient(load_access(str(kubeconfig(tmp_path / "c", server, cluster=cluster)))) as client:
            try:
                return (await client.send("GET", "/version")).status
            except errors.Unreachable as error:
                assert not error.maybe_sent and "certificate-authority" in error.remedy
                return error.reason

    async with serving(ApiDouble(), context) as api:
        assert await tried({"certificate-authority": "ca.pem"}) == 200
        assert "not trusted" in str(await tried({"certificate-authority": "other.pem"}))
        assert await tried({"insecure-skip-tls-verify": True}) == 200
        assert "not trusted" in str(await tried({"certificate-authority": "ca.pem"}, host="localhost"))
        assert (
            await tried({"certificate-authority": "ca.pem", "tls-server-name": "api.internal"}, host="localhost") == 200
        )


async def test_a_client_certificate_logs_in(tmp_path: Path) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    me = ca.issue_cert("me@example.com")
    (tmp_path / "ca.pem").write_bytes(ca.cert_pem.bytes())
    (tmp_path / "me.pem").write_bytes(me.cert_chain_pems[0].bytes())
    (tmp_path / "me.key").write_bytes(me.private_key_pem.bytes())
    cluster = {"certificate-authority": "ca.pem"}
    async with serving(ApiDouble(), context) as api:
        user = {"client-certificate": "me.pem", "client-key": "me.key"}
        async with KubeClient(
            load_access(str(kubeconfig(tmp_path / "c", api.url, cluster=cluster, user=user)))
        ) as client:
            assert (await client.send("GET", "/version")).status == 200
        async with KubeClient(
            load_access(str(kubeconfig(tmp_path / "c", api.url, cluster=cluster, user={})))
        ) as client:
            with pytest.raises(errors.Unreachable, match=r"TLS|lost|certificate"):
                await client.send("GET", "/version")


async def test_http_where_tls_is_spoken_is_one_line(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with serving(ApiDouble(), context) as api:
        access = load_access(str(kubeconfig(tmp_path / "c", api.url.replace("https", "http"))))
        async with KubeClient(access) as client:
            with pytest.raises(errors.KubeError):
                await client.get("/version")
    async with serving(ApiDouble()) as api:
        access = load_access(str(kubeconfig(tmp_path / "c", api.url.replace("http", "https"))))
        async with KubeClient(access) as client:
            with pytest.raises(errors.Unreachable, match="TLS"):
                await client.get("/version")


async def test_throttling_carries_its_wait_and_odd_answers_are_server_faults(api: ApiDouble, access: Access) -> None:
    async def throttle(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"retry-after": "7"}, text="slow down")

    async def teapot(request: web.Request) -> web.Response:
        return web.Response(text="<html>log in</html>")

    async def moved(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": "https://login.example"})

    api.on("/busy", throttle)
    api.on("/page", teapot)
    api.on("/moved", moved)
    async with KubeClient(access) as client:
        with pytest.raises(errors.Throttled) as caught:
            await client.get("/api/v1/busy")
        assert caught.value.retry_after_s == 7
        with pytest.raises(errors.ServerFault, match="not JSON"):
            await client.get("/api/v1/page")
        with pytest.raises(errors.ServerFault, match="redirected"):
            await client.get("/api/v1/moved")


@pytest.mark.parametrize(
    ("path", "raw", "kind", "words"),
    [
        (
            "/apis/batch/v1/namespaces/m0-prod/cronjobs/m0-x",
            b'{"kind": "Status", "reason": "NotFound", "details": {}, "message": '
            b'"the server could not find the requested resource"}',
            errors.NotServed,
            "this server has no cronjobs in batch/v1",
        ),
        (
            "/apis/batch/v9/namespaces/m0-prod/cronjobs",
            b"404 page not found\n",
            errors.NotServed,
            "no cronjobs in batch/v9",
        ),
        (
            "/apis/batch/v1/namespaces/m0-prod/cronjobs/m0-x",
            b'{"kind": "Status", "reason": "NotFound", "message": "cronjobs.batch \\"m0-x\\" not found"}',
            errors.NotFound,
            'cronjobs.batch "m0-x" not found',
        ),
        ("/api/v1/namespaces/m0-prod", b"", errors.NotFound, "not found: get namespaces m0-prod"),
    ],
)
def test_a_kind_that_is_not_served_is_no_missing_object(
    path: str, raw: bytes, kind: type[Exception], words: str
) -> None:
    error = errors.from_answer(404, raw, method="GET", path=path)
    assert type(error) is kind and words in error.reason


async def test_streams_check_the_status_first_and_give_lines(api: ApiDouble, access: Access) -> None:
    async def talk(request: web.Request) -> web.StreamResponse:
        return await api.quiet(request, b"one\ntw", b"o\n\nlast", end=True)

    async def refuse(request: web.Request) -> web.Response:
        return status(410, "Expired", "too old")

    api.on("/talk", talk)
    api.on("/refuse", refuse)
    async with KubeClient(access) as client:
        async with client.stream("/api/v1/talk", read_timeout_s=5) as lines:
            assert [line async for line in lines] == [b"one", b"two", b"", b"last"]
        with pytest.raises(errors.Gone):
            async with client.stream("/api/v1/refuse", read_timeout_s=5):
                pass
        api.on("/mute", api.quiet)
        with pytest.raises(errors.Unreachable) as caught:
            async with client.stream("/api/v1/mute", read_timeout_s=0.1) as lines:
                async for _ in lines:
                    pass
        assert caught.value.timed_out


async def test_the_servers_clock_is_known_from_any_answer(api: ApiDouble, access: Access) -> None:
    async def dated(request: web.Request) -> web.Response:
        return web.json_response({}, headers={"Date": "Mon, 23 Nov 2026 14:15:42 GMT"})

    api.on("/dated", dated)
    async with KubeClient(access) as client:
        assert client.server_time() is None
        answer = await client.send("GET", "/api/v1/dated")
        assert answer.server_time == 1795443342.0
        assert client.server_time() == pytest.approx(1795443342.0, abs=60)
        assert client.skew_s is not None


def test_requests_are_described_as_rbac_names_them() -> None:
    base = "/api/v1/namespaces/m0-prod"
    assert errors.describe("GET", f"{base}/pods") == "list pods in m0-prod"
    assert errors.describe("GET", f"{base}/pods", watch=True) == "watch pods in m0-prod"
    assert errors.describe("GET", f"{base}/pods/x/log") == "get pods/log x in m0-prod"
    assert errors.describe("GET", base) == "get namespaces m0-prod"
    assert errors.describe("PATCH", "/apis/apps/v1/namespaces/a/deployments/b") == "patch deployments b in a"
    assert (
        errors.describe("POST", "/apis/coordination.k8s.io/v1/namespaces/a/leases")
        == "create leases.coordination.k8s.io in a"
    )
    assert errors.describe("GET", "/version") == "GET /version"


def test_a_line_without_end_is_cut_once() -> None:
    splitter = LineSplitter(4)
    assert splitter.feed(b"ab") == []
    assert splitter.feed(b"cdef") == [b"abcd"]
    assert splitter.feed(b"ghij") == []
    assert splitter.feed(b"k\nlm\nlongline\nx") == [b"lm", b"long"]
    assert splitter.rest() == b"x"
    assert splitter.cut == 2


def test_the_first_pods_wait_for_no_command_line_and_no_http2() -> None:
    """What httpx imports where it is installed: twice its own import.

    Whoever wants it later still gets it.
    """
    code = "import sys, cockpit.kubeapi.client; assert not {'click', 'h2', 'hpack', 'pygments'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
