"""Loads settings: a TOML file, then the environment, then flags; the later wins.

Nothing here touches the network.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import threading
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from cockpit.host.files import read_text
from cockpit.settings import ConfigProblem, Key, NetworkCliSettings, Section, Settings, secrets_in
from cockpit.sources.prometheus.settings import PROMETHEUS
from cockpit.sources.registry import sources
from cockpit.text import has_unseen, safe

ENV_PREFIX = "M0_COCKPIT_"


def default_config_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("m0-cockpit")) / "config.toml"


#: msgspec crashes the process where two threads first use a type (see `runbooks/schema.py`).
_ONE_AT_A_TIME = threading.Lock()


def read_file(path: Path) -> msgspec.Struct:
    """Decode a configuration file.

    Raises ConfigProblem with file, line or key.
    """
    try:
        raw = read_text(path)
    except FileNotFoundError:
        raise ConfigProblem(f"no configuration file at {path}", "check --config") from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigProblem(f"cannot read {path}: {safe(why)}", "check its permissions and encoding") from None
    try:
        tables = tomllib.loads(raw)
        for key, text in _all_texts(tables, ""):
            if has_unseen(text):
                reason = f"{path}: {safe(key, 120)} has characters in it that cannot be seen: {safe(text, 80)}"
                raise ConfigProblem(reason, "write it anew, without them")
        with _ONE_AT_A_TIME:
            found = msgspec.convert(_dashed(tables, file_type()), file_type(), strict=True, dec_hook=_path)
        for key, expected in beyond(found, ""):
            line = _line_of(raw, key)
            raise ConfigProblem(f"{path}{line}: {key}: {expected}", "docs/configuration.md lists every key")
        return found
    except tomllib.TOMLDecodeError as error:
        raise ConfigProblem(f"{path}: {safe(error)}", "mend the TOML there") from None
    except msgspec.ValidationError as error:
        raise ConfigProblem(f"{path}: {safe(error)}", "docs/configuration.md lists every key") from None


#: Every number of the file, by its name: from, to (seconds, slots, money).
BOUNDS: Mapping[str, tuple[float, float]] = {
    "interval": (0.1, 3600.0),
    "timeout": (0.1, 3600.0),
    "reveal_delay_slots": (0.0, 10_000.0),
    "monthly_fee": (0.0, 1e9),
    "price_per_million": (0.0, 1e9),
    "secrets_max_age_days": (1, 3650),
}


def beyond(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield each number below a section that makes no sense, by its key, with what was expected."""
    if isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from beyond(each, f"{key}[{index}]")
    elif isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            name, held = f"{key}.{field.encode_name}".lstrip("."), getattr(value, field.name)
            yield from beyond(held, name)
            low, high = BOUNDS.get(field.name, (-math.inf, math.inf))
            if isinstance(held, int | float) and not isinstance(held, bool) and not low <= held <= high:
                yield name, f"expected a number from {low:g} to {high:,g}, got {held:g}"


def _line_of(raw: str, key: str) -> str:
    """Return ":LINE" of a key in the text, "" where it is not found."""
    table, _, name = key.rpartition(".")
    within = ""
    for number, line in enumerate(raw.splitlines(), 1):
        head = _TABLE.fullmatch(line)
        within = head[1].replace("_", "-") if head is not None else within
        own = line.partition("=")[0].strip().replace("_", "-")
        if (within == re.sub(r"\[[0-9]+\]", "", table) and own == name) or own == key:
            return f":{number}"
    return ""


_TABLE = re.compile(r"\s*\[{1,2}\s*([A-Za-z0-9_.-]+)\s*\]{1,2}\s*(?:#.*)?")


def _all_texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield each text of the file with its key, the names of keys among them."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield key or "a key", name
            yield from _all_texts(each, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for each in value:
            yield from _all_texts(each, key)


@cache
def file_type() -> type[msgspec.Struct]:
    """Return the whole configuration file as one struct: the settings' own keys, then the sources'.

    Raises RegistryError.
    """
    types = get_type_hints(Settings)
    fields: list[tuple[str, Any, Any]] = []
    for own in dataclasses.fields(Settings):
        if own.name not in ("sections", "origin"):
            made: Any = own.default_factory
            default = own.default if made is dataclasses.MISSING else msgspec.field(default_factory=made)
            fields.append((own.name, types[own.name], default))
    fields += [(_attribute(key), key.type, key.default) for source in sources().values() for key in source.sections]
    return msgspec.defstruct("FileSettings", fields, bases=(Section,), frozen=True, kw_only=True)


def _attribute(key: Key[Any]) -> str:
    return key.name.replace("-", "_")


def _path(kind: type, value: Any) -> Any:
    """Make a path of text in the file; nothing else needs help to be decoded."""
    if kind is not Path or not isinstance(value, str):
        raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
    return Path(value).expanduser()


def _dashed(table: Any, kind: Any) -> Any:
    """Accept `rpc_endpoints` for `rpc-endpoints`: both are habits, one meaning.

    Only the keys of sections: those of a table of names are the operator's own.
    """
    if isinstance(table, list):
        return [_dashed(entry, next(iter(get_args(kind)), None)) for entry in table]
    if not isinstance(table, dict) or not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return table
    types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    names = ((key.replace("_", "-"), value) for key, value in table.items())
    return {name: _dashed(value, types.get(name)) for name, value in names}


#: What an API server takes: an empty one would be another address, that of all.
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


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
    """Read file, environment and flags, in that order.

    Raises ConfigProblem.
    """
    env = os.environ if env is None else env
    path = config or env.get(ENV_PREFIX + "CONFIG")
    file = _from_file(path)
    watched = namespaces or _listed(env.get(ENV_PREFIX + "NAMESPACE")) or _of_file(file)
    for name in watched:
        if _NAMESPACE.fullmatch(name) is None:
            raise ConfigProblem(
                f'"{safe(name, 80)}" is no name of a namespace', "give one of small letters, digits and dashes"
            )
    served = file.of(PROMETHEUS)
    url = prometheus or env.get(ENV_PREFIX + "PROMETHEUS") or served.url
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigProblem(
            f"the Prometheus address is not an http(s) URL: {safe(url, 80)}", "give it as http://host:9090"
        )
    given = runbooks or env.get(ENV_PREFIX + "RUNBOOKS")
    state = env.get(ENV_PREFIX + "STATE_DIR")
    return dataclasses.replace(
        file,
        kubeconfig=kubeconfig or file.kubeconfig,
        context=context or env.get(ENV_PREFIX + "CONTEXT") or file.context,
        namespace=watched[0] if watched else None,
        namespaces=watched,
        read_only=_flag(read_only, env.get(ENV_PREFIX + "READ_ONLY"), file.read_only),
        runbooks=Path(given).expanduser() if given else file.runbooks,
        state_dir=Path(state).expanduser() if state else file.state_dir,
        network_cli=_checked(file.network_cli),
    ).having(PROMETHEUS, msgspec.structs.replace(served, url=url))


def _from_file(path: str | None) -> Settings:
    """Return what the file at `path` says, else the usual one, else the defaults."""
    if path is None and default_config_path().exists():
        path = str(default_config_path())
    if path is None:
        return Settings()
    held = msgspec.structs.asdict(read_file(Path(path).expanduser()))
    keys = [key for source in sources().values() for key in source.sections]
    sections = {key.name: held.pop(_attribute(key)) for key in keys}
    return Settings(**held, sections=sections, origin=path)


def own_secrets(settings: Settings) -> Iterator[str]:
    """Yield what no answer of a service may repeat; what is in a file is remembered when read."""
    held = [settings.of(key) for source in sources().values() for key in source.sections]
    for section in (one for each in held for one in (each if isinstance(each, tuple) else (each,))):
        yield from secrets_in(section)
    yield from secrets_in(settings.webhook)
    yield from secrets_in(settings.network_cli)


def _checked(cli: NetworkCliSettings) -> NetworkCliSettings:
    """Return `cli` when it can be run.

    Raises ConfigProblem.
    """
    if not cli.argv or not cli.argv[0] or not 0 < cli.timeout <= 3600:
        raise ConfigProblem(
            "[network-cli] needs argv (a program and its first words) and a timeout of 1 to 3600 seconds"
        )
    return cli


def _of_file(file: Settings) -> tuple[str, ...]:
    own = (file.namespace,) if file.namespace else ()
    return (*own, *(n for n in file.namespaces if n not in own))


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _flag(flag: bool | None, text: str | None, otherwise: bool) -> bool:
    """Return whether anybody asks for read-only: the safest word wins, and nothing lifts it."""
    return bool(flag) or (text or "").lower() in ("1", "true", "yes", "on") or otherwise


_PRODUCTION = {"prod", "production", "prd", "live", "mainnet"}
_NOT_PRODUCTION = {
    *("staging", "stage", "dev", "devel", "development", "devnet", "test", "testing", "testnet", "sandbox"),
    *("drill", "kind", "minikube", "localnet"),
}


def is_production(settings: Settings, context: str, namespace: str) -> bool:
    """Return whether the screen must warn that this is production.

    When in doubt it is production: only names that say otherwise, in a whole word, are not. The
    context's name tells more than the namespace's, which may be the same everywhere.
    """
    if settings.production is not None:
        return settings.production
    for name in (context, namespace):
        words = {word.rstrip("0123456789") for word in re.split(r"[^a-z0-9]+", name.lower())}
        if words & _PRODUCTION:
            return True
        if words & _NOT_PRODUCTION:
            return False
    return True
