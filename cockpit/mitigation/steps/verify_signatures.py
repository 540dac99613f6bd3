"""`verify-signatures` tells whether a bundle is what the signers signed.

Worked out here; it changes nothing.

Keys: `args.bundle` (a file, usually "{file}"); optional `args.signer-set` (a file; else the set as
the chain has it now).
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cockpit.assessment.signerset import disagreement_over_set
from cockpit.host.files import read_plain
from cockpit.mitigation.kind import Draft
from cockpit.mitigation.outcome import Outcome
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.local import LocalStep, local_draft
from cockpit.mitigation.steps.parameters import filled
from cockpit.model.observed.chain import MarketState, SignerSetState
from cockpit.model.observed.probe import ServedBundle
from cockpit.model.plan import LocalCheck, Proof
from cockpit.model.reading import Unknown, believed
from cockpit.oracle.bundle import Expected, verify_bundle
from cockpit.oracle.bundle_file import BundleProblem, read_bundle, read_signer_set
from cockpit.text import safe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.kind import Intent, PlanRequest, Prepared, Ready
    from cockpit.oracle.bundle_file import Bundle

_NEXT_READING_S, _POLL_S = 30.0, 0.25  # markets are read every ten seconds
_MOST = 1024 * 1024 + 1  # one byte more than the reader takes, so that it says so itself
ON_CHAIN = "the chain, now"
SERVED = "served:"


class VerifySignatures(LocalStep):
    async def draft(self, request: PlanRequest, context: StepContext, salt: str) -> Draft:
        args = request.step.args if request.step is not None else {}
        path = filled(args.get("bundle", ""), request.values, "args.bundle")
        if not path:
            raise PlanProblem("the step names no bundle", "correct runbooks.toml: args.bundle")
        keys = filled(args.get("signer-set", ""), request.values, "args.signer-set")
        raw = await _read(path, context)
        inputs = {"bundle": path, "sha256": hashlib.sha256(raw).hexdigest(), "signer set": keys or ON_CHAIN}
        effect, target = LocalCheck("verifies signatures", inputs), context.target("Bundle", safe(Path(path).name, 80))
        blast = f"reads {safe(path, 200)} ({len(raw):,} bytes); changes nothing"
        return local_draft(effect, target, "m0-cockpit verify", blast)

    async def send(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, on_progress: OnProgress
    ) -> Outcome:
        effect = ready.effect
        intent(effect)
        assert isinstance(effect, LocalCheck)
        try:
            raw = await _read(effect.inputs["bundle"], context)
            if hashlib.sha256(raw).hexdigest() != effect.inputs["sha256"]:
                return Outcome("stale", "the file is another one than was shown")
            source = effect.inputs["signer set"]
            bundle, expected, why = read_bundle(raw), Expected(), ""
            if source == ON_CHAIN:
                signers, why = _on_chain(context)
                market, market_why = await _market(context, bundle, on_progress)
                expected = Expected(market=market, market_why=market_why)
            else:
                signers = read_signer_set(await _read(source, context))
            verdict = await asyncio.to_thread(verify_bundle, bundle, signers, expected, why)
        except (PlanProblem, BundleProblem) as problem:
            on_progress(proof=Proof.FAIL)
            return Outcome("rejected", f"no verdict: {safe(problem.line(), 300)}")
        valid = verdict.valid
        proof = Proof.UNKNOWN if valid is None else Proof.PASS if valid else Proof.FAIL
        lines = tuple(
            f"{f.answer.value.upper():<8} {safe(f.check, 60)}: {safe(f.words, 300)}" for f in verdict.findings
        )
        on_progress(output=lines, proof=proof)
        return Outcome("sent", safe(verdict.words, 500), output=lines)


KIND = VerifySignatures()


async def _read(path: str, context: StepContext) -> bytes:
    """Read a file, up to a limit; or the bundle that the gateway served last ("served:MARKET").

    Raises PlanProblem.
    """
    if path.startswith(SERVED):
        market, situation = path.removeprefix(SERVED), context.situation()
        reading = situation.probes.get(f"bundle/{market}") if situation is not None else None
        found = believed(reading, situation.mono if situation is not None else 0.0, ServedBundle)
        if isinstance(found, Unknown):
            raise PlanProblem(f"the bundle of {safe(market, 80)} is not known: {found.reason}", "name a file instead")
        return found.data.raw

    def read() -> bytes:
        return read_plain(Path(path).expanduser())[:_MOST]

    try:
        return await asyncio.to_thread(read)
    except OSError as error:
        raise PlanProblem(f"{path} cannot be read: {error.strerror or error}", "check the file") from error


def _on_chain(context: StepContext) -> tuple[SignerSetState | None, str]:
    """Return the signer set as it was last read, and why there is none."""
    situation = context.situation()
    reading = situation.solana.get("signer-set") if situation is not None else None
    if situation is None or reading is None:
        return None, "the chain is not read here"
    account = believed(reading, situation.mono, SignerSetState)
    if isinstance(account, Unknown):
        return None, account.reason
    disagreement = disagreement_over_set(situation.solana, situation.mono)
    if disagreement:
        return None, f"endpoints disagree: {disagreement}"
    return account.data, ""


async def _market(context: StepContext, bundle: Bundle, on_progress: OnProgress) -> tuple[MarketState | None, str]:
    """Return the market's account, and why it is not known; neither when the bundle names none.

    A bundle of an epoch that the account was not in yet may be newer than the look at it: then the
    next look counts.
    """
    began, said = context.clock.mono(), False
    while True:
        situation = context.situation()
        if not bundle.market or situation is None:
            return None, ""
        reading = situation.solana.get("markets")
        markets = believed(reading, situation.mono)
        if reading is None or isinstance(markets, Unknown):
            return None, markets.reason
        known: Mapping[str, MarketState] = markets.data
        found = next((market for market in known.values() if market.market_id == bundle.market), None)
        if found is None:
            return None, "it is none of those on the chain"
        looked = situation.mono - markets.age_s - reading.took_s
        if bundle.publish_epoch_id <= found.current_epoch_id or looked >= began:
            return found, ""
        if context.clock.mono() - began > _NEXT_READING_S:
            return None, f"it was in epoch {found.current_epoch_id} when it was last read, and was not read again since"
        if not said:
            said = True
            on_progress(
                words="waiting for the next look at the market's account: the bundle is newer than the last one"
            )
        await context.sleep(_POLL_S)
