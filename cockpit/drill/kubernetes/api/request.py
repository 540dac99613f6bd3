"""Parses a request: which resource and verb, which user, and the shape of answer wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from cockpit.drill.kubernetes.api import authz
from cockpit.drill.kubernetes.objects import statuses
from cockpit.drill.kubernetes.objects.resources import NAMESPACES, Resource, find

Shape = Literal["plain", "table", "partial"]


@dataclass(frozen=True)
class Target:
    res: Resource
    namespace: str
    name: str
    sub: str


@dataclass(frozen=True)
class ApiRequest:
    """Holds a parsed request.

    `user`: who asks.

    `shape`: from Accept. `dry_run`: dryRun=All.
    """

    http: web.Request
    target: Target
    user: authz.User
    verb: str
    shape: Shape
    dry_run: bool

    def param(self, name: str) -> str:
        return self.http.query.get(name, "")

    def flag(self, name: str) -> bool:
        return self.http.query.get(name, "").lower() in ("1", "true", "t")

    def number(self, name: str) -> int | None:
        text = self.param(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            message = f'strconv.ParseInt: parsing "{text}": invalid syntax'
            raise statuses.bad_request(message) from None

    @property
    def manager(self) -> str:
        """Return the field manager: as given, else the first word of User-Agent."""
        agent = self.http.headers.get("User-Agent", "").partition("/")[0]
        return self.param("fieldManager") or agent or "unknown"


def parse_path(path: str) -> Target | None:
    """Parse `/api/v1/…` or `/apis/GROUP/VERSION/…`; None when no served resource is meant."""
    parts = [p for p in path.split("/") if p]
    if parts[:1] == ["api"] and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and not group and (len(rest) <= 2 or NAMESPACES.subresource(rest[2])):
        res: Resource | None = NAMESPACES
        rest = rest[1:]
    else:
        if rest[0] == "namespaces" and len(rest) >= 3:
            namespace, rest = rest[1], rest[2:]
        res = find(group, version, rest[0])
        rest = rest[1:]
    if res is None or len(rest) > 2 or (res.namespaced and rest and not namespace):
        return None
    if namespace and not res.namespaced:
        return None
    name, sub = [*rest, "", ""][:2]
    if sub and res.subresource(sub) is None:
        return None
    return Target(res, namespace, name, sub)


def verb_of(method: str, target: Target, watching: bool) -> str:
    """Return the verb that RBAC knows.

    Raises ApiError 405.
    """
    if method in ("GET", "HEAD"):
        if target.name:
            return "get"
        return "watch" if watching else "list"
    verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method)
    if verb == "delete" and not target.name:
        verb = "deletecollection"
    if verb is None or (verb == "create") == bool(target.name):
        raise statuses.method_not_allowed()
    return verb


def shape_of(accept: str) -> Shape:
    """Return the first JSON representation that the client names."""
    for choice in accept.split(","):
        media, *rest = (part.strip() for part in choice.split(";"))
        if media not in ("application/json", "*/*", "application/*"):
            continue
        options = dict(part.partition("=")[::2] for part in rest)
        kind = options.get("as", "")
        if kind == "Table":
            return "table"
        if kind.startswith("PartialObjectMetadata"):
            return "partial"
        return "plain"
    return "plain"


def authenticate(request: web.Request, users: dict[str, authz.User]) -> authz.User:
    """Return the user of the bearer token.

    Raises ApiError 401 for an unknown one; none at all is the anonymous user.
    """
    header = request.headers.get("Authorization", "")
    if not header:
        return authz.ANONYMOUS
    scheme, _, token = header.partition(" ")
    user = users.get(token.strip()) if scheme.lower() == "bearer" else None
    if user is None:
        raise statuses.unauthorised()
    return user
