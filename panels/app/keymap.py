"""Refuses what `[keys]` of the configuration cannot mean, before the screen is there.

These are an id that there is not, a key that no terminal sends, and a key that has another meaning
where the first one works: neither is taken silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from string import ascii_letters, ascii_lowercase, digits, punctuation
from typing import Final

from textual.binding import Binding
from textual.keys import Keys, _character_to_key
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from cockpit.errors import UnknownName, UsageProblem
from panels import keys
from panels.app import overlays
from panels.dashboard.dashboard import kinds

WHERE = "see docs/keys.md"
#: They work while one types, and in every dialog: what is typed may not set them off.
_EVERYWHERE: Final = tuple(binding for binding in keys.APP if binding.priority and binding.action != "filter")
_TYPED: Final = frozenset(_character_to_key(char) for char in (*ascii_letters, *digits, *punctuation, " "))
_SENT: Final = _TYPED.union(
    {
        *(key.value for key in Keys if not key.value.startswith("<")),
        *(f"alt+{char}" for char in (*ascii_lowercase, *digits)),
    }
)


def check(keymap: Mapping[str, str]) -> None:
    """Raise UsageProblem for the first entry that cannot be used."""
    scopes = {name: [*keys.APP, *_own(Screen), *_own(kind)] for name, kind in kinds().items()}
    known = {binding.id: binding for scope in scopes.values() for binding in scope if binding.id}
    for name, given in keymap.items():
        if name not in known:
            raise UnknownName("key", name, known, WHERE, within="[keys]: the cockpit")
        for key in given.split(","):
            if _named(key) not in _SENT:
                raise UsageProblem(f"[keys] {name}: {key.strip()!r} is no key", f'write "f5", "ctrl+r" or "R"; {WHERE}')
    for scope in scopes.values():
        _check_scope(scope, keymap)
    taken = [binding for kind in _typing() for binding in _own(kind)]
    for everywhere in _EVERYWHERE:
        for key in _keys(everywhere, keymap) if everywhere.id in keymap else ():
            if key in _TYPED:
                raise UsageProblem(f"[keys] {everywhere.id}: {key!r} may be typed", f"give it ctrl+ something; {WHERE}")
            other = next((each for each in taken if key in _keys(each, {})), None)
            if other is not None and other.action != "delete_right_all":
                raise _twice(key, str(everywhere.id), f"{other.description or other.action!r} in a dialog or a field")


def _check_scope(scope: Iterable[Binding], keymap: Mapping[str, str]) -> None:
    """Raise UsageProblem for a key with two meanings, one of which the operator gave."""
    meaning: dict[str, Binding] = {}
    for binding in scope:
        for key in _keys(binding, keymap):
            other = meaning.setdefault(key, binding)
            if other.action != binding.action and keymap.keys() & {binding.id, other.id}:
                raise _twice(key, _name(other), _name(binding))


def _twice(key: str, one: str, other: str) -> UsageProblem:
    return UsageProblem(f"[keys]: {key} would be both {one} and {other}", f"give one of them another key; {WHERE}")


def _name(binding: Binding) -> str:
    return binding.id or binding.description.lower() or binding.action


def _keys(binding: Binding, keymap: Mapping[str, str]) -> list[str]:
    given = keymap.get(binding.id or "", binding.key)
    return [_named(key) for key in given.split(",")]


def _named(key: str) -> str:
    key = key.strip()
    return _character_to_key(key) if len(key) == 1 else key


def _own(kind: type[Widget]) -> Iterator[Binding]:
    """Yield the bindings of a class and of those that it derives from, the nearest for each key."""
    nearest: dict[str, Binding] = {}
    for base in reversed(kind.__mro__):
        for binding in base.__dict__.get("BINDINGS", ()):
            assert isinstance(binding, Binding)
            for key in binding.key.split(","):
                nearest[key] = binding
    yield from dict.fromkeys(nearest.values())


def _typing() -> Iterator[type[Widget]]:
    yield Input
    yield from _layers()


def _layers(kind: type[Widget] = overlays.Overlay) -> Iterator[type[Widget]]:
    for one in kind.__subclasses__():
        yield one
        yield from _layers(one)
