"""The lines of runbooks 7, 8 and 12 stand on data of their own: sources, features, markets."""

from __future__ import annotations

from functools import cache

import pytest
from msgspec.structs import replace

from cockpit.drill.names import MARKETS, MODEL_VERSION
from cockpit.mitigation.choices.live import choices
from cockpit.model.observed.chain import MarketState
from cockpit.model.reading import Reading
from cockpit.model.runbook import Runbooks, SymptomStatus
from cockpit.model.situation import Situation
from cockpit.runbooks.schema import load
from panels.kit.spans import plain
from panels.screens.compare import PAGES
from tests.support.scenario_rig import Operator


def whole(operator: Operator) -> Situation:
    """What the operator sees, with the tables of the queries and the chain's markets."""
    found, runbooks = operator.situation(), operator.runbooks
    now, mono = operator.world.clock.now(), found.mono
    asked = {name: operator.observer._ask(query.promql, 0.0, now) for name, query in runbooks.queries.items()}
    accounts = {
        name: MarketState(
            address=name, market_id=name, domain=domain.title(), active=True, current_epoch_id=1, last_sequence=1
        )
        for name, domain in MARKETS.items()
    }
    return replace(
        found,
        queries={name: Reading(f"prometheus/queries/{name}", result, mono) for name, result in asked.items()},
        solana={"markets": Reading("solana/markets", accounts, mono)},
    )


@cache
def seen(scenario: str) -> Situation:
    return whole(Operator(scenario, load()))


@pytest.fixture(scope="module")
def runbooks() -> Runbooks:
    return load()


def symptom(situation: Situation, item: str) -> SymptomStatus:
    return next(s for m in situation.matches for s in m.symptoms if s.symptom.item == item)


def shown(page: str, situation: Situation) -> list[str]:
    return [plain(line) for line in PAGES[page](situation, 120)]


def offered(runbooks: Runbooks, step: str, situation: Situation) -> list[tuple[str, str]]:
    number = step.partition(".")[0]
    param = next(p for p in runbooks.step(number, step)[1].params if p.name == "market")
    return choices(param, runbooks, (), situation)


def test_sources_are_compared_by_the_probabilities_that_they_imply() -> None:
    """7.triage.2: the table names the market, how far apart, and the source that is off."""
    status = seen("source-diverges").signals["implied-spread"]
    assert status.level.bad and status.value is not None and status.value > 0.3
    row = next(line for line in shown("sources", seen("source-diverges")) if "NBA_LAL_BOS" in line)
    assert "sports 0." in row and "sports-b 0." in row and row.split()[3] == "sports", row
    assert not seen("calm").signals["implied-spread"].level.bad


def test_a_source_off_everywhere_is_not_one_manipulated_market() -> None:
    """12.when.1 and 12.when.3: each holds where it is meant, and not where the other is."""
    unsafe, moved = seen("source-diverges"), seen("market-manipulated")
    assert (symptom(unsafe, "12.when.1").held, symptom(unsafe, "12.when.3").held) == (True, False)
    assert (symptom(moved, "12.when.1").held, symptom(moved, "12.when.3").held) == (False, True)
    assert moved.signals["market-off"].worst_labels == {"market": "NBA_LAL_BOS", "source": "sports"}


def test_a_bug_of_one_model_is_not_all_models_drifting(runbooks: Runbooks) -> None:
    """12.when.2: a bug that affects a subset; a world that has moved affects every model."""
    operator = Operator("calm", runbooks)
    operator.world.quant.models.registry[MODEL_VERSION].faults["bayes-sports-v4"] = 0.5
    operator.wait(240)
    subset = whole(operator)
    assert symptom(subset, "12.when.2").held and not symptom(seen("model-drift"), "12.when.2").held
    assert subset.signals["model-off"].worst_labels == {"model": "bayes-sports-v4"}
    # 8.mitigation.4: the markets of that model's domain, the riskiest, first
    first = offered(runbooks, "8.mitigation.4", subset)[:2]
    assert {market for market, _ in first} == {"NBA_LAL_BOS", "EPL_ARS_CHE"}
    assert "of bayes-sports-v4, " in first[0][1] and "risk 1.00" in first[0][1]


def test_drift_is_shown_by_feature_and_by_live_evaluation() -> None:
    """8.triage.2 and 8.symptom.2: model × feature, and a score of settled forecasts."""
    drifting = seen("model-drift")
    assert drifting.signals["feature-psi"].worst_labels is not None
    assert drifting.signals["feature-psi"].worst_labels["feature"] == "odds-move"
    row = next(line for line in shown("features", drifting) if "bayes-sports-v4" in line)
    assert "odds-move 0." in row and "volume 0." in row
    assert drifting.signals["live-score"].level.bad and not seen("calm").signals["live-score"].level.bad


def test_the_market_to_pause_first_is_the_manipulated_one(runbooks: Runbooks) -> None:
    """12.step.1 and 7.mitigation.3: it, then the others of its domain; the reason beside each."""
    moved = offered(runbooks, "12.step.1", seen("market-manipulated"))
    assert moved[0][0] == "NBA_LAL_BOS" and "sources 0." in moved[0][1]
    unsafe = [market for market, _ in offered(runbooks, "7.mitigation.3", seen("source-diverges"))]
    assert set(unsafe[:2]) == {"NBA_LAL_BOS", "EPL_ARS_CHE"}


def test_what_nobody_measures_is_said_to_be_so(runbooks: Runbooks) -> None:
    blind = replace(seen("calm"), queries={})
    for page in ("sources", "features"):
        assert shown(page, blind)[0].startswith("not measured"), page
