"""Writes `/metrics` in Prometheus' text format, from the world's registry.

prometheus-client does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from cockpit.drill.names import METRICS, NAMESPACE
from cockpit.drill.prometheus.series import Histogram, Registry, Value, bound_text

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_FAMILIES = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class _Collector:
    def __init__(self, registry: Registry, jobs: Iterable[str]) -> None:
        self._registry = registry
        self._jobs = tuple(jobs)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for name, children, job in self._registry.families(self._jobs):
            if name == "up":  # Prometheus makes its own
                continue
            for child in children:
                _add(families, name, child, {"service": job, "namespace": NAMESPACE, **child.labels})
        yield from families.values()


def _add(families: dict[str, Metric], name: str, child: Value | Histogram, labels: dict[str, str]) -> None:
    spec = METRICS[name]
    names, values = list(labels), list(labels.values())
    if isinstance(child, Histogram):
        cumulative = child.cumulative()
        texts = [*(bound_text(bound) for bound in child.bounds), "+Inf"]
        family = families.setdefault(name, HistogramMetricFamily(name, spec.help, labels=names))
        assert isinstance(family, HistogramMetricFamily)
        buckets = [(text, float(count)) for text, count in zip(texts, cumulative, strict=True)]
        family.add_metric(values, buckets, sum_value=child.total)
        return
    family_of = _FAMILIES[spec.kind]
    simple = families.setdefault(name, family_of(name, spec.help, labels=names))
    assert isinstance(simple, CounterMetricFamily | GaugeMetricFamily)
    simple.add_metric(values, child.value)


def exposition(registry: Registry, jobs: Iterable[str]) -> bytes:
    """Return the text (version 0.0.4) of all metrics of the given jobs.

    Each carries `service` and `namespace`.
    """
    collectors = CollectorRegistry(auto_describe=False)
    collectors.register(_Collector(registry, jobs))
    return generate_latest(collectors)
