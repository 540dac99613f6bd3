"""Lists every view that the screen can open, one row each: name, title, pages, and a panel's place.

The checker of runbooks, the app, the keys, the grid, the tabs, the help, the footer, the palette
and docs/keys.md are derived from these rows. A panel is drawn by `panels/dashboard/NAME.py`;
any other view, and the pages of a panel, by the file of `panels/screens` that its row names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from cockpit.model.registry import RegistryError, RowType, is_name, registry

#: Shares of the dashboard's height, one for each row of its grid.
GRID_HEIGHTS: Final = (15, 13, 13)

WHERE: Final = "cockpit/model/views.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSpec(metaclass=RowType):
    """Holds what is to be known of a view before it is opened.

    `short` is its title where the room is short; "": the title itself. `offer` names it in the
    palette ("{page}" and "{service}" stand for which one), `words` tell there what it shows.
    `pages` maps what `show` may be to the page's title. `group`: views of one group are turned
    into each other by ← and →. `of_service`: it shows one service, named by `service`; with
    `or_chosen`, without a name, what is chosen on the dashboard. `source`: the source without
    which it has nothing to show. `args`: what else a runbook may give it, beside `show` of a view
    with pages and `service` of one that is of a service. `file`: the module of `panels/screens`
    whose `view` shows it; "" for a panel without pages, and for what the app fetches (`fetched`).
    `key` opens it from the dashboard; so does Enter on the panel that `panel` names. Of a view of a
    service it opens that of the chosen one.
    """

    name: str = ""
    title: str = ""
    short: str = ""
    offer: str = ""
    words: str = ""
    pages: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    of_service: bool = False
    or_chosen: bool = False
    source: str = ""
    args: tuple[str, ...] = ()
    file: str = ""
    fetched: bool = False
    key: str = ""
    panel: str = ""

    @property
    def knows(self) -> tuple[str, ...]:
        """Return every key that `args` of a runbook may have."""
        return (*(["show"] if self.pages else []), *(["service"] if self.of_service else []), *self.args)

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the modules that draw it."""
        panel = f"panels.dashboard.{self.name.replace('-', '_')}" if isinstance(self, PanelSpec) else ""
        screen = f"panels.screens.{self.file}" if self.file else ""
        return tuple(filter(None, (panel, screen)))

    def claims(self) -> Iterator[tuple[str, str]]:
        """Yield (what, value) of what no other row may have."""
        if self.key:
            yield "key", self.key
        if self.panel:
            yield "panel", self.panel

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with this row by itself."""
        if not self.title:
            yield "title: missing"
        if not all(is_name(page) and title for page, title in self.pages.items()):
            yield "pages: each needs a name and a title"
        if (self.pages or not isinstance(self, PanelSpec)) and not (self.offer and self.words):
            yield "offer, words: missing; the palette could not offer it"
        needs_file = bool(self.pages) or not (isinstance(self, PanelSpec) or self.fetched)
        if needs_file != bool(self.file):
            yield f"file: {'missing' if needs_file else 'expected none'}"
        if ("{page}" in self.offer) != bool(self.pages) or ("{service}" in self.offer) != self.of_service:
            yield f"offer: expected {{page}} where there are pages, {{service}} where it is of one, got {self.offer!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelSpec(ViewSpec):
    """Describes a view that has a place on the dashboard.

    `key` brings it up. `slot`: its row of the grid, counted from 1, and its share of that row's
    width. `stages`: the stages of the pipeline of which it tells more.
    """

    slot: tuple[int, int] = (0, 0)
    stages: tuple[str, ...] = ()

    def claims(self) -> Iterator[tuple[str, str]]:
        yield from ViewSpec.claims(self)
        yield from (("stage", stage) for stage in self.stages)

    def faults(self) -> Iterator[str]:
        yield from ViewSpec.faults(self)
        row, share = self.slot
        if len(self.key) != 1 or self.key.isalpha() or self.key.isspace():
            yield f"key: expected one digit or sign, got {self.key!r}"
        if not 1 <= row <= len(GRID_HEIGHTS) or share < 1:
            yield f"slot: expected a row from 1 to {len(GRID_HEIGHTS)} and a share above 0, got {self.slot}"


VIEWS: Final[tuple[ViewSpec, ...]] = (
    PanelSpec(name="pods", title="Pods", key="1", slot=(1, 72), short="Pod", args=("service",)),
    PanelSpec(name="publish", title="Publish", key="2", slot=(1, 48), short="Pub", stages=("commit", "reveal")),
    PanelSpec(name="signers", title="Signers", key="3", slot=(1, 40), short="Sgn", stages=("sign",)),
    PanelSpec(name="watermark", title="Watermark", key="4", slot=(2, 39), short="Wat", stages=("ingest", "aggregate")),
    PanelSpec(name="rpc", title="RPC", key="5", slot=(2, 40)),
    PanelSpec(name="guardrails", title="Guardrails", key="6", slot=(2, 39), short="Grd", stages=("quant",)),
    PanelSpec(name="api", title="API", key="7", slot=(2, 42), stages=("serve",)),
    PanelSpec(name="toggles", title="Toggles", key="8", slot=(3, 46), short="Tog"),
    PanelSpec(name="journal", title="Journal", key="9", slot=(3, 36), short="Jrn"),
    PanelSpec(name="signals", title="Signals", key="0", slot=(3, 44), short="Sig"),
    PanelSpec(
        name="postgres",
        title="Postgres",
        key="-",
        slot=(3, 34),
        short="PG",
        offer="Postgres: {page}",
        words="the database in full",
        source="postgres",
        file="postgres.view",
        panel="postgres",
        pages={
            "top-queries": "Top queries",
            "missing-indexes": "Indexes",
            "vacuum": "Vacuum",
            "activity": "Locks",
            "connections": "Sessions",
            "replication": "Replicas",
            "archiver": "Archive",
        },
    ),
    # A new panel's row stands here: the order numbers the ids of the panels' keys.
    ViewSpec(
        name="logs",
        title="Logs",
        offer="Logs  {service}",
        words="follow all its pods",
        args=("filter", "tail", "namespace"),
        fetched=True,
        of_service=True,
        or_chosen=True,
        key="l",
    ),
    ViewSpec(
        name="explain",
        title="Explain",
        offer="Explain  {service}",
        words="why it is not healthy",
        args=("namespace",),
        fetched=True,
        of_service=True,
        or_chosen=True,
        key="x",
    ),
    ViewSpec(
        name="metrics",
        title="Metrics",
        offer="Metrics {service} (direct)",
        words="its own /metrics, while Prometheus is down",
        file="metrics",
        of_service=True,
        key="m",
    ),
    ViewSpec(
        name="runbook",
        title="Runbook",
        offer="View runbooks",
        words="the ranked list, best match first",
        args=("runbook",),
        fetched=True,
    ),
    ViewSpec(
        name="images",
        title="Images",
        offer="View known good images",
        words="what ran before, with how it did then",
        fetched=True,
    ),
    ViewSpec(
        name="chart",
        title="Chart",
        offer="Chart of a number",
        words="what the chosen signal was, or one of the panel's numbers: 5 minutes to 30 days",
        args=("signal", "query", "panel", "service", "object"),
        file="chart.numbers",
        key="c",
    ),
    ViewSpec(
        name="queries",
        title="Queries",
        offer="View queries",
        words="every query of the runbooks, by label",
        args=("names",),
        source="prometheus",
        file="queries",
        key="Q",
    ),
    ViewSpec(
        name="recovery",
        title="Recovery",
        offer="View recovery",
        words="signals over time, since the last step",
        args=("signals",),
        file="recovery",
        key="R",
    ),
    ViewSpec(
        name="alerts",
        title="Alerts",
        offer="View alerts",
        words="what Prometheus says is firing or pending",
        file="alerts",
        key="A",
    ),
    ViewSpec(
        name="signer-set",
        title="Signer set",
        offer="View signer set",
        words="chain, agents and cluster compared",
        group="chain",
        panel="signers",
        file="chain",
    ),
    ViewSpec(
        name="transactions",
        title="Transactions",
        offer="View transactions",
        words="failed ones by class, commits that wait",
        group="chain",
        panel="publish",
        file="chain",
    ),
    ViewSpec(
        name="endpoints",
        title="RPC endpoints",
        offer="View RPC endpoints",
        words="side by side, with all that is measured",
        group="chain",
        panel="rpc",
        file="chain",
    ),
    ViewSpec(
        name="compare",
        title="Compare",
        offer="Compare {page}",
        words="side by side: what outputs are made of",
        file="compare",
        pages={"sources": "Sources", "features": "Features", "markets": "Markets", "publish-state": "Publish state"},
        key="C",
    ),
    ViewSpec(
        name="changes",
        title="Changes",
        offer="View changes",
        words="what was changed, by whom, and what explains the incident",
        file="changes",
        key="w",
    ),
    ViewSpec(
        name="maintenance",
        title="Maintenance",
        offer="Maintenance: {page}",
        words="a round of routine work, or a checklist",
        file="maintenance",
        key="M",
        pages={"weekly": "Weekly", "monthly": "Monthly", "deploy": "Deploy", "incident": "Incident"},
    ),
)


def view_rows(rows: Sequence[ViewSpec]) -> Mapping[str, ViewSpec]:
    """Return the rows by name; raises RegistryError for the first that cannot be used."""
    return registry(
        rows,
        kind=ViewSpec,
        where=WHERE,
        name=attrgetter("name"),
        faults=lambda row: row.faults(),
        claims=lambda row: row.claims(),
    )


def check_stages(stages: Iterable[str]) -> None:
    """Raise RegistryError when a panel tells of a stage that the runbooks do not have."""
    known = tuple(stages)
    for stage, panel in STAGES.items():
        if stage not in known:
            raise RegistryError(f"{WHERE}: row {panel!r}: stages: expected some of {', '.join(known)}, got {stage!r}")


def grid(panels: Sequence[PanelSpec]) -> tuple[tuple[int, tuple[tuple[str, int], ...]], ...]:
    """Return the grid's rows: (share of the height, ((panel, share of the width), ...))."""
    columns = [
        tuple((panel.name, panel.slot[1]) for panel in panels if panel.slot[0] == number)
        for number in range(1, len(GRID_HEIGHTS) + 1)
    ]
    return tuple((height, row) for height, row in zip(GRID_HEIGHTS, columns, strict=True) if row)


def key_ranges(keys: Sequence[str], joint: str) -> str:
    """Return the keys as `1 … 9 0 -`: three or more that follow each other become a range."""
    runs: list[list[str]] = []
    for key in keys:
        if runs and ord(key) == ord(runs[-1][-1]) + 1:
            runs[-1].append(key)
        else:
            runs.append([key])
    return " ".join(joint.join((run[0], run[-1])) if len(run) > 2 else " ".join(run) for run in runs)


BY_NAME: Final[Mapping[str, ViewSpec]] = view_rows(VIEWS)
#: The panels of the dashboard, in the order of their numbers.
PANELS: Final = tuple(row for row in VIEWS if isinstance(row, PanelSpec))
#: Which view, with what, Enter on a panel opens: the first page of one that has pages.
OPENED_BY: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    row.panel: (row.name, {"show": page} if (page := next(iter(row.pages), "")) else {}) for row in VIEWS if row.panel
}
#: Which panel tells more about a stage of the pipeline.
STAGES: Final[Mapping[str, str]] = {stage: panel.name for panel in PANELS for stage in panel.stages}


def named(name: str) -> ViewSpec:
    """Return the row of that name; raises RegistryError when there is none."""
    if name not in BY_NAME:
        raise RegistryError(f"{WHERE}: there is no row named {name!r}")
    return BY_NAME[name]
