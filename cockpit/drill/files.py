"""Writes the files by which kubectl and the cockpit find a drill."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.drill.admin import ADDRESS, TOKEN
from cockpit.drill.kubernetes.serving import Served
from cockpit.drill.names import CONTEXT, NAMESPACE, SECRET, SERVICES, STAGING
from cockpit.drill.postgres.schema import MIGRATIONS, PUBLISH_STATE
from cockpit.drill.probes import configuration

if TYPE_CHECKING:
    from cockpit.drill.postgres import DrillPostgres

KUBECONFIG, CONFIGURATION = "kubeconfig", "cockpit.toml"


def write(
    directory: Path,
    served: Served,
    *,
    tokens: Mapping[str, str],
    prometheus: str,
    services: str,
    admin: tuple[str, str],
    database: DrillPostgres | None,
    program_id: str,
    rpc_urls: Mapping[str, str],
) -> None:
    """Write both files, and the state directory that the configuration names.

    `tokens`: of the API server's users. `admin`: address and token of the stand-in for the
    network's command line.
    """
    address, token = admin
    state = directory / "state"
    state.mkdir(mode=0o700)
    _write(directory / KUBECONFIG, _kubeconfig(served, tokens))
    lines = [
        f"kubeconfig = {json.dumps(str(directory / KUBECONFIG))}",
        f"context = {json.dumps(CONTEXT)}",
        f"namespace = {json.dumps(NAMESPACE)}",
        "production = true",
        f"state-dir = {json.dumps(str(state))}",
        "",
        "[prometheus]",
        f"url = {json.dumps(prometheus)}",
        "",
        "[prometheus.direct]",
        *(f"{name} = {json.dumps(f'{services}/{name}/metrics')}" for name in SERVICES),
    ]
    if database is not None:
        lines += ["", "[postgres]", "interval = 3.0", f"url = {json.dumps(database.url)}"]
        lines += [f"admin-url = {json.dumps(database.admin_url)}"]
        lines += [f"publish-state = {json.dumps(PUBLISH_STATE)}", f"migrations = {json.dumps(MIGRATIONS)}"]
    lines += [
        "",
        "[network-cli]",
        f"argv = {json.dumps([sys.executable, '-m', 'cockpit.drill.cli'])}",
        'cluster = "drill"',
    ]
    restore = [sys.executable, "-m", "cockpit.drill.cli", "database", "restore", "--to", "{time}"]
    lines += [f"env = {{ {ADDRESS} = {json.dumps(address)}, {TOKEN} = {json.dumps(token)} }}"]
    lines += ["", "[restore]", f"argv = {json.dumps(restore)}"]
    for section, verb in (("failover", "failover"), ("scale-db", "scale"), ("move-analytics", "move-analytics")):
        lines += ["", f"[{section}]", f"argv = {json.dumps([*restore[:4], verb])}"]
    lines += configuration(services)
    lines += ["", "[solana]", f"program-id = {json.dumps(program_id)}"]
    for name, url in rpc_urls.items():
        lines += ["", "[[rpc-endpoints]]", f"name = {json.dumps(name)}", f"url = {json.dumps(url)}"]
        lines += ["price-per-million = 12.0", "monthly-fee = 49.0"]
    lines += ["", "[maintenance]", f"staging-namespace = {json.dumps(STAGING)}", f'secrets = ["{SECRET}"]']
    _write(directory / CONFIGURATION, "\n".join(lines) + "\n")


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _kubeconfig(served: Served, tokens: Mapping[str, str]) -> str:
    """Write contexts `drill` (may do all) and `drill-viewer` (may read).

    JSON, which is YAML too.
    """
    cluster = {"server": served.url}
    if served.authority:
        cluster["certificate-authority-data"] = base64.b64encode(served.authority.encode()).decode()
    contexts, users = [], []
    for name, who in ((CONTEXT, "admin"), (f"{CONTEXT}-viewer", "viewer")):
        user = f"drill-{who}"
        users.append({"name": user, "user": {"token": tokens[who]}})
        contexts.append({"name": name, "context": {"cluster": "drill", "user": user, "namespace": NAMESPACE}})
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "drill", "cluster": cluster}],
        "users": users,
        "contexts": contexts,
        "current-context": CONTEXT,
    }
    return json.dumps(config, indent=1) + "\n"
