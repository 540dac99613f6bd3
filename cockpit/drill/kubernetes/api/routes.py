"""Serves HTTP: authentication, authorisation, dispatch, and errors as Status objects."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from cockpit.drill.clock import SimClock, http_date
from cockpit.drill.kubernetes.api import authz, discovery, podlog, reading, scale, writing
from cockpit.drill.kubernetes.api.chaos import ApiChaos
from cockpit.drill.kubernetes.api.request import ApiRequest, authenticate, parse_path, shape_of, verb_of
from cockpit.drill.kubernetes.api.watch import BOOKMARK_S, Watch
from cockpit.drill.kubernetes.logs import Logs
from cockpit.drill.kubernetes.objects import selectors, statuses
from cockpit.drill.kubernetes.objects.resources import ACCESS_REVIEWS, NAMESPACES, RULES_REVIEWS, SELF_REVIEWS, Obj
from cockpit.drill.kubernetes.objects.store import Store, decode, encode
from cockpit.drill.kubernetes.tables.columns import table

_OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}
_REVIEWS = (ACCESS_REVIEWS, RULES_REVIEWS, SELF_REVIEWS)
_LIMIT = 8 * 1024 * 1024


@dataclass(frozen=True)
class Recorded:
    """Records one request as it came in, for tests that ask what was sent."""

    method: str
    path: str
    content_type: str
    user: str
    body: bytes


class ApiServer:
    """Holds the state of the server.

    `bookmark_s`: real seconds between bookmarks. `requests`: the newest 2,000.
    """

    def __init__(self, store: Store, clock: SimClock, logs: Logs, users: dict[str, authz.User]) -> None:
        self.store = store
        self.clock = clock
        self.logs = logs
        self.users = users
        self.chaos = ApiChaos(store)
        self.writer = writing.Writer(store)
        self.bookmark_s = BOOKMARK_S
        self.requests: deque[Recorded] = deque(maxlen=2000)
        self._audit = itertools.count(1)
        self._tasks: set[asyncio.Task[Any]] = set()

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_LIMIT)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        app.on_response_prepare.append(self._stamp)
        app.on_shutdown.append(self._shut_down)
        return app

    async def _stamp(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = http_date(self.clock.now())
        response.headers["Audit-Id"] = f"00000000-0000-4000-8000-{next(self._audit):012x}"
        response.headers.setdefault("Cache-Control", "no-cache, private")

    async def _shut_down(self, _app: web.Application) -> None:
        self.chaos.thaw()
        for task in list(self._tasks):
            task.cancel()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            return await self._answer(request)
        except statuses.ApiError as error:
            if error.text:
                return web.Response(status=error.code, text=error.text, headers=error.headers)
            return web.Response(
                status=error.code, body=encode(error.status), content_type="application/json", headers=error.headers
            )
        finally:
            if task is not None:
                self._tasks.discard(task)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read() if request.can_read_body else b""
        chaos = self.chaos
        await chaos.gate()
        if chaos.slow_s:
            await asyncio.sleep(chaos.slow_s)
        if chaos.before is not None:
            chaos.before(request.method, request.path)
        chaos.refuse()
        if chaos.take("nonsense"):
            return web.Response(text="<html><body>Gateway</body></html>", content_type="text/html")
        user = authenticate(request, self.users)
        path = request.path_qs
        self.requests.append(Recorded(request.method, path, request.content_type, user.name, body))
        writes = request.method not in ("GET", "HEAD") and not request.path.endswith("reviews")
        if writes and chaos.take("cut_writes"):
            return self._cut(request)
        response = await self._dispatch(request, user, body)
        if writes and response.status < 300 and chaos.take("lost_answers"):
            return self._cut(request)
        return response

    @staticmethod
    def _cut(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    async def _dispatch(self, request: web.Request, user: authz.User, body: bytes) -> web.StreamResponse:
        target = parse_path(request.path)
        if target is None:
            return self._about_itself(request, user)
        watching = request.query.get("watch", "").lower() in ("1", "true", "t")
        verb = verb_of(request.method, target, watching)
        asked = request.query.getall("dryRun", [])
        # a DELETE with options in its body is judged by them alone, as by the real server
        dry_run = "All" in asked and not (request.method == "DELETE" and body)
        req = ApiRequest(
            http=request,
            target=target,
            user=user,
            verb=verb,
            shape=shape_of(request.headers.get("Accept", "")),
            dry_run=dry_run,
        )
        self._authorise(req)
        if asked and asked != ["All"] and request.method in _OPTIONS:
            raise statuses.no_such_dry_run(_OPTIONS[request.method], asked)
        if target.res in _REVIEWS:
            return self._review(req, body)
        allowed = target.res.verbs
        if target.sub:
            sub = target.res.subresource(target.sub)
            allowed = sub.verbs if sub is not None else ()
        if verb not in allowed:
            raise statuses.method_not_allowed()
        if dry_run and self.chaos.no_dry_run:
            hook = 'admission webhook "policy.example.com" does not support dry run'
            raise statuses.bad_request(hook)
        if target.sub == "log":
            return await podlog.respond(self.store, self.logs, self.chaos, self.clock, req)
        if verb == "watch":
            return await Watch(self.store, self.chaos, req, self.bookmark_s).run()
        return self._plain(req, body)

    def _authorise(self, req: ApiRequest) -> None:
        target, user = req.target, req.user
        resource = f"{target.res.plural}/{target.sub}" if target.sub else target.res.plural
        namespace, name = target.namespace, target.name
        if target.res is NAMESPACES:
            namespace = target.name  # as the real server: a Role in a namespace may allow to get that namespace
        elif not name and req.verb in ("list", "watch", "deletecollection"):
            name = selectors.only_name(req.param("fieldSelector"))  # so that resourceNames may narrow a list
        good = authz.allowed(
            user=user, verb=req.verb, group=target.res.group, resource=resource, namespace=namespace, name=name
        )
        if not good or self.chaos.denies(req.verb, target.res, target.sub):
            raise statuses.forbidden(
                user=user.name,
                verb=req.verb,
                res=target.res,
                sub=target.sub,
                namespace=target.namespace,
                name=target.name,
            )

    def _plain(self, req: ApiRequest, body: bytes) -> web.Response:
        """Answer get, list and every write with one body."""
        target, verb, now = req.target, req.verb, self.clock.now()
        if verb == "list":
            return _json(reading.listing(self.store, req, now))
        if target.sub == "scale":
            if verb == "get":
                return _json(encode(scale.of(reading.find(self.store, target))))
            return _json(encode(scale.write(self.store, req, body)))
        if verb == "get":
            return _json(reading.shaped(req, reading.find(self.store, target), now))
        if verb == "create":
            made = self.writer.create(req, writing.parse_body(req, body))
            return _json(reading.shaped(req, made, now), 201)
        if verb == "update":
            return _json(reading.shaped(req, self.writer.update(req, writing.parse_body(req, body)), now))
        if verb == "patch":
            fresh = self.store.get(target.res, target.namespace, target.name) is None
            written = self.writer.patch(req, body)
            return _json(reading.shaped(req, written, now), 201 if fresh else 200)
        return self._delete(req, body)

    def _delete(self, req: ApiRequest, body: bytes) -> web.Response:
        options: Obj = {}
        if body and req.http.content_type in ("application/json", "application/yaml"):
            options = decode(body)
        if "All" in (options.get("dryRun") or ()):
            req = ApiRequest(
                http=req.http, target=req.target, user=req.user, verb=req.verb, shape=req.shape, dry_run=True
            )
        if req.verb == "delete":
            stored = reading.find(self.store, req.target)
            status, last = self.writer.delete(req, stored, options)
            return _json(encode(status) if status is not None else reading.shaped(req, last, self.clock.now()))
        answer = reading.listing(self.store, req, self.clock.now())
        test = selectors.predicate(req.target.res, req.param("labelSelector"), req.param("fieldSelector"))
        for stored in list(self.store.select(req.target.res, req.target.namespace)):
            if test is None or test(stored.obj):
                self.writer.delete(req, stored, options)
        return _json(answer)

    def _review(self, req: ApiRequest, body: bytes) -> web.Response:
        if req.verb != "create":
            raise statuses.method_not_allowed()
        review = writing.parse_body(req, body)
        answer = authz.review(req.target.res, review, req.user, self.clock)
        if req.target.res is ACCESS_REVIEWS and answer["status"]["allowed"]:
            answer["status"]["allowed"] = not self._denied_by_chaos(answer["spec"])
        if req.shape == "table":  # `kubectl auth whoami` may ask for one
            return _json(encode(table(req.target.res, [], {}, self.clock.now())), 201)
        return _json(encode(answer), 201)

    def _denied_by_chaos(self, spec: Obj) -> bool:
        attributes = spec.get("resourceAttributes") or {}
        what = attributes.get("resource", "")
        if attributes.get("subresource"):
            what += f"/{attributes['subresource']}"
        return what in self.chaos.forbidden or f"{attributes.get('verb')} {what}" in self.chaos.forbidden

    def _about_itself(self, request: web.Request, user: authz.User) -> web.Response:
        """Answer for health, version, discovery and OpenAPI."""
        path = request.path.rstrip("/") or "/"
        if not authz.path_allowed(user, path):
            raise statuses.forbidden_path(user.name, "get", path)
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        aggregated = "as=APIGroupDiscoveryList" in request.headers.get("Accept", "")
        if aggregated and path in ("/api", "/apis"):
            headers = {"Content-Type": discovery.AGGREGATED, "Cache-Control": "public", "Vary": "Accept"}
            return web.Response(body=encode(discovery.aggregated(path == "/api")), headers=headers)
        fixed: dict[str, Callable[[], Obj]] = {
            "/version": lambda: discovery.VERSION,
            "/api": lambda: discovery.core_versions(request.host),
            "/apis": discovery.groups,
            "/openapi/v3": discovery.openapi_index,
        }
        if path in fixed:
            return _json(encode(fixed[path]()))
        found = self._described(path)
        if found is None:
            return web.Response(status=404, text="404 page not found\n")
        return _json(encode(found))

    @staticmethod
    def _described(path: str) -> Obj | None:
        if path.startswith("/openapi/v3/"):
            return discovery.openapi(path.removeprefix("/openapi/v3/"))
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) == 2:
            return discovery.resources("", parts[1])
        if parts[0] == "apis" and len(parts) == 2:
            return discovery.group(parts[1])
        if parts[0] == "apis" and len(parts) == 3:
            return discovery.resources(parts[1], parts[2])
        return None


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")
