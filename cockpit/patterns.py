"""Patterns over text from outside: RE2, whose time is linear whatever the pattern and the text.

Operators' patterns (a search in logs, a log filter, a parameter's `pattern`) are RE2's: the syntax
of Python's `re` without look-around and back-references.
"""

from __future__ import annotations

from functools import lru_cache


class PatternRefused(ValueError):
    """The pattern cannot be used; the message says why, in words."""


_WHY = {
    "invalid perl operator": "look-around such as (?=…) is not supported",
    "invalid escape sequence": "an unknown escape, or a back-reference, which is not supported",
    "invalid repetition size": "a repeat count above 1000",
    "no argument for repetition operator": "nothing to repeat",
    "missing )": "a bracket ( is not closed",
    "unexpected )": "a bracket ) was not opened",
    "missing ]": "a bracket [ is not closed",
    "trailing \\": "a \\ at the end",
    "pattern too large": "too large",
    "bad repetition operator": "a repeat of a repeat",
    "invalid UTF-8": "a character that is no text",
    "invalid character class range": "a range in [ ] from high to low",
    "invalid named capture group": "a bad name of a group",
}


class Pattern:
    """A compiled pattern; a text that is no UTF-8 (a lone surrogate) is searched without it."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        """Raises PatternRefused."""
        import re2

        options = re2.Options()
        options.log_errors = False
        options.case_sensitive = not ignore_case
        self.text = text
        try:
            self._compiled = re2.compile(text, options)
        except re2.error as error:
            said = error.args[0] if error.args else ""
            said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            kind, _, what = said.partition(": ")
            raise PatternRefused(_WHY.get(kind, kind) + (f": {what}" if what else "")) from None
        except UnicodeEncodeError:
            raise PatternRefused(_WHY["invalid UTF-8"]) from None

    def found_in(self, text: str) -> bool:
        """Tell whether the pattern is found anywhere in the text."""
        return self._compiled.search(_encodable(text)) is not None

    def is_whole(self, text: str) -> bool:
        """Tell whether the pattern is the whole text."""
        return self._compiled.fullmatch(_encodable(text)) is not None

    def first(self, text: str) -> int:
        """Return where the pattern is first found, 0 when it is not."""
        found = self._compiled.search(_encodable(text))
        return int(found.start()) if found is not None else 0


@lru_cache(maxsize=64)
def compiled(text: str) -> Pattern:
    """Compile a pattern of the runbooks or the configuration; raises PatternRefused."""
    return Pattern(text)


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
