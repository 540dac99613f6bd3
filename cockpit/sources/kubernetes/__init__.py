"""Reads the cluster: pods, workloads, events and configuration maps, by list and watch."""

from __future__ import annotations

from cockpit.sources.spec import Source, SourceContext, SourceSpec


def _make(context: SourceContext) -> Source:
    from cockpit.sources.kubernetes.source import KubernetesSource

    def configmaps() -> set[str]:
        """Return those that toggles live in."""
        return {toggle.configmap for toggle in context.runbooks().toggles.values() if toggle.configmap}

    return KubernetesSource(context.access, context.namespaces(), configmaps, context.clock, rng=context.rng)


SOURCE = SourceSpec(
    name="kubernetes",
    light="k8s",
    title="Kubernetes is",
    remedy="give a kubeconfig",
    sections=(),
    configured=lambda settings: True,
    make=_make,
    also=(),
    partly=True,
    exposed=lambda settings: (),  # the kubeconfig says it: `transport.exposed_by`
    has_values=True,
)
