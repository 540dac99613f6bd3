"""`[keys]` of the configuration: what cannot be meant is refused before the screen is there."""

from __future__ import annotations

import pytest

from cockpit.errors import UnknownName, UsageProblem
from cockpit.model.plan import Phase, Proof
from panels import keys
from panels.app import keymap
from panels.dashboard.journal import JournalPanel
from panels.dashboard.strips.matchline import match_line
from panels.kit.spans import plain
from panels.kit.theme import Appearance
from tests.support.samples import situations


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"undo": "ctrl+k"}, "ctrl+k would be both undo and kill-switch-anywhere"),
        ({"undo": "r"}, "r would be both runbooks and undo"),
        ({"undo": "f5,x"}, "x would be both explain and undo"),
        ({"undo": "f5", "logs": "f5"}, "f5 would be both logs and undo"),
        ({"undo": "tab"}, "tab would be both undo and focus next"),
        ({"undo": "enter"}, "enter would be both undo and p"),
        ({"undo": "j"}, "j would be both undo and panel.down"),
        ({"quit": "escape"}, "escape would be both quit and back"),
        ({"pods.all": "l"}, "l would be both logs and pods.all"),
        ({"kill-switch-anywhere": "y"}, "'y' may be typed"),
        ({"kill-switch-anywhere": "ctrl+y"}, "ctrl+y would be both kill-switch-anywhere and 'Do it'"),
        ({"undo": "ctrl-k"}, "'ctrl-k' is no key"),
        ({"undo": ""}, "'' is no key"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_key_that_is_taken_or_that_there_is_not_is_refused_and_both_are_named(
    given: dict[str, str], said: str
) -> None:
    """U17: `undo = "ctrl+k"` took the kill switch's key silently."""
    with pytest.raises(UsageProblem) as caught:
        keymap.check(given)
    assert said in caught.value.reason and caught.value.remedy
    assert caught.value.exit_code == 64


def test_a_name_that_no_key_has_is_refused_with_the_one_that_may_be_meant() -> None:
    """U17."""
    with pytest.raises(UnknownName, match=r"has no key 'undoo'; did you mean 'undo'\?"):
        keymap.check({"undoo": "f5"})


@pytest.mark.parametrize(
    "given",
    [
        {"panel-1": "f1", "panel-11": "f11", "runbooks": "f5"},
        {"undo": "r", "runbooks": "u"},
        {"kill-switch-anywhere": "f9", "undo": "ctrl+k"},
        {"signals.link": "O", "pods.all": "ctrl+a,f2"},
        {"help": "f1"},
    ],
)
def test_what_leaves_every_key_one_meaning_is_taken(given: dict[str, str]) -> None:
    keymap.check(given)


def test_help_and_footer_tell_the_keys_that_the_operator_has_given() -> None:
    """U17: the help went on telling `u`."""
    given = {"undo": "f6,ctrl+u", "kill-switch": "f9"}
    rows = {words: key for key, words in keys.help_rows(given)["Anywhere"]}
    assert rows["undo the newest step (a plan like any other)"] == "f6 or ctrl+u"
    assert next(key for words, key in rows.items() if words.startswith("kill switch")) == "f9 or ctrl+k"
    assert ("f6", "undo") in keys.footer(given)


def test_hints_name_the_keys_that_the_operator_has_given() -> None:
    """U17, by kind: strips and panels said `r opens`, whatever `[keys]` said."""
    given = {"runbooks": "f2", "kill-switch": "f9,K", "undo": "f5", "incident": "f6"}
    outage = situations.rpc_outage()
    assert plain(match_line(outage, 160, given)).rstrip().endswith("f2 opens  f9 kill switch")
    assert plain(match_line(outage, 160)).rstrip().endswith("r opens  K kill switch")
    failed = situations.rpc_outage(progress=(situations.proving(Proof.FAIL, Phase.DONE),))
    panel = JournalPanel(Appearance(keys=given))
    assert "f5 takes it back" in "\n".join(plain(line) for line in panel.content(failed, 120))
