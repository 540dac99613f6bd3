"""Lists what runbooks.toml asks Prometheus, by the answer's name on the board."""

from __future__ import annotations

from cockpit.model.runbook import Runbooks
from cockpit.sources.prometheus.windows import spans

#: (promql, seconds of history or None, seconds after which the answer is stale)
Spec = tuple[str, float | None, float]


def query_specs(runbooks: Runbooks) -> dict[str, Spec]:
    """Return the spec of each `signals/NAME` and `queries/NAME`.

    A signal keeps as much history as its sparkline needs; `baseline_specs` has the rest.
    """
    specs: dict[str, Spec] = {}
    for name, signal in runbooks.signals.items():
        if signal.promql is not None and not signal.off:
            specs[f"signals/{name}"] = (signal.promql, signal.history or None, signal.max_age)
    for name, query in runbooks.queries.items():
        specs[f"queries/{name}"] = (query.promql, query.history, query.max_age)
    return specs


def baseline_specs(runbooks: Runbooks) -> dict[str, tuple[str, float]]:
    """Return (promql, seconds) by signal of the long windows that say what is normal."""
    return {
        name: (signal.promql, signal.normal_s)
        for name, signal in runbooks.signals.items()
        if signal.promql is not None and signal.normal_s is not None and not signal.off
    }


def windowed(runbooks: Runbooks) -> dict[str, str]:
    """Return the PromQL, by signal, of those that look back and can be asked about less."""
    found = {}
    for name, signal in runbooks.signals.items():
        if signal.promql is not None and not signal.off:
            looked = spans(signal.promql)
            if looked.plain and looked.ranges:
                found[name] = signal.promql
    return found


def companions(runbooks: Runbooks) -> dict[str, str]:
    """Return, by signal, the one without which its silence says nothing: nothing may be tried."""
    lines = [line for runbook in runbooks.runbooks for line in runbook.validation]
    lines += [line for runbook in runbooks.runbooks for step in runbook.mitigations for line in step.validation or ()]
    return {line.signal: line.only_with for line in lines if line.only_with}
