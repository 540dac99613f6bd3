"""Simulates signer agents: their places in the set, latency, warm-up and the threshold in time.

The submitter asks the members of the set that its `M0_ACTIVE_SIGNER_SET_ID` names, and takes the
first answers: it does not check them. More agents than places stand beside the others and share
their requests. An agent that signs several bundles at once may get slower by that (`contention`):
what is asked at once is `M0_PUBLISH_CONCURRENCY`, shared by all agents of the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cockpit.drill.names import SIGNER, SIGNERS, SUBMITTER, THRESHOLD
from cockpit.drill.physics.fleet import PodView, number
from cockpit.drill.physics.releases import HASHING
from cockpit.drill.solana.program.encoder import STRAY

if TYPE_CHECKING:
    from cockpit.drill.physics.plant import Plant

MEDIAN_MS, SIGMA = 72.0, 0.54  # p95 near 180 ms
WARM_UP_S = 20.0  # the KMS session is opened lazily: an agent is slow for so long after its start
COLD_MS = 900.0
DEADLINE_MS = 500.0
#: What pods of the places that a network policy is about are labelled with.
POOL = {"m0club.com/pool": "edge"}
REASONS = ("kms", "timeout", "unreachable")


@dataclass(frozen=True, slots=True)
class KmsSession:
    """Describes an agent's session with the KMS, for the life of its pod.

    The share of requests refused, and times the usual latency.
    """

    refused: float
    slow: float


class Sign:
    """Collects signatures from the agents.

    By place: `slow` multiplies latencies, `contention` adds that share of them for each further
    bundle at once, requests to the `unreachable` never arrive.

    By pod, gone with it: `sessions`, and the `hung`, which answer nothing. Scenarios move them.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.places: dict[str, str] = {}  # pod uid → signer
        self.slow = dict.fromkeys(SIGNERS, 1.0)
        self.contention = dict.fromkeys(SIGNERS, 0.0)
        self.unreachable: set[str] = set()
        self.policy = ""  # the NetworkPolicy that keeps them out of reach: without it they are not
        self.sessions: dict[str, KmsSession] = {}  # pod uid →
        self.hung: set[str] = set()  # pod uids
        self.misses = 0
        self.signed: tuple[int, ...] = ()  # the agents of the newest bundle's signatures, fastest first (see encoder)
        self.hashing = HASHING  # what those agents hashed
        self.signs = ""  # the message that they signed instead of the bundle's
        self._asked: tuple[object, tuple[int, ...], int] = (None, (), 0)
        self.start()

    def start(self) -> None:
        for signer in SIGNERS:
            for reason in REASONS:
                self.plant.metrics.value(SIGNER, "m0_signer_errors_total", signer=signer, reason=reason)
        self.start_submitter()

    def start_submitter(self) -> None:
        self.plant.metrics.value(SUBMITTER, "m0_signer_threshold_miss_total")

    def seats(self) -> dict[str, list[PodView]]:
        """Map each signer to the pods in its place, who has it first.

        One more pod than places stands beside another once it is warm.
        """
        pods = {pod.uid: pod for pod in self.plant.fleet.ready(SIGNER)}
        for uid in [uid for uid in self.places if uid not in pods]:
            del self.places[uid]
        free = [signer for signer in SIGNERS if signer not in self.places.values()]
        waiting = []
        for uid in sorted(pods, key=lambda u: (pods[u].started_at, u)):
            if uid not in self.places and free:
                self.places[uid] = free.pop(0)
            elif uid not in self.places:
                waiting.append(pods[uid])
        seated = {signer: [pods[uid]] for uid, signer in self.places.items()}
        now = self.plant.clock.now()
        for turn, pod in enumerate(pod for pod in waiting if now - pod.started_at >= WARM_UP_S):
            signer = SIGNERS[turn % len(SIGNERS)]
            if signer in seated:
                seated[signer].append(pod)
        if self.policy and not self.plant.kube.policed(self.policy):
            self.policy, self.unreachable = "", set()
        for signer in self.unreachable & seated.keys() if self.policy else ():
            for pod in seated[signer]:
                self.plant.kube.label(pod.name, POOL)
        return seated

    def collect(self, submitter: PodView, set_id: str) -> float | None:
        """Return the milliseconds until the threshold's signature was there; None when missed.

        `submitter` asks, for this set.
        """
        places, threshold = self._members(set_id)
        seated = self.seats()
        at_once = number(submitter.env, "M0_PUBLISH_CONCURRENCY", 4.0)
        answers: list[tuple[float, int]] = []
        hashings: list[str] = []
        messages: list[str] = []
        for signer in [signer for signer in seated if SIGNERS.index(signer) in places]:
            pods = seated[signer]
            pod = pods[0] if len(pods) == 1 else pods[self.plant.rng.randrange(len(pods))]
            latency = self._ask(signer, pod, at_once / len(pods), submitter)
            if latency is not None and latency <= DEADLINE_MS:
                traits = self.plant.releases.of(pod.image)
                answers.append((latency, SIGNERS.index(signer) + (STRAY if traits.stray_keys else 0)))
                hashings.append(traits.hashing)
                messages.append(traits.signs)
        if len(answers) < threshold:
            self.misses += 1
            self.plant.metrics.value(SUBMITTER, "m0_signer_threshold_miss_total").inc()
            self.plant.say(
                submitter.name,
                f"ERROR signature threshold missed got={len(answers)} want={threshold} of={len(places)} after "
                f"{DEADLINE_MS:.0f}ms",
            )
            return None
        answers.sort()
        self.signed = tuple(place for _, place in answers[:threshold])
        self.hashing = max(hashings, key=hashings.count)
        self.signs = max(messages, key=messages.count)
        return answers[threshold - 1][0]

    def _ask(self, signer: str, pod: PodView, at_once: float, submitter: PodView) -> float | None:
        """Ask one agent; return milliseconds, or None without an answer."""
        plant = self.plant
        rng = plant.rng
        if signer in self.unreachable:
            words = f"WARN {signer} unreachable: dial tcp {pod.name}:7443: i/o timeout, no route admitted"
            self._fault(signer, "unreachable", submitter.name, words)
            return None
        if pod.uid in self.hung:
            words = f"WARN {signer} pod={pod.name} accepted the request and does not answer: timeout"
            self._fault(signer, "timeout", submitter.name, words)
            return None
        session = self.sessions.get(pod.uid)
        if session is not None and rng.random() < session.refused:
            words = f"ERROR kms: AccessDeniedException: the session token is expired signer={signer} reason=kms"
            self._fault(signer, "kms", pod.name, words)
            return None
        age_s = plant.clock.now() - pod.started_at
        times = self.slow[signer] * (1.0 + self.contention[signer] * max(0.0, at_once - 1.0))
        times *= session.slow if session is not None else 1.0
        latency = rng.lognormvariate(0.0, SIGMA) * (COLD_MS if age_s < WARM_UP_S else MEDIAN_MS) * times
        plant.metrics.histogram(SIGNER, "m0_signer_latency_ms", signer=signer).observe(latency)
        if plant.talking and rng.random() < 0.03:
            plant.say(pod.name, self._signed_line(signer, pod, latency, times))
        return latency

    def _signed_line(self, signer: str, pod: PodView, latency: float, times: float) -> str:
        key = " key_ring=m0-staging" if self.plant.releases.of(pod.image).stray_keys else ""
        line = f"INFO signed bundle signer={signer}{key} latency_ms={latency:.0f}"
        if self.contention[signer] and times > 1.5:
            return f"{line} cpu_throttled=true waited_ms={latency * (1 - 1 / times):.0f}"
        return line

    def _fault(self, signer: str, reason: str, pod: str, words: str) -> None:
        self.plant.metrics.value(SIGNER, "m0_signer_errors_total", signer=signer, reason=reason).inc()
        if self.plant.talking and self.plant.rng.random() < 0.1:
            self.plant.say(pod, words)

    def _members(self, set_id: str) -> tuple[tuple[int, ...], int]:
        """Return the agents that hold a place of the set, and its threshold.

        All agents and the usual threshold, for a set that does not exist.
        """
        chain = self.plant.chain
        found = chain.accounts.signer_set(int(set_id)) if set_id.isdecimal() and int(set_id) < 2**64 else None
        if found is None:
            return tuple(range(len(SIGNERS))), THRESHOLD
        if self._asked[0] is not found:
            own = [party.key for party in chain.keys.signers]
            others = [place for place, key in enumerate(found.pubkeys[: len(own)]) if key not in own]
            held = sorted({place for place, key in enumerate(own) if key in found.pubkeys} | set(others))
            self._asked = (found, tuple(held), found.threshold)
        return self._asked[1], self._asked[2]

    def hang(self, count: int) -> None:
        """Stop the answers of the first places' agents, for the life of their pods."""
        seated = self.seats()
        self.hung |= {seated[signer][0].uid for signer in SIGNERS[:count] if signer in seated}

    def refuse(self, count: int, session: KmsSession) -> None:
        """Give the first places' agents this KMS session, for the life of their pods."""
        seated = self.seats()
        self.sessions |= {seated[signer][0].uid: session for signer in SIGNERS[:count] if signer in seated}
