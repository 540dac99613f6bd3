"""Puts the recording proxy between a cockpit and the API server that its kubeconfig names."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.support.api_proxy import ApiProxy, proxied


@contextmanager
def between(kubeconfig: Path, home: Path, context: str = "") -> Iterator[ApiProxy]:
    """Serve on loopback in front of the server that the kubeconfig's context names.

    The proxy's own `kubeconfig` leads through it.
    """
    config = yaml.safe_load(kubeconfig.read_text())
    context = context or config["current-context"]
    chosen = next(c["context"] for c in config["contexts"] if c["name"] == context)
    cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == chosen["cluster"])
    user = next(u["user"] for u in config["users"] if u["name"] == chosen["user"])
    inline = cluster.get("certificate-authority-data")
    tls = ssl.create_default_context(
        cafile=cluster.get("certificate-authority"), cadata=base64.b64decode(inline).decode() if inline else None
    )
    home.mkdir(parents=True, exist_ok=True)
    with proxied(cluster["server"], tls) as proxy:
        through = {
            **config,
            "clusters": [{"name": chosen["cluster"], "cluster": {"server": proxy.url}}],
            "users": [{"name": chosen["user"], "user": user}],
            "contexts": [{"name": context, "context": chosen}],
            "current-context": context,
        }
        proxy.kubeconfig = home / "kubeconfig"
        proxy.kubeconfig.write_text(json.dumps(through))
        proxy.kubeconfig.chmod(0o600)
        yield proxy
