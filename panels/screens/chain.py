"""The chain in full, two pages: the signer set three ways, and the program's failed transactions and commits that wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from textual.app import ComposeResult

from cockpit.model.chain import ProgramActivity, SignerSetState
from cockpit.model.probe import SignerReport
from cockpit.model.situation import Situation
from panels.chainfacts import Told, program, quiet, spoken, told
from panels.pieces import BLANK, Column, Line, Piece, table
from panels.publish import waiting
from panels.screens.pages import KEYS, PageLines, PagesView
from panels.screens.view import Bar
from panels.signers import set_lines
from panels.theme import Look
from panels.words import UNKNOWN, age, count


def signer_set(situation: Situation, width: int) -> list[Line]:
    """Every key of the set on the chain with the agent that reports it, then agents whose key is not in the set."""
    lines = set_lines(situation, width, 40)
    account = told(situation.solana.get("signer-set"), SignerSetState, situation.mono)
    reading = situation.probes.get("signers")
    heard: Mapping[str, SignerReport] = (
        reading.data if reading is not None and isinstance(reading.data, Mapping) else {}
    )
    live = told(reading, dict, situation.mono).live
    holders = {report.pubkey: report for report in heard.values() if report.pubkey is not None}
    rows: list[list[Piece]] = []
    keys = account.data.pubkeys if account.data is not None else ()
    for key in keys:
        report = holders.get(key)
        role = "text" if account.live else "unknown"
        rows.append([("✓" if report else "✗", "ok" if report and account.live and live else "unknown" if not live else "crit"), (key, role), *_agent(report, live)])  # fmt: skip
    for report in heard.values():
        if report.pubkey not in keys:
            mark: Piece = ("✗", "crit") if report.pubkey and account.live else ("?", "unknown")
            rows.append(
                [
                    mark,
                    (report.pubkey or UNKNOWN, "crit" if report.pubkey and account.live else "unknown"),
                    *_agent(report, live),
                ]
            )
    if not rows:
        return [*lines, BLANK, (("no key is known: neither the chain nor an agent tells one", "unknown"),)]
    columns = (
        Column("", 1), Column("key", 12, grow=1, most=44, middle=True), Column("agent", 10, grow=1, most=20),
        Column("its set", 8), Column("says", 4, grow=1, most=60, drop=1),
    )  # fmt: skip
    made = table(columns, rows, width)
    if account.data is not None:
        where: Line = (
            ("account  ", "dim"),
            (account.data.address, "text"),
            (f"  at slot {account.data.slot:,}", "dim"),
        )
        lines += [where, (("created  ", "dim"), (f"at slot {account.data.created_at_slot:,}", "text"))]
    return [*lines, BLANK, *made]


def _agent(report: SignerReport | None, live: bool) -> list[Piece]:
    if report is None:
        return [("–", "dim"), ("", "text"), ("no agent reports it", "crit" if live else "unknown")]
    role = "unknown" if not live else "text" if report.ok else "warn"
    return [(report.agent, role), (report.signer_set_id or UNKNOWN, role), (report.words, role)]


def transactions(situation: Situation, width: int) -> list[Line]:
    """Failures by class with the newest signature of each, then the commits that wait for their reveal, oldest first."""
    chain = program(situation)
    if chain.data is None:
        return [(("chain  ", "dim"), (chain.why, "faint" if quiet(chain) else "unknown"))]
    activity, role = chain.data, "text" if chain.live else "unknown"
    lines: list[Line] = [] if chain.live else spoken("?", "unknown", chain.why, width)
    lines.append(
        (
            ("program  ", "dim"), (activity.program_id, role), ("  by ", "dim"), (activity.endpoint, role), ("  counted for ", "dim"),
            (age(situation.wall - activity.counting_since), role),
        )
    )  # fmt: skip
    lines.append(
        tuple(
            piece
            for name, rate in (("commits", activity.commits), ("reveals", activity.reveals), ("finalised", activity.finalisations), ("failed", activity.failed))
            for piece in ((f"{name} ", "dim"), (f"{count(rate.count)}  ", role))
        )
    )  # fmt: skip
    rows: list[list[Piece]] = [
        [
            (one.name, role), ("" if one.code is None else str(one.code), role), (one.instruction, role), (count(one.count), role),
            (f"{one.per_minute:.0f}/min", "warn" if one.per_minute > 0 and chain.live else role),
            ("" if one.runbook is None else f"runbook {one.runbook}", "accent"), (one.last_signature, role),
        ]
        for one in activity.failures
    ]  # fmt: skip
    columns = (
        Column("failed transactions", 19, grow=1, most=30), Column("code", 5, drop=2), Column("instruction", 11, grow=1, most=18, drop=3),
        Column("all", 5, ">"), Column("now", 7, ">"), Column("", 10), Column("newest", 12, grow=1, most=90, drop=1, middle=True),
    )  # fmt: skip
    lines += [BLANK, *table(columns, rows, width)] if rows else [BLANK, (("no failed transaction", role),)]
    lines += [BLANK, waiting(activity, chain.live), *_waiting(chain, width)]
    return lines


def _waiting(chain: Told[ProgramActivity], width: int) -> list[Line]:
    activity = chain.data
    assert activity is not None
    rows: list[list[Piece]] = []
    for one in activity.pending:
        role = "unknown" if not chain.live else "warn" if one.overdue else "text"
        words = f"{one.overdue_slots:,} slots overdue" if one.overdue else f"from slot {one.reveal_after_slot:,} on"
        rows.append(
            [
                (one.market, role),
                (words, role),
                (f"{one.slot:,}", "dim"),
                (one.commit_hash, "dim"),
                (one.signature, "dim"),
            ]
        )
    if not rows:
        return []
    columns = (
        Column("market", 10, grow=1, most=24, middle=True), Column("may be revealed", 20), Column("slot", 11, ">"),
        Column("commit hash", 12, grow=1, most=64, drop=1, middle=True), Column("signature", 12, grow=1, most=88, drop=2, middle=True),
    )  # fmt: skip
    made = table(columns, rows, width)
    more = activity.pending_total - len(rows)
    return [*made, ((f"and {more:,} more", "dim"),)] if more > 0 else made


#: Name of the view → (title, what it shows).
PAGES: Final[Mapping[str, tuple[str, Callable[[Situation, int], list[Line]]]]] = {
    "signer-set": ("SIGNER SET", signer_set),
    "transactions": ("TRANSACTIONS", transactions),
}


def _page(situation: Situation, page: str, width: int) -> list[Line]:
    return PAGES[page][1](situation, width)


class ChainView(PagesView):
    """The app hands it each new situation: `show(situation)`. `name`: a key of PAGES; another shows the first."""

    TITLES: ClassVar[Mapping[str, str]] = {name: title for name, (title, _) in PAGES.items()}

    def __init__(self, name: str, situation: Situation | None = None, *, look: Look | None = None) -> None:
        super().__init__(look)
        self.page = self.first_of(name)
        self.rows = PageLines(self.look, self.page, _page)
        self._situation = situation

    def compose(self) -> ComposeResult:
        yield Bar(self.look, id="top")
        yield self.rows
        yield Bar(self.look, id="keys")

    def opened(self) -> None:
        super().opened()
        self.query_one("#keys", Bar).keys(*KEYS)
        self.tell_title()
        if self._situation is not None:
            self.show(self._situation)

    def take_focus(self) -> None:
        self.seize(self.rows)

    def show(self, situation: Situation) -> None:
        self._situation = situation
        self.rows.show(situation)

    def turned(self) -> None:
        self.rows.turn(self.page)
        self.tell_title()
