"""Hides what command lines and statements carry at a place rather than under a name."""

from __future__ import annotations

import re

from cockpit.redaction import HIDDEN
from cockpit.redaction.marks import is_reference, is_said, listed
from cockpit.redaction.names import Secrecy, secrecy

_VALUE = r"""(?:"[^"\n]{1,512}"|'[^'\n]{1,512}'|[^\s"']{1,512}+)"""
#: A program, and the argument of it that is a secret (group 1): looked for from the program to the
#: end of its line, once.
_ARGUMENTS = tuple(
    (re.compile(program), re.compile(argument))
    for program, argument in (
        (
            r"\bcurl\b",
            r"""\s(?:-[a-zA-Z]{0,6}?[uU][\s=]{0,4}|--(?:proxy-)?user[\s=]{1,4})["']?[^\s:"']{0,128}:"""
            r"""([^\s"'][^"'\n]{0,200}(?=["'])|[^\s"']{1,256}+)""",
        ),
        (r"\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)\b", r"\s-p([^\s-]\S{2,128}+)"),
        (r"\bsshpass\b", rf"\s-p\s{{0,4}}({_VALUE})"),
        (r"\b(?:mongo|mongosh|mongodump|mongorestore|cqlsh|sqlcmd|influx)\b", rf"\s-[pP]\s{{1,4}}({_VALUE})"),
        (r"\bredis-cli\b", rf"\s-a\s{{1,4}}({_VALUE})"),
        (
            r"\b(?:docker|podman|nerdctl|helm registry|buildah|skopeo|crane|oras)\s{1,4}(?:auth\s{1,4})?login\b",
            rf"\s-p\s{{1,4}}({_VALUE})",
        ),
    )
)
_PLACES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\bvault\s{{1,4}}login\s{{1,4}}(?!-)({_VALUE})",
        r"(?:^|[\s=,])(?:-pass(?:in|out)?\s{1,4})?pass:(\S{3,128}+)",
        rf"--from-literal[=\s]['\"]?[\w.-]{{1,253}}=({_VALUE})",
        rf"(?i)\blogin\s{{1,8}}\S{{1,128}}\s{{1,8}}password\s{{1,8}}({_VALUE})",
        rf"(?i)\bset\s{{1,4}}password\s{{1,4}}for\s{{1,4}}\S{{1,128}}\s{{0,4}}=\s{{0,4}}({_VALUE})",
        r"(?i)\bidentified\s{1,4}by\s{1,4}(?:password\s{1,4})?('[^'\n]{1,512}')",
        # a line of .pgpass
        r"(?<![\w.*:/-])[\w.*-]{1,253}:(?:\d{4,5}|\*):[\w.*-]{1,63}:[\w.*-]{1,63}:([^\s:]{4,128}+)(?=\s|$)",
    )
)
#: NAME VALUE, after words that set something.
_SET = re.compile(
    r"\b(?:ENV|ARG|setx|configure set|config set|set-env)\s{1,4}"
    rf"(?P<name>[\w.$:/@-]{{2,200}}+)\s{{1,4}}(?P<value>{_VALUE})"
)
#: One of these is in every such text.
HINTS = (
    *listed(
        "curl mysql mariadb sshpass redis-cli mongo cqlsh sqlcmd influx login pass: --from-literal password "
        "identified setx"
    ),
    *("env ", "arg ", " set "),
)


def _hide_first(match: re.Match[str]) -> str:
    value = match[1]
    bare = value.strip("\"'")
    if not bare or bare == HIDDEN or is_reference(bare) or is_said(bare):
        return match.group()
    start, end = match.start(1) - match.start(), match.end(1) - match.start()
    whole = match.group()
    quote = value[0] if value[0] in "\"'" and value[-1] == value[0] else ""
    return f"{whole[:start]}{quote}{HIDDEN}{quote}{whole[end:]}"


def _hide_set(match: re.Match[str]) -> str:
    kind = secrecy(match["name"].rpartition(":")[2])
    bare = match["value"].strip("\"'")
    if kind in (Secrecy.NONE, Secrecy.MAYBE) or is_reference(bare) or is_said(bare):
        return match.group()
    return match.group()[: match.start("value") - match.start()] + HIDDEN


def _hide_arguments(text: str, program: re.Pattern[str], argument: re.Pattern[str]) -> str:
    shown, at = [], 0
    while (found := program.search(text, at)) is not None:
        end = text.find("\n", found.end())
        if text.endswith("\\", 0, max(end, 0)):
            end = text.find("\n", end + 1)  # the line goes on
        end = len(text) if end < 0 else end
        shown += [text[at : found.end()], argument.sub(_hide_first, text[found.end() : end])]
        at = end
    return "".join([*shown, text[at:]])


def hide_commands(text: str) -> str:
    """Hide passwords that stand at their place in a command line, a statement, a .pgpass file."""
    for program, argument in _ARGUMENTS:
        text = _hide_arguments(text, program, argument)
    for place in _PLACES:
        text = place.sub(_hide_first, text)
    return _SET.sub(_hide_set, text)
