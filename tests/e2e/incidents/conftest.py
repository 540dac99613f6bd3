"""Plays most incidents in `make test-long` alone: `make test` has a sample of them."""

from __future__ import annotations

import pytest

SAMPLE = ("test_on_screen.py", "test_runbook_1_the_signer_agents_hang", "test_runbook_9_more_requests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is played here, but for the sample, as long."""
    for item in items:
        if "/incidents/" in item.nodeid and not any(name in item.nodeid for name in SAMPLE):
            item.add_marker(pytest.mark.long)
