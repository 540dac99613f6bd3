"""What can be set: the sections of the configuration file, checked as they are decoded, and the
settings that a run has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from cockpit.links import problem_of
from cockpit.model.links import Links


def default_state_dir() -> Path:
    """The XDG state directory (~/.local/state/m0-cockpit)."""
    import platformdirs

    return Path(platformdirs.user_state_dir("m0-cockpit"))


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    pass


class PrometheusSettings(_Section, frozen=True, kw_only=True):
    """`[prometheus]`.

    Secrets may be kept in files of their own (`password-file`, `bearer-file`).
    """

    url: str | None = None
    interval: float = 3.0  # seconds between two rounds of all queries, as every interval: twice that while all is well
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
    """`[[rpc-endpoints]]`: watched, and a candidate for 1.mitigation.A.

    URLs may carry a key: shown by name and host only.

    `ws_url` None: as Solana's own validators and clients have it, the same host with the port one
    higher where a port is given, else the same address with ws(s).
    """

    name: str
    url: str
    ws_url: str | None = None


class SolanaSettings(_Section, frozen=True, kw_only=True):
    """`[solana]`.

    Without a program id the endpoints are watched, and the program's activity is not configured.
    """

    program_id: str | None = None
    interval: float = 2.0  # seconds between two looks at every endpoint; twice that while all is well
    reveal_delay_slots: int | None = None  # None: as the protocol account says


class PostgresSettings(_Section, frozen=True, kw_only=True):
    """`[postgres]`: a role with pg_monitor and no writes.

    URLs are secrets: never shown; better kept in files.

    `admin_url`: a role that owns the tables, for reviewed statements only (kind `sql`: an index);
    nothing is read with it.
    """

    url: str | None = None
    url_file: str | None = None
    interval: float = 10.0  # seconds between two looks
    admin_url: str | None = None
    admin_url_file: str | None = None


class OutputProbe(_Section, frozen=True, kw_only=True):
    """`[probes.output]`: the newest output of each market, as the API gateway serves it.

    `epoch`, `tick` and `as-of` are JSON pointers (RFC 6901) into the answer; as-of may be RFC 3339
    text, unix seconds or milliseconds.
    """

    url: str | None = None  # with {market} in it
    markets: tuple[str, ...] = ()
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    epoch: str = "/epoch"
    tick: str = "/sequence"
    as_of: str = "/as_of"


class ProbesSettings(_Section, frozen=True, kw_only=True):
    """`[probes]`: what is asked from outside, over HTTP."""

    interval: float = 5.0  # seconds between two questions to one address; twice that while all is well
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
    """`[webhook]`: where updates of an incident are posted.

    The URL is a secret, as its path usually holds a key: never shown; better kept in a file. The
    headers' values are secrets too.
    """

    url: str | None = None
    url_file: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    format: Literal["slack", "json"] = "slack"

    @property
    def configured(self) -> bool:
        return (self.url or self.url_file) is not None


class NetworkCliSettings(_Section, frozen=True, kw_only=True):
    """`[network-cli]`: the network's own command line, which steps of kind `command` call `m0-cli`.

    Never run through a shell.

    `env` is added to a minimal environment; its values are secrets: never shown.
    """

    argv: tuple[str, ...] = ("m0-cli",)
    cluster: str = "mainnet"
    timeout: float = 60.0  # seconds; then its whole process group is ended
    env: dict[str, str] = msgspec.field(default_factory=dict)


class RestoreSettings(_Section, frozen=True, kw_only=True):
    """`[restore]`: the operator's own restore command (14.restore.2), with `{time}` in it where it
    takes a point in time.

    Never run through a shell; without it the step asks.
    """

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
    """`[failover]`: the database's own failover command (9.mitigation.4).

    Never run through a shell; without it the step asks.
    """

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
    """`[links]`: URL templates, checked here; their placeholders are filled in percent-encoded.

    `hyperlinks`: whether the terminal is sent OSC 8 hyperlinks; "auto" sends them to any that is
    not known to have none.
    """

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

    @property
    def templates(self) -> Links:
        """What the panels are given."""
        return Links(self.trace, self.signal, self.transaction, self.dashboard)


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
    """What the cockpit runs with.

    `namespace` is the one that mitigations act in; all of `namespaces` are watched.
    """

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
