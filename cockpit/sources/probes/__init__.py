"""Probes services from outside: health, outputs, certificates and signer agents."""

from __future__ import annotations

from cockpit.sources.probes.settings import PROBES, exposed
from cockpit.sources.spec import Source, SourceContext, SourceSpec


def _make(context: SourceContext) -> Source:
    from cockpit.sources.probes.source import ProbesSource

    return ProbesSource(context.settings.of(PROBES), context.clock, polls=context.polls, rng=context.rng)


SOURCE = SourceSpec(
    name="probes",
    light="probes",
    title="Probes are",
    remedy="name [probes] services in the configuration",
    sections=(PROBES,),
    configured=lambda settings: settings.of(PROBES).asked,
    make=_make,
    also=(),
    partly=True,
    exposed=exposed,
    has_values=True,
)
