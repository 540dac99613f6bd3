"""Explains an alert of Prometheus' own rules: since when, of what, and what its rule says of it."""

from __future__ import annotations

from cockpit.model.reading import spell
from cockpit.model.situation import Situation

_MOST = 12
_SAID = ("alertname", "severity")


def explain_alert(name: str, situation: Situation) -> tuple[str, ...]:
    """Explain every active alert of that name, those that fire first."""
    found = [alert for alert in situation.alerts if alert.name == name]
    if not found:
        return (f"No alert {name} is active any more.",)
    lines, server = [], situation.wall + (situation.clock_behind_s or 0.0)
    for alert in found[:_MOST]:
        ago = f" for {spell(max(0.0, server - alert.since))}" if alert.since is not None else ""
        severity = f", severity {alert.labels['severity']}" if "severity" in alert.labels else ""
        lines.append(f"{alert.state}{ago}{severity}: {alert.summary or 'its rule has no summary'}")
        labels = ", ".join(f"{key} {text}" for key, text in sorted(alert.labels.items()) if key not in _SAID)
        lines += [f"  of {labels}"] if labels else []
    if len(found) > _MOST:
        lines.append(f"and {len(found) - _MOST} more of that name")
    return (*lines, "a rule of Prometheus: no signal of the runbooks is named by its label signal")
