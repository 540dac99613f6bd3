"""Names the drill's topology and metrics: the services, how each starts, what each exports.

Metric names, labels and label values are those that the network's documents give (prefix `m0_`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NAMESPACE = "m0-prod"
CONTEXT = "drill"
STAGING = "m0-staging"  # where restores are tested
SECRET = "m0-rpc-keys"  # of the RPC providers

INGESTOR, AGGREGATOR, QUANT = "m0-ingestor", "m0-aggregator", "m0-quant"
SIGNER, SUBMITTER, RECONCILER = "m0-signer-agent", "m0-submitter", "m0-reconciler"
API, REALTIME = "m0-api-gateway", "m0-realtime"

#: Connector → events per second on a calm day. No one carries so much that disabling it alone
#: absorbs a burst.
CONNECTORS: Mapping[str, float] = {"sports": 150.0, "politics": 110.0, "macro": 100.0, "crypto": 140.0}
#: Market → domain (also the connector that feeds it).
MARKETS: Mapping[str, str] = {
    "NBA_LAL_BOS": "sports",
    "US_SENATE_PA": "politics",
    "US_CPI_DEC": "macro",
    "BTC_100K_Q1": "crypto",
    "EPL_ARS_CHE": "sports",
    "UK_GE_2029": "politics",
    "FED_RATE_JAN": "macro",
    "ETH_10K_Q2": "crypto",
}
SIGNERS = tuple(f"signer-{n}" for n in range(7))
SIGNER_SET_ID = "100"
THRESHOLD = 5
FIRST_SEQUENCE = 48_211_000  # of bundles, when the drill's past begins
MODELS = ("bayes-sports-v4", "poll-blend-v7", "macro-nowcast-v2", "crypto-vol-v5")
FEATURES = ("odds-move", "volume", "form")  # of each model
MODEL_VERSION = "2026.1"  # of the whole set of models, on a calm day
TOPICS = ("raw-events", "normalized", "features")
CONFIG = "m0-engine-config"  # the ConfigMap that the engine follows
SOURCES = 4  # of each domain: its connector, and three secondary feeds

RPC_URLS: Mapping[str, str] = {
    "rpc-a": "https://rpc-a.drill.m0club.example/v2/KEYLIKE123456789abc",
    "rpc-b": "https://rpc-b.drill.m0club.example/v2/KEYLIKE987654321xyz",
    "rpc-c": "https://rpc-c.drill.m0club.example/v2/KEYLIKE555444333def",
}


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """Describes one deployment of the pipeline as it is on a calm day."""

    name: str
    replicas: int
    startup_s: float
    stop_s: float = 1.0
    strategy: str = "RollingUpdate"
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    can: tuple[str, ...] = ()  # what it says it can do, in an annotation

    @property
    def image(self) -> str:
        digest = "".join(f"{(i * 37 + sum(map(ord, self.name))) % 16:x}" for i in range(64))
        return f"ghcr.io/m0club/{self.name}@sha256:{digest}"


_POSTGRES = {"M0_POSTGRES_URL": ("m0-postgres", "url")}
_EVENTLOG = {"M0_EVENTLOG_URL": "nats://eventlog.m0-prod.svc:4222"}

SERVICES: Mapping[str, ServiceSpec] = {
    spec.name: spec
    for spec in (
        ServiceSpec(
            INGESTOR,
            replicas=4,
            startup_s=5.0,
            env={
                "M0_POLL_INTERVAL_MS": "1000",
                "M0_CONNECTORS_DISABLED": "",
                "M0_CACHE_TTL_MS": "500",
                **_EVENTLOG,
            },
        ),
        ServiceSpec(AGGREGATOR, replicas=2, startup_s=5.0, env=_EVENTLOG, secret_env=_POSTGRES),
        ServiceSpec(
            QUANT,
            replicas=2,
            startup_s=8.0,
            env={"M0_GUARDRAIL_POLICY_LEVEL": "STRICT", "M0_MODEL_VERSION": MODEL_VERSION},
        ),
        ServiceSpec(SIGNER, replicas=7, startup_s=4.0),
        ServiceSpec(
            SUBMITTER,
            replicas=1,
            startup_s=6.0,
            stop_s=2.0,
            strategy="Recreate",
            can=("chunked-reveal",),
            env={
                "M0_PUBLISH_ENABLED": "true",
                "SOLANA_RPC_URL": RPC_URLS["rpc-a"],
                "SOLANA_WS_URL": "wss://rpc-a.drill.m0club.example/v2/KEYLIKE123456789abc",
                "M0_ACTIVE_SIGNER_SET_ID": SIGNER_SET_ID,
                "M0_PUBLISH_CONCURRENCY": "4",
            },
        ),
        ServiceSpec(RECONCILER, replicas=1, startup_s=4.0, secret_env=_POSTGRES),
        ServiceSpec(API, replicas=3, startup_s=4.0, secret_env=_POSTGRES, can=("cache-only",)),
        ServiceSpec(REALTIME, replicas=2, startup_s=4.0, secret_env=_POSTGRES),
    )
}


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Describes a CronJob of the pipeline, which an operator may run by hand.

    `takes_s`: simulated seconds that its pod works.
    """

    service: str  # whose image it runs
    schedule: str
    command: tuple[str, ...]
    takes_s: float
    log: tuple[str, ...]

    @property
    def image(self) -> str:
        return SERVICES[self.service].image


JOBS: Mapping[str, JobSpec] = {
    "m0-reconciler": JobSpec(
        service=RECONCILER,
        schedule="17 * * * *",
        command=("m0-reconciler", "--once"),
        takes_s=8.0,
        log=(
            "INFO reading the last committed epoch and sequence from the chain",
            "INFO publish state aligned with the chain",
        ),
    ),
    "m0-recalibration": JobSpec(
        service=QUANT,
        schedule="40 3 * * *",
        command=("m0-quant", "recalibrate"),
        takes_s=20.0,
        log=("INFO fitting calibration curves", "INFO calibration written"),
    ),
    "m0-backup": JobSpec(
        service=RECONCILER,
        schedule="30 2 * * *",
        command=("m0-reconciler", "backup"),
        takes_s=20.0,
        log=("INFO base backup of the primary, into the archive",),
    ),
    "m0-backup-expire": JobSpec(
        service=RECONCILER,
        schedule="50 1 * * *",
        command=("m0-reconciler", "backup", "--expire"),
        takes_s=6.0,
        log=("INFO removing backups and WAL that the retention no longer asks for",),
    ),
}


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """Describes a metric; `kind` is as in the exposition's TYPE line.

    For histograms the name is without `_bucket`.
    """

    kind: str  # "counter" | "gauge" | "histogram"
    help: str
    buckets: tuple[float, ...] = ()


_FAST_MS = (5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, 2500.0)
_SLOW_MS = (100.0, 250.0, 500.0, 750.0, 1000.0, 1500.0, 2000.0, 3000.0, 5000.0, 8000.0, 15000.0)
_POLL_MS = (25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, 2000.0, 5000.0)
_QUERY_MS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0)

METRICS: Mapping[str, MetricSpec] = {
    "process_cpu_seconds_total": MetricSpec("counter", "Total user and system CPU time spent in seconds"),
    "up": MetricSpec("gauge", "Whether the last scrape of the target succeeded"),
    "m0_watermark_lag_ms": MetricSpec("gauge", "How far behind now the connector's watermark is"),
    "m0_coverage_ratio": MetricSpec("gauge", "Share of the domain's expected features that are fresh"),
    "m0_events_ingested_total": MetricSpec("counter", "Events written to the event log"),
    "m0_connector_errors_total": MetricSpec("counter", "Failed polls of an external API"),
    "m0_connector_poll_latency_ms": MetricSpec("histogram", "Latency of polls of an external API", _POLL_MS),
    "m0_eventlog_backlog": MetricSpec("gauge", "Events waiting in a topic of the event log"),
    "m0_signer_latency_ms": MetricSpec("histogram", "Time from request to signature", _FAST_MS),
    "m0_signer_threshold_miss_total": MetricSpec("counter", "Bundles without enough signatures in time"),
    "m0_signer_errors_total": MetricSpec("counter", "Signature requests that failed"),
    "m0_commit_tx_total": MetricSpec("counter", "Commit transactions by result"),
    "m0_reveal_tx_total": MetricSpec("counter", "Reveal transactions by result and reason"),
    "m0_publish_attempts_total": MetricSpec("counter", "Bundles that should have been published"),
    "m0_publish_success_total": MetricSpec("counter", "Bundles revealed on chain"),
    "m0_publish_miss_rate": MetricSpec("gauge", "Share of ticks in the last minute without a publication"),
    "m0_invalid_bundle_total": MetricSpec("counter", "Bundles rejected for their hash or signatures"),
    "m0_replay_violation_total": MetricSpec("counter", "Transactions rejected for a used sequence"),
    "m0_rpc_requests_total": MetricSpec("counter", "Solana RPC requests by endpoint and result"),
    "m0_rpc_confirm_latency_ms": MetricSpec("histogram", "From sending a transaction to its confirmation", _SLOW_MS),
    "m0_guardrail_decisions_total": MetricSpec("counter", "Guardrail decisions by reason"),
    "m0_divergence_events_total": MetricSpec("counter", "Sources that disagree with the consensus"),
    "m0_outlier_events_total": MetricSpec("counter", "Events dropped as outliers"),
    "m0_drift_score": MetricSpec("gauge", "Distance of live features from the training distribution"),
    "m0_calibration_ece": MetricSpec("gauge", "Expected calibration error"),
    "m0_implied_probability": MetricSpec("gauge", "Probability of the first outcome that a source implies"),
    "m0_feature_psi": MetricSpec("gauge", "Population stability index of a feature against the training data"),
    "m0_live_brier_score": MetricSpec("gauge", "Brier score of settled forecasts, live evaluation"),
    "m0_risk_score": MetricSpec("gauge", "Risk attached to a market's output"),
    "m0_api_requests_total": MetricSpec("counter", "API requests by status code"),
    "m0_api_latency_ms": MetricSpec("histogram", "Latency of API requests", _FAST_MS),
    "m0_output_age_ms": MetricSpec("gauge", "Age of the data behind the newest output served"),
    "m0_output_epoch": MetricSpec("gauge", "Epoch of the newest output served"),
    "m0_cache_requests_total": MetricSpec("counter", "Reads of the API's cache by result"),
    "m0_db_timeouts_total": MetricSpec("counter", "Queries that a service gave up on, by service"),
    "m0_db_query_latency_ms": MetricSpec("histogram", "Latency of Postgres queries", _QUERY_MS),
    "m0_db_cpu_ratio": MetricSpec("gauge", "CPU use of the Postgres server"),
    "m0_backup_last_success_timestamp_seconds": MetricSpec("gauge", "When the last backup succeeded"),
}
