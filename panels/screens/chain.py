"""Shows the chain in full, in three pages.

The signer set three ways; what the program did, its failed transactions and commits that wait; the
RPC endpoints side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import wrap
from typing import ClassVar, Final

from cockpit.model.observed.chain import EndpointStatus, ProgramActivity, ProtocolState, SignerSetState
from cockpit.model.observed.probe import SignerReport
from cockpit.model.reading import NOTHING_READ
from cockpit.model.situation import Situation
from cockpit.model.views import VIEWS
from cockpit.text import counted
from panels.dashboard.facts.chain import TopicData, disagreements, program, quiet, spoken, topic_data
from panels.dashboard.facts.chain import endpoints as heard_of
from panels.dashboard.publish import waiting
from panels.dashboard.rpc import measured, said_of
from panels.dashboard.signers import set_lines
from panels.kit.spans import BLANK, Column, Line, Span, table
from panels.kit.words import UNKNOWN, age, count, value
from panels.screens.pages import SituationPages
from panels.screens.view import Asked


def signer_set(situation: Situation, width: int) -> list[Line]:
    """List the set's keys with the agents that report them, then agents with other keys."""
    lines = set_lines(situation, width, 40)
    account = topic_data(situation.solana.get("signer-set"), SignerSetState, situation.mono)
    reading = situation.probes.get("signers")
    reports = topic_data(reading, dict, situation.mono)
    heard: Mapping[str, SignerReport] = reports.data or {}
    live = reports.live
    holders = {report.pubkey: report for report in heard.values() if report.pubkey is not None}
    rows: list[list[Span]] = []
    keys = account.data.pubkeys if account.data is not None else ()
    for key in keys:
        report = holders.get(key)
        role = "text" if account.live else "unknown"
        rows.append(
            [
                (
                    "✓" if report else "✗",
                    "ok" if report and account.live and live else "unknown" if not live else "crit",
                ),
                (key, role),
                *_agent(report, live),
            ]
        )
    for report in heard.values():
        if report.pubkey not in keys:
            mark: Span = ("✗", "crit") if report.pubkey and account.live else ("?", "unknown")
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
        Column("", 1),
        Column("key", 12, grow=1, most=44, middle=True),
        Column("agent", 10, grow=1, most=20),
        Column("its set", 8),
        Column("says", 4, grow=1, most=60, drop=1),
    )
    made = table(columns, rows, width)
    if account.data is not None:
        where: Line = (
            ("account  ", "dim"),
            (account.data.address, "text"),
            (f"  at slot {account.data.slot:,}", "dim"),
        )
        lines += [where, (("created  ", "dim"), (f"at slot {account.data.created_at_slot:,}", "text"))]
    return [*lines, BLANK, *made]


def _agent(report: SignerReport | None, live: bool) -> list[Span]:
    if report is None:
        return [("–", "dim"), ("", "text"), ("no agent reports it", "crit" if live else "unknown")]
    role = "unknown" if not live else "text" if report.ok else "warn"
    return [(report.agent, role), (report.signer_set_id or UNKNOWN, role), (report.words, role)]


def transactions(situation: Situation, width: int) -> list[Line]:
    """List counts, the newest reveal, failures by class and the commits that wait, oldest first."""
    chain = program(situation)
    if chain.data is None:
        return [(("chain  ", "dim"), (chain.why, "faint" if quiet(chain) else "unknown"))]
    activity, role = chain.data, "text" if chain.live else "unknown"
    lines: list[Line] = [] if chain.live else spoken("?", "unknown", chain.why, width)
    lines.append(
        (
            ("program  ", "dim"),
            (activity.program_id, role),
            ("  by ", "dim"),
            (activity.endpoint or "listing", role),
            ("  counted for ", "dim"),
            (age(situation.wall - activity.counting_since), role),
        )
    )
    counts = (
        ("commits", activity.commits),
        ("reveals", activity.reveals),
        ("finalised", activity.finalisations),
        ("rotations", activity.rotations),
        ("pauses", activity.pauses),
        ("failed", activity.failed),
    )
    lines.append(
        tuple(piece for name, rate in counts for piece in ((f"{name} ", "dim"), (f"{count(rate.count)}  ", role)))
    )
    odd = (
        ("not readable", activity.undecodable),
        ("never confirmed", activity.unconfirmed_dropped),
        ("found by listing", activity.filled),
        ("told twice", activity.doubles_dropped),
    )
    if any(number for _, number in odd):
        lines.append(
            tuple(p for name, number in odd if number for p in ((f"{name} ", "dim"), (f"{count(number)}  ", role)))
        )
    lines.append(_paused(situation))
    lines += _newest(activity, role, width)
    rows: list[list[Span]] = [
        [
            (one.name, role),
            ("" if one.code is None else str(one.code), role),
            (one.instruction, role),
            (count(one.count), role),
            (f"{one.per_minute:.0f}/min", "warn" if one.per_minute > 0 and chain.live else role),
            ("" if one.runbook is None else f"runbook {one.runbook}", "accent"),
            (one.last_signature, role),
        ]
        for one in activity.failures
    ]
    columns = (
        Column("failed transactions", 19, grow=1, most=30),
        Column("code", 5, drop=2),
        Column("instruction", 11, grow=1, most=18, drop=3),
        Column("all", 5, ">"),
        Column("now", 7, ">"),
        Column("", 10),
        Column("newest", 12, grow=1, most=90, drop=1, middle=True),
    )
    lines += [BLANK, *table(columns, rows, width)] if rows else [BLANK, (("no failed transaction", role),)]
    lines += [BLANK, waiting(activity, chain.live), *_waiting(chain, width)]
    return lines


def _paused(situation: Situation) -> Line:
    """Show the program's own switch; what endpoints do not agree on is not known."""
    account = topic_data(situation.solana.get("protocol"), ProtocolState, situation.mono)
    disagreement = next((one.words for one in disagreements(situation) if one.what in ("protocol", "paused")), "")
    head: Span = ("the program is  ", "dim")
    if account.data is None or not account.live or disagreement:
        return (head, (UNKNOWN, "unknown"), (f"  {disagreement or account.why}", "unknown"))
    word: Span = ("PAUSED", "crit") if account.data.paused else ("not paused", "text")
    return (
        head,
        word,
        (f"   a reveal may come {account.data.default_reveal_delay_slots:,} slots after its commit", "dim"),
    )


def _newest(activity: ProgramActivity, role: str, width: int) -> list[Line]:
    """Show the last bundle that was revealed: what evidence and `verify` need."""
    last = activity.last_reveal
    if last is None:
        return [(("last bundle  ", "dim"), ("no reveal was seen yet", role))]
    words = f"{last.bundle_hash}  {last.market}  sequence {last.sequence}  epoch {last.epoch}  at slot {last.slot:,}"
    parts = wrap(words, max(20, width - 13))
    return [(("last bundle  " if n == 0 else " " * 13, "dim"), (part, role)) for n, part in enumerate(parts)]


#: From this width on, the table of endpoints has room for their clusters.
WITH_CLUSTER = 110


def endpoints(situation: Situation, width: int) -> list[Line]:
    """List every endpoint with all that is measured of it.

    Then what it says itself, and what they do not agree on.
    """
    own = heard_of(situation)
    if not own:
        known = NOTHING_READ if "solana" in situation.configured else "not configured"
        return [(("rpc endpoints  ", "dim"), (known, "unknown" if "solana" in situation.configured else "faint"))]
    columns = (
        Column("", 1),
        Column("endpoint", 8, grow=1, most=24),
        Column("health", 6, grow=1, most=24),
        Column("slot", 11, ">"),
        Column("behind", 6, ">"),
        Column("p50", 5, ">"),
        Column("p95", 5, ">"),
        Column("err", 5, ">"),
        Column("429", 3, ">"),
        Column("rest", 4, ">", drop=3),
        Column("blockhash", 9, ">"),
        Column("cluster", 7, grow=1, most=22, drop=2),
        Column("genesis", 9, grow=1, most=44, drop=6, middle=True),
        Column("fee", 6, ">", drop=4),
        Column("version", 7, drop=5),
        Column("logs", 4, drop=1),
    )
    lines = [*table(columns, [_endpoint(name, found) for name, found in own.items()], width), BLANK]
    if width < WITH_CLUSTER:
        named = ((name, found.data) for name, found in own.items())
        clusters = [f"{name} {(one.cluster or UNKNOWN) if one is not None else UNKNOWN}" for name, one in named]
        lines += _dim(f"cluster: {', '.join(clusters)}", width)
    lines += _dim(
        "blockhash: slots since its newest was made (one lives 150); rest: how long it asks to be left alone; "
        "fee: median priority fee, "
        "micro-lamports a unit; p50, p95, err and 429: of what this cockpit asked in two minutes",
        width,
    )
    for one in disagreements(situation):
        lines += spoken("≠", "warn", f"{one.what}: {one.words}", width)
    for name, found in own.items():
        lines += said_of(name, found, width)
    return lines


def _dim(words: str, width: int) -> list[Line]:
    return [((part, "dim"),) for part in wrap(words, width)]


def _endpoint(name: str, found: TopicData[EndpointStatus]) -> list[Span]:
    mark, behind, slow, errors, refused, logs = measured(found)
    one, role = found.data, "text" if found.live else "unknown"
    nothing: Span = (UNKNOWN, "unknown")
    if one is None:
        return [mark, (name, "bold"), *[nothing] * 8, *[nothing] * 5, logs]
    ill = bool(one.health) and one.health != "ok"
    old = one.blockhash_age_slots
    return [
        mark,
        (name, role),
        (one.health or UNKNOWN, "unknown" if not found.live or not one.health else "warn" if ill else "text"),
        nothing if one.slot is None else (f"{one.slot:,}", role),
        behind,
        nothing if one.latency_p50_ms is None else (value(one.latency_p50_ms, "ms"), role),
        slow,
        errors,
        refused,
        ("–", "dim") if not one.retry_after_s else (value(one.retry_after_s, "s"), "warn"),
        nothing if old is None else (f"{old:,}", role),
        nothing if not one.cluster else (one.cluster, "crit" if one.foreign else role),
        nothing if one.genesis is None else (one.genesis, "crit" if one.foreign else "dim"),
        nothing if one.priority_fee_p50 is None else (count(one.priority_fee_p50), role),
        nothing if one.version is None else (one.version, "dim"),
        logs,
    ]


def _waiting(chain: TopicData[ProgramActivity], width: int) -> list[Line]:
    activity = chain.data
    assert activity is not None
    rows: list[list[Span]] = []
    for one in activity.pending:
        role = "unknown" if not chain.live else "warn" if one.overdue else "text"
        words = f"{counted(one.overdue_slots, 'slot')} overdue" if one.overdue else f"from {one.reveal_after_slot:,} on"
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
        Column("market", 10, grow=1, most=24, middle=True),
        Column("may be revealed", 20),
        Column("slot", 11, ">"),
        Column("commit hash", 12, grow=1, most=64, drop=1, middle=True),
        Column("signature", 12, grow=1, most=88, drop=2, middle=True),
    )
    made = table(columns, rows, width)
    more = activity.pending_total - len(rows)
    return [*made, ((f"and {more:,} more", "dim"),)] if more > 0 else made


#: Name of the view → what it shows.
PAGES: Final[Mapping[str, Callable[[Situation, int], list[Line]]]] = {
    "signer-set": signer_set,
    "transactions": transactions,
    "endpoints": endpoints,
}


class ChainView(SituationPages):
    """Shows the views of the group "chain", each as a page."""

    TITLES: ClassVar[Mapping[str, str]] = {view.name: view.title.upper() for view in VIEWS if view.group == "chain"}
    STATE = False

    @staticmethod
    def lines(situation: Situation, page: str, width: int) -> list[Line]:
        return PAGES[page](situation, width)


def view(asked: Asked) -> ChainView:
    return ChainView(asked.name, asked.situation, appearance=asked.appearance)
