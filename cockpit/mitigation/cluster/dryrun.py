"""Asks the server for a dry run of the very request (dryRun=All).

It says what would differ, or why it would be refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Conflict, Denied, Gone, Invalid, KubeError, NotFound
from cockpit.mitigation.cluster.differences import _MOST, differences
from cockpit.mitigation.cluster.objects import replicas
from cockpit.mitigation.cluster.patches import JSON_PATCH
from cockpit.model.plan import DryRun, DryRunState, Request
from cockpit.text import clean


async def ask(client: KubeClient, request: Request) -> tuple[DryRun, Any]:
    """Return the server's verdict, and what it answered (None when it refused).

    Raises Conflict: read the object again, ask again.
    """
    try:
        answer = await client.send(
            request.method,
            request.path,
            params={**request.params, "dryRun": "All"},
            body=_never_real(request),
            content_type=request.content_type,
        )
        return DryRun(DryRunState.OK, warnings=answer.warnings), answer.json()
    except Conflict:
        raise
    except (Invalid, NotFound, Gone, Denied) as error:
        if request.content_type == JSON_PATCH and error.status == 422 and "error in our request" in error.reason:
            raise Conflict(error.reason, status=error.status) from error  # its `test` of the resourceVersion failed
        if error.status == 400 and re.search(r"(?i)dry.?run", error.reason):
            return DryRun(DryRunState.REFUSED, error.reason, warnings=error.warnings), None
        return DryRun(DryRunState.FAILED, error.line(), warnings=error.warnings), None
    except KubeError as error:
        return DryRun(DryRunState.UNKNOWN, error.line(), warnings=error.warnings), None


def _never_real(request: Request) -> str:
    """Return the body of a dry run.

    A DELETE that has one is judged by it alone: the server does not read the query then, and would
    delete.
    """
    if request.method != "DELETE":
        return request.body
    return json.dumps({**json.loads(request.body or "{}"), "dryRun": ["All"]})


async def ask_for_patch(client: KubeClient, request: Request, before: Mapping[str, Any]) -> tuple[DryRun, Any]:
    """Return the verdict with the paths that would differ, and the object as it would be.

    The object is None where the answer is none, or is no whole object (a Scale). Raises Conflict.
    """
    verdict, after = await ask(client, request)
    if after is None:
        return verdict, None
    if after.get("kind") == "Scale":
        wanted = int((after.get("spec") or {}).get("replicas") or 0)  # a scale of 0 answers `spec: {}`
        return replace(verdict, changed=("spec.replicas",) if wanted != replicas(before) else ()), None
    changed = tuple(clean(path, 300) for path in differences(before, after))
    return replace(verdict, changed=changed[:_MOST]), after
