"""Makes addresses outside of the cockpit: a trace, a signal in Grafana, a transaction, a dashboard.

The templates come from `[links]` in the configuration and are checked there (`cockpit/links.py`);
the values come from logs, metrics and the chain, and are hostile: each is percent-encoded whole, so
that nothing but the place meant for it can change.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

#: Longer names are no trace id, signal or signature: a base58 signature has 88 characters.
LONGEST_VALUE = 256


class Links(msgspec.Struct, frozen=True):
    """Holds templates as `https://traces.example.com/trace/{trace}`.

    None: not configured, and nothing is ever linked.
    """

    trace: str | None = None
    signal: str | None = None
    transaction: str | None = None
    dashboard: str | None = None

    def of_trace(self, trace: str) -> str | None:
        return filled(self.trace, trace=trace)

    def of_signal(self, signal: str) -> str | None:
        return filled(self.signal, signal=signal)

    def of_transaction(self, signature: str) -> str | None:
        return filled(self.transaction, signature=signature)

    def of_dashboard(self, context: str, namespace: str) -> str | None:
        return filled(self.dashboard, context=context, namespace=namespace)


def filled(template: str | None, **values: str) -> str | None:
    """Return the address, printable ASCII throughout.

    None without a template, or for a value that is used and cannot be a name: an empty or
    endless one, or dots alone, which a browser would take for a step up the path.
    """
    if template is None:
        return None
    for name, value in values.items():
        place = f"{{{name}}}"
        if place not in template:
            continue
        if not value.strip(".") or len(value) > LONGEST_VALUE:
            return None
        template = template.replace(place, quote(value, safe="", errors="replace"))
    return template
