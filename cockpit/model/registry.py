"""Says what every registry of plug-ins demands of its rows, as soon as it is imported."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cockpit.errors import CockpitError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Row = TypeVar("Row", bound="DataclassInstance")

#: The default of each part that a row must give: typed as anything, and refused by `registry`.
LEFT_OUT: Any = type("LeftOut", (), {"__repr__": lambda _: "left out", "__bool__": lambda _: False})()
_ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_WORDS: Mapping[Any, str] = {str: "text", bool: "true or false", int: "a whole number", NoneType: "nothing"}


class RegistryError(CockpitError):
    """A row cannot be used; the reason names the registry and the row."""

    usual_remedy = "correct the row; in a packaged m0-cockpit: install it again"


class RowType(type):
    """Makes rows: one with a part that its class does not know is refused by its name."""

    if not TYPE_CHECKING:  # the rows keep the signatures of their own classes

        def __call__(cls, *parts, **named):
            """Raises RegistryError."""
            try:
                return super().__call__(*parts, **named)
            except TypeError as error:
                name = next(iter([*parts, *(named[part] for part in ("name", "kind") if part in named)]), "")
                raise RegistryError(f"{cls.__name__}, row {name!r}: {str(error).partition('() ')[2]}") from None


def registry(
    rows: Iterable[Row],
    *,
    kind: type[Row],
    where: str,
    name: Callable[[Row], str],
    faults: Callable[[Row], Iterable[str]] = lambda _: (),
    claims: Callable[[Row], Iterable[tuple[str, str]]] = lambda _: (),
) -> Mapping[str, Row]:
    """Return the rows by name, in their order.

    `faults` says what is wrong with a row whose parts are there and of their types; `claims` gives
    (what, value) of all that no other row may have. Raises RegistryError for the first row that
    cannot be used, in words that name it.
    """
    found: dict[str, Row] = {}
    taken: dict[tuple[str, str], str] = {}
    for place, row in enumerate(rows, start=1):
        if not isinstance(row, kind):
            raise RegistryError(f"{where}: row {place}: expected a {kind.__name__}, got {row!r}")
        known = name(row)
        if known in (None, "", LEFT_OUT):
            raise RegistryError(f"{where}: row {place} has no name")
        if not is_name(known):
            raise RegistryError(f"{where}: row {place}: expected a name of lower-case words joined by -, got {known!r}")
        if known in found:
            raise RegistryError(f"{where}: two rows are named {known!r}")
        lacking = [part.name for part in dataclasses.fields(row) if getattr(row, part.name) is LEFT_OUT]
        if lacking:
            raise RegistryError(f"{where}: row {known!r} lacks {', '.join(lacking)}")
        for fault in chain(_of_other_types(row), faults(row)):  # the second only where the first has none
            raise RegistryError(f"{where}: row {known!r}: {fault}")
        for what, value in claims(row):
            other = taken.setdefault((what, value), known)
            if other != known:
                raise RegistryError(f"{where}: rows {other!r} and {known!r} have the same {what} {value!r}")
        found[known] = row
    return found


def is_name(name: object) -> bool:
    """Return whether a row may be called so."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def need_file(module: str, *, where: str, row: str) -> None:
    """Raise RegistryError when the module of a row has no file; nothing is imported."""
    if (_ROOT / f"{module.replace('.', '/')}.py").is_file():
        return
    try:
        missing = find_spec(module) is None
    except ModuleNotFoundError:  # the folder is missing too
        missing = True
    if missing:
        raise RegistryError(f"{where}: row {row!r} has no file {module.replace('.', '/')}.py")


_hints = cache(get_type_hints)


def _of_other_types(row: DataclassInstance) -> Iterator[str]:
    for part, hint in _hints(type(row)).items():
        value = getattr(row, part)
        if type(value) is not hint and not _fits(value, hint):
            yield f"{part}: expected {_said(hint)}, got {value!r}"


def _fits(value: object, hint: Any) -> bool:
    """Return whether a value is of a type as the rows' classes are annotated with."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        each = (inner[0],) * len(value) if inner[-1] is Ellipsis else inner
        return len(value) == len(each) and all(map(_fits, value, each))
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _fits(key, inner[0]) and _fits(held, inner[1]) for key, held in value.items()
        )
    if origin is Callable:
        return callable(value)
    wanted = origin or hint
    return isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))


def _said(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(_said, inner))
    if origin is Literal:
        return f"one of {', '.join(map(repr, inner))}"
    if origin is tuple:
        of = f"{_said(inner[0])} each" if inner[-1] is Ellipsis else ", ".join(map(_said, inner))
        return f"a tuple ({of})"
    if origin is Mapping:
        return f"a table of {_said(inner[1])}"
    if origin is Callable:
        return "a function"
    return _WORDS.get(hint, f"a {getattr(hint, '__name__', hint)}")
