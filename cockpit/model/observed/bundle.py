"""Describes the verdict on a bundle: every check with its own answer, in words."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class CheckAnswer(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


class BundleCheck(msgspec.Struct, frozen=True):
    """Describes one check of a bundle.

    `check`: "content hash", "signer set", "epoch", "sequence", "signature 3", "threshold", ...
    """

    check: str
    answer: CheckAnswer
    words: str


class BundleVerdict(msgspec.Struct, frozen=True):
    """Holds the `findings` in the order in which they were made.

    What one check cannot tell makes the whole unknown, what fails makes it invalid: unknown is
    never valid.
    """

    content_hash: str  # recomputed from the payload, hex
    message: str  # what had to be signed, hex
    signer_set_id: int
    publish_epoch_id: int
    sequence: int
    market: str
    authorised: int  # distinct keys of the set whose signature holds
    threshold: int | None
    findings: tuple[BundleCheck, ...]

    @property
    def valid(self) -> bool | None:
        answers = {finding.answer for finding in self.findings}
        if CheckAnswer.FAIL in answers:
            return False
        return None if CheckAnswer.UNKNOWN in answers or not answers else True

    @property
    def words(self) -> str:
        """Return one line: "valid: 5 of 5 signatures …", or everything that is wrong."""
        if self.valid:
            return f"valid: {self.authorised} signatures of signer set {self.signer_set_id}, threshold {self.threshold}"
        wanted = CheckAnswer.FAIL if self.valid is False else CheckAnswer.UNKNOWN
        words = "; ".join(finding.words for finding in self.findings if finding.answer is wanted)
        return f"{'invalid' if self.valid is False else 'unknown'}: {words}"
