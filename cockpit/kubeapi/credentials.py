"""Says who we are to the API server: bearer tokens, token files, exec plugins.

Blocking: call it in a thread.

Differences from the `kubernetes` package, on purpose: a token file is read again (the package never
does) and stripped; an exec plugin never gets our terminal, has a time limit, and its failure is an
error rather than a line on the screen. Reference: "client-go credential plugins" in the Kubernetes
documentation.
"""

from __future__ import annotations

import datetime
import json
import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cockpit.errors import CockpitError
from cockpit.host.files import read_plain
from cockpit.host.programs import safe_path
from cockpit.redaction.own import remember
from cockpit.text import safe

_CACHE_S = 50.0  # tokens on disk rotate: never trust one for a minute
_EXEC_TIMEOUT_S = 30.0
_EXPIRY_MARGIN_S = 60.0
_MOST_BYTES = 1 << 20  # of a token file, and of what a plugin prints; a token has a few thousand


class AccessProblem(CockpitError):
    """The cluster cannot even be tried: one safe line in `reason`, what to do in `remedy`."""

    usual_remedy = "check the kubeconfig and its context; `m0-cockpit doctor kubernetes` tells more"


class Credentials:
    """Holds headers that authenticate a request.

    `ready` costs nothing; `headers` may read a file or run a plugin.
    """

    def __init__(
        self,
        bearer: Callable[[], str | None],
        token_file: Path | None,
        expires_at: float | None,
        extra: Mapping[str, str],
    ):
        self._bearer = bearer  # the whole header: "Bearer …"
        self._token_file = token_file
        self._expires_at = expires_at  # unix seconds, as told by an exec plugin
        self._extra = dict(extra)
        self._cached: dict[str, str] | None = None
        self._cached_at = 0.0

    def ready(self) -> dict[str, str] | None:
        """Return the headers while they are good, else None: then call `headers` in a thread."""
        if self._cached is None or time.monotonic() - self._cached_at > _CACHE_S or self.expired():
            return None
        return self._cached

    def expired(self) -> bool:
        """Return whether a plugin's credential has run out: then load the kubeconfig again."""
        return self._expires_at is not None and time.time() > self._expires_at - _EXPIRY_MARGIN_S

    def headers(self) -> dict[str, str]:
        """Read what authenticates us now.

        Raises AccessProblem.
        """
        headers = dict(self._extra)
        if self._token_file is not None:
            headers["authorization"] = f"Bearer {read_token(self._token_file)}"
        else:
            try:
                value = self._bearer()
            except Exception as error:
                raise AccessProblem(f"credentials: {error}", "log in again") from error
            if value:
                headers["authorization"] = " ".join(value.split())
        self._cached, self._cached_at = headers, time.monotonic()
        return headers


def read_token(path: Path) -> str:
    """Return the bearer token in `path`, stripped.

    Raises AccessProblem when it is missing or empty.
    """
    try:
        token = read_plain(path, _MOST_BYTES).decode("utf-8", "replace").strip()
    except OSError as error:
        raise AccessProblem(
            f"cannot read token file {path}: {error.strerror}", "log in again or correct the kubeconfig"
        ) from error
    if not token:
        raise AccessProblem(f"token file {path} is empty", "log in again")
    remember([token])
    return token


def run_plugin(spec: Mapping[str, Any], base: Path, cluster: Mapping[str, Any]) -> dict[str, Any]:
    """Run a kubeconfig's `exec` plugin and return the `status` of its ExecCredential.

    Raises AccessProblem.
    """
    command = str(spec.get("command") or "")
    version = str(spec.get("apiVersion") or "")
    if not command or not version:
        raise AccessProblem("exec plugin in the kubeconfig lacks command or apiVersion", "correct the kubeconfig")
    # client-go: a command with a slash is relative to the kubeconfig, a bare one is looked up in
    # PATH
    program = str(base / command) if "/" in command and not command.startswith("/") else command
    request: dict[str, Any] = {"interactive": False}
    if spec.get("provideClusterInfo"):
        request["cluster"] = {k: v for k, v in cluster.items() if isinstance(v, str | bool) and k != "extensions"}
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": request}
    variables = {str(v["name"]): str(v.get("value", "")) for v in spec.get("env") or [] if isinstance(v, dict)}
    arguments = [str(a) for a in spec.get("args") or []]
    environment = {**os.environ, **safe_path([program, *arguments]), **variables}
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(info)
    hint = str(spec.get("installHint") or "").strip().split("\n")[0]
    try:
        code, printed, said = _printed([program, *arguments], environment)
    except FileNotFoundError as error:
        raise AccessProblem(
            f'credential plugin "{command}" not found', hint or f"install {command} or put it in PATH"
        ) from error
    except PermissionError as error:
        raise AccessProblem(f'credential plugin "{command}" is not executable', "check its mode") from error
    except subprocess.TimeoutExpired as error:
        raise AccessProblem(
            f'credential plugin "{command}" gave no answer in {_EXEC_TIMEOUT_S:.0f} s',
            "run it by hand; it may wait for a login",
        ) from error
    if len(printed) > _MOST_BYTES:
        raise AccessProblem(f'credential plugin "{command}" prints without end: it was stopped', "run it by hand")
    if code != 0:
        last = (said.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
        raise AccessProblem(
            f'credential plugin "{command}" failed ({code}): {safe(last, 200)}',
            "log in with it first, then try again",
        )
    try:
        answer = json.loads(printed)
        status = answer["status"]
    except (ValueError, KeyError, TypeError) as error:
        raise AccessProblem(f'credential plugin "{command}" printed no ExecCredential', "check its version") from error
    if answer.get("apiVersion") != version or not isinstance(status, dict):
        raise AccessProblem(
            f'credential plugin "{command}" speaks {answer.get("apiVersion")}, the kubeconfig asks for {version}',
            "align the two",
        )
    return status


def _printed(argv: list[str], environment: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """Run a program; return its exit code and what it printed, cut where it is too much.

    Raises OSError, TimeoutExpired.
    """
    pipe, deadline = subprocess.PIPE, time.monotonic() + _EXEC_TIMEOUT_S
    with (
        subprocess.Popen(  # the operator's own kubeconfig names it, as for kubectl
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
        ) as running,
        selectors.DefaultSelector() as waiting,
    ):
        kept = {
            key.fd: bytearray()
            for key in (waiting.register(each, 1) for each in (running.stdout, running.stderr) if each)
        }
        out, err = kept.values()
        try:
            while waiting.get_map() and len(out) <= _MOST_BYTES:
                left_s = deadline - time.monotonic()
                ready = waiting.select(left_s) if left_s > 0 else []
                if not ready:
                    raise subprocess.TimeoutExpired(argv, _EXEC_TIMEOUT_S)
                for key, _ in ready:
                    part = os.read(key.fd, 65_536)
                    if not part:
                        waiting.unregister(key.fileobj)
                    elif len(kept[key.fd]) <= _MOST_BYTES:
                        kept[key.fd] += part
            if len(out) > _MOST_BYTES:
                running.kill()
            return running.wait(max(0.1, deadline - time.monotonic())), bytes(out), bytes(err)
        finally:
            running.kill()


def expires_at(status: Mapping[str, Any]) -> float | None:
    """Return when an exec plugin's credential runs out, unix seconds; None when it does not say."""
    try:
        return datetime.datetime.fromisoformat(str(status.get("expirationTimestamp"))).timestamp()
    except ValueError:
        return None


def our_loader(config: Any, context: Any, base: Path, user: Mapping[str, Any], cluster: Mapping[str, Any]) -> Any:
    """Return the package's KubeConfigLoader with our token files and exec plugins.

    After `load_and_set`: `token_file` (to be read again and again) and `expires_at` (unix seconds
    or None).
    """
    import kubernetes.config.kube_config as package

    untyped: Any = package

    class Loader(package.KubeConfigLoader):
        token_file: Path | None = None
        expires_at: float | None = None

        def _load_user_token(self) -> bool | None:
            name = user.get("tokenFile")
            if name:
                path = base / Path(str(name)).expanduser()
                if path.exists() or not user.get("token"):
                    read_token(path)
                    self.token_file = path
                    return True
            if user.get("token"):
                self.token = f"Bearer {str(user['token']).strip()}"
                return True
            return None

        def _load_from_exec_plugin(self) -> bool | None:
            spec = user.get("exec")
            if not spec:
                return None
            status = run_plugin(spec, base, cluster)
            if status.get("token"):
                self.token = f"Bearer {str(status['token']).strip()}"
            certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
            if certificate and key:
                pem = {"cert": certificate, "key": key}
                self.cert_file = untyped.FileOrData(pem, "", data_key_name="cert", base64_file_content=False).as_file()
                self.key_file = untyped.FileOrData(pem, "", data_key_name="key", base64_file_content=False).as_file()
            elif not status.get("token"):
                raise AccessProblem("credential plugin returned neither token nor certificate", "run it by hand")
            self.expires_at = expires_at(status)
            return True

    make: Any = Loader
    return make(config_dict=config, active_context=context, config_base_path=None)
