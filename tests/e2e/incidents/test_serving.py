"""Incidents of ingestion, models, serving and backups by keys alone, on the running cockpit over a
drill: symptoms, the views that answer the runbook's questions, the right step, its proof, and the
way back.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from cockpit.drill.names import API, INGESTOR, MARKETS, MODEL_VERSION, QUANT, SUBMITTER
from cockpit.model.plan import Proof
from tests.e2e.incidents.test_publish import proven
from tests.support.terminals.by_keys import Hands, at_work, incident, intents

AGO_S = 600.0


async def triage(hands: Hands, question: int, answer: str) -> str:
    """Open the view of the best runbook's n-th question; the answer is on it."""
    await hands.back()
    hands.cockpit.burst("r")
    await hands.wait(r"TRIAGE")
    hands.cockpit.burst("home", *["down"] * (question - 1), "enter")
    return await hands.wait(answer)


async def test_runbook_6_the_provider_that_limits_our_rate(tmp_path: Path) -> None:
    """Fewer polls are answered."""
    with incident("connector-rate-limited", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"6 Data ingestion lag.* 3 of 3")
            await triage(hands, 1, r"▲ +sports +[\d.]+(s|m)")
            hands.cockpit.burst("end")
            await hands.wait(r"errors +rate_limited \d+/min")
            await triage(hands, 2, r"connector=sports http 429 Too Many Requests rate limit exceeded quota=2/s")
            await hands.choose("6 Reduce the polling", "6  Reduce the polling frequency")
            await hands.fill("")
            await hands.confirm()
            shown = await hands.carried_out()
            assert proven(shown), shown


async def test_runbook_7_the_source_that_is_off_is_quarantined(tmp_path: Path) -> None:
    with incident("source-diverges", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            world = drill.drill.world
            await hands.begin(r"7 Divergence and outlier alerts +3 of 3")
            await triage(hands, 1, r"divergence +sports [\d.]+")
            shown = await triage(hands, 2, r"▲ +NBA_LAL_BOS .* sports 0\.9\d+")
            values = re.findall(r"NBA_LAL_BOS .* sports ([\d.]+) +sports-b ([\d.]+) +sports-c ([\d.]+)", shown)
            assert values and all(float(own) > 1.4 * float(other) for own, *others in values for other in others)

            await hands.choose("7 Quarantine", "7  Quarantine the offending connector")
            await hands.fill("sports")
            await hands.confirm()
            shown = await hands.carried_out()
            assert proven(shown), shown
            await hands.undo(INGESTOR)  # a proven cure: it says what comes back
            assert world.kube.env(INGESTOR)["M0_CONNECTORS_DISABLED"] == ""
            assert hands.verdicts == [Proof.NONE, Proof.PASS]


async def test_runbook_7_the_schema_that_a_provider_has_changed_is_named(tmp_path: Path) -> None:
    with incident("provider-schema-change", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"7 Divergence and outlier alerts +3 of 3")
            await triage(hands, 3, r'connector=politics schema: unknown field "price_pct", "odds" is missing')


async def test_runbook_8_the_models_version_is_rolled_back(tmp_path: Path) -> None:
    """The data are whole, so it is no outage."""
    with incident("bad-model-release", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"8 Model drift alerts +3 of 3")
            hands.cockpit.burst("r")
            await hands.wait(r"data outage +✓ Coverage, worst domain 0\.9\d.* ✓ Watermark lag")
            await triage(hands, 1, r"coverage +crypto 0\.9\d")
            await triage(hands, 2, r"bayes-sports-v4 +0\.3\d+ .* odds-move 0\.\d+")
            await triage(hands, 3, r"drift +ECE[\s\S]*bayes-sports-v4 +◐ 0\.3\d+ +◐ 0\.0[5-9]\d")

            await hands.choose("8 Roll back the model", "8  Roll back the model version")
            await hands.fill(MODEL_VERSION)
            await hands.confirm(QUANT)
            shown = await hands.carried_out()
            assert proven(shown), shown
            await hands.undo(QUANT)  # back to the version that was left: as dangerous
            assert drill.drill.world.quant.models.running == "2026.2"


async def test_runbook_9_more_requests_than_the_gateways_take(tmp_path: Path) -> None:
    with incident("gateway-overload", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"9 API errors \(5xx\) / serving outage +2 of 2")
            await hands.wait(r"by code 503 [\d,]+/m")
            await triage(hands, 1, r"WARN GET \S+ 503 too many requests in flight")
            refusing = r"\d\d (\S+) WARN GET \S+ 503 "
            await hands.cockpit.until(lambda: len(set(re.findall(refusing, hands.cockpit.text()))) == 3)
            await triage(hands, 3, r"cache=hit redis=ok")

            await hands.choose("9 Scale api", "9  Scale api-gateway")
            await hands.fill("")
            await hands.confirm()
            shown = await hands.carried_out()
            assert proven(shown), shown
            assert drill.drill.world.kube.replicas(API) == 6
            await hands.undo(API)
            assert drill.drill.world.kube.replicas(API) == 3


async def test_runbook_9_the_database_is_down_and_is_failed_over(tmp_path: Path) -> None:
    with incident("database-down", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"9 API errors \(5xx\) / serving outage +2 of 2")
            await triage(hands, 2, r"503 postgres: connection refused \(primary m0-postgres-0:5432\)")
            await hands.choose("9 Fail the database", "9  Fail the database over, if it is down")
            shown = await hands.confirm("database")
            assert "database failover" in shown
            shown = await hands.carried_out()
            assert proven(shown), shown
            assert not drill.drill.world.serve.database_down
            assert intents(hands)[-1]["inverse"] is None  # and so it was asked for by name


async def test_runbook_14_the_archive_is_full_and_backups_fail(tmp_path: Path) -> None:
    """The checks fail; a backup alone finds no room; room, then a backup, and the checks pass."""
    with incident("archiver-failing", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"14 Backup and restore +(\d) of \1")
            await hands.choose("14 Verify the last", "14  Verify the last backup's time")
            await hands.wait(r"DONE +backup-age crit \(55\.\d h: crit from 50 h\)")
            await hands.choose("Take a backup now", "14  Take a backup now")
            await hands.confirm()
            await hands.carried_out(until=r"FAILED +")
            await hands.wait(r"MATCH +14 Backup and restore")

            await hands.choose("14 Make room in the archive, then", "14  Make room in the archive, then take a backup")
            await hands.wait(r"n begins with part 1 of 2")
            hands.cockpit.burst("n")
            shown = await hands.wait(r"type m0-backup-expire-manual-\w+ to go on")
            await hands.confirm(re.findall(r"type (\S+) to go on", shown)[0])
            await hands.carried_out()
            hands.cockpit.burst("n")
            await hands.wait(r"goes on with part 2 of 2")
            hands.cockpit.burst("n")
            await hands.confirm()
            await hands.carried_out()
            await hands.wait(r"MATCH +14", absent=True)
            await hands.choose("14 Verify the last", "14  Verify the last backup's time")
            await hands.wait(r"DONE +backup-age ok")


async def test_runbook_14_the_restore_stops_what_writes_and_brings_it_back_one_by_one(tmp_path: Path) -> None:
    with incident("calm", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            world = drill.drill.world
            await hands.wait(r"no runbook matches")
            await hands.cockpit.until(hands.cockpit.app.session.ready.is_set)
            await hands.choose("14 The restore", "14  The restore, guided")
            to = datetime.fromtimestamp(world.clock.now() - AGO_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            parts = (
                (SUBMITTER, ""),
                (QUANT, ""),
                ("database", to),
                ("", " "),
                (SUBMITTER, ""),
                ("", ""),
            )
            for number, (typed, field) in enumerate(parts, 1):
                await hands.wait(rf"(begins|goes on) with part {number} of 6")
                hands.cockpit.burst("n")
                if field:
                    await hands.fill(field.strip())
                await hands.confirm(typed)
                shown = await hands.carried_out()
                assert number > 2 or "no pod is left" in shown, shown
                off = [service for service in (SUBMITTER, QUANT) if not world.kube.pods(service)]
                assert off == [[SUBMITTER], [SUBMITTER, QUANT], [SUBMITTER, QUANT], [SUBMITTER], [], []][number - 1]
                age_s = max(world.serve.age_s(market) for market in MARKETS)
                assert (age_s >= AGO_S) is (3 <= number < 6), number
                if number < len(parts):
                    hands.cockpit.burst("n")
