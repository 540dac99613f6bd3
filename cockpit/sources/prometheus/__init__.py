"""Asks Prometheus the queries of runbooks.toml, and services' own /metrics while it is silent."""

from __future__ import annotations

from cockpit.sources.prometheus.settings import PROMETHEUS, exposed
from cockpit.sources.spec import Feed, Source, SourceContext, SourceSpec


def _make(context: SourceContext) -> Source:
    from cockpit.sources.prometheus.address import address_of
    from cockpit.sources.prometheus.newest import NewestAnswers
    from cockpit.sources.prometheus.queries import baseline_specs, companions, query_specs, windowed
    from cockpit.sources.prometheus.source import PrometheusSource, QuerySpec

    own = context.settings.of(PROMETHEUS)
    address = address_of(own)
    beside = companions(context.runbooks())

    def wanted() -> frozenset[str]:
        """Return the signals that are bad, and those that tell whether their silence says much."""
        bad = context.unwell()
        return bad | {beside[name] for name in bad if name in beside}

    queries = {name: QuerySpec(*spec) for name, spec in query_specs(context.runbooks()).items()}
    return PrometheusSource(
        address,
        queries,
        own.interval,
        context.clock,
        polls=context.polls,
        rng=context.rng,
        baselines=baseline_specs(context.runbooks()),
        newest=NewestAnswers(windowed(context.runbooks()), wanted, context.clock),
    )


def _exposition(context: SourceContext) -> Source:
    from cockpit.sources.prometheus.exposition import ExpositionSource

    def without_prometheus() -> bool:
        """Return whether Prometheus is not configured, or was asked and nothing of it is live."""
        if own.url is None:
            return True
        mono = context.clock.mono()
        found = [reading.believed(mono) for reading in context.board.under("prometheus/").values()]
        return not all(one.starting for one in found) and not any(one.live for one in found)

    own = context.settings.of(PROMETHEUS)
    return ExpositionSource(own.direct, max(own.interval, 2.0), context.clock, without_prometheus)


SOURCE = SourceSpec(
    name="prometheus",
    light="prom",
    title="Prometheus is",
    remedy="give --prometheus URL",
    sections=(PROMETHEUS,),
    configured=lambda settings: settings.of(PROMETHEUS).url is not None,
    make=_make,
    also=(Feed("metrics", lambda settings: bool(settings.of(PROMETHEUS).direct), _exposition),),
    partly=True,
    exposed=exposed,
    has_values=True,  # of queries that are worked out further; signals ask it in PromQL
)
