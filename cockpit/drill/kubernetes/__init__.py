"""Embeds a Kubernetes API with its controllers: good enough that an unmodified kubectl works.

"Recording N" in these modules is the real API server's answer to request N, in
`tests/fixtures/kube-apiserver`.
"""

from cockpit.drill.kubernetes.api.authz import Rule, User
from cockpit.drill.kubernetes.api.chaos import ApiChaos
from cockpit.drill.kubernetes.behaviour import Behaviour, BehaviourOf, RunningPod
from cockpit.drill.kubernetes.serving import Served, serve, ticking, write_kubeconfig
from cockpit.drill.kubernetes.world import KubernetesWorld

__all__ = [
    "ApiChaos",
    "Behaviour",
    "BehaviourOf",
    "KubernetesWorld",
    "Rule",
    "RunningPod",
    "Served",
    "User",
    "serve",
    "ticking",
    "write_kubeconfig",
]
