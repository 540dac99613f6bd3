"""Finds out how to reach a cluster: kubeconfig or in-cluster, credentials, TLS.

Blocking: call it in a thread.

Kubeconfigs of the usual kinds are read here (see `plain.py`); for auth providers, proxies and
in-cluster the `kubernetes` package is used, imported only then, because its import costs a third of
a second.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cockpit.errors import nearest
from cockpit.host.files import read_plain
from cockpit.kubeapi.credentials import AccessProblem, Credentials, our_loader
from cockpit.kubeapi.plain import ConfigEntry, authenticate, certificate_there, is_plain, relax
from cockpit.text import clean, safe

__all__ = ["Access", "AccessProblem", "load_access"]

_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: The package keeps certificates from kubeconfigs in temporary files behind one module-wide table:
#: one load at a time.
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Access:
    """Holds one context, ready to use.

    `server` is a base URL without a trailing slash; `namespace` the context's default.
    """

    context: str  # as it may be shown
    server: str
    namespace: str | None
    user: str
    cluster: str
    credentials: Credentials = field(repr=False, compare=False)
    tls: ssl.SSLContext | None = field(repr=False, compare=False, default=None)  # None for http:// servers
    proxy: str | None = field(repr=False, default=None)
    acts_as: str = ""  # whom the user impersonates
    server_name: str | None = None  # tls-server-name: what the certificate must say
    kubeconfig: str | None = None  # as given; None means KUBECONFIG or the default place
    chosen: str | None = None  # the context's name as the kubeconfig has it; None in a pod

    @property
    def host(self) -> str:
        """Return the server's name and port, as errors give it."""
        return urlsplit(self.server).netloc

    def reload(self) -> Access:
        """Read the same context from disk again (after a 401).

        Blocking.

        Raises AccessProblem also when the context now leads to another server, or as another user:
        nothing may move a running cockpit, and the plans made in it, to another cluster or under
        another name.
        """
        fresh = load_access(self.kubeconfig, self.chosen)
        if fresh.server != self.server:
            raise AccessProblem(
                f'context "{self.context}" now leads to {fresh.server}, no longer to {self.server}',
                "start the cockpit again if that is what you want",
            )
        before, now = (f"{each.user} as {each.acts_as}" if each.acts_as else each.user for each in (self, fresh))
        if now != before:
            raise AccessProblem(
                f'context "{self.context}" now goes in as {safe(now, 120)}, no longer as {safe(before, 120)}',
                "start the cockpit again if that is what you want",
            )
        return fresh


def load_access(kubeconfig: str | None = None, context: str | None = None) -> Access:
    """Read the kubeconfig, else the pod's service account.

    The kubeconfig is the argument's, else KUBECONFIG's list, else ~/.kube/config.

    Raises AccessProblem, one line with a remedy, for whatever is missing or broken.
    """
    listed = kubeconfig if kubeconfig is not None else os.environ.get("KUBECONFIG") or "~/.kube/config"
    paths = [Path(p).expanduser() for p in listed.split(os.pathsep) if p]
    existing = [p for p in paths if p.exists()]
    with _LOADING:
        try:
            if existing:
                return _from_files(existing, kubeconfig, context)
            if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
                if context not in (None, "in-cluster"):
                    raise AccessProblem(f'no kubeconfig, so no context "{context}"', "leave --context out in a pod")
                return _in_cluster()
        except AccessProblem:
            raise
        except OSError as error:
            raise AccessProblem(
                f"cannot read {error.filename or listed}: {error.strerror}", "check the file"
            ) from error
        except Exception as error:  # the package raises anything, from KeyError to its own
            raise AccessProblem(
                f"kubeconfig: {safe(str(error) or type(error).__name__, 300)}", "check it with kubectl config view"
            ) from error
    where = ", ".join(str(p) for p in paths) or "~/.kube/config"
    raise AccessProblem(
        f"no kubeconfig at {where}", "set KUBECONFIG or give --kubeconfig; `m0-cockpit drill` needs none"
    )


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        value = yaml.load(read_plain(path), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "not readable as YAML"
        raise AccessProblem(f"{path}{line}: broken YAML: {problem}", "correct the file") from error
    except OSError as error:
        raise AccessProblem(f"cannot read {path}: {error.strerror}", "check its owner and mode") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise AccessProblem(f"{path} is not a kubeconfig", "expected clusters, contexts and users")
    for key in ("clusters", "contexts", "users"):
        items = value.get(key) or []
        if not isinstance(items, list) or any(not isinstance(i, dict) or "name" not in i for i in items):
            raise AccessProblem(f"{path}: {key} must be a list of named entries", "check it with kubectl config view")
    return value


def _entry(merged: Mapping[str, Any], key: str, name: Any, inside: str, why: str) -> ConfigEntry:
    for item, path in merged[key]:
        if item["name"] == name:
            values = item.get(inside) or {}
            if not isinstance(values, dict):
                raise AccessProblem(f"{path}: {inside} {name} is not a table", "check it with kubectl config view")
            return ConfigEntry(values, path.parent)
    raise AccessProblem(why, "check it with kubectl config get-contexts")


def _from_files(paths: list[Path], kubeconfig: str | None, wanted: str | None) -> Access:
    merged: dict[str, Any] = {"clusters": [], "contexts": [], "users": [], "current-context": None}
    for path in paths:
        config = _read(path)
        # kubectl: the first file that names a thing wins
        merged["current-context"] = merged["current-context"] or config.get("current-context")
        for key in ("clusters", "contexts", "users"):
            known = {item["name"] for item, _ in merged[key]}
            merged[key] += [(item, path) for item in config.get(key) or [] if item["name"] not in known]
    contexts = sorted(str(item["name"]) for item, _ in merged["contexts"])
    listed = safe(", ".join(contexts[:12]) + (", …" if len(contexts) > 12 else ""), 300)
    where = ", ".join(str(p) for p in paths)
    name = wanted or merged["current-context"]
    if not contexts:
        raise AccessProblem(f"no context in {where}", "add one with kubectl config set-context")
    if not name:
        raise AccessProblem(f"no current context in {where}", f"choose one with --context: {listed}")
    if str(name) not in contexts:
        meant = nearest(str(name), contexts)
        raise AccessProblem(f'no context "{safe(name, 60)}" in {where}{meant}', f"there is: {listed}")
    chosen = _entry(merged, "contexts", name, "context", f'no context "{name}"').values
    cluster_name, user_name = chosen.get("cluster"), chosen.get("user")
    cluster = _entry(
        merged, "clusters", cluster_name, "cluster", f'context "{name}" names an unknown cluster "{cluster_name}"'
    )
    user = ConfigEntry({}, paths[0].parent)
    if user_name:
        user = _entry(merged, "users", user_name, "user", f'context "{name}" names an unknown user "{user_name}"')
    server = str(cluster.values.get("server") or "").rstrip("/")
    if not server:
        raise AccessProblem(f'cluster "{cluster_name}" has no server', "set it with kubectl config set-cluster")
    if "://" not in server:
        secured = any(k in cluster.values for k in ("certificate-authority", "certificate-authority-data")) or any(
            k in user.values for k in ("client-certificate", "client-certificate-data")
        )
        server = f"{'https' if secured or cluster.values.get('insecure-skip-tls-verify') else 'http'}://{server}"
        cluster.values["server"] = server
    _check_address(server, str(cluster_name))
    extra = _impersonation(user.values)
    proxy, server_name = None, cluster.values.get("tls-server-name")
    if is_plain(cluster.values, user.values):
        credentials, tls = authenticate(server, cluster, user, extra)
    else:
        credentials, tls, proxy = _by_package(
            merged=merged, name=name, server=server, cluster=cluster, user=user, extra=extra
        )
    namespace = chosen.get("namespace")
    return Access(
        context=clean(str(name), 253),
        chosen=str(name),
        server=server,
        namespace=clean(str(namespace), 253) if namespace else None,
        user=clean(str(user_name or ""), 253),
        cluster=clean(str(cluster_name), 253),
        credentials=credentials,
        tls=tls,
        proxy=proxy,
        acts_as=extra.get("impersonate-user", ""),
        server_name=str(server_name) if server_name else None,
        kubeconfig=kubeconfig,
    )


def _check_address(server: str, cluster: str) -> None:
    """Raise AccessProblem for an address that no request can be formed with."""
    try:
        parts = urlsplit(server)
        host, _ = parts.hostname or "", parts.port
        if re.fullmatch(r"[\d.]+", host):
            ipaddress.IPv4Address(host)
        if not host or parts.scheme not in ("http", "https") or re.search(r"[\s\x00-\x1f\x7f]", server):
            raise ValueError
    except ValueError:
        raise AccessProblem(
            f'the server of cluster "{cluster}" is no address: {safe(server, 200)}', "correct it in the kubeconfig"
        ) from None


def _by_package(
    merged: Mapping[str, Any], name: Any, server: str, cluster: ConfigEntry, user: ConfigEntry, extra: Mapping[str, str]
) -> tuple[Credentials, ssl.SSLContext | None, str | None]:
    """Leave credentials, TLS and proxy to the `kubernetes` package, token files to ours."""
    from kubernetes.client.configuration import Configuration
    from kubernetes.config import kube_config
    from kubernetes.config.config_exception import ConfigException

    package: Any = kube_config
    config: dict[str, Any] = {"current-context": merged["current-context"]}
    for key in ("clusters", "contexts", "users"):
        config[key] = [package.ConfigNode(f"{path}/{key}", item, str(path)) for item, path in merged[key]]
    configuration: Any = Configuration()
    try:
        loader = our_loader(package.ConfigNode("kubeconfig", config), name, user.base, user.values, cluster.values)
        loader.load_and_set(configuration)
        tls = _tls(configuration) if server.startswith("https") else None
    except ConfigException as error:
        missing = str(error).partition("File does not exist: ")[2]
        if missing:
            raise AccessProblem(
                f"certificate file {missing} does not exist", f'check context "{name}" in the kubeconfig'
            ) from error
        raise AccessProblem(f"kubeconfig: {error}", "check it with kubectl config view") from error
    finally:
        package._cleanup_temp_files()  # keys from the kubeconfig are in the TLS context now; leave none on disk
    credentials = Credentials(_bearer_of(configuration), loader.token_file, loader.expires_at, extra)
    return credentials, tls, _proxy(configuration, server)


def _bearer_of(configuration: Any) -> Callable[[], str | None]:
    return lambda: configuration.get_api_key_with_prefix("BearerToken", alias="authorization")


def _in_cluster() -> Access:
    from kubernetes import config as package
    from kubernetes.client.configuration import Configuration
    from kubernetes.config.config_exception import ConfigException

    untyped: Any = package
    configuration: Any = Configuration()
    try:
        untyped.load_incluster_config(client_configuration=configuration)
    except ConfigException as error:
        raise AccessProblem(f"in-cluster service account: {error}", "mount the service account's token") from error
    namespace_file = _IN_CLUSTER / "namespace"
    namespace = namespace_file.read_text().strip() if namespace_file.exists() else None
    server = configuration.host.rstrip("/")
    return Access(
        context="in-cluster",
        server=server,
        namespace=namespace,
        user="service account",
        cluster="in-cluster",
        credentials=Credentials(_bearer_of(configuration), _IN_CLUSTER / "token", None, {}),
        tls=_tls(configuration),
        proxy=_proxy(configuration, server),
    )


def _impersonation(user: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers by which kubectl sends `as`.

    Groups and extra fields would need repeated headers; `as` alone is what people use.
    """
    return {"impersonate-user": str(user["as"])} if user.get("as") else {}


def _proxy(configuration: Any, server: str) -> str | None:
    """Return the cluster's `proxy-url`, else the environment's.

    HTTPS_PROXY and friends count unless NO_PROXY (names and CIDRs) or loopback exempts the server.
    """
    from kubernetes.client.rest import should_bypass_proxies

    proxy: str | None = configuration.proxy or None
    if proxy is None or not configuration._proxy_from_env:
        return proxy
    host = urlsplit(server).hostname or ""
    if host == "localhost" or host.startswith("127.") or host == "::1":
        return None
    return None if should_bypass_proxies(server, configuration.no_proxy or "") else proxy


def _tls(configuration: Any) -> ssl.SSLContext:
    ca, cert, key = configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file
    for path in filter(None, (ca, cert, key)):
        certificate_there(Path(path))
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (ssl.SSLError, OSError) as error:
        raise AccessProblem(
            f"bad CA certificate in the kubeconfig: {error.strerror or error}", "replace certificate-authority"
        ) from error
    relax(context, insecure=not configuration.verify_ssl)
    if cert:
        try:
            context.load_cert_chain(cert, key or None)
        except (ssl.SSLError, OSError) as error:
            raise AccessProblem(
                f"bad client certificate or key in the kubeconfig: {error.strerror or error}", "renew it"
            ) from error
    return context
