"""Checks the templates of `[links]` once, at load.

No address made of them can then surprise a terminal or a browser.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from cockpit.text import safe

LONGEST_TEMPLATE = 2000
#: What each template may name; all but a dashboard's must be named, else every link would lead to
#: the same place.
PLACES: Mapping[str, tuple[str, ...]] = {
    "trace": ("trace",),
    "signal": ("signal",),
    "transaction": ("signature",),
    "dashboard": ("context", "namespace"),
}


def problem_of(name: str, template: str) -> str:
    """Return why this cannot be the template `name`, and what to write instead; "" when it can."""
    places = PLACES[name]
    said = " and ".join(f"{{{place}}}" for place in places)
    if not template.startswith(("http://", "https://")):
        return f"{name}: not an http(s) URL: {safe(template, 80)}"
    if len(template) > LONGEST_TEMPLATE or any(not "!" <= char <= "~" for char in template):
        return (
            f"{name}: blanks, control and non-ASCII characters are to be percent-encoded, "
            f"{LONGEST_TEMPLATE} characters at most"
        )
    asked = re.findall(r"\{([^{}]*)\}", template)
    unknown = [place for place in asked if place not in places]
    if unknown:
        return f"{name}: unknown placeholder {{{safe(unknown[0], 40)}}}: there is {said}"
    if set(re.sub(r"\{[^{}]*\}", "", template)) & {"{", "}"}:
        return f"{name}: a brace without its other half: write %7B and %7D for braces of the URL itself"
    if name != "dashboard" and not asked:
        return f"{name}: {said} is missing: every link would lead to the same place"
    try:
        parts = urlsplit(template)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"{name}: not a URL that can be read: {safe(template, 80)}"
    if not host or "{" in parts.netloc:
        return f"{name}: the host must be written out: a placeholder may stand in the path, query or fragment only"
    if "@" in parts.netloc:
        return f"{name}: no user name or password in a link: it is shown and copied"
    return ""
