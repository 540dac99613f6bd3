"""Evaluates the drill's alerting rules, as a network like this one would have them.

State is computed from the series, not kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cockpit.drill.clock import rfc3339_micro
from cockpit.drill.prometheus.aggregate import format_value
from cockpit.drill.prometheus.promql import evaluate
from cockpit.drill.prometheus.series import SeriesStore

STEP_S = 15.0
WINDOW_STEPS = 40  # steps


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Describes an alert.

    `expr` has samples while it is active; it fires once it has been so for `for_s` seconds.
    """

    name: str
    expr: str
    for_s: float
    severity: str
    summary: str


RULES = (
    AlertRule(
        name="M0OutputsStale",
        expr="max(m0_output_age_ms) > 60000",
        for_s=30.0,
        severity="critical",
        summary="Outputs served are older than 60 s",
    ),
    AlertRule(
        name="M0PublishSuccessLow",
        expr="sum(rate(m0_publish_success_total[2m])) / sum(rate(m0_publish_attempts_total[2m])) < 0.95",
        for_s=60.0,
        severity="critical",
        summary="Fewer than 95 % of ticks are published",
    ),
    AlertRule(
        name="M0WatermarkLag",
        expr="max by (connector) (m0_watermark_lag_ms) > 60000",
        for_s=30.0,
        severity="warning",
        summary="A connector's watermark is more than 60 s behind",
    ),
    AlertRule(
        name="M0CoverageLow",
        expr="min by (domain) (m0_coverage_ratio) < 0.85",
        for_s=60.0,
        severity="warning",
        summary="Coverage is below 85 %",
    ),
    AlertRule(
        name="M0ReplayViolations",
        expr="sum(increase(m0_replay_violation_total[5m])) > 0",
        for_s=0.0,
        severity="critical",
        summary="The program rejects used sequences: is there a second submitter?",
    ),
)


def active(store: SeriesStore, rule: AlertRule, now: float) -> list[dict[str, Any]]:
    """Return the rule's pending and firing alerts, as /api/v1/alerts lists them."""
    steps = [now - STEP_S * (WINDOW_STEPS - i) for i in range(WINDOW_STEPS + 1)]
    result = evaluate(store, rule.expr, steps)
    alerts: list[dict[str, Any]] = []
    for labels, column in result if isinstance(result, list) else ():
        value = column[-1]
        if value is None:
            continue
        since = now
        for at, past in zip(reversed(steps), reversed(column), strict=True):
            if past is None:
                break
            since = at
        named = {name: text for name, text in labels if name != "__name__"}
        alerts.append(
            {
                "labels": {"alertname": rule.name, "severity": rule.severity, **named},
                "annotations": {"summary": rule.summary},
                "state": "firing" if now - since >= rule.for_s else "pending",
                "activeAt": rfc3339_micro(since),
                "value": format_value(value),
            }
        )
    return alerts
