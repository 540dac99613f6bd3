"""Lays the drill's API server beside a real one, answer by answer, for all that the cockpit asks.

The requests are not listed here: they are what goes over the wire while the cockpit lists, watches,
plans, rehearses, sends, follows, undoes, reads logs, examines its rights and is refused. In
`make test` the drill is held to what the real server answered when it was last recorded
(`RECORD_ANSWERS=1 make test-live`), in `make test-live` to what it answers now.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.answers import Summary, differences, summary
from tests.live.clusters import TestCluster, drill
from tests.live.survey import survey
from tests.support.paths import ROOT

RECORD = ROOT / "tests" / "fixtures" / "kube-apiserver-answers.json"
#: Where the drill is unlike on purpose, and why. Versions, uids, times, hashes and the names of
#: pods are left out of both before they are compared.
UNLIKE = {
    r"^fields of (?!ConfigMap)\w+: only the real server: \.metadata\.managedFields": (
        "the drill keeps managedFields of ConfigMaps alone, where server-side apply needs them"
    ),
    r"^fields of ConfigMap: .*managedFields": "its entries change hands with the manager that wrote last",
    r"^fields of SelfSubjectAccessReview: only the drill: \.metadata \{\}": "for want of managedFields",
    r"^fields of Pod: only the real server: \.metadata\.finalizers": (
        "the job controller's own mark, put and taken within a moment, so that it may count each pod once"
    ),
    r"^fields of HorizontalPodAutoscaler: only the real server: \.status\.conditions": (
        "the drill's autoscaler is told by its scenario what it wants"
    ),
    r"^fields of Event: only the drill: \.involvedObject\.fieldPath": "the stand-in kubelet writes no Events",
    r"^fields of \w+: only the \w+(?: \w+)?: \.status\.\w*[rR]eplicas int": "counts of zero are left out: a moment",
    r"^fields of \w+: only the \w+(?: \w+)?: \.metadata\.deletion": "whether a pod was seen while it ended: a moment",
    r"^fields of Job: only the real server: \.status\.uncountedTerminatedPods\.": "a pod not counted yet: a moment",
    r"^(?:requests|failures) of GET \S+/pods/POD/log\?container=m0-(?:reconciler|crashing)": (
        "whether the container had started when its log was asked for: a moment"
    ),
    r"^requests of GET \S+/events\?fieldSelector=involvedObject": "asked while a pod is missing: a moment",
    r"^requests of GET \S+/pods\?labelSelector=app=m0-crashing": (
        "whether the rollout was followed until pods were missing: a moment; the same list is asked of others"
    ),
    r"^fields of Bookmark": "which kinds were quiet long enough to be sent a bookmark: a moment",
}


def unlike(found: list[str]) -> list[str]:
    """Return the differences that nothing excuses."""
    return [line for line in found if not any(re.search(pattern, line) for pattern in UNLIKE)]


@pytest.fixture(scope="module")
def of_drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Summary]:
    home = tmp_path_factory.mktemp("drill")
    with drill(home) as cluster:
        yield summary(survey(cluster, home), cluster.namespace)


@pytest.mark.real
def test_the_drill_answers_as_the_real_server_was_recorded(of_drill: Summary) -> None:
    recorded: Summary = json.loads(RECORD.read_text())
    assert len(of_drill["requests"]) > 70 and len(of_drill["failures"]) > 20 and len(of_drill["fields"]) > 12
    found = unlike(differences(recorded, of_drill))
    assert not found, "\n".join(found)


@pytest.mark.live
def test_the_drill_answers_as_the_real_server_does(of_drill: Summary, real: TestCluster, tmp_path: Path) -> None:
    if not real.reader:
        pytest.skip("needs a user without rights, as our own cluster has")
    of_real = summary(survey(real, tmp_path), real.namespace)
    if os.environ.get("RECORD_ANSWERS"):
        RECORD.write_text(json.dumps(of_real, indent=1) + "\n")
    found = unlike(differences(of_real, of_drill))
    assert not found, "\n".join(found)


def test_a_difference_is_found_and_only_a_listed_one_excused() -> None:
    """The comparison itself can fail: it names what only one of the two says."""
    real: Summary = {"fields": {"Pod": [".spec.x int", ".metadata.finalizers[] str"]}, "requests": {}}
    other: Summary = {"fields": {"Pod": [".spec.x str"]}, "requests": {"GET /x": ["200"]}}
    assert unlike(differences(real, other)) == [
        "fields of Pod: only the real server: .spec.x int",
        "fields of Pod: only the drill: .spec.x str",
        "requests of GET /x: only the drill: 200",
    ]
