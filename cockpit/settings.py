"""Holds the settings of a run and the configuration file's sections, checked as they are decoded.

A source declares its own section in its folder (cockpit/sources/NAME/__init__.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar

import msgspec

from cockpit.errors import CockpitError
from cockpit.host.files import read_text
from cockpit.links import problem_of
from cockpit.model.links import Links
from cockpit.patterns import PatternRefused, compiled
from cockpit.redaction.own import remember
from cockpit.text import safe, url_keys

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


def default_state_dir() -> Path:
    """Return the XDG state directory (~/.local/state/m0-cockpit)."""
    import platformdirs

    return Path(platformdirs.user_state_dir("m0-cockpit"))


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Describes a table of the configuration file; keys are spelt with dashes there.

    `SECRETS` are the attributes whose values are secrets ("output.headers": of a table within),
    `ADDRESSES` those among them that are one only when a URL is more than scheme and host, and
    `SECRET_FILES` those that name a file which holds a secret.
    """

    SECRETS: ClassVar[tuple[str, ...]] = ()
    ADDRESSES: ClassVar[tuple[str, ...]] = ()
    SECRET_FILES: ClassVar[tuple[str, ...]] = ()


class ConfigProblem(CockpitError):
    """A setting that cannot be used: one line that names where it stands, and what to do."""

    usual_remedy = "correct it in the configuration or on the command line; docs/configuration.md has every key"


def secret_of(value: str | None, file: str | None, name: str) -> str | None:
    """Return a secret given in place or in a file.

    Raises ConfigProblem.
    """
    if value is not None or file is None:
        return value
    try:
        secret = read_text(Path(file).expanduser()).strip()
        remember([secret, *url_keys(secret)])
        return secret
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigProblem(f"cannot read {name} from {file}: {safe(why)}", "check the file") from None


_PLACES = re.compile(r"[{}]")


def secrets_in(section: Section) -> Iterator[str]:
    """Yield the section's secrets, its headers' values, and what the addresses in it hide."""
    for attribute in section.SECRETS:
        value = attrgetter(attribute)(section)
        if attribute not in section.ADDRESSES:
            yield from value.values() if isinstance(value, dict) else [value] if isinstance(value, str) else []
    for text in _texts(section):
        yield from url_keys(_PLACES.sub("", text))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, msgspec.Struct):
        yield from _texts(msgspec.structs.asdict(value))
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


class WebhookSettings(Section, frozen=True, kw_only=True):
    """Holds `[webhook]`: where updates of an incident are posted.

    The URL is a secret, as its path usually holds a key: never shown; better kept in a file. The
    headers' values are secrets too.
    """

    SECRETS = ("url", "headers")
    SECRET_FILES = ("url_file",)

    url: str | None = None  # where updates are posted
    url_file: str | None = None  # a file that holds it
    headers: dict[str, str] = msgspec.field(default_factory=dict)  # sent with each update
    format: Literal["slack", "json"] = "slack"  # what is posted

    @property
    def configured(self) -> bool:
        return (self.url or self.url_file) is not None


class NetworkCliSettings(Section, frozen=True, kw_only=True):
    """Holds `[network-cli]`: the network's own command line, which `command` steps call `m0-cli`.

    Never run through a shell.

    `env` is added to a minimal environment; its values are secrets: never shown.
    """

    SECRETS = ("env",)

    argv: tuple[str, ...] = ("m0-cli",)  # the program and its first words
    cluster: str = "mainnet"  # stands for {cluster} in the words of a step
    timeout: float = 60.0  # seconds; then its whole process group is ended
    env: dict[str, str] = msgspec.field(default_factory=dict)  # added to PATH, HOME, LANG and the like


class RestoreSettings(Section, frozen=True, kw_only=True):
    """Holds `[restore]`: the operator's own restore command (14.restore.2).

    With `{time}` in it where it takes a point in time.

    Never run through a shell; without it the step asks.
    """

    argv: tuple[str, ...] = ()  # the program and its words; {time} where it takes a point in time
    timeout: float = 3600.0  # seconds; then its whole process group is ended

    def __post_init__(self) -> None:
        """Raises ValueError, which the decoder tells with its place in the file."""
        for word in self.argv:
            for name in re.findall(r"\{([a-z_]+)\}", word):
                if name != "time":
                    raise ValueError(f"{{{name}}} in argv: only {{time}} is filled in")
        if (self.argv and not self.argv[0]) or not 0 < self.timeout <= 3600:
            raise ValueError("expected a program and its words in argv, and a timeout of 1 to 3600 seconds")


class OwnCommand(Section, frozen=True, kw_only=True):
    """Holds an operator's own command: never run through a shell; without it the step asks."""

    argv: tuple[str, ...] = ()  # the program and its words
    timeout: float = 300.0  # seconds; then its whole process group is ended

    def __post_init__(self) -> None:
        """Raises ValueError, which the decoder tells with its place in the file."""
        for word in self.argv:
            if re.search(r"\{[a-z_]+\}", word):
                raise ValueError(f"{word} in argv: nothing is filled in")
        if (self.argv and not self.argv[0]) or not 0 < self.timeout <= 3600:
            raise ValueError("expected a program and its words in argv, and a timeout of 1 to 3600 seconds")


class FailoverSettings(OwnCommand, frozen=True, kw_only=True):
    """Holds `[failover]`: the database's own failover command (9.mitigation.4)."""

    argv: tuple[str, ...] = ()  # the program and its words
    timeout: float = 300.0  # seconds; then its whole process group is ended


class ScaleDbSettings(OwnCommand, frozen=True, kw_only=True):
    """Holds `[scale-db]`: what makes the database larger, or adds a replica (10.mitigation.1)."""

    argv: tuple[str, ...] = ()  # the program and its words
    timeout: float = 1800.0  # seconds; then its whole process group is ended


class MoveAnalyticsSettings(OwnCommand, frozen=True, kw_only=True):
    """Holds `[move-analytics]`: what moves reports off the primary (10.mitigation.4)."""

    argv: tuple[str, ...] = ()  # the program and its words
    timeout: float = 300.0  # seconds; then its whole process group is ended


MIGRATION_JOBS: Final = "(?i)migrat"
RESTORE_JOBS: Final = "(?i)restore"


class MaintenanceSettings(Section, frozen=True, kw_only=True):
    """Holds `[maintenance]`: what the deploy checklist cannot know by itself."""

    canary_markets: tuple[str, ...] = ()  # that a release is tried on while the others are paused
    migration_jobs: str = MIGRATION_JOBS  # a regular expression: Jobs of that name apply migrations
    staging_namespace: str | None = None  # whose Jobs test restores: the weekly round looks for the newest
    staging_context: str | None = None  # of the kubeconfig, where staging is another cluster
    restore_jobs: str = RESTORE_JOBS  # a regular expression: Jobs of that name, in staging, test a restore
    secrets: tuple[str, ...] = ()  # whose age the weekly round says, by their metadata alone (get, by name)
    secrets_max_age_days: int = 90  # older ones are due to be rotated

    def __post_init__(self) -> None:
        for name, usual in (("migration_jobs", MIGRATION_JOBS), ("restore_jobs", RESTORE_JOBS)):
            pattern = getattr(self, name)
            if pattern == usual:
                continue
            try:
                compiled(pattern)
            except PatternRefused as error:
                raise ValueError(f"{name.replace('_', '-')}: expected a regular expression: {error}") from None


class LinksSettings(Section, frozen=True, kw_only=True):
    """Holds `[links]`: URL templates, checked here; placeholders are filled in percent-encoded.

    `hyperlinks`: whether the terminal is sent OSC 8 hyperlinks; "auto" sends them to any that is
    not known to have none.
    """

    trace: str | None = None  # with {trace} in it: a log line copies it
    signal: str | None = None  # with {signal}: the Signals panel copies it
    transaction: str | None = None  # with {signature}: failed transactions in the palette
    dashboard: str | None = None  # with {context} and {namespace}, or neither: in the palette
    hyperlinks: Literal["auto", "always", "never"] = "auto"  # OSC 8; auto: unless it is known to have none

    def __post_init__(self) -> None:
        """Raises ValueError, which the decoder tells with its place in the file."""
        for name in ("trace", "signal", "transaction", "dashboard"):
            template = getattr(self, name)
            problem = problem_of(name, template) if template is not None else ""
            if problem:
                raise ValueError(problem)

    @property
    def templates(self) -> Links:
        """Return what the panels are given."""
        return Links(self.trace, self.signal, self.transaction, self.dashboard)


@dataclass(frozen=True)
class Key(Generic[T_co]):
    """Describes a key of the configuration file that a source declares, with its type."""

    name: str
    type: Any
    default: T_co


@dataclass(frozen=True, slots=True)
class Settings:
    """Holds what the cockpit runs with: the file's keys, as environment and flags changed them.

    `namespace` is the one that mitigations act in; all of `namespaces` are watched. `sections`
    holds what the sources declare, by key: `settings.of(KEY)` reads one.
    """

    kubeconfig: str | None = None  # else KUBECONFIG, ~/.kube/config, or the service account of the pod
    context: str | None = None  # of the kubeconfig; else its current one
    namespace: str | None = None  # steps act here; else that of the context
    namespaces: tuple[str, ...] = ()  # all of these are watched
    production: bool | None = None  # the red mark; else only names such as staging, dev or test are none
    read_only: bool = False  # look, never change: no flag lifts it
    runbooks: Path | None = None  # a file that extends or overrides the packaged runbooks
    state_dir: Path = field(default_factory=lambda: default_state_dir())  # of the journal; else the XDG state directory
    state_dir_shared: bool = False  # true: of several users, a journal each; one that a group may write to is so anyway
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    network_cli: NetworkCliSettings = field(default_factory=NetworkCliSettings)
    restore: RestoreSettings = field(default_factory=RestoreSettings)
    failover: FailoverSettings = field(default_factory=FailoverSettings)
    scale_db: ScaleDbSettings = field(default_factory=ScaleDbSettings)
    move_analytics: MoveAnalyticsSettings = field(default_factory=MoveAnalyticsSettings)
    maintenance: MaintenanceSettings = field(default_factory=MaintenanceSettings)
    links: LinksSettings = field(default_factory=LinksSettings)
    mouse: bool = True  # false: the terminal keeps it, to mark text its own way; a key takes it while it runs
    keys: Mapping[str, str] = field(default_factory=dict)  # binding id → keys; the ids are in keys.md
    sections: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "defaults"

    def of(self, key: Key[T]) -> T:
        """Return what stands at the key, or its default."""
        found: T = self.sections.get(key.name, key.default)
        return found

    def having(self, key: Key[T], value: T) -> Settings:
        """Return these settings with another value at the key."""
        return replace(self, sections={**self.sections, key.name: value})
