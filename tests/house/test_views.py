"""Each row of VIEWS carries all that the house asks of a view, and each view has its row."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pytest
from textual.binding import Binding
from textual.geometry import Size
from textual.keys import _character_to_key
from textual.widget import Widget

from cockpit.commands.settings import runbooks_of
from cockpit.config import load_settings
from cockpit.model import views
from cockpit.model.registry import RegistryError
from cockpit.model.views import BY_NAME, PANELS, STAGES, VIEWS, PanelSpec, ViewSpec, check_stages, key_ranges, view_rows
from panels import keys
from panels.app import overlays
from panels.app.palette import commands
from panels.app.views import MAKERS, makers
from panels.dashboard.arrangement import arrange
from panels.dashboard.dashboard import kinds
from panels.kit.overlay import Overlay
from panels.kit.theme import Appearance
from panels.messages import OpenView
from panels.screens import alerts
from panels.screens.chain import PAGES as CHAIN_PAGES
from panels.screens.pages import PagesView
from panels.screens.postgres.pages import TOPICS
from panels.screens.view import Asked
from tests.support.paths import ROOT
from tests.support.samples import situations

#: The ids of the panels' keys in 0.1.0, as they may stand in `[keys]`.
FIRST_IDS = ("pods", "publish", "signers", "watermark", "rpc", "guardrails", "api", "toggles", "journal", "signals")
FREE_KEY = next(sign for sign in "~`;\\" if sign not in {panel.key for panel in PANELS})
SPARE = PanelSpec(name="spare", title="Spare", key=FREE_KEY, short="Spr", slot=(3, 34))
PLAIN = ViewSpec(name="spare", title="Spare", offer="View spare", words="the newest", file="alerts")


def test_the_rows_are_whole() -> None:
    assert view_rows(VIEWS) == BY_NAME
    view_rows((*VIEWS, SPARE))
    view_rows((*VIEWS, PLAIN))


LAST = len(VIEWS) + 1
#: (a row, what is said of it)
MUTILATED: list[tuple[Any, str]] = [
    (replace(SPARE, name=""), f"row {LAST} has no name"),
    (replace(SPARE, name=None), f"row {LAST} has no name"),  # type: ignore[arg-type]
    (replace(SPARE, name=7), f"row {LAST}: expected a name of lower-case words joined by -, got 7"),  # type: ignore[arg-type]
    (replace(SPARE, name="Spare!"), f"row {LAST}: expected a name of lower-case words joined by -, got 'Spare!'"),
    (replace(SPARE, name="za p"), f"row {LAST}: expected a name of lower-case words joined by -, got 'za p'"),
    (replace(SPARE, name="pods"), "two rows are named 'pods'"),
    (("spare", "Spare"), f"row {LAST}: expected a ViewSpec, got ('spare', 'Spare')"),
    (replace(SPARE, title=""), "row 'spare': title: missing"),
    (replace(SPARE, key=""), "row 'spare': key: expected one digit or sign, got ''"),
    (replace(SPARE, key="s"), "row 'spare': key: expected one digit or sign, got 's'"),
    (replace(SPARE, key=None), "row 'spare': key: expected text, got None"),  # type: ignore[arg-type]
    (replace(SPARE, key="1"), "rows 'pods' and 'spare' have the same key '1'"),
    (replace(SPARE, slot=(0, 34)), "row 'spare': slot: expected a row from 1 to 3"),
    (replace(SPARE, slot=(4, 34)), "row 'spare': slot: expected a row from 1 to 3"),
    (replace(SPARE, slot=(3, 0)), "row 'spare': slot: expected a row from 1 to 3"),
    (replace(SPARE, slot="3"), "row 'spare': slot: expected a tuple (a whole number, a whole number), got '3'"),  # type: ignore[arg-type]
    (replace(SPARE, slot=(3, "34")), "row 'spare': slot: expected a tuple"),  # type: ignore[arg-type]
    (replace(SPARE, slot=(3, True)), "row 'spare': slot: expected a tuple"),
    (replace(SPARE, stages=("reveal",)), "rows 'publish' and 'spare' have the same stage 'reveal'"),
    (replace(SPARE, stages="reveal"), "row 'spare': stages: expected a tuple (text each), got 'reveal'"),  # type: ignore[arg-type]
    (replace(SPARE, source=7), "row 'spare': source: expected text, got 7"),  # type: ignore[arg-type]
    (replace(SPARE, pages={"all": "All"}), "row 'spare': offer, words: missing"),
    (replace(SPARE, pages={"all": ""}), "row 'spare': pages: each needs a name and a title"),
    (replace(SPARE, pages={"all": 7}), "row 'spare': pages: expected a table of text"),  # type: ignore[dict-item]
    (replace(SPARE, file="alerts"), "row 'spare': file: expected none"),
    (replace(PLAIN, offer=""), "row 'spare': offer, words: missing"),
    (replace(PLAIN, words=""), "row 'spare': offer, words: missing"),
    (replace(PLAIN, file=""), "row 'spare': file: missing"),
    (replace(PLAIN, of_service=True), "row 'spare': offer: expected {page} where"),
    (replace(PLAIN, of_service="yes"), "row 'spare': of_service: expected true or false, got 'yes'"),  # type: ignore[arg-type]
    (replace(PLAIN, offer="Spare: {page}"), "row 'spare': offer: expected"),
    (replace(PLAIN, offer="Spare {service}"), "row 'spare': offer: expected"),
    (replace(PLAIN, pages={"all": "All"}), "row 'spare': offer: expected"),
]


@pytest.mark.parametrize(("row", "words"), MUTILATED, ids=[str(number) for number in range(len(MUTILATED))])
def test_a_row_that_lacks_a_part_or_repeats_one_is_refused_by_name(row: Any, words: str) -> None:
    with pytest.raises(RegistryError) as caught:
        view_rows((*VIEWS, row))
    assert str(caught.value).startswith(f"cockpit/model/views.py: {words}") and "\n" not in str(caught.value)


def test_a_row_with_a_part_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(RegistryError, match=r"PanelSpec, row 'spare': got an unexpected keyword argument 'colour'"):
        PanelSpec(name="spare", colour="red")  # type: ignore[call-arg]


def test_a_panel_of_a_stage_that_the_runbooks_lack_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    check_stages(STAGES)
    monkeypatch.setattr("cockpit.model.views.STAGES", {**STAGES, "nope": "spare"})
    with pytest.raises(RegistryError, match=r"row 'spare': stages: expected some of .*reveal.*, got 'nope'"):
        runbooks_of(load_settings(config=None, env={}))


def test_every_panel_has_its_file_and_every_file_its_row() -> None:
    assert list(kinds()) == [panel.name for panel in PANELS]
    files = {path.stem for path in (ROOT / "panels" / "dashboard").glob("*.py")}
    files -= {"__init__", "dashboard", "arrangement"}
    assert files == {panel.name.replace("-", "_") for panel in PANELS}
    for kind in kinds().values():
        assert kind(Appearance()).spec in PANELS


def test_a_row_without_its_file_is_refused_by_name() -> None:
    with pytest.raises(RegistryError, match=r"row 'spare' has no file panels/dashboard/spare.py"):
        kinds((*PANELS, SPARE))
    with pytest.raises(RegistryError, match=r"row 'facts': expected a panel FactsPanel in panels/dashboard/facts.py"):
        kinds((*PANELS, replace(SPARE, name="facts")))


def test_a_file_without_its_view_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(alerts, "view")
    with pytest.raises(RegistryError, match=r"row 'alerts': panels/screens/alerts.py has no function view"):
        makers(VIEWS)


def test_every_other_view_has_its_widget_and_every_page_is_drawn() -> None:
    assert {view.name for view in VIEWS if view.fetched} == {"logs", "explain", "runbook", "images"}
    assert set(MAKERS) == {view.name for view in VIEWS if view.file}
    for view in VIEWS:
        for page in view.pages:
            widget = MAKERS[view.name](Asked(view.name, {"show": page}, situations.calm(), Appearance()))
            assert isinstance(widget, PagesView) and widget.page == page
            assert dict(widget.TITLES) == dict(view.pages)
    assert set(CHAIN_PAGES) == {view.name for view in VIEWS if view.group == "chain"}
    assert set(TOPICS) == set(BY_NAME["postgres"].pages)


def test_the_palette_offers_every_view_and_every_page() -> None:
    situation = situations.calm(
        configured=frozenset({"kubernetes", "prometheus", "solana", "postgres", "probes"}),
        metrics=MappingProxyType({"m0-quant": None}),
    )
    offered = [command.request() for command in commands(situation, situations.runbooks())]
    opened = {(one.name, one.args.get("show")) for one in offered if isinstance(one, OpenView)}
    wanted = {(view.name, page) for view in VIEWS for page in view.pages} | {(view.name, None) for view in PANELS}
    wanted |= {(view.name, None) for view in VIEWS if not view.pages}
    assert opened == wanted


def test_every_panel_has_its_place_in_the_grid_and_every_stage_its_panel() -> None:
    size = Size(160, 47)
    assert {panel.name for panel in PANELS} <= set(arrange(size, size, 0, "pods"))
    assert set(STAGES) == {stage.name for stage in situations.calm().stages}


def test_a_twelfth_panel_has_a_place_that_overlaps_no_other() -> None:
    size = Size(160, 47)
    parts = arrange(size, size, 0, "spare", (*PANELS, SPARE))
    assert parts["spare"].width > 20 and sum(region.area for region in parts.values()) == size.area
    regions = list(parts.values())
    assert not any(a.overlaps(b) for i, a in enumerate(regions) for b in regions[i + 1 :])


@pytest.mark.parametrize(
    ("given", "shown"),
    [("1234567890-", "1 … 9 0 -"), ("1234567890-=", "1 … 9 0 - ="), ("12", "1 2"), ("", ""), ("123", "1 … 3")],
)
def test_keys_are_reported_as_ranges(given: str, shown: str) -> None:
    assert key_ranges(tuple(given), " … ") == shown


# --------------------------------------------------------------------------------------------- keys


def test_ids_of_the_panels_keys_are_those_of_the_first_release(tmp_path: Path) -> None:
    """A `[keys]` table written for 0.1.0 still means the same panels."""
    ids = {binding.id: binding for binding in keys.APP}
    for number, name in enumerate((*FIRST_IDS, "postgres"), 1):
        assert ids[f"panel-{number}"].action == f"panel({name!r})"
    config = tmp_path / "config.toml"
    config.write_text('[keys]\npanel-1 = "f1"\npanel-11 = "f11"\nrunbooks = "f5"\n', "utf-8")
    settings = load_settings(config=str(config), env={})
    assert dict(settings.keys) == {"panel-1": "f1", "panel-11": "f11", "runbooks": "f5"}
    assert set(settings.keys) <= set(ids)


def pressed(binding: Any) -> Iterator[str]:
    """Keys as textual names them."""
    assert isinstance(binding, Binding)
    for key in binding.key.split(","):
        yield _character_to_key(key) if len(key) == 1 else key


def meanings(bindings: list[Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for binding in bindings:
        for key in pressed(binding):
            found.setdefault(key, set()).add(binding.action)
    return found


def own(kind: type[Widget]) -> list[Any]:
    """Return the bindings of a class and of ours that it derives from, the nearest for each key."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("panels."):
            for binding in base.__dict__.get("BINDINGS", ()):
                for key in pressed(binding):
                    found[key] = Binding(key, binding.action)
    return list(found.values())


@pytest.mark.parametrize("key", [":", "/", "?"])
def test_a_panel_that_takes_a_key_of_the_app_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(RegistryError, match=r"views.py: the key .* has two meanings: panel\('spare'\) and"):
        keys.check((Binding(key, "panel('spare')"), *keys.APP))
    keys.check((Binding(FREE_KEY, "panel('spare')"), *keys.APP))


def test_no_key_of_the_app_has_two_meanings() -> None:
    twice = {key: actions for key, actions in meanings(list(keys.APP)).items() if len(actions) > 1}
    assert not twice


@pytest.mark.parametrize("name", [panel.name for panel in PANELS])
def test_no_key_of_a_panel_has_another_meaning_in_the_app(name: str) -> None:
    twice = {key for key, actions in meanings([*keys.APP, *own(kinds()[name])]).items() if len(actions) > 1}
    assert not twice


def classes(kind: type[Widget]) -> Iterator[type[Widget]]:
    for one in kind.__subclasses__():
        if one.__module__.startswith("panels."):
            yield one
            yield from classes(one)


def test_no_class_of_a_layer_or_a_list_gives_a_key_two_meanings() -> None:
    assert {overlays.ConfirmDialog, overlays.LogView} <= set(classes(Overlay))  # all are loaded
    for kind in classes(Widget):
        twice = {key: a for key, a in meanings(list(kind.__dict__.get("BINDINGS", ()))).items() if len(a) > 1}
        assert not twice, kind.__name__


def test_a_double_name_ends_the_start_with_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Path(str(views.__file__)).read_text("utf-8")
    first = next(line for line in source.splitlines(keepends=True) if 'name="pods"' in line)
    module = ModuleType("cockpit.model.views_with_a_double_row")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(Exception, match=r"^cockpit/model/views.py: two rows are named 'pods'$"):
        exec(compile(source.replace(first, first * 2), "views.py", "exec"), module.__dict__)
