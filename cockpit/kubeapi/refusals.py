"""Shortens what a controller says of a pod that it may not create, to what the operator can act on.

The reason stands at the end: which quota, limit range, pod security standard, policy or webhook.
"""

from __future__ import annotations

import re

#: What stands before it: the event's own words, the name of a pod that never was.
_BEFORE = re.compile(
    r"^(?:\(combined from similar events\): )?"
    r"(?:Error creating: |[Cc]reate Pod \S{1,253} in StatefulSet \S{1,253} failed error: )?"
    r'(?:pods? "[^"]{0,300}" is forbidden: |Pod "[^"]{0,300}" is invalid: )?'
)


def why_no_pod(message: str) -> str:
    """Return the message from where it says why; whole where it says nothing else."""
    return _BEFORE.sub("", message, count=1) or message
