"""R2: a Job is judged by what became of it, not by each of its pods."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.model.observed.cluster import Condition, Job
from cockpit.model.reading import Fault, SourceState
from cockpit.model.situation import ServiceStatus
from tests.assessment.test_situation import Room, pod

COMPLETE = (Condition("SuccessCriteriaMet", "True"), Condition("Complete", "True"))
EXHAUSTED = (Condition("FailureTarget", "True"), Condition("Failed", "True", "BackoffLimitExceeded"))


def job(name: str = "sweep", **more: Any) -> Job:
    fields: dict[str, Any] = dict(  # noqa: C408
        namespace="n",
        name=name,
        created_at=1_789_999_000.0,
        cronjob="",
        active=0,
        succeeded=0,
        failed=0,
        suspended=False,
    )
    return Job(**{**fields, **more})


def of_job(
    name: str, phase: str, *, created_at: float = 1_789_999_000.0, reason: str = "", service: str = "sweep"
) -> Any:
    reason = reason or {"Failed": "Error", "Succeeded": "Completed"}.get(phase, phase)
    return pod(
        name,
        service,
        owner_kind="Job",
        owner_name=service,
        phase=phase,
        reason=reason,
        ready=phase == "Running" and reason == "Running",
        created_at=created_at,
    )


FAILED, SUCCEEDED = of_job("a", "Failed"), of_job("b", "Succeeded", created_at=1_789_999_010.0)


def judged(pods: list[Any], *jobs: Job) -> ServiceStatus:
    room = Room()
    room.cluster(pods, [])
    room.put("jobs", {(j.namespace, j.name): j for j in jobs})
    return next(s for s in room.situation().services if s.name == "sweep")


@pytest.mark.parametrize(
    ("pods", "of", "expected"),
    [
        ([FAILED, SUCCEEDED], job(succeeded=1, failed=1, conditions=COMPLETE), ("ok", "Completed, 1 retry")),
        ([SUCCEEDED], job(succeeded=1, conditions=COMPLETE), ("ok", "Completed")),
        # its pods that failed were collected, or are more than are listed
        ([SUCCEEDED], job(succeeded=1, failed=3, conditions=COMPLETE), ("ok", "Completed, 3 retries")),
        ([FAILED], job(failed=1, conditions=EXHAUSTED), ("crit", "failed: BackoffLimitExceeded")),
        # two were to succeed, one did: the newest pod says nothing of the whole
        (
            [FAILED, SUCCEEDED],
            job(succeeded=1, failed=1, conditions=EXHAUSTED),
            ("crit", "failed: BackoffLimitExceeded"),
        ),
        ([FAILED, of_job("c", "Running")], job(active=1, failed=1), ("warn", "1 failed, trying again")),
        ([FAILED], job(failed=1), ("warn", "1 failed, trying again")),  # between two tries
        ([of_job("c", "Running")], job(active=1), ("ok", "")),
        (
            [FAILED, of_job("c", "Pending", reason="ImagePullBackOff")],
            job(active=1, failed=1),
            ("crit", "1 failed, trying again: ImagePullBackOff"),
        ),
        ([FAILED], job(failed=1, suspended=True), ("ok", "suspended")),
    ],
)
def test_a_job_is_what_became_of_it(pods: list[Any], of: Job, expected: tuple[str, str]) -> None:
    """R2: a finished Job with one failed pod was CRIT for as long as it existed."""
    found = judged(pods, of)
    assert (found.level, found.why) == expected


def test_a_failed_run_of_a_cronjob_is_over_when_a_later_one_completed() -> None:
    """R2: the history of a CronJob keeps its last failure for ever."""
    failed = job(cronjob="sweeper", failed=1, conditions=EXHAUSTED)
    later = job("sweep-2", cronjob="sweeper", created_at=1_789_999_900.0, succeeded=1, conditions=COMPLETE)
    foreign = job("other-2", cronjob="other", created_at=1_789_999_900.0, succeeded=1, conditions=COMPLETE)
    earlier = job("sweep-0", cronjob="sweeper", created_at=1_789_998_000.0, succeeded=1, conditions=COMPLETE)
    assert judged([FAILED], failed, later).level == "ok"
    assert judged([FAILED], failed, foreign, earlier).level == "crit"


def test_where_jobs_may_not_be_read_the_pods_say_it_as_far_as_they_can() -> None:
    """R2: an operator's older role has no right to list Jobs."""
    assert (judged([FAILED, SUCCEEDED]).why, judged([FAILED, SUCCEEDED]).level) == ("Completed, 1 retry", "ok")
    together = of_job("b", "Succeeded")  # made with the one that failed: whether both were needed is not known
    assert judged([FAILED, together]).level != "ok"
    assert judged([FAILED, SUCCEEDED, of_job("c", "Failed", created_at=1_789_999_020.0)]).level != "ok"
    assert judged([FAILED]).level == "crit"
    room = Room(prometheus=False)
    room.cluster([FAILED, SUCCEEDED], [])
    room.put("jobs", {}, fault=Fault(SourceState.OFF, "jobs is forbidden", "ask for a role that allows: list jobs"))
    assert room.situation().sources[0].state is SourceState.LIVE
