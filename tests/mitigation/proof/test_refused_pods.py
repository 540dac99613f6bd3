"""R9: a rollout whose pods may not be created says why at once, not after ten minutes."""

from __future__ import annotations

import json
from pathlib import Path

from cockpit.errors import CockpitError
from cockpit.kubeapi.errors import from_answer
from cockpit.model.plan import Phase
from tests.support.kube_rig import carry, ended, plan, rig, step
from tests.support.waiting import wait_for

QUOTA = "exceeded quota: budget, requested: pods=1, used: pods=4, limited: pods=4"
#: 600 characters, of which the last ones matter.
POLICY = "the change freeze of the settlement window is on; " * 11 + "ask the release desk: +41 44 555 01 23, room 4.12"


def test_a_rollout_says_why_its_pods_are_refused_and_goes_on_when_they_are_not(tmp_path: Path) -> None:
    """R9: `run` said only "4 of 6 pods made"."""
    with rig(tmp_path) as made:
        executor = made.executor()
        made.do(lambda: setattr(made.world.context, "create_error", f'pods "m0-ingestor-x" is forbidden: {QUOTA}'))
        sent = carry(executor, plan(executor, step("scale", "m0-ingestor", replicas=6)))
        assert sent.phase is Phase.SENT

        def words() -> str:
            return next(p.words for p in executor.progress if p.plan.id == sent.plan.id)

        wait_for(lambda: words().endswith(f": {QUOTA}"))
        assert "4 of 6 pods made" in words()
        made.do(lambda: setattr(made.world.context, "create_error", None))
        assert ended(executor, sent.plan).phase is Phase.DONE


def test_a_long_refusal_keeps_the_sentence_that_says_whom_to_ask() -> None:
    """R9: an admission policy's message of 600 characters was cut at 400."""
    message = f"deployments.apps \"m0-quant\" is forbidden: ValidatingAdmissionPolicy 'freeze' denied request: {POLICY}"
    raw = json.dumps({"kind": "Status", "code": 422, "message": message}).encode()
    error = from_answer(422, raw, method="PATCH", path="/apis/apps/v1/namespaces/n/deployments/m0-quant")
    assert isinstance(error, CockpitError) and error.reason.endswith("room 4.12")
