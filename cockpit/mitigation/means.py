"""What the configuration gives the steps to work with, beside the cluster: the network's command line, the database, and
the parts that collect evidence and remember what signals did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cockpit.assessment.imagehistory import Past

#: The word that stands for the network's own command line in runbooks.toml, as its documents name it.
NETWORK_CLI = "m0-cli"


@dataclass(frozen=True, slots=True)
class NetworkCli:
    """`[network-cli]`: `argv` takes the place of the word `m0-cli`; `{cluster}` is `cluster`. `env` may hold secrets."""

    argv: tuple[str, ...] = (NETWORK_CLI,)
    cluster: str = "mainnet"
    timeout_s: float = 60.0
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


class Captured(Protocol):
    """An evidence bundle that was written. `missing` pairs a part with the reason that it is not in it."""

    @property
    def path(self) -> Path: ...
    @property
    def missing(self) -> Sequence[tuple[str, str]]: ...
    @property
    def words(self) -> str: ...


#: (why it is captured) → the bundle. Raises any Exception with a message when it cannot be written.
Evidence = Callable[[str], Awaitable[Captured]]


@dataclass(frozen=True, slots=True)
class Means:
    """None: not configured, and a step that needs it says so."""

    network_cli: NetworkCli = NetworkCli()
    admin_url: Callable[[], str | None] = lambda: None  # of Postgres; a secret, read when it is needed
    evidence: Evidence | None = None
    past: Past | None = None
