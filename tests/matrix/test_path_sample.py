"""A sample of `make path`: ▶ followed step by step cures an incident, or stops its harm."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.path.__main__ import counted
from bench.path.follow import Path


def test_the_next_step_leads_to_the_cure_or_to_the_step_that_holds() -> None:
    """Issue 14.2: with the default of each form, overriding no guard."""
    names = ("connector-down", "key-compromise")
    words = [word for name in names for word in ("--scenario", name)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.path", "--jobs", "1", "--all", *words],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 incidents that a step can cure are cured" in done.stdout
    assert "1 of 1 that none can cure reach the step that stops their harm" in done.stdout


def test_what_is_cured_with_harm_or_by_a_wrong_step_counts_as_neither() -> None:
    good = [Path("rpc-outage", seed, cured=True) for seed in range(28)]
    bad = [Path("rpc-outage", 28), Path("rpc-outage", 29, cured=True, harm=["restart-signers is wrong here"])]
    holds = [Path("key-compromise", 1, held=True)]
    assert counted([*good, *bad, *holds])[1]
    assert not counted([*good[1:], *bad, *holds])[1]
    assert not counted([*good, *bad, Path("key-compromise", 1)])[1]
    assert "offenders: rpc-outage" in "\n".join(counted([*good, *bad, *holds])[0])
