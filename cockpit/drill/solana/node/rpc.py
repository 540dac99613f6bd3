"""Serves JSON-RPC over HTTP: single calls, batches, errors, and what providers do to them."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import msgspec
from aiohttp import web

from cockpit.drill.solana.node.chaos import HTML
from cockpit.drill.solana.node.endpoint import INVALID_REQUEST, NO_METHOD, PARSE, Node, Params, RpcError
from cockpit.drill.solana.node.methods import METHODS

MEDIAN_S = 0.03  # a healthy provider's answer, when its confirmations take `CALM_MS`
CALM_MS = 430.0
SLOWEST_S = 8.0
MOST_BODY = 512 * 1024

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


async def answer(node: Node, call: Any) -> dict[str, Any] | None:
    """Return the response object of one call; None for a notification."""
    if not isinstance(call, dict):
        return _error(RpcError(INVALID_REQUEST, "Invalid request"), None)
    number = call.get("id")
    method = call.get("method")
    if not isinstance(method, str) or not isinstance(number, int | str | float | None):
        return _error(RpcError(INVALID_REQUEST, "Invalid request"), None)
    if call.get("jsonrpc") != "2.0":
        return _error(RpcError(INVALID_REQUEST, "Unsupported JSON-RPC protocol version"), number)
    node.requests[method] += 1
    try:
        if method in node.chaos.errors:
            raise _own_error(node, method)
        handler = METHODS.get(method)
        if handler is None:
            raise RpcError(NO_METHOD, "Method not found")
        result = handler(node, Params(node, call.get("params")))
        if inspect.isawaitable(result):
            result = await result
    except RpcError as error:
        return None if "id" not in call else _error(error, number)
    if "id" not in call:
        return None
    if node.chaos.take("mistyped"):
        result = node.chaos.surprise()
    return {"jsonrpc": "2.0", "result": result, "id": number}


def _own_error(node: Node, method: str) -> RpcError:
    code, message, data = node.chaos.errors[method]
    return RpcError(code, message) if data is None else RpcError(code, message, data)


def _error(error: RpcError, number: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": error.json(), "id": number}


async def handle(node: Node, request: web.BaseRequest) -> web.StreamResponse:
    """Serve one HTTP request."""
    try:
        return await _handle(node, request)
    except ConnectionError:  # the client has gone: there is nobody to answer
        return web.Response(status=499)


async def _handle(node: Node, request: web.BaseRequest) -> web.StreamResponse:
    chaos = node.chaos
    node.requests["http"] += 1
    await chaos.gate()
    refusal = await _trouble(node)
    if refusal is not None:
        return refusal
    if request.method == "GET" and request.path.endswith("/health"):
        return web.Response(text="ok" if node.unhealthy() is None else "behind")
    if request.method == "OPTIONS":
        return web.Response(
            headers={"Access-Control-Allow-Methods": "POST, OPTIONS", "Access-Control-Max-Age": "86400"}
        )
    if request.method != "POST":
        return web.Response(status=405, text="Used HTTP Method is not allowed. POST or OPTIONS is required\n")
    if request.content_type != "application/json":
        words = "Supplied content type is not allowed. Content-Type: application/json is required\n"
        return web.Response(status=415, text=words)
    body = await request.read()
    if len(body) > MOST_BODY:
        return web.Response(status=413, text="Request body size exceeds the limit\n")
    payload = await _respond(node, body)
    if isinstance(payload, web.Response):
        return payload
    return await _deliver(node, request, payload)


async def _trouble(node: Node) -> web.Response | None:
    """Delay or refuse a request before anything is read."""
    chaos, endpoint = node.chaos, node.endpoint
    wait = chaos.slow_s
    if endpoint.confirm_ms:
        wait += min(SLOWEST_S, MEDIAN_S * endpoint.confirm_ms / CALM_MS * node.rng.lognormvariate(0.0, endpoint.sigma))
    if wait:
        await asyncio.sleep(wait)
    if chaos.take("throttled"):
        headers = {} if chaos.retry_after_s is None else {"Retry-After": str(chaos.retry_after_s)}
        error = RpcError(429, "Too many requests for a specific RPC call")
        return _json(_error(error, None), 429, headers)
    if chaos.unauthorised:
        return _json(_error(RpcError(-32000, "Must be authenticated!"), None), 401)
    if chaos.take("server_errors"):
        return web.Response(status=500, text="Internal Server Error\n")
    if node.rng.random() < endpoint.failing:
        return web.Response(status=503, text="Service Unavailable\n")
    return None


async def _respond(node: Node, body: bytes) -> bytes | web.Response:
    chaos = node.chaos
    try:
        calls = _decoder.decode(body)
    except msgspec.DecodeError:
        return _encoder.encode(_error(RpcError(PARSE, "Parse error"), None))
    if not isinstance(calls, list):
        return _encoder.encode(await answer(node, calls))
    node.requests["batch"] += 1
    if chaos.batch_refused_plainly:
        return web.Response(status=403, text="Batch requests are not available on your plan\n")
    if chaos.batch_refused or (chaos.batch_limit is not None and len(calls) > chaos.batch_limit):
        words = "Batch requests are not supported" if chaos.batch_refused else f"Batch size exceeds {chaos.batch_limit}"
        return _encoder.encode(_error(RpcError(INVALID_REQUEST, words), None))
    if not calls:
        return _encoder.encode(_error(RpcError(INVALID_REQUEST, "Invalid request"), None))
    found = [await answer(node, call) for call in calls]
    return _encoder.encode([one for one in found if one is not None])


async def _deliver(node: Node, request: web.BaseRequest, payload: bytes) -> web.StreamResponse:
    chaos = node.chaos
    if chaos.take("lost_answers"):
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    if chaos.take("malformed"):
        return web.Response(text=HTML, content_type="text/html")
    if chaos.take("gigantic"):
        payload = b'{"jsonrpc":"2.0","result":"' + b"x" * chaos.gigantic_bytes + b'","id":1}'
    if chaos.take("truncated"):
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(payload))})
        await response.prepare(request)
        await response.write(payload[: len(payload) // 2])
        if request.transport is not None:
            request.transport.close()
        return response
    body = b"" if payload in (b"null", b"[]") else payload  # notifications alone get nothing
    return web.Response(body=body, content_type="application/json", headers={"Access-Control-Allow-Origin": "*"})


def _json(body: Any, status: int, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=_encoder.encode(body), status=status, headers=headers or {}, content_type="application/json"
    )
