"""Watches Postgres: connections, queries, indexes, vacuum, replication, locks and the archiver."""

from __future__ import annotations

from cockpit.sources.postgres.settings import POSTGRES, exposed
from cockpit.sources.spec import Source, SourceContext, SourceSpec


def _make(context: SourceContext) -> Source:
    from cockpit.sources.postgres.source import PostgresSource

    return PostgresSource(context.settings.of(POSTGRES), context.clock, rng=context.rng)


SOURCE = SourceSpec(
    name="postgres",
    light="pg",
    title="Postgres is",
    remedy="give [postgres] url in the configuration",
    sections=(POSTGRES,),
    configured=lambda settings: (settings.of(POSTGRES).url or settings.of(POSTGRES).url_file) is not None,
    make=_make,
    also=(),
    partly=True,
    exposed=exposed,
    has_values=True,
)
