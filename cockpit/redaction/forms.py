"""Recognises secrets by their own form, whatever stands around them.

Forms of tokens are those that their issuers publish, as gitleaks, detect-secrets and trufflehog
know them. A Solana key pair is told from a transaction's signature, which is as long, by what it
is: its second half is the public key of the first.

Each pattern begins at the edge of a word, has bounds or possessive repeats, and so takes linear
time; tests/hostile holds them to that.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache

from cockpit.redaction import HIDDEN

#: One of these (RE2) is in every text with such a secret.
FORM_SIGNS = (
    r"PRIVATE KEY|Private-Lines|LS0tLS1CRUdJTi|eyJ|AKIA|ASIA|ABIA|ACCA|A3T|ABSK|AIza|ya29\.|GOCSPX|gh[pousr]_"
    r"|github_pat|gl[a-z]{1,5}-|xox[a-z]|xapp-|[sr]k_(?:live|test|prod)|whsec_|sk-|gsk_|xai-|pplx-|r8_|npm_|pypi-|gems_|CLOJARS"
    r"|dckr_pat|SG\.|SK[0-9a-f]{32}|key-[0-9a-f]{32}|-us[0-9]|xkeysib|do[opr]_v1|dapi|hv[sbr]\.|\.atlasv1|dp\.[a-z]+\."
    r"|glsa_|glc_|lin_|ops_|A3-|AGE-SECRET|shp[a-z]{2}_|sq0|NR[A-Z]{2}-|PMAK|pul-|sntry|AT[AC]TT3|ATBB|EZ[AT]K|FLWSECK|duffel_"
    r"|fo1_|fm[12]|hf_|api_org_|CFPAT|dt0|LTAI|Q~|:AA|\.[A-Za-z0-9_-]{6}\.|tskey-|ntn_|secret_|figd_|sbp_|pscale_|sgp_"
    r"|pat-|AKCp|cmVmd|pat[A-Za-z0-9]{14}\.|CCIPAT|nfp_|rdme_|aio_|EAA|amzn\.mws|v1\.0-|SCRAM-SHA|\"md5"
    r"|[A-Za-z0-9+/]{64}|(?:\d{1,3}[,\s]+){8}"
)
_EDGE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"
_FORMS = re.compile(
    _EDGE
    + r"""(?:
      (?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}(?![A-Za-z0-9])
    | ABSK[A-Za-z0-9+/]{60,}+=*
    | AIza[\w-]{35} | ya29\.[\w-]{20,}+ | GOCSPX-[\w-]{20,}+
    | gh[pousr]_[A-Za-z0-9]{20,}+ | github_pat_\w{20,}+
    | gl(?:pat|rt|dt|ptt|agent|ft|cbt|soat|imt|ffct|oas)-[\w.-]{16,}+
    | xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}+ | xapp-\d-[A-Za-z0-9-]{10,}+
    | (?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{10,}+ | whsec_[A-Za-z0-9+/=]{16,}+
    | sk-[A-Za-z0-9_-]{20,}+ | gsk_[A-Za-z0-9]{20,}+ | xai-[A-Za-z0-9]{40,}+ | pplx-[A-Za-z0-9]{30,}+
    | r8_[A-Za-z0-9]{30,}+
    | npm_[A-Za-z0-9]{30,}+ | pypi-AgE[\w-]{20,}+ | rubygems_[0-9a-f]{40,}+ | CLOJARS_[a-z0-9]{50,}+
    | dckr_pat_[\w-]{20,}+
    | SG\.[\w-]{16,24}\.[\w-]{30,}+ | SK[0-9a-f]{32}(?![0-9a-z]) | key-[0-9a-f]{32}(?![0-9a-z])
    | [0-9a-f]{32}-us\d{1,2}(?![0-9a-z]) | xkeysib-[0-9a-f]{40,}+
    | do[opr]_v1_[0-9a-f]{40,}+ | dapi[0-9a-f]{32} | hv[sbr]\.[\w-]{20,}+ | [A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}+
    | dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{20,}+ | glsa_\w{30,}+ | glc_[A-Za-z0-9+/=]{20,}+
    | eyJrIjoi[A-Za-z0-9+/=]{20,}+
    | lin_(?:api|oauth)_[A-Za-z0-9]{30,}+ | ops_eyJ[A-Za-z0-9+/=]{40,}+
    | A3-[A-Z0-9]{6}-[A-Z0-9]{6,11}(?:-[A-Z0-9]{5}){3,4}
    | AGE-SECRET-KEY-1[A-Z0-9]{30,}+ | shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32} | sq0(?:atp|csp|idp)-[\w-]{20,}+
    | NR(?:AK|JS|RA|II)-[A-Za-z0-9-]{16,}+ | PMAK-[0-9a-f]{24}-[0-9a-f]{30,}+ | pul-[0-9a-f]{40}
    | sntry[su]_[A-Za-z0-9+/=_-]{40,}+ | AT[AC]TT3[\w=-]{60,}+ | ATBB[A-Za-z0-9]{28,}+ | EZ[AT]K[A-Za-z0-9]{50,}+
    | FLWSECK[_-][\w-]{12,}+ | duffel_(?:test|live)_[\w=-]{30,}+ | fo1_[\w-]{40,}+ | fm[12][ar]?_[A-Za-z0-9+/=]{60,}+
    | (?:hf|api_org)_[A-Za-z]{2}[A-Za-z0-9]{30,}+ | CFPAT-[\w-]{40,}+ | dt0[a-z]\d\d\.[A-Z0-9]{20,}+\.[A-Z0-9]{40,}+
    | LTAI[A-Za-z0-9]{16,20}(?![A-Za-z0-9]) | [A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,}+
    | (?:bot)?\d{8,10}:AA[\w-]{32,33} | [MNO][A-Za-z0-9_-]{23,27}\.[\w-]{6}\.[\w-]{27,}+
    | tskey-[a-z]{2,10}-[A-Za-z0-9-]{16,}+ | (?:ntn|secret)_[A-Za-z0-9]{40,}+ | figd_[\w-]{30,}+ | sbp_[0-9a-f]{40}
    | pscale_(?:tkn|pw|oauth)_[\w.=-]{30,}+ | sgp_[0-9a-f_]{40,}+ | pat-(?:na|eu)1-[0-9a-f-]{36}
    | AKCp[A-Za-z0-9]{60,}+ | cmVmd[A-Za-z0-9]{50,}+ | pat[A-Za-z0-9]{14}\.[0-9a-f]{64} | CCIPAT_\w{40,}+
    | nfp_[A-Za-z0-9]{36} | rdme_[a-z0-9]{60,}+ | aio_[A-Za-z0-9]{28}(?![A-Za-z0-9]) | EAA[A-Za-z0-9]{80,}+
    | amzn\.mws\.[0-9a-f-]{36} | v1\.0-[0-9a-f]{24}-[0-9a-f]{100,}+
    | eyJhdXRocyI6[A-Za-z0-9+/=]{8,}+
    | SCRAM-SHA-(?:1|256|512)\$\d{1,7}:[\w+/=$:]{12,}+ | (?<=")md5[0-9a-f]{32}(?=")
    )""",
    re.X,
)
_JWT = re.compile(
    r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+){0,3}"
)
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}?PRIVATE KEY(?: BLOCK)?-----")
_MOST_KEY_LINES = 120  # of a key of 16,384 bits; a mark without an end hides no more
_PUTTY = re.compile(r"Private-Lines: \d{1,3}")
_LONE = re.compile(
    r"^[ \t]{0,40}(?=[^\n]{0,64}[a-z])(?=[^\n]{0,64}[A-Z])(?=[^\n]{0,64}\d)"
    r"(?:[A-Za-z0-9+/]{76}|[A-Za-z0-9+/]{70}|[A-Za-z0-9+/]{64})(?=[ \t\r]{0,4}$)",
    re.M,
)
_PEM_IN_BASE64 = re.compile(r"LS0tLS1CRUdJTi(?!BDRVJUSUZJ|BQVUJMSUMg|BYNTA5)[A-Za-z0-9+/=_-]*+")
_BYTES_64 = re.compile(r"[\[(]\s{0,3}+(?:\d{1,3}+(?:\s{0,3}+,\s{0,6}+|\s{1,6}+)){63}+\d{1,3}+\s{0,3}+[\])]")
_PAIR_RUN = re.compile(
    r"(?<![A-Za-z0-9])(?:[1-9A-HJ-NP-Za-km-z]{86,88}|[0-9a-f]{128}|[A-Za-z0-9+/]{86}==)(?![A-Za-z0-9])"
)
_ALPHABET = {char: value for value, char in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}


def _bytes_of(run: str) -> bytes | None:
    try:
        if len(run) == 128:
            return bytes.fromhex(run)
        if run.endswith("="):
            return base64.b64decode(run)
    except (ValueError, binascii.Error):
        return None
    number = 0
    for char in run:
        number = number * 58 + _ALPHABET[char]
    return number.to_bytes(64, "big") if number < 1 << 512 else None


@lru_cache(maxsize=4096)
def _is_key_pair(run: str) -> bool:
    """Tell a key pair from a signature: its second half is the public key of the first."""
    from solders.keypair import Keypair

    raw = _bytes_of(run)
    return raw is not None and bytes(Keypair.from_seed(raw[:32]).pubkey()) == raw[32:]


def _hide_pem(text: str) -> str:
    kept, at = [], 0
    while (begin := _PEM_BEGIN.search(text, at)) is not None:
        end = _PEM_END.search(text, begin.end())
        kept += [text[at : begin.start()], f"[private key {HIDDEN}]"]
        at = end.end() if end is not None else len(text)
    return "".join([*kept, text[at:]])


def _hide_putty(text: str) -> str:
    begin = _PUTTY.search(text)
    if begin is None:
        return text
    end = text.find("Private-MAC", begin.end())
    return f"{text[: begin.end()]} {HIDDEN} {text[end:] if end >= 0 else ''}"


class KeyLines:
    """Follows a stream of lines and hides those between the marks of a private key.

    The last line of a key is short, and by itself like any other text.
    """

    def __init__(self) -> None:
        self._left = 0

    def shown(self, line: str) -> str:
        """Return the line, or what is shown in place of one of a key's."""
        begin = _PEM_BEGIN.search(line)
        if begin is not None:
            self._left = 0 if _PEM_END.search(line, begin.end()) else _MOST_KEY_LINES
            return line
        if not self._left:
            return line
        end = _PEM_END.search(line)
        self._left = 0 if end is not None else self._left - 1
        return f"{HIDDEN}{line[end.start() :]}" if end is not None else HIDDEN


def hide_forms(text: str) -> str:
    """Hide private keys, key pairs, JWTs and tokens of known forms."""
    if "PRIVATE KEY" in text:
        text = _hide_pem(text)
    if "Private-Lines" in text:
        text = _hide_putty(text)
    if "LS0tLS1CRUdJTi" in text:
        text = _PEM_IN_BASE64.sub(HIDDEN, text)
    text = _BYTES_64.sub(f"[key pair {HIDDEN}]", text)
    text = _LONE.sub(HIDDEN, text)
    text = _PAIR_RUN.sub(lambda match: HIDDEN if _is_key_pair(match.group()) else match.group(), text)
    text = _JWT.sub(HIDDEN, text)
    return _FORMS.sub(HIDDEN, text)
