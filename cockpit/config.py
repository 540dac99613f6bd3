"""Settings: a TOML file, then the environment, then flags; the later wins. Nothing here touches the network."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from cockpit.links import problem_of
from cockpit.text import safe

ENV_PREFIX = "M0_COCKPIT_"


class ConfigProblem(Exception):
    """A setting that cannot be used: one line that names where it stands, and what to do."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    pass


class PrometheusSettings(_Section, frozen=True, kw_only=True):
    """`[prometheus]`. Secrets may be kept in files of their own (`password-file`, `bearer-file`)."""

    url: str | None = None
    interval: float = 2.0  # seconds between two rounds of all queries
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    bearer: str | None = None
    bearer_file: str | None = None
    ca_file: str | None = None
    insecure: bool = False
    direct: dict[str, str] = msgspec.field(default_factory=dict)  # service → URL of its own /metrics


class RpcEndpoint(_Section, frozen=True, kw_only=True):
    """`[[rpc-endpoints]]`: watched, and a candidate for 1.mitigation.A. URLs may carry a key: shown by name and host only.

    `ws_url` None: as Solana's own validators and clients have it, the same host with the port one higher where a port is
    given, else the same address with ws(s).
    """

    name: str
    url: str
    ws_url: str | None = None


class SolanaSettings(_Section, frozen=True, kw_only=True):
    """`[solana]`. Without a program id the endpoints are watched, and the program's activity is not configured."""

    program_id: str | None = None
    interval: float = 2.0  # seconds between two looks at every endpoint
    reveal_delay_slots: int | None = None  # None: as the protocol account says


class PostgresSettings(_Section, frozen=True, kw_only=True):
    """`[postgres]`: a role with pg_monitor and no writes. URLs are secrets: never shown; better kept in files.

    `admin_url`: a role that owns the tables, for reviewed statements only (kind `sql`: an index); nothing is read with it.
    """

    url: str | None = None
    url_file: str | None = None
    interval: float = 10.0  # seconds between two looks
    admin_url: str | None = None
    admin_url_file: str | None = None


class OutputProbe(_Section, frozen=True, kw_only=True):
    """`[probes.output]`: the newest output of each market, as the API gateway serves it. `epoch`, `tick` and `as-of` are JSON
    pointers (RFC 6901) into the answer; as-of may be RFC 3339 text, unix seconds or milliseconds."""

    url: str | None = None  # with {market} in it
    markets: tuple[str, ...] = ()
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    epoch: str = "/epoch"
    tick: str = "/sequence"
    as_of: str = "/as_of"


class ProbesSettings(_Section, frozen=True, kw_only=True):
    """`[probes]`: what is asked from outside, over HTTP."""

    interval: float = 5.0
    timeout: float = 4.0  # seconds for one whole answer
    ca_file: str | None = None  # else the system's authorities; verification is never off
    services: dict[str, str] = msgspec.field(default_factory=dict)  # service → base URL of /healthz and /readyz
    output: OutputProbe = OutputProbe()
    signers: dict[str, str] = msgspec.field(default_factory=dict)  # signer agent → URL of what it reports, as JSON
    signer_pubkey: str = "/pubkey"  # JSON pointers into that
    signer_set_id: str = "/signer_set_id"

    @property
    def asked(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.services or self.signers or (self.output.url and self.output.markets))


class WebhookSettings(_Section, frozen=True, kw_only=True):
    """`[webhook]`: where updates of an incident are posted. The URL is a secret, as its path usually holds a key: never shown;
    better kept in a file. The headers' values are secrets too."""

    url: str | None = None
    url_file: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    format: Literal["slack", "json"] = "slack"

    @property
    def configured(self) -> bool:
        return (self.url or self.url_file) is not None


class NetworkCliSettings(_Section, frozen=True, kw_only=True):
    """`[network-cli]`: the network's own command line, which steps of kind `command` call `m0-cli`. Never run through a shell.

    `env` is added to a minimal environment; its values are secrets: never shown.
    """

    argv: tuple[str, ...] = ("m0-cli",)
    cluster: str = "mainnet"
    timeout: float = 60.0  # seconds; then its whole process group is ended
    env: dict[str, str] = msgspec.field(default_factory=dict)


class RestoreSettings(_Section, frozen=True, kw_only=True):
    """`[restore]`: the operator's own restore command (14.restore.2), with `{time}` in it where it takes a point in time. Never run
    through a shell; without it the step asks."""

    argv: tuple[str, ...] = ()
    timeout: float = 3600.0  # seconds; then its whole process group is ended

    def __post_init__(self) -> None:
        """Raises ValueError, which the decoder tells with its place in the file."""
        for word in self.argv:
            for name in re.findall(r"\{([a-z_]+)\}", word):
                if name != "time":
                    raise ValueError(f"{{{name}}} in argv: only {{time}} is filled in")
        if (self.argv and not self.argv[0]) or not 0 < self.timeout <= 3600:
            raise ValueError("expected a program and its words in argv, and a timeout of 1 to 3600 seconds")


class FailoverSettings(_Section, frozen=True, kw_only=True):
    """`[failover]`: the database's own failover command (9.mitigation.4). Never run through a shell; without it the step asks."""

    argv: tuple[str, ...] = ()
    timeout: float = 300.0  # seconds; then its whole process group is ended

    def __post_init__(self) -> None:
        """Raises ValueError, which the decoder tells with its place in the file."""
        for word in self.argv:
            if re.search(r"\{[a-z_]+\}", word):
                raise ValueError(f"{word} in argv: nothing is filled in")
        if (self.argv and not self.argv[0]) or not 0 < self.timeout <= 3600:
            raise ValueError("expected a program and its words in argv, and a timeout of 1 to 3600 seconds")


class MaintenanceSettings(_Section, frozen=True, kw_only=True):
    """`[maintenance]`: what the deploy checklist cannot know by itself."""

    canary_markets: tuple[str, ...] = ()  # that a release is tried on while the others are paused
    migration_jobs: str = "(?i)migrat"  # a regular expression: Jobs of that name apply migrations

    def __post_init__(self) -> None:
        try:
            re.compile(self.migration_jobs)
        except re.error as error:
            raise ValueError(f"migration-jobs: expected a regular expression: {error}") from None


class LinksSettings(_Section, frozen=True, kw_only=True):
    """`[links]`: URL templates, checked here; their placeholders are filled in percent-encoded. `hyperlinks`: whether the terminal is sent
    OSC 8 hyperlinks; "auto" sends them to any that is not known to have none."""

    trace: str | None = None  # with {trace} in it
    signal: str | None = None  # {signal}
    transaction: str | None = None  # {signature}
    dashboard: str | None = None  # {context} and {namespace}, or neither
    hyperlinks: Literal["auto", "always", "never"] = "auto"

    def __post_init__(self) -> None:
        """Raises ValueError, which the decoder tells with its place in the file."""
        for name in ("trace", "signal", "transaction", "dashboard"):
            template = getattr(self, name)
            problem = problem_of(name, template) if template is not None else ""
            if problem:
                raise ValueError(problem)


class FileSettings(_Section, frozen=True, kw_only=True):
    """The configuration file's keys, as documented in docs/configuration.md."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    namespaces: tuple[str, ...] = ()
    production: bool | None = None  # None: told by the name of the namespace or context
    read_only: bool = False
    runbooks: str | None = None
    state_dir: str | None = None
    prometheus: PrometheusSettings = PrometheusSettings()
    rpc_endpoints: tuple[RpcEndpoint, ...] = ()
    solana: SolanaSettings = SolanaSettings()
    postgres: PostgresSettings = PostgresSettings()
    probes: ProbesSettings = ProbesSettings()
    webhook: WebhookSettings = WebhookSettings()
    network_cli: NetworkCliSettings = NetworkCliSettings()
    restore: RestoreSettings = RestoreSettings()
    failover: FailoverSettings = FailoverSettings()
    maintenance: MaintenanceSettings = MaintenanceSettings()
    links: LinksSettings = LinksSettings()
    keys: dict[str, str] = msgspec.field(default_factory=dict)  # binding id → keys


@dataclass(frozen=True, slots=True)
class Settings:
    """What the cockpit runs with. `namespace` is the one that mitigations act in; all of `namespaces` are watched."""

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    namespaces: tuple[str, ...] = ()
    production: bool | None = None
    read_only: bool = False
    runbooks: Path | None = None
    state_dir: Path = field(default_factory=lambda: default_state_dir())
    prometheus: PrometheusSettings = field(default_factory=PrometheusSettings)
    rpc_endpoints: tuple[RpcEndpoint, ...] = ()
    solana: SolanaSettings = field(default_factory=SolanaSettings)
    postgres: PostgresSettings = field(default_factory=PostgresSettings)
    probes: ProbesSettings = field(default_factory=ProbesSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    network_cli: NetworkCliSettings = field(default_factory=NetworkCliSettings)
    restore: RestoreSettings = field(default_factory=RestoreSettings)
    failover: FailoverSettings = field(default_factory=FailoverSettings)
    maintenance: MaintenanceSettings = field(default_factory=MaintenanceSettings)
    links: LinksSettings = field(default_factory=LinksSettings)
    keys: Mapping[str, str] = field(default_factory=dict)
    origin: str = "defaults"

    @property
    def configured(self) -> frozenset[str]:
        """Names of the sources that have an address."""
        asked = {
            "kubernetes": True,
            "prometheus": self.prometheus.url is not None,
            "solana": bool(self.rpc_endpoints),
            "postgres": (self.postgres.url or self.postgres.url_file) is not None,
            "probes": self.probes.asked,
        }
        return frozenset(name for name, there in asked.items() if there)


def default_state_dir() -> Path:
    """The XDG state directory (~/.local/state/m0-cockpit)."""
    import platformdirs

    return Path(platformdirs.user_state_dir("m0-cockpit"))


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
    """File, environment, flags, in that order. Raises ConfigProblem."""
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
    """A secret given in place or in a file. Raises ConfigProblem."""
    if value is not None or file is None:
        return value
    try:
        return Path(file).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigProblem(f"cannot read {name} from {file}: {safe(error)}", "check the file") from None


def is_production(settings: Settings, context: str, namespace: str) -> bool:
    """Unmistakable on screen. When in doubt it is production: only names that say otherwise are not."""
    if settings.production is not None:
        return settings.production
    words = f"{context} {namespace}".lower()
    return not any(
        word in words for word in ("staging", "-dev", "dev-", "m0-dev", "test", "sandbox", "drill", "kind-", "minikube")
    )
