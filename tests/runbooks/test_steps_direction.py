"""Keys of a step that say which way it goes, what allows it, what it must move (audit B12, D2)."""

from __future__ import annotations

import pytest

from cockpit.model.runbook import Runbooks, Step
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.runbooks.schema import check, load

HEAD = '[[runbook]]\nid = "mine"\nnumber = 99\ntitle = "Mine"\ncauses = [{ id = "full", text = "It is full" }]\n'
SCALE = HEAD + (
    '[[runbook.mitigations]]\nid = "a"\ntitle = "A"\nkind = "scale"\nservice = "m0-ingestor"\nreplicas = 8\n'
)


def changed(runbooks: Runbooks) -> list[tuple[int, Step]]:
    """Return every step that sets a value, or replaces what runs."""
    return [
        (runbook.number, step)
        for runbook in runbooks.runbooks
        for step in runbook.mitigations
        if STEP_KINDS[step.kind].patches
    ]


def without_keys(runbooks: Runbooks) -> list[str]:
    """Name the steps that set a value and do not say which way, or change and prove nothing."""
    found = []
    for number, step in changed(runbooks):
        if STEP_KINDS[step.kind].sets_value and step.direction is None:
            found.append(f"{number}/{step.id}: no direction")
        if not (step.proves or step.holds or step.replicas == 0):
            found.append(f"{number}/{step.id}: nothing that it must move")
    return found


def test_every_step_of_the_packaged_file_says_which_way_it_goes() -> None:
    """B12: no step that sets a value is without `direction`, none that acts without `proves`."""
    assert without_keys(load(None)) == []


def test_the_walk_of_the_file_refuses_a_step_without_them() -> None:
    """B12: the walk above can fail."""
    runbooks, problems = check(SCALE, "mine.toml")
    assert not problems
    assert runbooks is not None
    assert without_keys(runbooks) == ["99/a: no direction", "99/a: nothing that it must move"]


def test_every_condition_of_the_packaged_file_is_used_and_said_once() -> None:
    runbooks = load(None)
    used = {name for each in runbooks.runbooks for step in each.mitigations for name in (*step.requires, *step.unless)}
    assert used == set(runbooks.conditions)
    texts = [condition.text for condition in runbooks.conditions.values()]
    assert len(texts) == len(set(texts))


WRONG = {
    "an unknown direction": (SCALE + 'direction = "raise"', 12, "direction", "did you mean 'raises'?"),
    "a direction of replicas without order": (SCALE + 'direction = "adds"', 12, "direction", "raises or lowers"),
    "a direction of what sets nothing": (
        HEAD + '[[runbook.mitigations]]\nid = "a"\ntitle = "A"\nkind = "restart"\nservice = "m0-quant"\n'
        'direction = "raises"',
        11,
        "direction",
        "sets no value",
    ),
    "0 replicas that are raised to": (
        SCALE.replace("replicas = 8", "replicas = 0") + 'direction = "raises"',
        12,
        "direction",
        "nothing can be raised to 0",
    ),
    "an unknown condition": (SCALE + 'requires = ["harmless-block"]', 12, "requires[0]", "did you mean"),
    "a condition twice": (
        SCALE + 'unless = ["rate-limited", "rate-limited"]',
        12,
        "unless[1]",
        "each condition once",
    ),
    "a condition both ways": (
        SCALE + 'requires = ["rate-limited"]\nunless = ["rate-limited"]',
        13,
        "unless[0]",
        "either `requires` or `unless`",
    ),
    "an unknown signal to move": (SCALE + 'proves = ["watermark-lagg"]', 12, "proves[0]", "did you mean"),
    "a cause that is not there": (SCALE + 'cause = "fulll"', 12, "cause", "did you mean 'full'?"),
    "an unset value that it could not have": (
        '[variables.M0_CACHE_ONLY]\nunset = "no"',
        2,
        "variables.M0_CACHE_ONLY.unset",
        "one of true, false",
    ),
    "an unset value of no key": (
        '[variables.M0_REVEAL_DELAY_MS]\nunset = "configmap x"',
        2,
        "variables.M0_REVEAL_DELAY_MS.unset",
        "configmap NAME/KEY",
    ),
    "a condition of nothing": ('[conditions.x]\ntext = "x"', 1, "conditions.x", "got none"),
    "a condition of two": (
        '[conditions.x]\ntext = "x"\nsignals = ["drift"]\nscales = "m0-quant"',
        1,
        "conditions.x",
        "got signals and scales",
    ),
    "a condition without words": (
        '[conditions.x]\ntext = ""\nsignals = ["drift"]',
        2,
        "conditions.x.text",
        "only if",
    ),
    "a condition of an unknown signal": (
        '[conditions.x]\ntext = "x"\none-of = ["drifft"]',
        3,
        "conditions.x.one-of[0]",
        "did you mean 'drift'?",
    ),
    "a condition of an unknown level": (
        '[conditions.x]\ntext = "x"\nsignals = ["drift"]\nat = "bad"',
        4,
        "conditions.x.at",
        "one of ok, warn, crit",
    ),
    "a time of no signal": (
        '[conditions.x]\ntext = "x"\nscales = "m0-quant"\nfor = 3',
        4,
        "conditions.x.for",
        "only with",
    ),
    "a capability of no service": (
        '[conditions.x]\ntext = "x"\ncapability = "m0-gatway:cache"',
        3,
        "conditions.x.capability",
        "name of a service",
    ),
    "a capability without a name": (
        '[conditions.x]\ntext = "x"\ncapability = "m0-quant"',
        3,
        "conditions.x.capability",
        "SERVICE:NAME",
    ),
    "a toggle without its values": (
        '[conditions.x]\ntext = "x"\ntoggle = "M0_PUBLISH_ENABLED"',
        1,
        "conditions.x.is",
        "together",
    ),
    "a value without bounds": (
        '[conditions.x]\ntext = "x"\nvalue = "kubernetes.unready"',
        1,
        "conditions.x.at-least",
        "missing",
    ),
    "an unknown value": (
        '[conditions.x]\ntext = "x"\nvalue = "kubernetes.happy"\nat-most = 1',
        3,
        "conditions.x.value",
        "kubernetes.ready.SERVICE",
    ),
    "a misspelt key": (
        '[conditions.x]\ntext = "x"\nsignal = ["drift"]',
        3,
        "conditions.x.signal",
        "did you mean 'signals'?",
    ),
}


@pytest.mark.parametrize(("text", "line", "key", "expected"), WRONG.values(), ids=list(WRONG))
def test_the_operator_reads_line_and_key_of(text: str, line: int, key: str, expected: str) -> None:
    """D2, D3: what cannot be meant is refused, with its line, its key and the name that is near."""
    runbooks, problems = check(text, "mine.toml")
    assert runbooks is None
    found = [p for p in problems if p.key.endswith(key) and expected in p.expected]
    assert found, [str(problem) for problem in problems]
    assert found[0].line == line


def test_an_own_condition_takes_the_place_of_a_packaged_one() -> None:
    """D2: another source takes the whole of the packaged one's place; words alone are changed."""
    own = '[conditions.more-signers-allowed]\nsignals = ["drift"]\n[conditions.rate-limited]\ntext = "we are refused"\n'
    runbooks, problems = check(own, "mine.toml")
    assert not problems
    assert runbooks is not None
    condition = runbooks.conditions["more-signers-allowed"]
    assert (condition.signals, condition.scales) == (("drift",), None)
    assert runbooks.conditions["rate-limited"].signals == ("rate-limited",)


def test_a_step_that_acts_is_tied_to_a_cause_where_others_are() -> None:
    """A10: one tied to none was called for before those that answer the cause (3.mitigation.3)."""
    loose = []
    for runbook in load(None).runbooks:
        parts = {name for step in runbook.mitigations for name in step.steps}
        for step in runbook.mitigations:
            acts = STEP_KINDS[step.kind].patches and not step.dangerous and step.id not in parts
            if acts and not step.causes and any(other.causes for other in runbook.mitigations):
                loose.append(f"{runbook.number}/{step.id}")
    assert loose == []
