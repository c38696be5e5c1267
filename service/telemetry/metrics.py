"""Every metric, declared once with its help text, which `docs/reference/metrics.md` and the scraper show."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
# All of those above, and narrower ones around an hour: a video of an hour takes about that long.
_JOB_SECONDS = tuple(sorted({*_SECONDS, 120, 600, 900, 2700, 3600, 4500, 5400, 14_400, 28_800, 86_400}))


class Metrics:
    """The catalogue. One per process, or per test; `registry` is what `GET /metrics` renders."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = r = registry or CollectorRegistry()
        # Intake
        self.requests = Counter(
            "reelwire_requests_total",
            "Records read from the requests topic, by what became of them",
            ["outcome"],
            registry=r,
        )
        self.accept_seconds = Histogram(
            "reelwire_accept_seconds",
            "Seconds from the timestamp of a request to its acceptance",
            buckets=_SECONDS,
            registry=r,
        )
        self.dead_letters = Counter(
            "reelwire_dead_letters_total", "Records written to the dead-letter topic, by code", ["code"], registry=r
        )
        self.intake_paused = Gauge(
            "reelwire_intake_paused", "1 while no new requests are taken, by reason", ["reason"], registry=r
        )
        # Jobs
        self.jobs = Gauge("reelwire_jobs", "Live jobs of this process, by phase", ["phase"], registry=r)
        self.completions = Counter(
            "reelwire_completions_total",
            "Jobs that have ended, by completion type, mode and error code",
            ["type", "mode", "code"],
            registry=r,
        )
        self.attempts = Counter("reelwire_attempts_total", "Attempts begun; each may be billed", ["mode"], registry=r)
        self.retries = Counter(
            "reelwire_retries_total",
            "Calls that failed and are repeated later, by stage and reason",
            ["stage", "reason"],
            registry=r,
        )
        self.interruptions = Counter(
            "reelwire_interruptions_total", "Attempts that a crash or a rebalance cut off", registry=r
        )
        self.job_seconds = Histogram(
            "reelwire_job_seconds",
            "Seconds from the timestamp of a request to its completion",
            ["mode"],
            buckets=_JOB_SECONDS,
            registry=r,
        )
        self.first_fragment_seconds = Histogram(
            "reelwire_first_fragment_seconds",
            "Seconds from the timestamp of a request to its first fragment, of streams that completed",
            buckets=_SECONDS,
            registry=r,
        )
        self.billed_minutes = Counter(
            "reelwire_billed_minutes_total", "Minutes of video that the platform bills, by mode", ["mode"], registry=r
        )
        self.output_tokens = Counter(
            "reelwire_output_tokens_total", "Tokens that the platform generated, by mode", ["mode"], registry=r
        )
        self.tenant_minutes = Counter(
            "reelwire_tenant_billed_minutes_total",
            "Minutes of video that the platform bills, by tenant (the first 50, then `other`)",
            ["tenant"],
            registry=r,
        )
        self.estimated_cost = Counter(
            "reelwire_estimated_cost_total",
            "Cost of completed requests by the prices of the settings, by mode and tenant (the first 50, then `other`)",
            ["mode", "tenant"],
            registry=r,
        )
        self.spent_today = Gauge(
            "reelwire_spent_today", "Spent or reserved today (UTC) by all processes, while there is a limit", registry=r
        )
        # Fragments
        self.fragments = Counter("reelwire_fragments_total", "Fragments that Kafka has confirmed", registry=r)
        self.carried = Gauge(
            "reelwire_carried_attempts",
            "Streams and calls that go on here for partitions that this process has lost",
            registry=r,
        )
        self.handovers = Counter(
            "reelwire_handovers_total",
            "Attempts that moved between processes: carried here, by how that ended, and those received or expired",
            ["outcome"],
            registry=r,
        )
        self.carried_seconds = Histogram(
            "reelwire_carried_seconds",
            "Seconds for which an attempt was carried",
            buckets=_SECONDS,
            registry=r,
        )
        self.streams = Gauge("reelwire_streams", "Streams and synchronous calls that are running", registry=r)
        # Assets
        self.assets = Counter(
            "reelwire_assets_total",
            "Assets: uploaded, reused (known to us), found (on the platform, by its mark) and gone (lost there)",
            ["outcome"],
            registry=r,
        )
        self.upload_bytes = Counter("reelwire_upload_bytes_total", "Bytes of video sent to the platform", registry=r)
        self.upload_chunks = Counter(
            "reelwire_upload_chunks_total",
            "Chunks of large videos: reported to the platform, refused (their URL was no good any more) and failed",
            ["outcome"],
            registry=r,
        )
        self.upload_sessions = Counter(
            "reelwire_upload_sessions_total",
            "Upload sessions: begun, resumed (after another process or job), completed, and lost (expired, or gone)",
            ["outcome"],
            registry=r,
        )
        # Kafka
        self.partitions = Gauge("reelwire_partitions", "Partitions of this process, by state", ["state"], registry=r)
        self.takeover_seconds = Histogram(
            "reelwire_takeover_seconds",
            "Seconds to take over a partition, by part of the work",
            ["part"],
            buckets=_SECONDS,
            registry=r,
        )
        self.takeovers = Counter(
            "reelwire_takeovers_total", "Takeovers of partitions, by outcome", ["outcome"], registry=r
        )
        self.batches = Counter(
            "reelwire_batches_total", "Batches of the platform, by what became of the call", ["outcome"], registry=r
        )
        self.batch_items = Histogram(
            "reelwire_batch_items", "Analyses in a batch", buckets=(2, 10, 50, 100, 250, 500, 1000), registry=r
        )
        self.transactions = Counter("reelwire_transactions_total", "Transactions, by outcome", ["outcome"], registry=r)
        self.transaction_seconds = Histogram(
            "reelwire_transaction_seconds",
            "Seconds from the begin of a transaction to the end of its commit",
            buckets=_SECONDS,
            registry=r,
        )
        self.transaction_records = Counter(
            "reelwire_transaction_records_total", "Records written in transactions", registry=r
        )
        self.work = Gauge(
            "reelwire_work",
            "Live jobs and unaccepted requests of a partition of this process; the sum over all is what to scale by",
            ["partition"],
            registry=r,
        )
        self.input_partitions = Gauge(
            "reelwire_input_partitions", "Partitions that the requests topic has, whoever owns them", registry=r
        )
        self.input_lag = Gauge(
            "reelwire_input_lag",
            "Records of the requests topic that are not accepted yet, hidden ones included, without Kafka's markers",
            ["partition"],
            registry=r,
        )
        self.input_hidden = Gauge(
            "reelwire_input_hidden_records",
            "Records of the requests topic that an open transaction hides from readers",
            ["partition"],
            registry=r,
        )
        self.input_hidden_seconds = Gauge(
            "reelwire_input_hidden_seconds",
            "Seconds since the begin of the open transaction that hides records of the requests topic, else 0",
            ["partition"],
            registry=r,
        )
        self.input_hidden_since = Gauge(
            "reelwire_input_hidden_since_timestamp_seconds",
            "Unix time of the begin of the open transaction that hides records, and its producer; gone when it ends",
            ["partition", "producer_id"],
            registry=r,
        )
        self.offset_lapses = Counter(
            "reelwire_input_offset_lapses_total",
            "Committed offsets that were not in the requests topic, by what was done",
            ["lapse", "action"],
            registry=r,
        )
        self.dedup_entries = Gauge(
            "reelwire_dedup_entries",
            "Finished requests that are remembered, to recognise duplicates",
            ["partition"],
            registry=r,
        )
        self.quarantined = Gauge(
            "reelwire_quarantined_jobs", "Job records that can't be read and are kept aside", ["partition"], registry=r
        )
        self.broker_reachable = Gauge("reelwire_broker_reachable", "1 while a Kafka broker answers, else 0", registry=r)
        self.rejoins = Counter(
            "reelwire_group_rejoins_total", "Times this process left the consumer group and joined it again", registry=r
        )
        self.asset_claims = Counter(
            "reelwire_asset_claims_total", "Claims to the right to upload a video, by outcome", ["outcome"], registry=r
        )
        self.assets_deleted = Counter(
            "reelwire_assets_deleted_total",
            "Assets of ours that were deleted, by reason",
            ["reason"],
            registry=r,
        )
        self.asset_entries = Gauge("reelwire_asset_entries", "Assets in the index of this process", registry=r)
        # Platform
        self.task_looks = Counter(
            "reelwire_task_looks_total",
            "Looks at running tasks: one by one (single), in a page of the list (list), after a webhook (webhook)",
            ["how"],
            registry=r,
        )
        self.platform_calls = Counter(
            "reelwire_platform_calls_total",
            "Calls of the platform, by operation and status",
            ["operation", "status"],
            registry=r,
        )
        self.platform_seconds = Histogram(
            "reelwire_platform_seconds",
            "Seconds until the head of the platform's response",
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
            "1 while calls of a category wait for a rate limit of the platform",
            ["category"],
            registry=r,
        )
        self.stream_events_unknown = Counter(
            "reelwire_stream_events_unknown_total",
            "Events of a stream whose type is unknown; they are skipped",
            registry=r,
        )
        self.webhooks = Counter(
            "reelwire_webhooks_total",
            "Webhooks of the platform: `accepted`, `passed_on` (through Kafka), `duplicate`, `ignored`, or why refused",
            ["outcome"],
            registry=r,
        )
        # Quota
        self.paused = Gauge(
            "reelwire_paused",
            "Pauses in force that the operator has asked for: of work, all or a part of it, and of the intake",
            ["what"],
            registry=r,
        )
        self.quota_granted = Counter(
            "reelwire_quota_granted_total",
            "Calls, seconds of video and tokens that the account's quota let this process have, by category",
            ["category"],
            registry=r,
        )
        self.quota_wait_seconds = Gauge(
            "reelwire_quota_wait_seconds",
            "Seconds that the next call of a category waits for the account's quota, as of when that was decided",
            ["category"],
            registry=r,
        )
        self.running = Gauge(
            "reelwire_running_analyses",
            "Analyses of all processes that are at the platform or next in line for it, while there is a cap",
            registry=r,
        )
        # Process
        self.spans = Counter(
            "reelwire_spans_total",
            "Spans of traces, by what became of them: sent, or failed (the collector did not take them)",
            ["outcome"],
            registry=r,
        )
        self.task_failures = Counter(
            "reelwire_background_task_failures_total",
            "Background tasks that ended without being asked to",
            ["task"],
            registry=r,
        )
        self.http_connections = Gauge(
            "reelwire_http_connections", "Open connections of the HTTP server for health and metrics", registry=r
        )
        self.http_connections_ended = Counter(
            "reelwire_http_connections_ended_total",
            "HTTP connections that the server ended: `slow`, `crowded` (too many at once) or `too_much` (data)",
            ["reason"],
            registry=r,
        )
        self.loop_lag_seconds = Gauge(
            "reelwire_loop_lag_seconds", "Seconds by which the event loop runs its timers too late", registry=r
        )
        self.info = Gauge(
            "reelwire_info", "Always 1; the label has the version of the service", ["version"], registry=r
        )
