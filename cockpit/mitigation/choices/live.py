"""Lists the values on offer for a parameter, each with what is known of it now.

Pure: from the situation and the settings.

`choices-from` in runbooks.toml: `rpc-endpoints`, `toggle:NAME`, `label:QUERY:LABEL`,
`joined:TOGGLE:QUERY:LABEL`, `limited:VARIABLE:QUERY:LABEL`, `served-bundles`, `markets`,
`markets:SIGNAL` (those that its worst is about first), `canary-markets`, `connectors`, `signers`,
`signer-keys`, `stuck-pods`, `images:SERVICE`, `revisions:SERVICE` (of every service: `*`),
`ran-with:SERVICE:VARIABLE`, of the database (`database.py`) `pg-missing-indexes:table`,
`:columns`, `:index`, `pg-tables:vacuum`, `:analyze`, `pg-sessions`.
What a choice is known by is measured or absent, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cockpit.assessment.baseline import amount
from cockpit.assessment.imagehistory import Ran, runs
from cockpit.assessment.usual.configs import changed_keys
from cockpit.mitigation.choices import markets as of_markets
from cockpit.mitigation.choices.database import choices as of_database
from cockpit.mitigation.choices.restore import replicas_before, restore_times
from cockpit.mitigation.choices.signing import keys_on_offer, next_set, sets_to_use, thresholds
from cockpit.model.observed.variables import variable
from cockpit.model.reading import Known, Unknown, believed, if_known, last_known, light_of, spell
from cockpit.sources.releases import releases
from cockpit.sources.solana.values import unfit
from cockpit.text import clean, counted, url_hint

if TYPE_CHECKING:
    from cockpit.model.observed.chain import EndpointStatus, MarketState
    from cockpit.model.runbook import Param, Runbooks
    from cockpit.model.situation import Situation
    from cockpit.sources.solana.settings import RpcEndpoint

Choices = list[tuple[str, str]]
INGESTOR = "m0-ingestor"
_OF_SETS = {"next-signer-set": next_set, "signer-threshold": thresholds, "signer-sets": sets_to_use}
_NOT_NOW = "not known now"
_LONGEST_MARKET = 64  # characters; the program's accounts hold no longer name


def choices(param: Param, runbooks: Runbooks, endpoints: Sequence[RpcEndpoint], situation: Situation | None) -> Choices:
    """Return (value, what is known of it), the most sensible first where there is an order.

    Empty when nothing is known.
    """
    if param.choices:
        return [(choice, "") for choice in param.choices]
    kind, _, rest = (param.choices_from or "").partition(":")
    if kind == "rpc-endpoints":
        return [(endpoint.url, endpoint_words(endpoint, situation)) for endpoint in _fit_first(endpoints, situation)]
    if kind == "toggle":
        toggle = runbooks.toggles.get(rest)
        return [(value, "safest" if value == toggle.safest else "") for value in toggle.values] if toggle else []
    if situation is None:
        return []
    if kind == "label":
        query, _, label = rest.partition(":")
        return _labels(runbooks, situation, query, label)
    if kind == "joined":
        name, query, label = rest.split(":")
        return _joined_to(name, _labels(runbooks, situation, query, label), situation)
    if kind == "limited":
        name, query, label = rest.split(":")
        return _limited(variable(situation.cluster, name, INGESTOR) or "", _table(situation, query, label))
    if kind == "served-bundles":
        return _served_bundles(situation)
    if kind == "connectors":
        return _labels(runbooks, situation, "lag-by-connector", "connector")
    if kind == "signers":
        return _labels(runbooks, situation, "signer-p95", "signer")
    if kind == "signer-keys":
        return keys_on_offer(situation, new=rest == "new")
    if kind in _OF_SETS:
        return _OF_SETS[kind](situation)
    if kind == "restore-times":
        return restore_times(situation)
    if kind in ("unusual-keys", "usual-values"):
        return _not_as_usual(runbooks, situation, kind, rest)
    if kind == "before":
        return replicas_before(situation, rest)
    if kind == "agents-for-keys":
        return _agents_for_keys(situation)
    if kind == "markets":
        return _markets(runbooks, situation, rest)
    if kind == "canary-markets":
        own = [] if param.default is None else [(str(param.default), "the canaries of the configuration")]
        return [*own, *_markets(runbooks, situation)]
    if kind == "stuck-pods":
        return _stuck_pods(situation)
    if kind.startswith("pg-"):
        return of_database(kind, rest, situation)
    if kind in ("images", "revisions") and rest == "*":
        place = situation.namespaces[0] if situation.namespaces else ""
        now = situation.cluster_now
        ran = ((name, runs(situation.cluster, place, name)) for name in released_first(situation))
        return [pair for name, found in ran for pair in offered(kind, found, now, service=name)]
    if kind in ("images", "revisions"):
        found = runs(situation.cluster, situation.namespaces[0] if situation.namespaces else "", rest)
        return offered(kind, found, situation.cluster_now)
    if kind == "ran-with":
        service, _, name = rest.partition(":")
        found = runs(situation.cluster, situation.namespaces[0] if situation.namespaces else "", service)
        return _ran_with(found, name, situation.cluster_now)
    return []


def _ran_with(ran_so_far: Sequence[Ran], variable: str, now: float) -> Choices:
    """Return what the variable held in each kept revision, the newest before the present one first.

    What it holds now comes last.
    """
    found: dict[str, str] = {}
    for ran in sorted(ran_so_far, key=lambda ran: ran.current):
        if variable in ran.env:
            found.setdefault(ran.env[variable], ran.words(now))
    present = next((ran.env.get(variable) for ran in ran_so_far if ran.current), None)
    if present in found:
        del found[present]
        found[present] = "as now"
    return list(found.items())


def released_first(situation: Situation) -> list[str]:
    """Return every service, the one with the newest release first: it is suspected first."""
    names = situation.runbooks.services
    newest = [one.name for one in releases(situation.cluster, situation.cluster_now, names)]
    return [*dict.fromkeys(newest), *(name for name in names if name not in newest)]


def offered(
    kind: str, found: Sequence[Ran], now: float, more: Mapping[str, str] | None = None, service: str = ""
) -> Choices:
    """Return the choices of `images` or `revisions`.

    `more`: what else is known, by image. `service`: named with each revision, of a list over all.
    """
    effects = more or {}
    found = sorted(found, key=lambda ran: ran.current)  # what runs now is the last that one would go back to
    if kind == "revisions":
        head = f"{service}:" if service else ""
        return [(f"{head}{r.revision}", joined(r.image_words, r.words(now), effects.get(r.image, ""))) for r in found]
    seen: dict[str, str] = {}
    for ran in found:
        seen.setdefault(ran.image, joined(ran.words(now), effects.get(ran.image, "")))
    return list(seen.items())


def joined(*words: str) -> str:
    return "; ".join(word for word in words if word)


def _served_bundles(situation: Situation) -> Choices:
    """Return the newest bundles as the gateway serves them, the newest sequence first."""
    found = [believed(r, situation.mono) for t, r in situation.probes.items() if t.startswith("bundle/")]
    known = sorted((one for one in found if isinstance(one, Known)), key=lambda one: -one.data.sequence)
    return [
        (f"served:{one.data.market}", f"sequence {one.data.sequence:,}, fetched {spell(one.age_s)} ago")
        for one in known
    ]


def _limited(now: str, rates: Mapping[str, float]) -> Choices:
    """Offer half of what each is asked now, the most asked first; the other limits are kept."""
    kept = {name: each for each in now.split(",") if (name := each.partition("=")[0].strip())}
    offers = []
    for name, rate in sorted(rates.items(), key=lambda pair: -pair[1]):
        half = f"{name}={max(1.0, rate / 2):.3g}"
        others = [each.strip() for other, each in kept.items() if other != name]
        offers.append((",".join([*others, half]), joined(f"{amount(rate)} /s now", kept.get(name, ""))))
    return offers


def _table(situation: Situation, query: str, label: str) -> dict[str, float]:
    result = situation.answer(query)
    return result.by(label) if result is not None else {}


def _labels(runbooks: Runbooks, situation: Situation, query: str, label: str) -> Choices:
    """Return the values of a label, the worst first; what has no number comes last.

    Samples that differ in another label are added up. What was read too long ago names them still;
    its numbers are not said.
    """
    found = believed(situation.queries.get(query), situation.mono)
    result = last_known(found)
    unit = runbooks.queries[query].unit if query in runbooks.queries else ""
    known: dict[str, float] = {}
    for sample in result.samples if result is not None else ():
        if label in sample.labels:
            known[sample.labels[label]] = known.get(sample.labels[label], 0.0) + sample.value
    worst = sorted(known.items(), key=lambda pair: -pair[1] if pair[1] == pair[1] else float("inf"))
    if isinstance(found, Unknown):
        return [(value, _NOT_NOW) for value in sorted(known)]
    return [(value, f"{amount(number)} {unit}".strip()) for value, number in worst]


def _joined_to(toggle: str, choices: Choices, situation: Situation) -> Choices:
    """Add each value to what the toggle lists now.

    To choose one must not take back what was chosen before.
    """
    now = next((t.value for t in situation.toggles if t.name == toggle and t.level != "unset" and t.value), None)
    listed = [word.strip() for word in now.split(",") if word.strip()] if now else []
    kept = f"with {', '.join(listed)}, as now" if listed else ""
    return [(",".join([*listed, value]), joined(words, kept)) for value, words in choices if value not in listed]


def markets(situation: Situation) -> list[str]:
    """Return every market that is known: the chain's where it is read, else what is served.

    The oldest output first. What can be no market's name is left out: see `left_out`.
    """
    return [market for market in _named(situation) if not impossible(market)]


def left_out(situation: Situation) -> list[tuple[str, str, bool]]:
    """Return (name, why it can be none, whether the chain has it) of what `markets` leaves out."""
    accounts, served = _accounts(situation), _served(situation)
    found = [(name, impossible(name), name in accounts) for name in dict.fromkeys([*_named(situation), *served])]
    return [one for one in found if one[1]]


def impossible(market: str) -> str:
    """Say why a text can be no market's name; "" when it can."""
    if not market:
        return "it is empty"
    if market.startswith("-"):
        return "it begins with -, and a program would take it for an option"
    if len(market) > _LONGEST_MARKET:
        return f"it is longer than {_LONGEST_MARKET} characters"
    if any(char in ", " or not char.isprintable() for char in market):
        return "it has a space, a comma or a control character in it"
    return ""


def _named(situation: Situation) -> list[str]:
    ages, accounts = _served(situation), _accounts(situation)
    named = accounts if accounts else ages
    return sorted(named, key=lambda market: (-ages.get(market, float("-inf")), market))


def _served(situation: Situation) -> dict[str, float]:
    """Return the age of the newest output by market, as it is served."""
    result = last_known(believed(situation.queries.get("output-age"), situation.mono))
    ages = result.by("market") if result is not None else {}
    return {market: age if age == age else 0.0 for market, age in ages.items()}


def _accounts(situation: Situation) -> dict[str, MarketState]:
    accounts: Mapping[str, MarketState] = last_known(believed(situation.solana.get("markets"), situation.mono)) or {}
    return {m.market_id: m for m in accounts.values()}


def _not_as_usual(runbooks: Runbooks, situation: Situation, kind: str, configmap: str) -> Choices:
    """Return the keys of a ConfigMap that changed, or what is known of what they held before."""
    found = changed_keys(
        runbooks, situation.cluster, situation.namespaces, configmap, situation.journal, situation.cluster_now
    )
    differ = [] if isinstance(found, str) else found
    if kind == "unusual-keys":
        return [(each.key, each.words.removeprefix(f"{each.key} is ")) for each in differ]
    return [(old, f"{each.key}: {source}") for each in differ for old, source in each.before]


def _agents_for_keys(situation: Situation) -> Choices:
    """Return numbers of agents with which each key has one more: fewer change nothing."""
    account = if_known(believed(situation.solana.get("signer-set"), situation.mono))
    reports = if_known(believed(situation.probes.get("signers"), situation.mono))
    keys = (
        len(account.pubkeys) if account is not None else len({r.pubkey for r in (reports or {}).values() if r.pubkey})
    )
    return [(str(keys * each), f"{each} agents for each of the {keys} keys") for each in (2, 3)] if keys else []


def _stuck_pods(situation: Situation) -> Choices:
    """Return the pods that are not ready and have a controller, those of StatefulSets first."""
    namespace = situation.namespaces[0] if situation.namespaces else ""
    found = [
        pod
        for pod in situation.cluster.pods.values()
        if pod.namespace == namespace
        and pod.owner_kind in ("StatefulSet", "ReplicaSet")
        and not (pod.serving or pod.terminating or pod.phase in ("Succeeded", "Failed"))
    ]
    found.sort(key=lambda pod: (pod.owner_kind != "StatefulSet", pod.name))
    return [
        (pod.name, joined(clean(pod.reason, 60), counted(pod.restarts, "restart") if pod.restarts else ""))
        for pod in found
    ]


def _markets(runbooks: Runbooks, situation: Situation, signal: str = "") -> Choices:
    """Return the markets as the chain has them, with the age of what is served.

    By the served outputs alone where the chain is not read. Those that the worst of `signal` is
    about come first, then those whose sources differ, then the riskiest.
    """
    ages = dict(_labels(runbooks, situation, "output-age", "market"))
    on_chain = _accounts(situation)
    read_now = isinstance(believed(situation.solana.get("markets"), situation.mono), Known)
    named = [*ages, *(m for m in sorted(on_chain) if m not in ages)]
    hit = of_markets.impacted(situation, signal, {m: on_chain[m].domain if m in on_chain else "" for m in named})
    apart, risk = of_markets.spreads(situation), of_markets.risks(situation)
    offers = []
    for market in sorted(named, key=lambda m: of_markets.place(m, hit, apart, risk)):
        if impossible(market):
            continue
        state = on_chain.get(market)
        paused = _NOT_NOW if not read_now else "active" if state is not None and state.active else "PAUSED"
        words = "" if state is None else f"{paused}, {state.domain}"
        age = f"output {ages[market]}{'' if ages[market] == _NOT_NOW else ' old'}" if market in ages else ""
        said = (words, hit.get(market, ""), of_markets.words(market, apart, risk), age)
        offers.append((market, ", ".join(word for word in said if word)))
    return offers


def _fit_first(endpoints: Sequence[RpcEndpoint], situation: Situation | None) -> list[RpcEndpoint]:
    """Order the endpoints to change to: those fit for use first, the one in use last.

    Else as configured: an order that followed every measurement would move under the cursor.
    """

    def place(endpoint: RpcEndpoint) -> tuple[bool, bool]:
        reading = situation.solana.get(f"endpoint/{endpoint.name}") if situation is not None else None
        if situation is None or reading is None or last_known(reading.believed(situation.mono)) is None:
            return _in_use(endpoint, situation), True
        return _in_use(endpoint, situation), bool(unfit(reading, situation.mono))

    return sorted(endpoints, key=place)


def _in_use(endpoint: RpcEndpoint, situation: Situation | None) -> bool:
    now = next((t.value for t in situation.toggles if t.name == "SOLANA_RPC_URL"), None) if situation else None
    return now is not None and now == url_hint(endpoint.url)


def endpoint_words(endpoint: RpcEndpoint, situation: Situation | None) -> str:
    """Say what is known of an endpoint: asked directly, and from the submitter's metrics.

    One never asked says so.
    """
    used = "in use now, " if _in_use(endpoint, situation) else ""
    return f"{endpoint.name}: {used}{', '.join(measured(endpoint.name, situation)) or 'no measurements'}"


def measured(name: str, situation: Situation | None) -> list[str]:
    """Return what is measured of an endpoint now: by asking it, and by the submitter."""
    return _asked(name, situation) + _metered(name, situation)


def _asked(name: str, situation: Situation | None) -> list[str]:
    reading = situation.solana.get(f"endpoint/{name}") if situation is not None else None
    if situation is None or reading is None:
        return []
    found = reading.believed(situation.mono)
    if isinstance(found, Unknown):
        return [f"{light_of(found).value.upper()}: {clean(found.reason, 120)}"]
    status: EndpointStatus = found.data
    words = []
    if status.foreign:
        words.append(f"ANOTHER CLUSTER ({clean(status.cluster, 40)})")
    if status.health and status.health != "ok":
        words.append(clean(status.health, 80))
    words.append("slot not known" if status.behind is None else f"{counted(status.behind, 'slot')} behind")
    if status.latency_p95_ms is not None:
        words.append(f"p95 {status.latency_p95_ms:.0f} ms")
    if status.error_ratio is not None:
        words.append(f"{status.error_ratio * 100:.3g} % errors here")
    if status.throttled:
        words.append(f"{status.throttled} × 429")
    return words


def _metered(name: str, situation: Situation | None) -> list[str]:
    found = []
    for query, words in (
        ("rpc-error-ratio", "{:.3g} % errors of the submitter"),
        ("rpc-confirm-p95", "confirms in {:.1f} s"),
    ):
        result = situation.answer(query) if situation is not None else None
        value = result.by("endpoint").get(name) if result is not None else None
        if value is not None and value == value:
            found.append(words.format(value * 100 if "error" in query else value / 1000))
    return found
