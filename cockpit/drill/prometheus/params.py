"""Reads the parameters of Prometheus' HTTP API, with its errors (web/api/v1/api.go)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import promql_parser
from aiohttp import web

from cockpit.drill.clock import parse_rfc3339
from cockpit.drill.prometheus.promql import QueryProblem, matcher, parse


class ApiProblem(Exception):
    """Carries an answer with `status: error`.

    `kind` is Prometheus' errorType.
    """

    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind


async def parameters(request: web.Request) -> Mapping[str, list[str]]:
    """Read query string and form together, as Prometheus does."""
    values: dict[str, list[str]] = {}
    for key, value in request.query.items():
        values.setdefault(key, []).append(value)
    if request.method == "POST":
        for key, given in (await request.post()).items():
            values.setdefault(key, []).append(str(given))
    return values


def one(params: Mapping[str, list[str]], name: str) -> str:
    return params.get(name, [""])[0]


def moment(params: Mapping[str, list[str]], name: str, default: float | None) -> float:
    text = one(params, name)
    if not text and default is not None:
        return default
    try:
        value = float(text)
        if math.isfinite(value):
            return round(value, 3)
    except ValueError:
        try:
            return parse_rfc3339(text)
        except ValueError:
            pass
    raise ApiProblem(400, "bad_data", f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp')


def duration(params: Mapping[str, list[str]], name: str) -> float:
    text = one(params, name)
    try:
        value = float(text)
    except ValueError:
        try:
            value = promql_parser.parse_duration(text).total_seconds()
        except ValueError:
            raise ApiProblem(
                400, "bad_data", f'invalid parameter "{name}": cannot parse "{text}" to a valid duration'
            ) from None
    if value <= 0:
        raise ApiProblem(
            400,
            "bad_data",
            f'invalid parameter "{name}": zero or negative query resolution step widths are not accepted. Try a '
            "positive integer",
        )
    return value


def selector(text: str) -> Sequence[tuple[str, Any]]:
    try:
        node = parse(text)
    except QueryProblem as problem:
        raise ApiProblem(400, "bad_data", str(problem).replace('"query"', '"match[]"')) from problem
    if type(node).__name__ != "VectorSelector":
        raise ApiProblem(400, "bad_data", f'invalid parameter "match[]": not a series selector: {text}')
    tests = [(m.name, matcher(str(m.op).rsplit(".", 1)[-1], m.value)) for m in node.matchers.matchers]
    if node.name:
        tests.append(("__name__", matcher("=", node.name)))
    return tests
