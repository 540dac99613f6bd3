"""The view recovery: named signals over time, since the last step."""

from __future__ import annotations

from msgspec.structs import replace

from cockpit.model.plan import Change, JournalLine
from cockpit.model.signal import Level, Recovery
from panels.kit.theme import Appearance
from panels.screens.recovery import RecoveryRows
from tests.support.samples import situations
from tests.support.samples.dialogs import SIGNALS


def test_each_signal_says_since_when_it_is_so_and_whether_that_is_after_the_step() -> None:
    """11.step.4: gauges over time, against the step that was sent; unknown is not well."""
    base = situations.calm()
    one = SIGNALS["signer-p95"]
    step = JournalLine(
        number=7,
        wall=base.wall - 240.0,
        operator="a",
        title="Set the image",
        target="t",
        outcome="sent",
        changes=(Change("image", "a", "b"),),
    )
    states = {
        "well": replace(one, level=Level.OK, since=base.mono - 60.0),
        "bad": replace(one, level=Level.CRIT, since=base.mono - 900.0, reason="crit from 1 s"),
        "back": replace(one, level=Level.RECOVERING, since=base.mono - 5.0, recovering=Recovery(1.0, 30.0, 20.0, 95.0)),
        "blind": replace(one, level=Level.UNKNOWN, value=None, reason="refused"),
    }
    rows = RecoveryRows(Appearance(), (*states, "none"))
    rows.situation = replace(base, signals=states, journal=(step,))
    shown = ["".join(text for text, *_ in line) for line in rows.picture(80, 40)]
    assert "1 of 4 well, 1 unknown" in shown[0] and "since #7 Set the image, 240s ago" in shown[0]
    assert "OK for 60s, since the step" in shown[3]
    assert "as before the step, crit from 1 s" in shown[5]
    assert "nothing new for 20s, clears in 95s" in shown[7]
    assert "unknown: refused" in shown[9] and "no signal of that name" in shown[10]
    assert all(len(line) <= 80 for line in shown)
