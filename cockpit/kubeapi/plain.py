"""Reads kubeconfigs that need no library: certificates, tokens, token files, exec plugins.

The `kubernetes` package costs a quarter of a second of start-up, most of what an operator waits for
the first pods; it is loaded for whatever is not listed here (auth providers, basic auth, proxies of
the environment). Both ways are held to the same tests. Reference: client-go's clientcmd API,
"kubeconfig (v1)".
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.host.files import check_plain, read_plain
from cockpit.kubeapi.credentials import AccessProblem, Credentials, expires_at, read_token, run_plugin
from cockpit.redaction.own import remember

_USER = {
    "token",
    "tokenFile",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "exec",
    "as",
}
_CLUSTER = {
    "server",
    "certificate-authority",
    "certificate-authority-data",
    "insecure-skip-tls-verify",
    "tls-server-name",
    "extensions",
}
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """Holds a kubeconfig's cluster or user, and the folder that its relative paths start from."""

    values: dict[str, Any]
    base: Path

    def file(self, key: str) -> Path | None:
        """Return the file that `key` names.

        Raises AccessProblem when it is missing.
        """
        name = self.values.get(key)
        if not name:
            return None
        path = self.base / Path(str(name)).expanduser()
        certificate_there(path)
        return path

    def data(self, key: str) -> bytes | None:
        """Return the decoded base64 of `key`-data.

        Raises AccessProblem.
        """
        text = self.values.get(f"{key}-data")
        if not text:
            return None
        try:
            return base64.b64decode(str(text), validate=False)
        except (binascii.Error, ValueError) as error:
            raise AccessProblem(f"{key}-data in the kubeconfig is not base64", "get a new kubeconfig") from error


def certificate_there(path: Path) -> None:
    """Raises AccessProblem where a certificate's file is missing, or is none that can be read."""
    try:
        check_plain(path)
    except FileNotFoundError:
        raise AccessProblem(f"certificate file {path} does not exist", "check the kubeconfig") from None
    except OSError as error:
        raise AccessProblem(f"certificate file {path}: {error.strerror}", "check the kubeconfig") from None


def is_plain(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> bool:
    known = cluster.keys() <= _CLUSTER and user.keys() <= _USER
    return known and not any(os.environ.get(name) for name in _PROXIES)


def authenticate(
    server: str, cluster: ConfigEntry, user: ConfigEntry, extra: Mapping[str, str]
) -> tuple[Credentials, ssl.SSLContext | None]:
    """Return credentials, and the TLS context for an https server.

    Blocking; may run an exec plugin. Raises AccessProblem.
    """
    token, token_file, expiry, pem = "", None, None, None
    if user.values.get("exec") and not (user.values.get("token") or user.values.get("tokenFile")):
        status = run_plugin(user.values["exec"], user.base, cluster.values)
        token = str(status.get("token") or "").strip()
        expiry = expires_at(status)
        if status.get("clientCertificateData") and status.get("clientKeyData"):
            pem = str(status["clientCertificateData"]).encode(), str(status["clientKeyData"]).encode()
        elif not token:
            raise AccessProblem("credential plugin returned neither token nor certificate", "run it by hand")
    else:
        name = user.values.get("tokenFile")
        path = user.base / Path(str(name)).expanduser() if name else None
        if path is not None and (path.exists() or not user.values.get("token")):
            read_token(path)
            token_file = path
        token = str(user.values.get("token") or "").strip()
    remember([token])
    credentials = Credentials(lambda: f"Bearer {token}" if token else "", token_file, expiry, extra)
    return credentials, _tls(cluster, user, pem) if server.startswith("https") else None


def _tls(cluster: ConfigEntry, user: ConfigEntry, pem: tuple[bytes, bytes] | None) -> ssl.SSLContext:
    authority = cluster.data("certificate-authority")
    file = None if authority is not None else cluster.file("certificate-authority")
    try:
        context = ssl.create_default_context(cafile=file, cadata=authority.decode() if authority is not None else None)
    except (ssl.SSLError, OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or error
        raise AccessProblem(
            f"bad CA certificate in the kubeconfig: {words}", "replace certificate-authority"
        ) from error
    relax(context, insecure=bool(cluster.values.get("insecure-skip-tls-verify")))
    if pem is None:
        certificate = user.data("client-certificate") or _read(user.file("client-certificate"))
        key = user.data("client-key") or _read(user.file("client-key"))
        pem = (certificate, key) if certificate and key else None
    if pem is not None:
        _client_certificate(context, *pem)
    return context


def relax(context: ssl.SSLContext, *, insecure: bool) -> None:
    # kubectl does not insist on RFC 5280 either, and clusters' own CAs often lack the key
    # identifiers that 3.13 demands
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE


def _read(path: Path | None) -> bytes | None:
    return read_plain(path) if path is not None else None


def _client_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Hand OpenSSL the key in a file that only we can read, gone at once: it reads files only."""
    with tempfile.NamedTemporaryFile() as file:  # mode 0600
        file.write(certificate + b"\n" + key)
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except (ssl.SSLError, OSError) as error:
            words = error.strerror or error
            raise AccessProblem(f"bad client certificate or key in the kubeconfig: {words}", "renew it") from error
