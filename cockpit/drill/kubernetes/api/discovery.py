"""Describes the server: version, groups, resources, discovery, a minimal OpenAPI (recordings 1–6).

kubectl asks OpenAPI v3 only whether a kind's PATCH knows `fieldValidation` and `dryRun`; the
documents say so and no more.
"""

from __future__ import annotations

from typing import Any

from cockpit.drill.kubernetes.objects.resources import GROUP_VERSIONS, RESOURCES, Obj, Resource, Subresource

VERSION: Obj = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0-drill",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.27.3",
    "compiler": "gc",
    "platform": "linux/amd64",
}

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def core_versions(address: str) -> Obj:
    """Answer GET /api."""
    where = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": where}


def _groups() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group, version in GROUP_VERSIONS:
        found.setdefault(group, []).append(version)
    return found


def _group(name: str, versions: list[str]) -> Obj:
    listed = [{"groupVersion": f"{name}/{v}", "version": v} for v in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def groups() -> Obj:
    """Answer GET /apis."""
    listed = [_group(name, versions) for name, versions in _groups().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group(name: str) -> Obj | None:
    """Answer GET /apis/GROUP."""
    versions = _groups().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)} if name and versions else None


def resources(group_name: str, version: str) -> Obj | None:
    """Answer GET /api/v1 and /apis/GROUP/VERSION."""
    if (group_name, version) not in GROUP_VERSIONS:
        return None
    listed: list[Obj] = []
    for res in RESOURCES:
        if (res.group, res.version) == (group_name, version):
            listed.append(_entry(res))
            listed += [_sub_entry(res, sub) for sub in res.subresources]
    where = f"{group_name}/{version}" if group_name else version
    version_of_list = {"apiVersion": "v1"} if group_name else {}  # the core list has none
    return {"kind": "APIResourceList", **version_of_list, "groupVersion": where, "resources": listed}


def _entry(res: Resource) -> Obj:
    entry: Obj = {
        "name": res.plural,
        "singularName": res.singular,
        "namespaced": res.namespaced,
        "kind": res.kind,
        "verbs": list(res.verbs),
    }
    if res.short:
        entry["shortNames"] = list(res.short)
    if res.categories:
        entry["categories"] = list(res.categories)
    if res.storage_hash:
        entry["storageVersionHash"] = res.storage_hash
    return entry


def _sub_entry(res: Resource, sub: Subresource) -> Obj:
    entry: Obj = {"name": f"{res.plural}/{sub.name}", "singularName": "", "namespaced": res.namespaced}
    if sub.group:
        entry |= {"group": sub.group, "version": sub.version}
    return {**entry, "kind": sub.kind, "verbs": list(sub.verbs)}


def aggregated(core: bool) -> Obj:
    """Answer GET /api or /apis as an APIGroupDiscoveryList (apidiscovery.k8s.io/v2)."""
    items: list[Obj] = []
    for name, versions in _groups().items():
        if (name == "") is not core:
            continue
        listed = [
            {
                "version": version,
                "resources": [_discovered(r) for r in RESOURCES if (r.group, r.version) == (name, version)],
                "freshness": "Current",
            }
            for version in versions
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": listed})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _kind(kind: str, group_name: str = "", version: str = "") -> Obj:
    return {"group": group_name, "version": version, "kind": kind}


def _discovered(res: Resource) -> Obj:
    entry: Obj = {
        "resource": res.plural,
        "responseKind": _kind(res.kind),
        "scope": "Namespaced" if res.namespaced else "Cluster",
        "singularResource": res.singular,
        "verbs": list(res.verbs),
    }
    if res.short:
        entry["shortNames"] = list(res.short)
    if res.categories:
        entry["categories"] = list(res.categories)
    if res.subresources:
        entry["subresources"] = [
            {
                "subresource": s.name,
                "responseKind": _kind(s.kind, s.group, s.version),
                "verbs": list(s.verbs),
            }
            for s in res.subresources
        ]
    return entry


def _prefix(group_name: str, version: str) -> str:
    return f"apis/{group_name}/{version}" if group_name else f"api/{version}"


def openapi_index() -> Obj:
    """Answer GET /openapi/v3."""
    places = (_prefix(g, v) for g, v in GROUP_VERSIONS)
    return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in places}}


def openapi(place: str) -> Obj | None:
    """Answer GET /openapi/v3/api/v1 and /openapi/v3/apis/GROUP/VERSION."""
    found = next((gv for gv in GROUP_VERSIONS if _prefix(*gv) == place), None)
    if found is None:
        return None
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters: list[Any] = [{"name": n, "in": "query", "schema": {"type": "string"}} for n in names]
    paths: Obj = {}
    for res in RESOURCES:
        if (res.group, res.version) != found or "patch" not in res.verbs:
            continue
        scope = "namespaces/{namespace}/" if res.namespaced else ""
        operation = {
            "operationId": f"patch{res.kind}",
            "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": {"group": res.group, "version": res.version, "kind": res.kind},
        }
        paths[f"/{place}/{scope}{res.plural}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]}, "paths": paths}
