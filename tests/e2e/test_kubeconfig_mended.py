"""A kubeconfig that cannot be read at the start (an expired login left an empty token file) and is
mended meanwhile: the same session then names the cluster, watches the namespace that the kubeconfig
names, and can act.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.config import load_settings
from cockpit.drill.server import DrillThread
from cockpit.model.reading import SourceState
from cockpit.model.situation import Situation
from cockpit.session import NotReady, Session
from tests.support.waiting import wait_for


@pytest.mark.parametrize("namespaces", [("m0-prod",), ()])
def test_what_a_mended_kubeconfig_says_is_taken_up(tmp_path: Path, namespaces: tuple[str, ...]) -> None:
    token = tmp_path / "token"
    token.write_text("")
    with DrillThread("calm", history_s=60.0) as drill:
        config = json.loads(Path(drill.kubeconfig).read_text())
        (admin, _) = config["users"]
        right = admin["user"]["token"]
        for user in config["users"]:
            user["user"] = {"tokenFile": str(token)}
        own = tmp_path / "kubeconfig"
        own.write_text(json.dumps(config))
        settings = replace(
            load_settings(config=drill.config, env={}),
            kubeconfig=str(own),
            context=None,
            state_dir=tmp_path / "state",
            namespaces=namespaces,
            namespace=namespaces[0] if namespaces else None,
        )
        session = Session(settings)
        session.start()
        try:
            wait_for(session.ready.is_set)
            runbook, step = session.runbooks.step("6", "scale-ingestors")
            with pytest.raises(NotReady, match="is empty"):
                session.mitigations.plan(runbook, step, {"replicas": "5"})
            seen = wait_for(lambda: session.situation)
            assert seen.context == "no cluster" and seen.production
            token.write_text(right)
            wait_for(lambda: (s := session.situation) and s.context == "drill" and s.namespaces == ("m0-prod",))
            wait_for(lambda: (s := session.situation) and s.cluster.pods and _k8s(s) is SourceState.LIVE)
            wait_for(lambda: session.trouble is None and session.executor is not None)
            plan = session.mitigations.plan(runbook, step, {"replicas": "5"}).result(20)
            assert (plan.target.context, plan.target.namespace, plan.changes[0].after) == ("drill", "m0-prod", "5")
        finally:
            session.close(10.0)


def _k8s(situation: Situation) -> SourceState:
    return next(s.state for s in situation.sources if s.name == "k8s")
