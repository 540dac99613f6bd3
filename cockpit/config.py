"""Settings: a TOML file, then the environment, then flags; the later wins.

Nothing here touches the network.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from cockpit.errors import CockpitError
from cockpit.settings import FileSettings, NetworkCliSettings, Settings, default_state_dir
from cockpit.text import safe

ENV_PREFIX = "M0_COCKPIT_"


class ConfigProblem(CockpitError):
    """A setting that cannot be used: one line that names where it stands, and what to do."""


def default_config_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("m0-cockpit")) / "config.toml"


def read_file(path: Path) -> FileSettings:
    """Raises ConfigProblem with file, line or key."""
    try:
        raw = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigProblem(f"no configuration file at {path}", "check --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigProblem(f"cannot read {path}: {safe(error)}", "check its permissions and encoding") from None
    try:
        return msgspec.convert(_dashed(tomllib.loads(raw)), FileSettings, strict=True)
    except tomllib.TOMLDecodeError as error:
        raise ConfigProblem(f"{path}: {safe(error)}", "mend the TOML there") from None
    except msgspec.ValidationError as error:
        raise ConfigProblem(f"{path}: {safe(error)}", "docs/configuration.md lists every key") from None


def _dashed(table: Any) -> Any:
    """Accept `rpc_endpoints` for `rpc-endpoints`: both are habits, one meaning."""
    if not isinstance(table, dict):
        return table
    known = {"headers", "keys", "direct", "services", "signers", "env"}
    out: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("_", "-")
        if isinstance(value, list):
            out[name] = [_dashed(entry) for entry in value]
        else:
            out[name] = value if key in known else _dashed(value)
    return out


def load_settings(
    *,
    config: str | None = None,
    kubeconfig: str | None = None,
    context: str | None = None,
    namespaces: tuple[str, ...] = (),
    prometheus: str | None = None,
    runbooks: str | None = None,
    read_only: bool | None = None,
    env: Mapping[str, str] | None = None,
) -> Settings:
    """File, environment, flags, in that order.

    Raises ConfigProblem.
    """
    env = os.environ if env is None else env
    path = config or env.get(ENV_PREFIX + "CONFIG")
    if path is not None:
        origin, file = path, read_file(Path(path).expanduser())
    elif default_config_path().exists():
        origin, file = str(default_config_path()), read_file(default_config_path())
    else:
        origin, file = "defaults", FileSettings()

    watched = namespaces or _listed(env.get(ENV_PREFIX + "NAMESPACE")) or _of_file(file)
    url = prometheus or env.get(ENV_PREFIX + "PROMETHEUS") or file.prometheus.url
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigProblem(
            f"the Prometheus address is not an http(s) URL: {safe(url, 80)}", "give it as http://host:9090"
        )
    books = runbooks or env.get(ENV_PREFIX + "RUNBOOKS") or file.runbooks
    state = env.get(ENV_PREFIX + "STATE_DIR") or file.state_dir
    return Settings(
        kubeconfig=kubeconfig or file.kubeconfig,
        context=context or env.get(ENV_PREFIX + "CONTEXT") or file.context,
        namespace=watched[0] if watched else None,
        namespaces=watched,
        production=file.production,
        read_only=_flag(read_only, env.get(ENV_PREFIX + "READ_ONLY"), file.read_only),
        runbooks=Path(books).expanduser() if books else None,
        state_dir=Path(state).expanduser() if state else default_state_dir(),
        prometheus=msgspec.structs.replace(file.prometheus, url=url),
        rpc_endpoints=file.rpc_endpoints,
        solana=file.solana,
        postgres=file.postgres,
        probes=file.probes,
        webhook=file.webhook,
        network_cli=_checked(file.network_cli),
        restore=file.restore,
        failover=file.failover,
        maintenance=file.maintenance,
        links=file.links,
        keys=file.keys,
        origin=origin,
    )


def _checked(cli: NetworkCliSettings) -> NetworkCliSettings:
    """Raises ConfigProblem."""
    if not cli.argv or not cli.argv[0] or not 0 < cli.timeout <= 3600:
        raise ConfigProblem(
            "[network-cli] needs argv (a program and its first words) and a timeout of 1 to 3600 seconds"
        )
    return cli


def _of_file(file: FileSettings) -> tuple[str, ...]:
    own = (file.namespace,) if file.namespace else ()
    return (*own, *(n for n in file.namespaces if n not in own))


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _flag(flag: bool | None, text: str | None, otherwise: bool) -> bool:
    """Read-only may be asked for anywhere and is lifted nowhere below: the safest word wins."""
    return bool(flag) or (text or "").lower() in ("1", "true", "yes", "on") or otherwise


def secret_of(value: str | None, file: str | None, name: str) -> str | None:
    """A secret given in place or in a file.

    Raises ConfigProblem.
    """
    if value is not None or file is None:
        return value
    try:
        return Path(file).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigProblem(f"cannot read {name} from {file}: {safe(error)}", "check the file") from None


def is_production(settings: Settings, context: str, namespace: str) -> bool:
    """Unmistakable on screen.

    When in doubt it is production: only names that say otherwise are not.
    """
    if settings.production is not None:
        return settings.production
    words = f"{context} {namespace}".lower()
    return not any(
        word in words for word in ("staging", "-dev", "dev-", "m0-dev", "test", "sandbox", "drill", "kind-", "minikube")
    )
