"""Makes of many exchanges what two API servers can be compared by.

Of each request its answers' status, headers that are read and kind; of each kind of object the
fields and their types, over all answers that hold one: which of two moments a server was asked in
makes no difference then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.support.api_proxy import Exchange

#: The headers of an answer that the cockpit reads.
READ = ("Content-Type", "Date", "Retry-After", "Warning")
#: Keys that are somebody's choice, not the API's.
_CHOSEN = re.compile(
    r"^(?:labels|annotations|matchLabels|data|nodeSelector|capacity|allocatable|f:(?:labels|annotations|data|matchLabels))$"
)
Shapes = dict[str, set[str]]
#: Part → what of → what is said.
Summary = dict[str, dict[str, list[str]]]


def requests(exchanges: Iterable[Exchange], namespace: str) -> dict[str, set[str]]:
    """Return the kinds of answer to each kind of request."""
    found: dict[str, set[str]] = {}
    for each in exchanges:
        if each.whole:
            found.setdefault(_request(each, namespace), set()).add(_answer(each))
    return found


def _request(each: Exchange, namespace: str) -> str:
    path = each.path.replace(f"/namespaces/{namespace}", "/namespaces/NAMESPACE")
    path = re.sub(r"/pods/(?!no-such)[^/]+", "/pods/POD", path)
    path = re.sub(r"/jobs/[^/]+", "/jobs/JOB", path)
    query = "&".join(f"{name}={_asked(value, namespace)}" for name, value in sorted(each.query.items()))
    media = each.headers.get("Content-Type", "")
    kind = f" {media}" if media else ""
    return f"{each.method} {path}{'?' + query if query else ''}{kind}"


def _asked(value: str, namespace: str) -> str:
    return re.sub(r"\b\d+\b", "N", re.sub(r"^(job-name|involvedObject\.uid)=.*", r"\1=IT", _plain(value, namespace)))


def _plain(value: str, namespace: str) -> str:
    """Return a text without what must differ: versions, uids, hashes, times, names of pods."""
    value = value.replace(namespace, "NAMESPACE")
    value = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UID", value)
    value = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", value)
    value = re.sub(r"(m0-[a-z]+)(?:-(?=[a-z0-9]*\d)[a-z0-9]{5,10}(?:-[a-z0-9]{5})?|-\d)\b", r"\1-NAME", value)
    return re.sub(r"\d{2,}", "N", value)


def _answer(each: Exchange) -> str:
    headers = {name.lower(): value for name, value in each.answer.headers.items()}
    read = [f"{name}: {_header(name, headers[name.lower()])}" for name in READ if name.lower() in headers]
    return f"{each.status} {', '.join(read)} {_kind(each)}"


def _header(name: str, value: str) -> str:
    return "…" if name == "Date" else value


def _kind(each: Exchange) -> str:
    if each.watched:
        return "watch" if each.status == 200 else "Status"
    try:
        body = json.loads(each.answer.body)
    except ValueError:
        return "text" if each.answer.body else "nothing"
    return f"{body.get('kind')} {body.get('apiVersion')}" if isinstance(body, dict) else "JSON"


def failures(exchanges: Iterable[Exchange], namespace: str) -> dict[str, set[str]]:
    """Return what each kind of request that was refused was told, whole."""
    found: dict[str, set[str]] = {}
    for each in exchanges:
        if each.status >= 300 and each.whole:
            found.setdefault(_request(each, namespace), set()).add(_plain(_sorted(each.answer.body), namespace))
    return found


def _sorted(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except ValueError:
        return body.decode("utf-8", "replace")


def shapes(exchanges: Iterable[Exchange]) -> Shapes:
    """Return the paths of fields with their types, by kind of object."""
    found: Shapes = {}
    for each in exchanges:
        for obj in _objects(each):
            kind = str(obj.get("kind"))
            if kind.endswith("List") and isinstance(obj.get("items"), list):
                found.setdefault(kind, set()).update(_paths({k: v for k, v in obj.items() if k != "items"}))
                for item in obj["items"]:
                    found.setdefault(kind.removesuffix("List"), set()).update(_paths(item))
            elif kind != "Status":
                paths = _paths({k: v for k, v in obj.items() if k not in ("kind", "apiVersion")})
                found.setdefault(kind, set()).update(paths)
    return found


def _objects(each: Exchange) -> Iterator[dict[str, Any]]:
    if each.watched:
        for line in each.answer.body.splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue  # cut where the watch was given up
            obj = event.get("object") or {}
            if event.get("type") == "BOOKMARK":
                obj = {**obj, "kind": f"Bookmark{obj.get('kind')}"}
            yield obj
        return
    try:
        body = json.loads(each.answer.body)
    except ValueError:
        return
    if isinstance(body, dict):
        yield body


def _paths(value: Any, where: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if _CHOSEN.match(where.rpartition(".")[2]):
                key = "*"
            elif key.startswith("k:{"):
                key = "k:{…}"
            elif key.startswith("v:"):
                key = "v:…"
            yield from _paths(each, f"{where}.{key}")
        if not value:
            yield f"{where} {{}}"
    elif isinstance(value, list):
        for each in value:
            yield from _paths(each, f"{where}[]")
        if not value:
            yield f"{where} []"
    else:
        yield f"{where} {type(value).__name__}"


def summary(exchanges: Sequence[Exchange], namespace: str) -> Summary:
    """Return all three, in order, as JSON can hold them."""
    parts = {
        "requests": requests(exchanges, namespace),
        "failures": failures(exchanges, namespace),
        "fields": shapes(exchanges),
    }
    return {name: {key: sorted(values) for key, values in sorted(part.items())} for name, part in parts.items()}


def differences(real: Summary, drill: Summary) -> list[str]:
    """Return one line for each thing that one server says and the other does not."""
    found = []
    for part in real:
        for key in sorted({*real[part], *drill[part]}):
            ours, theirs = set(drill[part].get(key, ())), set(real[part].get(key, ()))
            found += [f"{part} of {key}: only the real server: {each}" for each in sorted(theirs - ours)]
            found += [f"{part} of {key}: only the drill: {each}" for each in sorted(ours - theirs)]
    return found
