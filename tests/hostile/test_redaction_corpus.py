"""The redaction corpus: no secret of it survives, no harmless line of it is touched (H3)."""

from __future__ import annotations

from tests.hostile.redaction_corpus import HARMLESS, SECRETS


def test_the_corpus_is_large_enough_and_says_what_is_secret() -> None:
    assert len(SECRETS) >= 300 and len(HARMLESS) >= 300
    for entry in SECRETS:
        assert entry.secrets and all(len(secret) >= 5 for secret in entry.secrets), entry
        assert entry.leaks(entry.text)
    for entry in HARMLESS:
        assert not entry.secrets and not set("«»") & set(entry.text), entry
    texts = [entry.text for entry in [*SECRETS, *HARMLESS]]
    assert len(texts) == len(set(texts))
