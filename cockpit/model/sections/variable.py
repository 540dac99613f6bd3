"""Holds `[variables]` and `[toggles]`: what an environment variable or a key may be."""

from __future__ import annotations

import re
from typing import Literal

from cockpit.model.sections.entry import Entry

ValueType = Literal["int", "number", "url", "name", "names", "numbers"]
#: The toggle of publishing (q.toggle.1), and the head of those that pause a market (q.toggle.4).
PUBLISH_TOGGLE, PAUSE_TOGGLE = "M0_PUBLISH_ENABLED", "M0_MARKET_PAUSE_"
#: The key of a ConfigMap that says how often something is published, in ms.
CADENCE = "publish_cadence_ms"


UNLIMITED = "unlimited"


class Variable(Entry, frozen=True, kw_only=True):
    """Describes `[variables.NAME]`: what an environment variable or a ConfigMap's key may be.

    `type`: "int" and "number" (from `minimum` to `maximum`), "url" (of one of `schemes`), "name",
    "names" (separated by commas, none is allowed), "numbers" (NAME=NUMBER, likewise). `values`: one
    of these, instead, in their order. `services`: what reads it, of a ConfigMap's key. `unset`:
    what it means that it is not set: a value, "unlimited", or "configmap NAME/KEY".
    """

    type: ValueType | None = None
    values: tuple[str, ...] = ()
    schemes: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unset: str | None = None
    usual: str | None = None
    services: tuple[str, ...] = ()
    note: str = ""

    @property
    def said(self) -> bool:
        """Tell whether anything is said of what it may be."""
        return bool(self.values) or self.type is not None

    def wrong(self, value: str) -> str:
        """Return what was expected where the value is none that is allowed, else ""."""
        if self.values:
            return "" if value in self.values else f"expected one of {', '.join(self.values)}"
        return "" if self._fits(value) else self.expected

    def _fits(self, value: str) -> bool:
        match self.type:
            case "int" | "number":
                form = _INT if self.type == "int" else _NUMBER
                low, high = self.minimum, self.maximum
                if form.fullmatch(value) is None:
                    return False
                return (low is None or float(value) >= low) and (high is None or float(value) <= high)
            case "url":
                scheme, mark, rest = value.partition("://")
                known = scheme.lower() in self.schemes if self.schemes else _SCHEME.fullmatch(scheme) is not None
                return bool(mark) and known and _HOST.match(rest) is not None
            case "name":
                return _NAME.fullmatch(value) is not None
            case "names":
                return not value or all(_NAME.fullmatch(part.strip()) for part in value.split(","))
            case "numbers":
                return not value or all(_OF_NAME.fullmatch(part.strip()) for part in value.split(","))
            case None:
                return True

    @property
    def expected(self) -> str:
        if self.type == "url":
            return f"expected a URL ({', '.join(f'{each}://' for each in self.schemes) or 'scheme://host'}…)"
        low, high = self.minimum, self.maximum
        bounds = "" if low is None else f" from {low:g} to {high:g}" if high is not None else f" of at least {low:g}"
        bounds = f" of at most {high:g}" if low is None and high is not None else bounds
        return f"expected {_TYPES[self.type or 'name']}{bounds}"


_TYPES = {
    "int": "a whole number",
    "number": "a number",
    "name": "a name",
    "names": "names, separated by commas",
    "numbers": "NAME=NUMBER, separated by commas",
}
_INT, _NUMBER = re.compile(r"[+-]?[0-9]{1,18}"), re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_SCHEME, _HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}"), re.compile(r"[^\s/?#]+(?!\s)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,252}")
_OF_NAME = re.compile(rf"{_NAME.pattern}=[0-9]{{1,18}}(\.[0-9]{{1,18}})?")


class Toggle(Variable, frozen=True, kw_only=True):
    """Describes `[toggles.NAME]`; a `*` at the end of NAME stands for any suffix."""

    item: str | None = None
    deployments: tuple[str, ...]
    secret: bool = False
    url: bool = False  # shown as scheme and host only
    safest: str | None = None
    configmap: str | None = None  # where it may live instead, e.g. m0-engine-config
