"""Holds what Solana endpoints and the oracle program say: plain values for panels and signals.

Slots are Solana slots; ages in seconds are monotonic unless they are called `wall`. Pubkeys,
signatures and hashes are text as an explorer shows them (base58; bundle and commit hashes hex).
Layouts: docs/oracle-program.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cockpit.model.observed.probe import SignerReport


class EndpointStatus(msgspec.Struct, frozen=True):
    """Describes one RPC endpoint, on the board as `solana/endpoint/NAME`.

    None: not known (yet, or no longer).
    """

    name: str
    host: str  # never the path: it may be a key
    health: str = ""  # "ok", or the node's own words ("behind by 214 slots"), or "" when it does not say
    slot: int | None = None
    behind: int | None = None  # slots behind the highest of all endpoints of the same cluster
    latency_p50_ms: float | None = None  # of this source's own requests, last two minutes
    latency_p95_ms: float | None = None
    requests: int = 0  # in those two minutes
    error_ratio: float | None = None  # 0..1, 429s included
    throttled: int = 0  # 429s in those two minutes
    retry_after_s: float | None = None  # how long it still asks to be left alone
    blockhash_age_slots: int | None = None  # slot − slot at which the newest blockhash was made
    genesis: str | None = None
    cluster: str = ""  # "mainnet-beta", "devnet", "testnet", or "unknown 4sGjMW1s…"
    foreign: bool = False  # its genesis hash differs from that of the majority (or of the first named, when even)
    version: str | None = None
    priority_fee_p50: int | None = None  # micro-lamports per compute unit, recent blocks, of the program's accounts
    streaming: bool = False  # the program's logs come from this one now


class RequestCount(msgspec.Struct, frozen=True):
    """Counts our own requests in two minutes, on the board as `solana/requests/NAME`."""

    error_ratio: float | None  # 0..1, 429s included
    throttled: int


class Disagreement(msgspec.Struct, frozen=True):
    """Says in words what endpoints do not agree on: the cockpit says so rather than choosing."""

    what: str  # "slot", "cluster", "protocol", "paused", "signer set", "commits"
    words: str  # "rpc-a says 8 commits in the last minute, rpc-b 14"


class PendingCommit(msgspec.Struct, frozen=True):
    """Describes a confirmed commit whose reveal has not been seen.

    It may be revealed from `reveal_after_slot` on.
    """

    market: str  # market id where its account is known, else the pubkey
    epoch: str  # the epoch account's pubkey
    commit_hash: str
    signature: str
    slot: int
    reveal_after_slot: int
    overdue_slots: int  # highest slot − reveal_after_slot; negative: still waiting by rule

    @property
    def overdue(self) -> bool:
        return self.overdue_slots > 0


class FailureClass(msgspec.Struct, frozen=True):
    """Describes failed transactions of one kind.

    `runbook` is the number that the facts link it to.
    """

    name: str  # "SignatureVerificationFailed", "BlockhashNotFound", "custom 7001", ...
    code: int | None
    instruction: str  # "RevealPrediction", "" when unknown
    count: int  # since the cockpit started
    per_minute: float
    runbook: int | None
    last_signature: str
    last_slot: int
    first_slot: int = 0  # of those that came since the last long rest


class FailedTransaction(msgspec.Struct, frozen=True):
    """Describes one failed transaction of the program, by the name of its failure class."""

    signature: str
    slot: int
    name: str
    instruction: str = ""


class Reveal(msgspec.Struct, frozen=True):
    """Describes the newest reveal of a market."""

    market: str
    epoch: str
    bundle_hash: str
    sequence: int
    slot: int
    signature: str


class Rate(msgspec.Struct, frozen=True):
    """Says how often one kind of event happens: its exact count, its rate and a history.

    Counted since `counting_since`; the rate is of the last full minute.
    """

    count: int
    per_minute: float | None  # None while less than a minute was watched
    last_slot: int | None
    history: tuple[tuple[float, float], ...] = ()  # (wall unix seconds, events per minute), oldest first, one each 10 s


class Refusal(msgspec.Struct, frozen=True):
    """Says why one reveal was refused; `solana/refusals` holds the newest ones.

    `finding`: "keys" (not enough of the set's), "hash" (of other bytes), "format" (of no message of
    this bundle), "sequence" (of one with another sequence or epoch), "none", "replay" (refused for
    its own sequence); "" where it cannot be told, and `words` say why. `keys` signed it;
    `strangers` of them are not in the set.
    """

    signature: str  # of the transaction
    slot: int
    error: str
    finding: str
    words: str
    keys: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    signer_set_id: int | None = None
    epoch: int | None = None
    sequence: int | None = None
    content_hash: str = ""
    market: str = ""  # the address of its market's account, where that is known


class ProgramActivity(msgspec.Struct, frozen=True):
    """Describes the oracle program's transactions, on the board as `solana/program`.

    Counted once each at commitment `confirmed`, by signature, across reconnects and endpoints.
    """

    program_id: str
    endpoint: str  # whose subscription feeds it; "" while none does, and transactions are found by listing them
    counting_since: float  # wall unix seconds
    complete: bool  # False while a gap is being filled, or when one could not be filled: `gap` says why
    gap: str = ""
    #: wall: up to then transactions may be missing; rates are whole again a minute later
    doubtful_until: float | None = None
    doubtful: bool = False  # transactions of the last minute may be missing: rates and what waits are not to be trusted
    #: from the slot after it on every transaction is known (as far as `gap` does not say otherwise)
    covered_slot: int | None = None
    slot: int | None = None  # the highest confirmed slot seen by the stream
    commits: Rate = Rate(0, None, None)
    reveals: Rate = Rate(0, None, None)
    finalisations: Rate = Rate(0, None, None)
    rotations: Rate = Rate(0, None, None)
    pauses: Rate = Rate(0, None, None)
    failed: Rate = Rate(0, None, None)
    failures: tuple[FailureClass, ...] = ()  # most frequent first
    pending: tuple[PendingCommit, ...] = ()  # oldest first, bounded; `pending_total` counts all
    pending_total: int = 0
    overdue_total: int = 0  # of those, how many could have been revealed by now
    #: given up: overdue for an hour, or overtaken by a later commit of the market that was revealed
    lost_commits: int = 0
    reveals_by_market: Mapping[str, Reveal] = {}
    last_reveal: Reveal | None = None
    doubles_dropped: int = 0  # seen again by paging or a second subscription
    undecodable: int = 0  # events or instructions of the program that could not be read
    #: slots of successful transactions that could not be read whole: each may be a commit or a
    #: reveal; oldest first, bounded
    unread_slots: tuple[int, ...] = ()
    listed_slot: int | None = None  # up to there a listing has shown that no transaction is missing
    unconfirmed_dropped: int = 0  # processed, never confirmed: not counted
    filled: int = 0  # found by paging, not by the subscription
    reconnects: int = 0
    no_stream: str = ""  # why no endpoint streams just now
    recent_failed: tuple[FailedTransaction, ...] = ()  # as they were heard of, oldest first, bounded
    committers: Mapping[str, int] = {}  # who has committed in the last ten minutes → how often since counting began


class ProtocolState(msgspec.Struct, frozen=True):
    """Describes ProtocolConfig, on the board as `solana/protocol`."""

    address: str
    paused: bool
    authority: str
    next_signer_set_id: int
    default_reveal_delay_slots: int
    slot: int  # context slot of the answer


class Multisig(msgspec.Struct, frozen=True):
    """Describes the multisig that the configuration names.

    `voters`: members that may approve; `config_authority`: a key that changes members alone, or "".
    """

    address: str
    threshold: int
    voters: tuple[str, ...]
    members: int
    time_lock_s: int
    config_authority: str = ""
    vault: str = ""  # the address that it signs for


class Governance(msgspec.Struct, frozen=True):
    """Holds who may change the program, on the board as `solana/governance`.

    `upgrade_authority` None: nobody, or `code_problem` says why it is not known. `single_key`: it
    is a plain key that somebody holds. `multisig` None: none is configured, or `problem` says why.
    """

    upgrade_authority: str | None
    deployed_slot: int = 0
    single_key: bool = False
    code_problem: str = ""
    multisig: Multisig | None = None
    problem: str = ""
    slot: int = 0


class SignerSetState(msgspec.Struct, frozen=True):
    """Describes the SignerSet account of the configured id, on the board as `solana/signer-set`."""

    address: str
    signer_set_id: int
    threshold: int
    pubkeys: tuple[str, ...]
    active: bool
    created_at_slot: int
    slot: int


def signer_differences(held: SignerSetState, reports: Mapping[str, SignerReport]) -> tuple[str, ...]:
    """Say where the set's account and what signer agents report differ, one line each."""
    found: list[str] = []
    if not held.active:
        found.append(f"signer set {held.signer_set_id} is not active on chain")
    if held.threshold > len(held.pubkeys):
        found.append(f"its threshold is {held.threshold}, with {len(held.pubkeys)} pubkeys")
    owners: dict[str, list[str]] = {}
    for agent, report in sorted(reports.items()):
        if report.signer_set_id is not None and report.signer_set_id != str(held.signer_set_id):
            found.append(f"{agent} signs for set {report.signer_set_id}, the configured one is {held.signer_set_id}")
        if report.pubkey is not None:
            owners.setdefault(report.pubkey, []).append(agent)
            if report.pubkey not in held.pubkeys:
                found.append(f"{agent} has pubkey {report.pubkey[:8]}…, which is not in the set")
    found += [
        f"{' and '.join(agents)} report the same pubkey {key[:8]}…" for key, agents in owners.items() if len(agents) > 1
    ]
    if reports and all(report.pubkey is not None for report in reports.values()):
        found += [f"no agent reports pubkey {key[:8]}… of the set" for key in held.pubkeys if key not in owners]
    return tuple(found)


class MarketState(msgspec.Struct, frozen=True):
    """Describes a Market account; `solana/markets` holds a mapping address → MarketState."""

    address: str
    market_id: str
    domain: str
    active: bool
    current_epoch_id: int
    last_sequence: int
