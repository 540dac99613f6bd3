"""`m0-cockpit verify BUNDLE` checks whether a bundle is what the active set's signers signed.

Exit code 0 valid, 2 invalid, 3 unknown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from cockpit.model.observed.bundle import BundleVerdict
    from cockpit.model.observed.chain import SignerSetState
    from cockpit.oracle.bundle import Expected
    from cockpit.oracle.bundle_file import Bundle, BundleProblem
    from cockpit.settings import Settings

VALID, INVALID, UNKNOWN = 0, 2, 3
_MARKS = {"pass": "ok      ", "fail": "WRONG   ", "unknown": "UNKNOWN "}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="the bundle's JSON file, or - for standard input")
    parser.add_argument(
        "--signer-set",
        metavar="FILE",
        help="the signer set as JSON (else read from the chain by the configured endpoints)",
    )
    parser.add_argument("--signer-set-id", type=_u64, metavar="N", help="the set that should have signed")
    parser.add_argument("--epoch", type=_u64, metavar="N", help="the publish epoch that it should be of")
    parser.add_argument("--sequence", type=_u64, metavar="N", help="the sequence that it should bear")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    from cockpit.commands.settings import settings_of
    from cockpit.oracle.bundle import Expected, verify_bundle
    from cockpit.oracle.bundle_file import BundleProblem, read_bundle, read_signer_set
    from cockpit.settings import ConfigProblem

    expected = Expected(args.signer_set_id, args.epoch, args.sequence)
    try:
        bundle = read_bundle(_bytes_of(args.bundle))
    except BundleProblem as problem:
        return _say_no_bundle(problem, as_json=args.json)
    signer_set: SignerSetState | None
    if args.signer_set is not None:
        try:
            signer_set, why = read_signer_set(_bytes_of(args.signer_set)), ""
        except BundleProblem as problem:
            raise ConfigProblem(
                f"{args.signer_set}: {problem.reason}", "give a signer set as docs/commands.md has it"
            ) from None
    else:
        signer_set, expected, why = _from_chain(bundle, expected, settings_of(args))
    verdict = verify_bundle(bundle, signer_set, expected, why)
    print(json.dumps(as_json(verdict)) if args.json else as_text(verdict))
    return {True: VALID, False: INVALID, None: UNKNOWN}[verdict.valid]


def _from_chain(bundle: Bundle, expected: Expected, settings: Settings) -> tuple[SignerSetState | None, Expected, str]:
    """Read the signer set and the market from the configured endpoints.

    The set is the one that should have signed, else the one that the bundle names.
    """
    from cockpit.sources.solana.settings import RPC_ENDPOINTS, SOLANA

    endpoints, program_id = settings.of(RPC_ENDPOINTS), settings.of(SOLANA).program_id
    if program_id is None or not endpoints:
        missing = "[solana] program-id is" if endpoints else "[[rpc-endpoints]] are"
        return None, expected, f"{missing} not configured, and no --signer-set was given"
    from cockpit.sources.solana.accounts_once import read_accounts

    wanted = expected.signer_set_id if expected.signer_set_id is not None else bundle.signer_set_id
    found = asyncio.run(read_accounts(endpoints, program_id, wanted, bundle.market))
    known = replace(
        expected, market=found.market, market_why=found.market_why, no_set=found.no_set, no_market=found.no_market
    )
    return found.signer_set, known, found.why


def as_text(verdict: BundleVerdict) -> str:
    word, _, rest = verdict.words.partition(":")
    lines = [f"{word.upper()}:{rest}" if verdict.valid else word.upper()]
    lines += [f"  {_MARKS[finding.answer.value]}{finding.words}" for finding in verdict.findings]
    lines.append(f"  content hash  {verdict.content_hash}")
    lines.append(f"  message       {verdict.message}")
    return "\n".join(lines)


def as_json(verdict: BundleVerdict) -> dict[str, object]:
    """Return the object of `verify --json`; `verdict` is "valid", "invalid" or "unknown"."""
    return {
        "verdict": {True: "valid", False: "invalid", None: "unknown"}[verdict.valid],
        "content_hash": verdict.content_hash,
        "message": verdict.message,
        "signer_set_id": verdict.signer_set_id,
        "publish_epoch_id": verdict.publish_epoch_id,
        "sequence": verdict.sequence,
        "market": verdict.market,
        "authorised": verdict.authorised,
        "threshold": verdict.threshold,
        "findings": [{"check": f.check, "answer": f.answer.value, "words": f.words} for f in verdict.findings],
    }


def _say_no_bundle(problem: BundleProblem, *, as_json: bool) -> int:
    if as_json:
        finding = {"check": "file", "answer": "fail", "words": problem.reason, "remedy": problem.remedy}
        print(json.dumps({"verdict": "invalid", "findings": [finding]}))
    else:
        print(f"INVALID\n  {_MARKS['fail']}{problem.line()}")
    return INVALID


def _bytes_of(name: str) -> bytes:
    """Read at most one byte more than a bundle may have: the reader then says that it is too large.

    Raises ConfigProblem.
    """
    from cockpit.host.files import read_plain
    from cockpit.oracle.bundle_file import MOST_BYTES
    from cockpit.settings import ConfigProblem
    from cockpit.text import safe

    def read(file: BinaryIO) -> bytes:
        return file.read(MOST_BYTES + 1)

    if name == "-":
        return read(sys.stdin.buffer)
    try:
        return read_plain(Path(name).expanduser())[: MOST_BYTES + 1]
    except OSError as error:
        raise ConfigProblem(f"cannot read {safe(name, 200)}: {safe(error.strerror, 120)}", "check the path") from None


def _u64(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**64:
        raise argparse.ArgumentTypeError("expected a whole number from 0 to 2^64 − 1")
    return int(text)
