"""Hides what looks like a secret in any text, before it is shown or kept (rule 4).

`redact` is the one way in. Everything here takes linear time on any text, gives the same on what
it gave, and raises nothing. What it cannot recognise is said in docs/security.md.
"""

from __future__ import annotations

HIDDEN = "***"
#: So many characters are looked at; what is beyond is not shown, and that is said.
MOST_SCANNED = 98_304
_AGAIN = 4  # what is hidden can bring out what stood behind it: looked at until nothing is found


def redact(text: str) -> str:
    """Hide credentials: in URLs, under secret names, in headers and commands, by their own form.

    Of a text longer than `MOST_SCANNED` the first two thirds of that are kept, the rest counted.
    """
    from cockpit.redaction.passes import redact_once

    if len(text) > MOST_SCANNED:
        kept = MOST_SCANNED * 2 // 3
        return f"{redact(text[:kept])}… [{len(text) - kept} more characters: not looked at, not shown]"
    shown = redact_once(text)
    for _ in range(_AGAIN):
        if shown == text:
            break
        text, shown = shown, redact_once(shown)
    return shown
