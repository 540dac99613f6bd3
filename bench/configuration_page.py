"""Writes the tables of keys in docs/configuration.md from the types of the settings.

`python -m bench.configuration_page docs/configuration.md`.

What a key means is the comment beside it in its class. A test holds both together.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from bench.commands_page import made_anew
from cockpit.config import file_type
from cockpit.settings import Section, Settings

_COMMENT = re.compile(r"^    (\w+): .*?  # (.+)$", re.M)
_HELD = re.compile(r"^Holds (?:one of )?`\[+[\w.-]+\]+`(?:: )?|\.$")
_WORDS = {str: "text", float: "number", int: "whole number", bool: "true or false", Path: "path"}


def tables() -> str:
    """Return a table of the keys that stand alone, then one for each table of the file."""
    alone: list[str] = []
    rest: list[str] = []
    for field in msgspec.structs.fields(file_type()):
        if (inner := _section(field.type)) is not None:
            rest += _table(field.encode_name, inner, listed=get_origin(field.type) is tuple)
        elif not _plain(field.type):
            rest += [f"`[{field.encode_name}]`: {_comments(Settings)[field.name]}.", ""]
        else:
            alone.append(_row(field, _comments(Settings)))
    return "\n".join([*_HEAD, *alone, "", *rest])


_HEAD = ("| key | type | default | what it is |", "|---|---|---|---|")


def _table(name: str, kind: type[Section], *, listed: bool = False, secrets: Iterable[str] = ()) -> Iterator[str]:
    words = _HELD.sub("", (kind.__doc__ or "").partition("\n")[0])
    yield f"`[[{name}]]`: {words}." if listed else f"`[{name}]`" + (f": {words}." if words else "")
    yield ""
    yield from _HEAD
    nested: list[str] = []
    for field in msgspec.structs.fields(kind):
        if (inner := _section(field.type)) is not None:
            hidden = [secret.removeprefix(f"{field.name}.") for secret in kind.SECRETS]
            nested += _table(f"{name}.{field.encode_name}", inner, secrets=hidden)
        else:
            yield _row(field, _comments(kind), secret=field.name in {*kind.SECRETS, *secrets} - {*kind.ADDRESSES})
    yield ""
    yield from nested


def _row(field: Any, comments: dict[str, str], *, secret: bool = False) -> str:
    """Return a key's row; raises KeyError for one without a comment that says what it means."""
    default = field.default
    if default in (msgspec.NODEFAULT, None, (), "", msgspec.UNSET) or isinstance(default, Path):
        shown = "needed" if field.required else "–"
    else:
        shown = f"`{str(default).lower() if isinstance(default, bool) else _toml(default)}`"
    words = comments[field.name] + (" (a secret: never shown)" if secret else "")
    cells = (f"`{field.encode_name}`", _type(field.type), shown, words)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def _section(kind: Any) -> type[Section] | None:
    """Return the table that a key holds, also where it is a list of them."""
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _plain(kind: Any) -> bool:
    return get_origin(kind) is not get_origin(dict[str, str]) and "Mapping" not in str(kind)


def _type(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(_type(one) for one in inner if one is not NoneType)
    if origin is Literal:
        return " or ".join(f'`"{word}"`' for word in inner)
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"table of {_type(inner[1])}"
    return _WORDS[kind]


def _comments(kind: type) -> dict[str, str]:
    """Return attribute → what the comment beside it says."""
    return dict(_COMMENT.findall(inspect.getsource(kind)))


def page(text: str) -> str:
    """Return the page with its tables made anew."""
    return made_anew(text, tables())


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page(path.read_text("utf-8")), "utf-8")
