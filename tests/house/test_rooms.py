"""The rooms of the house stay findable: small folders, names without echoes, short files, words in
plain sight, and no comment that leads nowhere.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

MOST_FILES = 16
MOST_LINES = 400

#: Names that say what a file is to its room, as `view.py` of a screen: each room has its own.
ROLES = {
    "source": "the half of a source that reads",
    "settings": "what the configuration says of a source",
    "values": "what signals may name of a source",
    "doctor": "a source's area of the doctor",
    "view": "the screen of a room of panels/screens",
    "page": "the lines of a screen",
    "pages": "the lines of a screen that turns pages",
    "session": "one connection to a database, and the whole cockpit's",
}
#: Room → names that stand twice in it, and why.
TWICE = {
    "cockpit/drill": {
        "accounts": "what a validator stores, and the RPC methods that tell it",
        "chaos": "fault switches: their base, the cluster's, a node's",
        "cluster": "the PostgreSQL server, and the RPC methods about a Solana cluster",
        "history": "what the referee keeps, and the RPC methods about the past",
        "load": "how a world is put under load: the cluster's and the chain's",
        "server": "the drill's own, and its Prometheus'",
        "serving": "how all servers are served, and the cluster's",
        "world": "the whole world, and the cluster in it",
    },
    "cockpit/model": {},
    "cockpit/sources": {
        "http": "what a probe and what an RPC endpoint asks by HTTP",
    },
    "panels": {
        "chain": "the page, and what the dashboard says of it",
        "metrics": "the page, and what the dashboard says of it",
        "palette": "the dialog, and what the app offers in it",
        "panel": "one panel of the dashboard, and the screen with one panel",
    },
}
#: Files that may be longer, and why.
LONG = {
    "cockpit/kubeapi/client.py": "what leaves for the API server, and when it is sent again, is read in one piece",
    "cockpit/mitigation/executor.py": "the one place that changes anything: its states are read in one piece",
    "cockpit/model/step_kinds.py": "a row for each kind of step, whole",
    "tests/drill/test_school.py": "one school, from lesson to score",
    "tests/incident/test_incident_record.py": "one record, from opening to closing",
    "tests/maintenance/test_maintenance.py": "every line of both rounds",
    "tests/live/test_conformance.py": "one list of what any API server must do",
    "tests/sources/kubernetes/test_kubernetes_source.py": "one watch, and all that may befall it",
    "tests/sources/postgres/test_postgres_source.py": "one source, and all that may befall it",
    "tests/sources/test_probes.py": "one source, and all that may befall it",
    "tests/support/samples/dialogs.py": "samples",
    "tests/support/samples/situations.py": "samples",
}


def python_files(*tops: str) -> Iterator[Path]:
    """Every module of these folders, in order; names relative to the root."""
    for top in tops:
        for path in sorted((ROOT / top).rglob("*.py")):
            yield path.relative_to(ROOT)


FILES = list(python_files("cockpit", "panels", "tests", "bench"))
PRODUCT = [path for path in FILES if path.parts[0] in ("cockpit", "panels")]


def test_no_folder_holds_more_than_sixteen_files() -> None:
    held: dict[Path, int] = defaultdict(int)
    for path in FILES:
        held[path.parent] += path.name != "__init__.py"
    full = {str(folder): number for folder, number in held.items() if number > MOST_FILES}
    assert not full, f"split by subject: {full}"


def test_no_file_repeats_the_name_of_its_folder() -> None:
    echoes = [str(path) for path in PRODUCT if path.name.startswith(f"{path.parent.name}_")]
    assert not echoes, f"the folder says it already: {echoes}"


def room_of(path: Path) -> str:
    """Return the tree in which a name must lead to one file: a room of cockpit/, or panels/."""
    return "panels" if path.parts[0] == "panels" else "/".join(path.parts[:2])


def test_no_name_stands_twice_in_a_room_unless_it_is_listed() -> None:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in PRODUCT:
        if path.name != "__init__.py":
            found[room_of(path), path.stem].append(str(path))
    twins = {key: paths for key, paths in found.items() if len(paths) > 1 and key[1] not in ROLES}
    unlisted = [paths for (room, name), paths in twins.items() if name not in TWICE.get(room, {})]
    assert not unlisted, f"rename, or say in TWICE why both: {unlisted}"
    stale = [(room, name) for room, names in TWICE.items() for name in names if (room, name) not in twins]
    assert not stale, f"no longer there twice: {stale}"


def test_no_file_is_longer_than_four_hundred_lines_unless_it_is_listed() -> None:
    lengths = {str(path): len((ROOT / path).read_text("utf-8").splitlines()) for path in FILES}
    long = {path: lines for path, lines in lengths.items() if lines > MOST_LINES and path not in LONG}
    assert not long, f"split, or say in LONG why in one piece: {long}"
    stale = [path for path in LONG if lengths.get(path, 0) <= MOST_LINES]
    assert not stale, f"no longer long: {stale}"


def test_nothing_is_kept_from_the_formatter() -> None:
    switches = re.compile(r"#\s*fmt:\s*(?:skip|off)")
    held = [str(path) for path in FILES if switches.search((ROOT / path).read_text("utf-8"))]
    assert not held, f"give long calls keyword arguments instead: {held}"


def remarks(path: Path) -> Iterator[tuple[int, str]]:
    """Comments and docstrings of a file with the lines on which they begin."""
    with (ROOT / path).open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.lineno, str(first.value.value)


def leads_nowhere(words: str, rules: set[str]) -> list[str]:
    """What a remark cites that is not in docs/."""
    pages = [page for page in re.findall(r"\bdocs/[\w-]+\.md", words) if not (ROOT / page).exists()]
    return pages + [rule for rule in re.findall(r"\brules? ([1-9])\b(?! of the)", words) if rule not in rules]


def test_what_a_remark_cites_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rules = set(re.findall(r"^(\d)\. \*\*", page.partition("## Six rules")[2].partition("\n## ")[0], re.M))
    assert rules == {"1", "2", "3", "4", "5", "6"}
    lost = [
        f"{path}:{line}: {cited}"
        for path in FILES
        for line, words in remarks(path)
        for cited in leads_nowhere(words, rules)
    ]
    assert not lost, "\n".join(lost)


@pytest.mark.parametrize(
    ("words", "cited"),
    [
        ("Unknown is never OK (rule 2).", []),
        ("By rule 7.", ["7"]),
        ("docs/architecture.md says so.", []),
        ("docs/nowhere.md says so.", ["docs/nowhere.md"]),
    ],
)
def test_a_citation_that_leads_nowhere_is_found(words: str, cited: list[str]) -> None:
    assert leads_nowhere(words, {"1", "2", "3", "4", "5", "6"}) == cited


#: Words of an earlier private vocabulary: docs/glossary.md has the field's own.
BANNED = {
    *("told", "wish", "desk", "office", "means", "carrying", "breath", "lean", "curtain"),
    *("look", "book", "books", "quarrel"),
}


def words_of(name: str) -> set[str]:
    """The words of an identifier, in small letters."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_names_are_the_fields_own() -> None:
    found = []
    for path in FILES:
        found += [str(path)] if words_of(path.stem) & BANNED else []
        with (ROOT / path).open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                if token.type == tokenize.NAME and words_of(token.string) & BANNED:
                    found.append(f"{path}:{token.start[0]}: {token.string}")
    assert not found, "\n".join(found)


MOST_COLUMNS = 100


def first_sentences(path: Path) -> Iterator[tuple[int, str]]:
    """The first paragraph of each docstring as one line, with the line on which it begins."""
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text.partition("\n\n")[0]


def test_a_docstring_begins_with_one_sentence_on_one_line() -> None:
    wrong = [
        f"{path}:{line}: {text.splitlines()[0][:60]}…"
        for path in PRODUCT
        for line, text in first_sentences(path)
        if len(text.splitlines()) > 1 or len(text) > MOST_COLUMNS or not text.endswith(".")
    ]
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong)
