"""What a chart looks like: gaps are gaps, limits and marks have words, any terminal can show it."""

from __future__ import annotations

import math
import re

import pytest
from msgspec import structs

from cockpit.model.observed.chart import Chart, ChartNow, ChartOf, Mark, Trace, axis
from cockpit.model.observed.metrics import Alert
from panels.kit.spans import Line, line_width, plain
from panels.kit.theme import Appearance
from panels.messages import OpenView
from panels.screens.chart.happened import marks_of
from panels.screens.chart.numbers import NumbersView
from panels.screens.chart.numbers import view as numbers_view
from panels.screens.chart.plot import Options, picture, reading
from panels.screens.chart.scale import scale, tick_words
from panels.screens.chart.view import ChartView
from panels.screens.view import Asked
from tests.support.samples import situations
from tests.support.samples.dialogs import HOSTILE, Harness

END = 1_795_443_300.0
BRAILLE = re.compile("[\u2801-\u28ff]")


def chart(*traces: Trace, **changes: object) -> Chart:
    whole = Chart(ChartOf("signal", "x"), "1 h", axis("1 h", END)[0], END, traces, len(traces), "Prometheus: x")
    return structs.replace(whole, **changes)


def line_of(*values: float | None, name: str = "") -> Trace:
    """The newest value last; None: no point at all."""
    begin = END - 15.0 * (len(values) - 1)
    return Trace(name, tuple((begin + 15.0 * n, v) for n, v in enumerate(values) if v is not None))


def text(lines: list[Line]) -> str:
    return "\n".join(plain(line) for line in lines)


def plot_rows(lines: list[Line]) -> list[str]:
    return [
        plain(line).partition("│" if "│" in plain(line)[:12] else "┤")[2]
        for line in lines[1:]
        if "┴" not in plain(line)
    ]


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_gap_is_a_gap_and_never_a_line(gap: float | None) -> None:
    values: list[float | None] = [1.0] * 60 + [gap] * 60 + [1.0] * 60
    lines = picture(chart(line_of(*values)), Options(at=END), 140, 24)
    drawn = max((row for row in plot_rows(lines)), key=lambda row: len(BRAILLE.findall(row)))
    assert re.search("[\u2801-\u28ff]+[^\u2801-\u28ff]{20,}[\u2801-\u28ff]+", drawn), drawn


@pytest.mark.parametrize(("value", "words"), [(None, "gap"), (math.nan, "NaN"), (math.inf, "+Inf")])
def test_the_cursor_says_what_is_no_number(value: float | None, words: str) -> None:
    lines = picture(chart(line_of(1.0, value, 3.0)), Options(at=END - 15.0), 80, 24)
    assert words in plain(lines[0])


def test_the_cursor_reads_in_the_unit_and_with_all_digits() -> None:
    trace = line_of(0.1838461, 0.2)
    lines = picture(chart(trace), Options(unit="s", at=END - 15.0), 80, 24)
    assert "184ms" in plain(lines[0]) and "0.1838461" in plain(lines[0])
    assert "15 s before the newest" in plain(lines[0])
    assert reading(trace, END, 15.0) == 0.2 and reading(trace, END - 45.0, 15.0) is None


def test_an_empty_answer_is_unknown_and_never_a_line_at_zero() -> None:
    lines = picture(chart(), Options(), 80, 24)
    assert "? at none of these times is there a value" in plain(lines[0]) and not BRAILLE.search(text(lines))


def test_limits_what_is_usual_and_marks_have_words() -> None:
    status = structs.replace(
        situations.signal("reveals", "Reveals", 100.0),
        unit="/min",
        warn=60.0,
        crit=20.0,
        baseline=100.0,
        direction="below",
    )
    marks = (
        Mark(END - 600.0, "step", "#31 ops1: Switch RPC endpoint  sent"),
        Mark(END - 300.0, "alert", "alert X firing"),
    )
    lines = picture(chart(line_of(*[100.0] * 100)), Options(unit="/min", status=status, marks=marks), 120, 40)
    words = text(lines)
    assert "warn 60/min" in words and "crit 20/min" in words and "usual 100/min" in words and "░" in words
    assert "1 " in words and "#31 ops1: Switch RPC endpoint" in words and "alert X firing" in words and "┊" in words


def test_a_limit_far_away_does_not_flatten_the_line() -> None:
    assert scale([0.1, 0.2], [100.0], "", 4).high < 1.0
    assert scale([0.1, 0.2], [0.5], "", 4).high >= 0.5


@pytest.mark.parametrize(
    "values", [[], [0.0], [7.0, 7.0], [-1e-300, 1e-300], [1e300, -1e300], [5e-324], [88_121.0, 88_122.0]]
)
def test_any_values_have_an_axis(values: list[float]) -> None:
    found = scale(values, [None, math.nan], "", 4)
    assert found.low < found.high and all(0.0 <= found.share(v) <= 1.0 for v in values)
    assert len(set(tick_words(found, ""))) == len(found.ticks)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
@pytest.mark.parametrize("traces", [1, 2, 8])
def test_it_fits_and_nothing_is_wider(size: tuple[int, int], traces: int) -> None:
    many = [line_of(*[float(n + k) for n in range(200)], name=f"{HOSTILE}{k}") for k in range(traces)]
    whole = chart(*many, notes=(HOSTILE * 9, "b", "c"), origin="x" * 500)
    marks = tuple(Mark(END - 10.0 * n, "step", HOSTILE * 5) for n in range(30))
    lines = picture(whole, Options(marks=marks), size[0], size[1] - 3)
    assert len(lines) <= size[1] - 3
    assert max(line_width(line) for line in lines) <= size[0]


def now(whole: Chart | None, **changes: object) -> ChartNow:
    view = ChartNow(ChartOf("signal", "output-age"), "1 h", None, situations.MONO - 4.0, whole)
    return structs.replace(view, **changes)


def view_of(appearance: Appearance | None = None) -> ChartView:
    return ChartView(ChartOf("signal", "output-age"), situations.rpc_outage(), appearance=appearance)


@pytest.mark.parametrize(
    ("appearance", "signs"),
    [
        (Appearance(), BRAILLE),
        (Appearance(colours="standard"), BRAILLE),
        (Appearance(colours="none"), re.compile("a.*b", re.S)),
        (Appearance(ascii=True), re.compile("a.*b", re.S)),
    ],
)
async def test_any_terminal_tells_two_lines_apart(appearance: Appearance, signs: re.Pattern[str]) -> None:
    app = Harness(lambda: view_of(appearance))
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.query_one(ChartView)
        whole = chart(line_of(*[1.0] * 100, name="sports"), line_of(*[2.0] * 100, name="politics"))
        view.tell(now(whole), situations.MONO)
        await pilot.pause()
        words = app.words()
        assert signs.search(words) and "sports" in words and "politics" in words
        if appearance.ascii:
            assert words.isascii(), {sign for sign in words if not sign.isascii()}


async def test_a_question_without_an_answer_says_since_when_and_keys_go_on() -> None:
    app = Harness(view_of)
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.query_one(ChartView)
        view.tell(now(None, asked_at=situations.MONO, answered_at=None), situations.MONO + 12.0)
        await pilot.pause()
        assert "? asked 12s ago, no answer yet" in app.words()
        await pilot.press("left", "down", "home")
        view.tell(now(None, fault="Prometheus refuses the connection", remedy="is it up?"), situations.MONO + 13.0)
        await pilot.pause()
        assert "? UNKNOWN" in app.words() and "refuses the connection" in app.words() and "is it up?" in app.words()
        await pilot.press("plus")
        view.tell(now(chart(line_of(1.0))), situations.MONO)
        await pilot.pause()
        assert not BRAILLE.search(app.words()), "an answer for another range is not shown as this one's"


async def test_a_point_that_comes_repaints_a_few_cells_only() -> None:
    """After the first picture only what is new is sent."""
    app = Harness(view_of)
    async with app.run_test(size=(160, 48)) as pilot:
        view = app.query_one(ChartView)
        values = [50.0 + n % 7 for n in range(200)]
        view.tell(now(chart(line_of(*values), end=END)), situations.MONO)
        await pilot.pause()
        before = list(view.lines._drawn)
        longer = structs.replace(line_of(*values), points=(*line_of(*values).points, (END + 15.0, 55.0)))
        view.tell(now(chart(longer, end=END + 15.0)), situations.MONO)
        await pilot.pause()
        from panels.kit.spans import changed

        cells = [
            span for old, new in zip(before[3:], view.lines._drawn[3:], strict=True) if (span := changed(old, new))
        ]
        assert axis("1 h", END) == axis("1 h", END + 15.0)
        assert sum(end - begin for begin, end in cells) <= 48 * 8 * 3, cells


def test_marks_are_what_happened_by_prometheus_own_clock() -> None:
    """Two hours between the clocks: a step of the journal stands where the metrics show it."""
    step = situations.journal()[0]
    alerts = tuple(Alert("Lag", "firing", {"c": str(n)}, since=step.wall + 7260.0) for n in range(4))
    now_ = structs.replace(situations.calm(), journal=(step,), alerts=(*alerts, Alert("Old", "firing")))
    first, second = marks_of(now_, step.wall + 7000.0, step.wall + 7500.0, 7200.0)
    assert (first.at, first.kind) == (step.wall + 7200.0, "step") and step.title in first.text
    assert second.text == "alert Lag firing (4 of them)"
    assert marks_of(now_, 0.0, 1.0, 0.0) == ()


async def test_the_numbers_of_a_panel_and_of_one_object_lead_to_its_chart() -> None:
    """A connector, endpoint, agent, market or model: what is known of it, each with its chart."""
    app = Harness(lambda: NumbersView({"panel": "watermark"}, situations.rpc_outage()))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "lag-by-connector" in app.words() and "of Watermark" in app.words()
        view = app.query_one(NumbersView)
        key = next(key for key in view.list.keys if key.startswith("object:connector="))
        view.list.move_to(key)
        await pilot.press("enter")
        name = key.partition("=")[2]
        assert f"of connector {name}" in app.words() and "lag-by-connector" in app.words()
        view.list.move_to("query:lag-by-connector")
        await pilot.press("enter")
        (opened,) = app.requested(OpenView)
        assert opened.args == {"query": "lag-by-connector", "object": f"connector={name}"}
    asked = Asked("chart", opened.args, situations.rpc_outage(), Appearance())
    chart_view = numbers_view(asked)
    assert isinstance(chart_view, ChartView) and chart_view.of == ChartOf(
        "query", "lag-by-connector", "connector", name
    )


async def test_what_it_is_stands_below_where_there_is_room() -> None:
    app = Harness(view_of)
    async with app.run_test(size=(160, 48)) as pilot:
        view = app.query_one(ChartView)
        view.tell(now(chart(line_of(1.0, 2.0)), about=("WARN for 2 min", "a symptom of 1")), situations.MONO)
        await pilot.pause()
        assert "WHAT IT IS" in app.words() and "a symptom of 1" in app.words()


async def test_what_did_not_change_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of eight lines takes long: it is made when there is something new."""
    made = 0

    def counted(*asked: object) -> list[Line]:
        nonlocal made
        made += 1
        return picture(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr("panels.screens.chart.drawing.picture", counted)
    app = Harness(view_of)
    async with app.run_test(size=(160, 48)) as pilot:
        view, whole = app.query_one(ChartView), chart(line_of(1.0, 2.0))
        for tick in range(5):
            view.tell(now(whole), situations.MONO + tick)
            view.show(situations.rpc_outage(mono=situations.MONO + tick))
            await pilot.pause()
        assert made == 1
        await pilot.press("left")
        assert made == 2
