"""Alert rules hold when the signals do: against the drill's series, and against Prometheus itself
(promtool).
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from cockpit import cli
from cockpit.assessment.baseline import judge
from cockpit.drill.prometheus.promql import evaluate
from cockpit.drill.scenarios import find
from cockpit.drill.world import World
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import Level
from cockpit.runbooks import schema
from cockpit.runbooks.alerts import expression, rules
from tests.support.paths import ROOT

Need = Callable[[str], str]


def made(text: str) -> Runbooks:
    """The signals of this text, and nothing else of the packaged ones."""
    from msgspec.structs import replace

    runbooks, problems = schema.check(text, "mine.toml")
    assert runbooks is not None, problems
    own = set(runbooks.signals) - set(schema.load().signals)
    return replace(runbooks, signals={name: runbooks.signals[name] for name in own})


def listed(runbooks: Runbooks) -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(rules(runbooks))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_the_deployed_file_is_current() -> None:
    text = (ROOT / "deploy" / "alerts.yaml").read_text("utf-8")
    assert text == rules(schema.load()), "make it anew: make generated"


def test_each_signal_of_prometheus_has_its_rules_and_each_other_is_named_as_left_out() -> None:
    runbooks = schema.load()
    by_signal: dict[str, list[dict[str, Any]]] = {}
    for rule in listed(runbooks):
        by_signal.setdefault(rule["labels"]["signal"], []).append(rule)
    for name, signal in runbooks.signals.items():
        if signal.promql is None:
            assert name not in by_signal and f"\n# {name}: {signal.value} is read" in rules(runbooks)
            continue
        levels = [rule["labels"]["level"] for rule in by_signal[name]]
        wanted = [level for level, at in (("warn", signal.warn), ("crit", signal.crit)) if at is not None]
        assert levels == [*wanted, *(["unknown"] if signal.absent is None else [])]
        for rule in by_signal[name]:
            promql_parser.parse(rule["expr"])
            severity = {"warn": "warning", "crit": "critical", "unknown": "warning"}[rule["labels"]["level"]]
            assert rule["labels"]["severity"] == severity
            if rule["labels"]["level"] != "unknown":
                assert rule.get("for") == (
                    f"{signal.hold:g}s" if signal.hold and signal.hold != 60 else "1m" if signal.hold else None
                )
    assert {rule["labels"].get("runbook") for rule in listed(runbooks)} - {None} <= {
        runbook.id for runbook in runbooks.runbooks
    }
    (lag,) = [r for r in by_signal["watermark-lag"] if r["labels"]["level"] == "crit"]
    assert lag["labels"]["runbook"] == "watermark-lag" and "6 " in lag["annotations"]["runbooks"]


@pytest.mark.parametrize("scenario", ["calm", "rpc-outage", "ingest-backlog"])
def test_in_a_drill_the_rules_hold_where_the_signals_do(scenario: str) -> None:
    start = 1_790_000_000.0
    world = World(seed=7, clock=World.past_clock(start), scenario=find(scenario), history_s=600.0)
    world.advance(240.0)
    now = world.clock.now()
    checked = bad = 0
    for signal in schema.load().signals.values():
        if signal.promql is None or signal.baseline is not None:
            continue
        values = _values(evaluate(world.store, signal.promql, [now]))
        worst = (max if signal.direction == "above" else min)(values) if values else signal.absent
        for level, threshold in ((Level.WARN, signal.warn), (Level.CRIT, signal.crit)):
            if threshold is None:
                continue
            expected = (
                judge(worst, signal.direction, signal.warn, signal.crit).rank >= level.rank
                if worst is not None
                else False
            )
            fires = bool(_values(evaluate(world.store, expression(signal, threshold), [now])))
            assert fires == expected, (signal.title, level, worst, threshold)
            checked += 1
            bad += fires
    assert checked > 60 and (bad > 0 or scenario == "calm")


def _values(result: Any) -> list[float]:
    columns = [column for _, column in result] if isinstance(result, list) else []
    return [value for column in columns for value in column if value is not None and math.isfinite(value)]


def test_titles_and_units_of_an_operator_are_only_text() -> None:
    runbooks = made(
        '[signals.odd-one]\ntitle = \'a "b" {{ .X }}: c # d\'\npromql = "up{job=\\"x\\"}"\nunit = "{{"\nwarn = 1\nabsent = 0\n'
    )
    (rule,) = listed(runbooks)
    assert rule["expr"] == '((up{job="x"}) or on() vector(0)) >= 1'
    assert rule["annotations"]["summary"].startswith('a "b" {{"{{"}} .X }}: c # d: {{ $value | humanize }}')
    assert rule["alert"] == "M0OddOne"


def test_out_is_written_whole_and_a_broken_file_makes_no_rules(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "alerts.yaml"
    assert cli.main(["runbooks", "alerts", "--out", str(out)]) == 0
    assert out.read_text("utf-8") == rules(schema.load())
    assert cli.main(["runbooks", "alerts"]) == 0
    assert capsys.readouterr().out == out.read_text("utf-8")
    assert cli.main(["runbooks", "alerts", "--out", str(tmp_path / "no" / "x")]) == 70
    assert "cannot write" in capsys.readouterr().err
    broken = tmp_path / "mine.toml"
    broken.write_text("[signals.x]\n", "utf-8")
    assert cli.main(["runbooks", "alerts", "--runbooks", str(broken)]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and "mine.toml:1" in printed.err
    assert sorted(tmp_path.iterdir()) == [out, broken]


# --- Prometheus itself


@pytest.mark.real
def test_promtool_accepts_the_deployed_file(need: Need) -> None:
    done = subprocess.run(
        [need("promtool"), "check", "rules", "--lint-fatal", str(ROOT / "deploy" / "alerts.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


SIGNALS = """
[signals.plain]
title = "Plain"
promql = "max by (x) (plain / scale)"
warn = 10
crit = 20
for = 60
[signals.low]
title = "Low"
promql = "low"
direction = "below"
warn = 5
crit = 1
[signals.born]
title = "Born at its first event"
promql = "born"
direction = "below"
warn = -1
absent = 0
[signals.base]
title = "Base"
promql = "sum(base)"
direction = "below"
baseline = 3600
crit = 0.5
[signals.zero]
title = "A baseline of nothing"
promql = "zero"
baseline = 3600
crit = 2
"""


def alerts(at: str, name: str, *expected: dict[str, str]) -> dict[str, Any]:
    """As promtool's unit tests want them; labels only, as each annotation is compared too when
    given.
    """
    return {"eval_time": at, "alertname": name, "exp_alerts": [{"exp_labels": labels} for labels in expected]}


@pytest.mark.real
def test_prometheus_judges_as_the_cockpit_does(tmp_path: Path, need: Need) -> None:
    text = rules(made(SIGNALS))
    document = yaml.safe_load(text)
    for rule in document["groups"][0]["rules"]:
        rule.pop("annotations")  # promtool 2.42 compares them, and what they say is tested above
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(document))

    def labels(signal: str, level: str, **more: str) -> dict[str, str]:
        severity = {"warn": "warning", "crit": "critical", "unknown": "warning"}[level]
        return {"signal": signal, "level": level, "severity": severity, **more}

    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [
                    {"series": 'plain{x="a"}', "values": "5x20 15x40 25x40 5x300"},
                    {"series": 'scale{x="a"}', "values": "1x400"},
                    {"series": 'plain{x="b"}', "values": "0x400"},
                    {"series": 'scale{x="b"}', "values": "0x400"},  # 0 / 0 is NaN
                    {"series": "low", "values": "9x20 1x380"},
                    {"series": "base", "values": "100x240 40x40 100x120"},
                    {"series": "zero", "values": "0x240 7x160"},
                ],
                "alert_rule_test": [
                    alerts("4m", "M0Plain"),  # 5
                    alerts("6m", "M0Plain"),  # 15 for less than a minute
                    alerts("9m", "M0Plain", labels("plain", "warn", x="a")),
                    alerts("20m", "M0Plain", labels("plain", "warn", x="a"), labels("plain", "crit", x="a")),
                    alerts("40m", "M0Plain"),
                    alerts("4m", "M0Low"),
                    alerts("6m", "M0Low", labels("low", "warn"), labels("low", "crit")),
                    alerts("40m", "M0Born"),  # absent counts as 0, which is above -1
                    alerts("59m", "M0Base"),  # well
                    alerts("65m", "M0Base", labels("base", "crit")),  # 40 against a median of 100
                    alerts("80m", "M0Base"),  # well again
                    alerts("90m", "M0Zero"),  # a multiple of 0 is no threshold
                    alerts("40m", "M0PlainUnknown"),  # one of two is a number
                    alerts("120m", "M0PlainUnknown", labels("plain", "unknown")),  # both have ended
                    alerts("120m", "M0BornUnknown"),
                ],
            },
            {
                "interval": "15s",
                "input_series": [
                    {"series": 'plain{x="a"}', "values": "0x400"},
                    {"series": 'scale{x="a"}', "values": "0x400"},
                ],
                "alert_rule_test": [
                    alerts("2m", "M0PlainUnknown"),  # not yet for five minutes
                    alerts("20m", "M0PlainUnknown", labels("plain", "unknown")),
                    alerts("20m", "M0Plain"),
                ],
            },
        ],
    }
    (tmp_path / "test.yaml").write_text(json.dumps(test))
    done = subprocess.run(
        [need("promtool"), "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
