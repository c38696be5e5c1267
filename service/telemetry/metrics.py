"""Every metric, declared once with its help text. One `Metrics` per process (or per test)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)


class Metrics:
    """The catalogue; `registry` is what `/metrics` renders."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = r = registry or CollectorRegistry()
        # Intake
        self.requests = Counter(
            "reelwire_requests_total", "Records read from the requests topic", ["outcome"], registry=r
        )
        self.dead_letters = Counter(
            "reelwire_dead_letters_total", "Records sent to the dead letters", ["code"], registry=r
        )
        self.intake_paused = Gauge(
            "reelwire_intake_paused", "1 while intake is paused, by reason", ["reason"], registry=r
        )
        # Jobs
        self.jobs = Gauge("reelwire_jobs", "Jobs held by this process", ["phase"], registry=r)
        self.completions = Counter("reelwire_completions_total", "Jobs ended", ["type", "mode", "code"], registry=r)
        self.attempts = Counter("reelwire_attempts_total", "Attempts begun", ["mode"], registry=r)
        self.retries = Counter(
            "reelwire_retries_total", "Calls that are repeated later", ["stage", "reason"], registry=r
        )
        self.interruptions = Counter(
            "reelwire_interruptions_total", "Attempts cut off by a crash or rebalance", registry=r
        )
        self.job_seconds = Histogram(
            "reelwire_job_seconds",
            "From the request's timestamp to its completion",
            ["mode"],
            buckets=_SECONDS,
            registry=r,
        )
        self.billed_minutes = Counter("reelwire_billed_minutes_total", "Video minutes billed", ["mode"], registry=r)
        self.output_tokens = Counter("reelwire_output_tokens_total", "Tokens generated", ["mode"], registry=r)
        # Fragments
        self.fragments = Counter("reelwire_fragments_total", "Fragments delivered", registry=r)
        self.streams = Gauge("reelwire_streams", "Streams and synchronous calls under way", registry=r)
        # Assets
        self.assets = Counter("reelwire_assets_total", "Assets by how they were had", ["outcome"], registry=r)
        self.upload_bytes = Counter("reelwire_upload_bytes_total", "Bytes of video sent to the platform", registry=r)
        # Kafka
        self.partitions = Gauge("reelwire_partitions", "Partitions owned, by state", ["state"], registry=r)
        self.takeover_seconds = Histogram(
            "reelwire_takeover_seconds",
            "Takeover of a partition, by part",
            ["part"],
            buckets=_SECONDS,
            registry=r,
        )
        self.takeovers = Counter("reelwire_takeovers_total", "Takeovers by outcome", ["outcome"], registry=r)
        self.transactions = Counter("reelwire_transactions_total", "Transactions by outcome", ["outcome"], registry=r)
        self.transaction_seconds = Histogram(
            "reelwire_transaction_seconds", "From begin to the end of commit", buckets=_SECONDS, registry=r
        )
        self.transaction_records = Counter("reelwire_transaction_records_total", "Records in transactions", registry=r)
        self.input_lag = Gauge(
            "reelwire_input_lag", "Records of the requests topic not yet accepted", ["partition"], registry=r
        )
        self.dedup_entries = Gauge("reelwire_dedup_entries", "Finished requests remembered", ["partition"], registry=r)
        self.quarantined = Gauge(
            "reelwire_quarantined_jobs", "Job records that can't be read", ["partition"], registry=r
        )
        self.broker_reachable = Gauge("reelwire_broker_reachable", "1 while a Kafka broker answers", registry=r)
        self.rejoins = Counter("reelwire_group_rejoins_total", "Times we went back through the group", registry=r)
        self.asset_claims = Counter("reelwire_asset_claims_total", "Claims to an upload", ["outcome"], registry=r)
        self.asset_entries = Gauge("reelwire_asset_entries", "Assets remembered", registry=r)
        # Platform
        self.platform_calls = Counter(
            "reelwire_platform_calls_total", "Calls of the platform", ["operation", "status"], registry=r
        )
        self.platform_seconds = Histogram(
            "reelwire_platform_seconds",
            "Until the platform's response",
            ["operation"],
            buckets=_SECONDS,
            registry=r,
        )
        self.platform_nonsense = Counter(
            "reelwire_platform_nonsense_total",
            "Members of the platform's answers that made no sense and were taken as absent, repaired or cut",
            ["member"],
            registry=r,
        )
        self.platform_paused = Gauge(
            "reelwire_platform_paused",
            "1 while calls of a category wait for a rate limit",
            ["category"],
            registry=r,
        )
        self.stream_events_unknown = Counter(
            "reelwire_stream_events_unknown_total", "Stream events of unknown type", registry=r
        )
        # Process
        self.task_failures = Counter(
            "reelwire_background_task_failures_total",
            "Background tasks that ended without being asked to",
            ["task"],
            registry=r,
        )
        self.loop_lag_seconds = Gauge(
            "reelwire_loop_lag_seconds", "How late the event loop runs its timers", registry=r
        )
        self.info = Gauge("reelwire_info", "1, with the version", ["version"], registry=r)
