"""Examines the cluster: kubeconfig, server, credentials, clock, namespaces, services and rights."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

from cockpit.kubeapi.access import Access, AccessProblem, load_access
from cockpit.kubeapi.access_review import Review, review
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Denied, KubeError, NotFound, Unauthorised, Unreachable
from cockpit.sources.examination import Examination, Finding, State, bounded, found, listed, skew, together
from cockpit.sources.kubernetes.rights import ANY_STEP, SCREEN, Right, acting, looking
from cockpit.sources.transport import REMEDY, exposed_by, in_the_clear

AREA = "kubernetes"
_AT_ONCE = 8  # access reviews
_WORKLOADS = (("Deployment", "deployments"), ("StatefulSet", "statefulsets"))


async def examine(exam: Examination) -> list[Finding]:
    """Examine kubeconfig, server and credentials first: they must hold for the rest to be asked."""
    access: list[Access] = []
    first = await bounded(exam, AREA, "kubeconfig", lambda: _kubeconfig(exam, access))
    if not access:
        return first
    connect_s = min(5.0, exam.limit_s * 0.8)
    async with KubeClient(access[0], connect_s=connect_s, clock=exam.clock, read_only=True) as client:
        version, who = await asyncio.gather(
            bounded(exam, AREA, "server", lambda: _server(exam, client)),
            bounded(exam, AREA, "credentials", lambda: _credentials(client)),
        )
        first += version
        if version[0].state is not State.OK:  # the same would be said again
            return first
        first += who
        if any(f.state is State.FAIL for f in who):
            return first
        namespaces = exam.settings.namespaces or (access[0].namespace or "default",)
        kinds: dict[str, str] = {}
        first += await together(
            bounded(exam, AREA, f"namespace {name}", lambda name=name: _namespace(client, name))  # type: ignore[misc]
            for name in namespaces
        )
        first += await bounded(exam, AREA, "services", lambda: _services(exam, client, namespaces, kinds))
        return first + await _rights(exam, client, namespaces, kinds)


async def _kubeconfig(exam: Examination, access: list[Access]) -> Sequence[Finding]:
    settings = exam.settings
    try:
        one = await asyncio.to_thread(load_access, settings.kubeconfig, settings.context)
        await asyncio.to_thread(one.credentials.headers)
    except AccessProblem as problem:
        return [found(AREA, "kubeconfig", State.FAIL, problem.reason, problem.remedy)]
    access.append(one)
    words = f'context "{one.context}", user "{one.user}", server {urlsplit(one.server).netloc}'
    if in_the_clear(one.server):
        return [found(AREA, "kubeconfig", State.WARN, f"{words}, without TLS", "give the server an https address")]
    unverified = exposed_by(one)
    if unverified:
        return [found(AREA, "kubeconfig", State.WARN, f"{words}; {unverified[0]}", REMEDY)]
    return [found(AREA, "kubeconfig", State.OK, words)]


async def _server(exam: Examination, client: KubeClient) -> Sequence[Finding]:
    try:
        answer = await client.send("GET", "/version", timeout_s=exam.limit_s)
        reply = answer.json()
        version = str(reply.get("gitVersion") or "?") if isinstance(reply, dict) else "?"
        words = f"Kubernetes {version}, answered in {answer.took_s * 1000:.0f} ms"
        findings = [found(AREA, "server", State.OK, words)]
    except (Denied, NotFound) as error:  # it is there: whether it lets us in is the next check's
        findings = [found(AREA, "server", State.OK, f"answers, but does not tell its version: {error.reason}")]
    except Unreachable as error:
        return [found(AREA, "server", State.FAIL, error.reason, error.remedy)]
    except Unauthorised as error:
        return [found(AREA, "server", State.OK, f"answers: {error.reason}")]
    except KubeError as error:
        return [found(AREA, "server", State.FAIL, error.reason, error.remedy or "is that the API server's address?")]
    if client.skew_s is None:
        findings.append(found(AREA, "clock", State.UNKNOWN, "the API server sends no Date", "a proxy removes it?"))
    else:
        findings.append(skew(AREA, client.skew_s, "the API server's", 1.0))
    return findings


async def _credentials(client: KubeClient) -> Sequence[Finding]:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await client.send(
            "POST",
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            body=json.dumps(body),
            content_type="application/json",
            timeout_s=10.0,
        )
        reply = answer.json()
        info = ((reply.get("status") or {}).get("userInfo") or {}) if isinstance(reply, dict) else {}
        groups = [str(g) for g in info.get("groups") or [] if not str(g).startswith("system:authenticated")]
        words = f"accepted as {info.get('username') or '?'}" + (f", groups {listed(groups, 6)}" if groups else "")
        if str(info.get("username")) == "system:anonymous":
            return [
                found(
                    AREA, "credentials", State.FAIL, "the server takes us for anonymous", "log in; is the token sent?"
                )
            ]
        return [found(AREA, "credentials", State.OK, words)]
    except Unauthorised as error:
        return [found(AREA, "credentials", State.FAIL, error.reason, error.remedy)]
    except (
        NotFound,
        Denied,
    ):  # SelfSubjectReview came with Kubernetes 1.28; rights are judged first: 403 where it is not served
        asked = await review(client, "default", "get", "", "pods")
        if asked.allowed is None:
            return [found(AREA, "credentials", State.UNKNOWN, f"not told whether they are accepted: {asked.reason}")]
        return [
            found(
                AREA,
                "credentials",
                State.OK,
                "accepted; this server does not say as whom (before Kubernetes 1.28, or not allowed)",
            )
        ]
    except KubeError as error:
        return [found(AREA, "credentials", State.UNKNOWN, error.reason, error.remedy)]


async def _namespace(client: KubeClient, name: str) -> Sequence[Finding]:
    check = f"namespace {name}"
    try:
        got = await client.get(f"/api/v1/namespaces/{quote(name, safe='')}")
    except NotFound:
        return [
            found(
                AREA, check, State.FAIL, "there is no such namespace", "check -n, or `namespaces` in the configuration"
            )
        ]
    except KubeError as error:
        return [found(AREA, check, State.UNKNOWN, error.reason, error.remedy)]
    phase = str((got.get("status") or {}).get("phase") or "") if isinstance(got, dict) else ""
    if phase == "Terminating":
        return [found(AREA, check, State.FAIL, "it is being deleted", "is that the right cluster?")]
    return [found(AREA, check, State.OK, "is there")]


async def _services(
    exam: Examination, client: KubeClient, namespaces: Sequence[str], kinds: dict[str, str]
) -> Sequence[Finding]:
    """Find the workloads, and fill `kinds` with those of the namespace that steps act in first."""
    unread: list[str] = []

    async def listing(namespace: str, kind: str, plural: str) -> None:
        try:
            got = await client.get(f"/apis/apps/v1/namespaces/{quote(namespace, safe='')}/{plural}")
        except KubeError as error:
            unread.append(error.line())
            return
        for item in got.get("items") or []:
            kinds.setdefault(str((item.get("metadata") or {}).get("name")), kind)

    for namespace in namespaces:
        await asyncio.gather(*(listing(namespace, kind, plural) for kind, plural in _WORKLOADS))
    wanted = list(exam.runbooks.services)
    missing = [name for name in wanted if name not in kinds]
    where = ", ".join(namespaces)
    if unread:
        return [
            found(AREA, "services", State.UNKNOWN, f"not known which are there: {unread[0]}", "see the rights below")
        ]
    if not missing:
        return [found(AREA, "services", State.OK, f"all {len(wanted)} of the runbooks are in {where}")]
    remedy = "name them as they are in [services] of a runbooks file of your own, or watch their namespace with -n"
    state = State.FAIL if len(missing) == len(wanted) else State.WARN
    return [found(AREA, "services", state, f"not in {where}: {listed(missing)}", remedy)]


async def _rights(
    exam: Examination, client: KubeClient, namespaces: Sequence[str], kinds: Mapping[str, str]
) -> list[Finding]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(namespace: str, right: Right) -> Review:
        async with gate:
            # the server takes a request for a namespace as one in it: a RoleBinding there may allow
            # it
            name = namespace if right.resource == "namespaces" else right.name
            return await review(
                client=client,
                namespace=namespace,
                verb=right.verb,
                group=right.group,
                resource=right.resource,
                name=name,
            )

    async def judge(namespace: str, check: str, rights: Sequence[Right], role: str, denied: State) -> Sequence[Finding]:
        answers = await asyncio.gather(*(ask(namespace, right) for right in rights))
        no = [right.words for right, answer in zip(rights, answers, strict=True) if answer.allowed is False]
        silent = [(right, answer) for right, answer in zip(rights, answers, strict=True) if answer.allowed is None]
        findings = []
        if no:
            remedy = f"bind {role} in {namespace}: `m0-cockpit files rbac.yaml` prints it"
            findings.append(found(AREA, check, denied, f"may not {listed(no)}{_meaning(check)}", remedy))
        if silent:
            asked = listed([right.words for right, _ in silent], 4)
            words = f"the server did not say whether {asked}: {silent[0][1].reason}"
            findings.append(
                found(AREA, check, State.UNKNOWN, words, "an access review that fails says neither yes nor no")
            )
        return findings or [found(AREA, check, State.OK, f"all {len(rights)} granted")]

    checks = []
    screen = looking(exam.runbooks)
    for namespace in namespaces:
        check = f"rights: {SCREEN} in {namespace}"
        checks.append(
            bounded(exam, AREA, check, lambda n=namespace, c=check: judge(n, c, screen, "m0-cockpit-view", State.FAIL))  # type: ignore[misc]
        )
    if exam.settings.read_only:
        off = [found(AREA, "rights: steps", State.OFF, "read-only: no step is ever sent")]
        return await together(checks) + off
    by_purpose: dict[str, list[Right]] = {}
    for right in acting(exam.runbooks, kinds):
        by_purpose.setdefault(right.purpose, []).append(right)
    for purpose, rights in by_purpose.items():
        check = f"rights: {purpose} in {namespaces[0]}"
        checks.append(
            bounded(
                exam,
                AREA,
                check,
                lambda c=check, r=rights: judge(namespaces[0], c, r, "m0-cockpit-act", State.WARN),  # type: ignore[misc]
            )
        )
    return await together(checks)


def _meaning(check: str) -> str:
    if f": {SCREEN} " in check:
        return ": what they tell stays unknown"
    if f": {ANY_STEP} " in check:
        return ": nobody else learns that you are acting, or what was done"
    return ": such a step is blocked before anything is sent"
