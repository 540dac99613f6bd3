"""Decides who may do what: bearer tokens, RBAC-like rules, self reviews (recordings 20–27)."""

from __future__ import annotations

from dataclasses import dataclass

from cockpit.drill.clock import SimClock, rfc3339
from cockpit.drill.kubernetes.objects.resources import ACCESS_REVIEWS, RULES_REVIEWS, SELF_REVIEWS, Obj, Resource


@dataclass(frozen=True)
class Rule:
    """Grants verbs on resources, as a Role does.

    `*` matches all; a subresource is named `deployments/scale`; empty `namespaces` means every one.
    """

    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()

    def allows(self, verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
        return (
            _any(self.verbs, verb)
            and _any(self.groups, group)
            and (_any(self.resources, resource) or f"*/{resource.partition('/')[2]}" in self.resources)
            and (not self.names or name in self.names)
            and (not self.namespaces or namespace in self.namespaces)
        )


def _any(allowed: tuple[str, ...], wanted: str) -> bool:
    return "*" in allowed or wanted in allowed


@dataclass(frozen=True)
class User:
    name: str
    rules: tuple[Rule, ...] = ()
    groups: tuple[str, ...] = ("system:authenticated",)
    uid: str = ""

    @property
    def anonymous(self) -> bool:
        return self.name == "system:anonymous"


EVERYTHING = Rule(("*",), ("*",), ("*",))
READ = Rule(("get", "list", "watch"), ("*",), ("*",))
#: What every authenticated user may do (system:basic-user).
_BASIC = (
    Rule(("create",), ("authorization.k8s.io",), (ACCESS_REVIEWS.plural, RULES_REVIEWS.plural)),
    Rule(("create",), ("authentication.k8s.io",), (SELF_REVIEWS.plural,)),
)
_PUBLIC_PATHS = (
    ("/healthz", "/livez", "/readyz", "/version", "/version/"),
    (
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ),
    ("/.well-known", "/.well-known/*"),
)

ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))


def default_users() -> dict[str, User]:
    """Return the users by token: `admin` may do everything, `viewer` get, list and watch.

    Logs are included.
    """
    return {
        "admin": User("admin", (EVERYTHING,), ("system:masters", "system:authenticated"), "admin"),
        "viewer": User("viewer", (READ,), uid="viewer"),
    }


def allowed(user: User, verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
    """Return whether the user may do this; `resource` includes the subresource: `pods/log`."""
    rules = user.rules if user.anonymous else (*_BASIC, *user.rules)
    return any(rule.allows(verb, group, resource, namespace, name) for rule in rules)


def path_allowed(user: User, path: str) -> bool:
    """Return whether the user may read this path that is no resource.

    Discovery, version and health: every authenticated user; version and health: anyone.
    """
    if user.anonymous:
        return path in _PUBLIC_PATHS[0]
    return True


def review(res: Resource, body: Obj, user: User, clock: SimClock) -> Obj:
    """Answer one of the three self reviews."""
    head: Obj = {"kind": res.kind, "apiVersion": res.api_version}
    if res is SELF_REVIEWS:
        info: Obj = {"username": user.name}
        if user.uid:
            info["uid"] = user.uid
        info["groups"] = list(user.groups)
        return {**head, "metadata": {"creationTimestamp": rfc3339(clock.now())}, "status": {"userInfo": info}}
    spec = body.get("spec") or {}
    if res is RULES_REVIEWS:
        return {**head, "metadata": {}, "spec": {}, "status": _rules(user, str(spec.get("namespace") or ""))}
    return {**head, "metadata": {}, "spec": spec, "status": {"allowed": _answer(user, spec)}}


def _answer(user: User, spec: Obj) -> bool:
    attributes = spec.get("resourceAttributes")
    if not attributes:
        path = str((spec.get("nonResourceAttributes") or {}).get("path") or "")
        return path_allowed(user, path)
    resource = str(attributes.get("resource") or "")
    if attributes.get("subresource"):
        resource += f"/{attributes['subresource']}"
    parts = [str(attributes.get(field) or "") for field in ("verb", "group", "namespace", "name")]
    return allowed(user=user, verb=parts[0], group=parts[1], resource=resource, namespace=parts[2], name=parts[3])


def _rules(user: User, namespace: str) -> Obj:
    listed: list[Obj] = []
    for rule in (*_BASIC, *user.rules):
        if rule.namespaces and namespace not in rule.namespaces:
            continue
        entry: Obj = {"verbs": list(rule.verbs), "apiGroups": list(rule.groups), "resources": list(rule.resources)}
        if rule.names:
            entry["resourceNames"] = list(rule.names)
        listed.append(entry)
    paths = [{"verbs": ["get"], "nonResourceURLs": list(urls)} for urls in _PUBLIC_PATHS]
    return {"resourceRules": listed, "nonResourceRules": paths, "incomplete": False}
