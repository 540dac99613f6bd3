"""Counts what was tried, says how it is counted, and names each offender."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.matrix.run import NOTHING, REFUSED, Result

MOST_UNTESTED, LEAST_CURED = 0.10, 0.95
HOW = """
How it is counted
  not its cure   Anything but "pass" is right. "none": a step that stops harm ends without a verdict on the incident.
                 "held": it proves no more than what it did itself, publishing stopped (by the chain) or a market
                 paused (read back), and in the world that is so. "refused": nothing was sent, which is untested.
                 "nothing to do": it would change nothing; not counted.
  its cure       "pass" alone is right; a cure that is refused counts as not proven.
  its cure, by   It sends what the cure sends, by the name of another runbook, whose lines judge it: those may have
  another name   held before, and then prove nothing. Or the cure is one part of its sequence, and the last part may
                 have nothing to do. "pass", "unknown" and "none" are right, "fail" is not.
"""


def offenders(results: Sequence[Result]) -> list[Result]:
    """Return the proofs that are not so, the cures that were not proven, and what broke."""
    return [r for r in results if not _right(r)]


def _right(result: Result) -> bool:
    """Tell whether the verdict is as the scenario has it."""
    if result.case.elsewhere:
        return result.verdict in ("pass", "unknown", "none", REFUSED, NOTHING)
    return result.verdict == "pass" if result.case.cures else result.verdict not in ("pass", "error")


def lines(results: Sequence[Result]) -> list[str]:
    """Write what is printed at the end."""
    wrong, cures, elsewhere = _sorted(results)
    said = [
        "",
        "matrix: every step against every scenario",
        _counted("not its cure", wrong),
        _counted("its cure", cures),
        _counted("its cure, by another name", elsewhere),
        HOW,
    ]
    bad = sorted(offenders(results), key=lambda r: (r.case.cures, r.case.scenario, r.case.runbook, r.case.step))
    said.append(f"offenders: {len(bad)}")
    for r in bad:
        kind = "CURE NOT PROVEN" if r.case.cures else "PROVEN, NOT SO"
        said.append(f"  {kind}  {r.case.name}: {r.verdict} after {r.took_s:.0f} s  {r.parameters or ''}")
        said += [f"      {line}" for line in r.lines] or [f"      {r.words}"]
    for r in results:
        if r.verdict == REFUSED:
            said.append(f"  untested  {r.case.name}: {r.words}")
    return said


def _sorted(results: Sequence[Result]) -> tuple[list[Result], list[Result], list[Result]]:
    """Return the runs of wrong steps, of cures, and of cures by the name of another runbook."""
    elsewhere = [r for r in results if r.case.elsewhere]
    own = [r for r in results if not r.case.elsewhere]
    return [r for r in own if not r.case.cures], [r for r in own if r.case.cures], elsewhere


def compared(results: Sequence[Result], wired: Sequence[Result]) -> list[str]:
    """Say which of the runs that were repeated over the real wire ended as in simulated time."""
    before = {r.case.name: r for r in results}
    pairs = [(before[r.case.name], r) for r in wired]
    said = [f"over the real wire: {sum(a.verdict == b.verdict for a, b in pairs)} of {len(pairs)} ended alike"]
    for simulated, real in pairs:
        if simulated.verdict != real.verdict:
            said.append(f"  {real.case.name}: simulated {simulated.verdict}, real {real.verdict}: {real.words}")
    return said if pairs else []


def _counted(what: str, results: Sequence[Result]) -> str:
    by = Counter(r.verdict for r in results)
    tried = len(results) - by[NOTHING]
    return (
        f"  {what}: {len(results)} runs: "
        + ", ".join(f"{verdict} {count}" for verdict, count in sorted(by.items()))
        + (f"; untested {by[REFUSED] / tried:.1%}, pass {by['pass'] / tried:.1%}" if tried else "")
    )


def verdict(results: Sequence[Result]) -> list[str]:
    """Say which of the bounds do not hold; none: all is well."""
    steps, cures, elsewhere = _sorted(results)
    wrong = [r for r in steps if r.verdict != NOTHING]
    said = []
    if false := [r for r in wrong if r.verdict == "pass"]:
        said.append(f"{len(false)} proofs are not so")
    if broke := [r for r in results if r.verdict == "error"]:
        said.append(f"{len(broke)} runs broke")
    if sum(r.verdict == REFUSED for r in wrong) > MOST_UNTESTED * len(wrong):
        said.append(f"more than {MOST_UNTESTED:.0%} are untested")
    if sum(r.verdict == "pass" for r in cures) < LEAST_CURED * len(cures):
        said.append(f"fewer than {LEAST_CURED:.0%} of the cures are proven")
    if failed := [r for r in elsewhere if not _right(r)]:
        said.append(f"{len(failed)} cures by another name failed")
    return said
