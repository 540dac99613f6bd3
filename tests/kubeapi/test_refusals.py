"""R9: why a pod may not be created, as a kube-apiserver 1.36 and its controllers say it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.kubeapi.refusals import why_no_pod

QUOTA = "exceeded quota: budget, requested: pods=1, used: pods=2, limited: pods=2"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (f'pods "m0-ingestor-5c59965bb4-drnkg" is forbidden: {QUOTA}', QUOTA),
        (f'Error creating: pods "m0-ingestor-5c59965bb4-drnkg" is forbidden: {QUOTA}', QUOTA),
        (f'(combined from similar events): Error creating: pods "a-b" is forbidden: {QUOTA}', QUOTA),
        (f'Create Pod sts-0 in StatefulSet sts failed error: pods "sts-0" is forbidden: {QUOTA}', QUOTA),
        (
            'pods "dep-b8-9s5k6" is forbidden: maximum cpu usage per Container is 100m, but limit is 200m',
            "maximum cpu usage per Container is 100m, but limit is 200m",
        ),
        (
            'Error creating: admission webhook "w.example.com" denied the request: ask platform',
            'admission webhook "w.example.com" denied the request: ask platform',
        ),
        ('Pod "a" is invalid: spec.containers[0].image: Required value', "spec.containers[0].image: Required value"),
        ('pods "a" is forbidden: ', 'pods "a" is forbidden: '),
        ("", ""),
    ],
)
def test_the_reason_begins_where_it_says_something(message: str, expected: str) -> None:
    """R9: explain named the quota, `run` and status said only "2 of 4 new pods made"."""
    assert why_no_pod(message) == expected


@given(st.text())
def test_what_is_left_is_the_end_of_what_was_said(message: str) -> None:
    """R9: nothing is lost of a message of any other form."""
    assert message.endswith(why_no_pod(message)) and bool(why_no_pod(message)) == bool(message)
