"""Every log event, declared once. Code logs `log.info(LogEvent.PARTITION_TAKEN, partition=3)`."""

from __future__ import annotations

from enum import StrEnum


class LogEvent(StrEnum):
    """Log events; the comment behind each is its text in `docs/reference/log-events.md`."""

    # Process
    SERVICE_STARTING = "service_starting"  # the process begins; with its version and its settings, without secrets
    SERVICE_READY = "service_ready"  # every partition of this process is served
    SERVICE_STOPPING = "service_stopping"  # a signal or a fatal error came; running work is given time to end
    SERVICE_STOPPED = "service_stopped"  # the process ends now
    AT_LEAST_ONCE = "at_least_once"  # delivery without transactions: an event may be published twice, with the same id
    TASK_FAILED = "task_failed"  # a background task ended by itself; `ends_process`, or it is started again
    PROCESS_ENDS = "process_ends"  # what can't be healed here; with the reason and what to do about it
    BROKER_WAITED_FOR = "broker_waited_for"  # no broker answers yet; the start continues when one does

    # Operations
    HTTP_LISTENING = "http_listening"  # health and metrics are served at this host and port

    # Console
    CONSOLE_LISTENING = "console_listening"  # the console serves its page at this host and port
    CONSOLE_ANY_NAME = "console_any_name"  # a page of a stranger may lead here: set REELWIRE_CONSOLE__HOSTS
    CONSOLE_CAUGHT_UP = "console_caught_up"  # the console has read what was in the topics; from now on it follows
    CONSOLE_PARTITIONS_ADDED = "console_partitions_added"  # topics have more partitions: the console reads them too
    CONSOLE_BEGINS_ANEW = "console_begins_anew"  # these topics were deleted or made anew: the console reads all again
    CONSOLE_WAITS = "console_waits"  # the console can't read the topics; it tries again every two seconds
    CONSOLE_PASSED_OVER = "console_passed_over"  # a fault in the console: this record is not shown, the others are
    CONSOLE_VIEWER_DROPPED = "console_viewer_dropped"  # this client of the console has not read for so many seconds
    CONSOLE_ACTED = "console_acted"  # somebody who has signed in to the console did this; `address` is theirs
    CONSOLE_SIGN_IN_REFUSED = "console_sign_in_refused"  # a wrong token at the console, from this address

    # Writing to Kafka
    TOPIC_DIFFERS = "topic_differs"  # a topic is not as planned; the service works, but see `problem`
    WRITER_DIED = "writer_died"  # a producer failed; its partition is taken over again, or given up
    SENDER_REPLACED = "sender_replaced"  # a fragment was not delivered; attempts with open fragments end
    TOPIC_REFUSES = "topic_refuses"  # no attempt is paid for until this partition takes a record; see reason
    TOPIC_TAKES = "topic_takes"  # the partition takes records again
    PROOF_FAILED = "proof_failed"  # a fault in the service: the check of a topic ended; attempts that wait for it end
    RECORD_REFUSED = "record_refused"  # a broker refused a batch as too large; `limit_bytes` is assumed from now on
    SENDER_WAITING = "sender_waiting"  # no producer can be started at the moment; tried again until a broker answers

    # Sandbox
    BROKER_CHOSEN = "broker_chosen"  # the broker of demo and tests; `passed_over` says why the others were not used
    BROKER_PASSED_OVER = "broker_passed_over"  # this broker can't be used; harmless when another one is chosen

    # Engine
    JOB_ENDED = "job_ended"  # a completion is durable: one line for each request
    JOB_EVENT = "job_event"  # a step of a job: retrying and interrupted at level warning, others at debug
    WORK_FAILED = "work_failed"  # a fault in the service in the work of one job; repeated, then the job fails
    UNIT_REFUSED = "unit_refused"  # a topic takes less than was known; the job ends with a smaller completion
    EVENT_NOT_WRITTEN = "event_not_written"  # an event can't be written; a completion is replaced by a shorter one
    ASSETS_UNKNOWN = "assets_unknown"  # the assets topic can't be read or written at the moment; the upload waits
    ASSET_OUTDATED = "asset_outdated"  # a file with a `key` has changed since its upload; it is uploaded again
    ASSET_DELETED = "asset_deleted"  # an asset that nobody needs was deleted; why, and how old it was
    ASSETS_SWEPT = "assets_swept"  # one look for assets that nobody needs: how many there are, and what became of them
    ASSET_SWEEP_FAILED = "asset_sweep_failed"  # it could not be found out what nobody needs; nothing was deleted
    BATCH_CREATED = "batch_created"  # a batch of the platform; `items` is how many tasks it has
    BATCH_WAITS = "batch_waits"  # the platform takes no batch now; `seconds` until the next try
    BATCH_SPLIT = "batch_split"  # an item was refused, so none was created; each half is tried by itself
    BATCH_FAILED = "batch_failed"  # a batch could not be created; its requests look for their tasks and try again
    OBJECT_NOT_SIGNED = "object_not_signed"  # no URL can be signed for an object store; the bytes are sent by us
    ASSET_GONE = "asset_gone"  # the platform no longer has an asset; the video is uploaded again
    PROGRESS_NOT_SENT = "progress_not_sent"  # an `uploading` event was not delivered; nothing depends on it
    DRAINING = "draining"  # the process was asked to stop; streams may end within shutdown.drain_seconds
    DRAINED = "drained"  # `cut` streams did not end in time; the next owner begins them again

    # Handover
    CARRYING = "carrying"  # streams and calls of a partition that was given away go on here; see docs/handover.md
    CARRIED_ENDED = "carried_ended"  # one of them: `outcome` handed_over, stopped, cut, given_up or taken_back
    HANDED_OVER = "handed_over"  # another process goes on with an attempt of a partition that was taken over here
    CARRIER_LOST = "carrier_lost"  # nothing was heard of the process that carries an attempt: it begins again here

    NOTE_UNREADABLE = "note_unreadable"  # a record of the handovers topic can't be read, and is passed over
    HANDOVER_TAIL_WAITS = "handover_tail_waits"  # the handovers topic can't be read at the moment; tried again

    # Ownership of partitions
    GROUP_JOINED = "group_joined"  # the group has assigned partitions; with those of this process
    GROUP_REJOINING = "group_rejoining"  # the group assigns partitions again, with the reason
    GROUP_LEFT = "group_left"  # the process has left the group; what it carries is in `carried`
    PARTITION_TAKEN = "partition_taken"  # a partition is served, its jobs go on; with how many, and the seconds it took
    JOB_ENDED_BEFORE = "job_ended_before"  # at_least_once: a job had its completion before a crash; it is over
    PARTITION_RENEWED = "partition_renewed"  # a rebalance left this partition here
    PARTITION_LOST = "partition_lost"  # the group gave the partition to another process; its jobs go on there
    PARTITION_FAILED = "partition_failed"  # taken over again after a failure, a limited number of times; see reason
    JOBS_NOT_CLOSED = "jobs_not_closed"  # the jobs of a partition did not stop in time
    BROKER_UNREACHABLE = "broker_unreachable"  # no broker answers; everything waits until one does. Logged once
    BOOTSTRAPPED_AGAIN = "bootstrapped_again"  # no known broker answered; the bootstrap servers gave new addresses
    BOOTSTRAP_UNREACHABLE = "bootstrap_unreachable"  # neither known brokers nor this bootstrap server answer
    METADATA_FAILED = "metadata_failed"  # a fault in the service; the brokers are asked for metadata again
    CREDENTIALS_RENEWED = "credentials_renewed"  # certificates or password changed on disk and are in use
    CREDENTIALS_UNUSABLE = "credentials_unusable"  # the files changed and can't be used; the old ones stay in use
    READING_REFUSED = "reading_refused"  # a right that reading the requests takes was taken away; it goes on with it
    RIGHT_MISSING = "right_missing"  # our principal lacks a right at Kafka; its `operation` and `resource` are named
    RIGHT_BACK = "right_back"  # a right that was missing is there
    BROKER_BACK = "broker_back"  # a broker answers again; with the seconds it was away
    INPUT_OFFSET_LAPSED = "input_offset_lapsed"  # the committed offset is not in the requests topic; see reason
    PARTITION_HELD = "partition_held"  # a partition is not read until an operator has decided; its jobs go on
    DEPLOYMENT_REPLACED = "deployment_replaced"  # another deployment had these topics and is no longer running
    INPUT_HIDDEN = "input_hidden"  # another client's open transaction hides requests; see producer_id and since
    INPUT_SHOWN = "input_shown"  # that transaction has ended; its requests are read

    # Intake
    RECORD_REJECTED = "record_rejected"  # a record is not a request; it is in the dead letters, with the reason
    DEAD_LETTER_CUT = "dead_letter_cut"  # a record is larger than a dead letter may be; the copy is without its value
    JOB_QUARANTINED = "job_quarantined"  # a job record can't be read; it is kept, and a copy is in the dead letters
    PARSER_FAILED = "parser_failed"  # a fault in the service while reading a record; it is in the dead letters
    ACCEPT_FAILED = "accept_failed"  # a fault in the service while accepting a request; it is in the dead letters
    COMPLETION_GONE = "completion_gone"  # a request was sent again and its completion is no longer in the topic
    FINISHED_UNREADABLE = "finished_unreadable"  # what is known of a finished request can't be read; it stays finished
    OUTPUT_TOO_LARGE = "output_too_large"  # an event is larger than its topic takes and is not published
    RANGE_UNREADABLE = "range_unreadable"  # offsets of a private topic can't be read and are skipped
    DECODING_FAILED = "decoding_failed"  # a fault in the service while decoding; the records are fetched again
    DAMAGE_SEARCH_FAILED = "damage_search_failed"  # where a damaged range of offsets ends is not known yet; asked again
    PARKED_JOB_WAITS = "parked_job_waits"  # a job that is kept in the log only can't be read from it at the moment
    INTAKE_WAITS = "intake_waits"  # finished requests can't be looked up at the moment; intake waits
    INTAKE_FAILED = "intake_failed"  # a fault in the service; the partition is taken over again

    # Polling
    TASK_LIST_UNREADABLE = "task_list_unreadable"  # the list of tasks can't be read; each is looked at by itself

    # Webhooks
    WEBHOOK_REFUSED = "webhook_refused"  # a webhook is forged, stale, replayed or malformed, or nobody can be told
    WEBHOOK_KEY_RENEWED = "webhook_key_renewed"  # the file of secrets has changed and is in use
    WEBHOOK_KEY_UNUSABLE = "webhook_key_unusable"  # it has changed and can't be read; the old ones stay in use

    # Assets
    SESSION_BEGUN = "session_begun"  # an upload session has begun; with its upload_id and the asset_id it reserves
    SESSION_RESUMED = "session_resumed"  # an upload goes on where another process or job stopped; see `chunks_known`
    SESSION_LOST = "session_lost"  # an upload session is of no use any more; the video is sent anew. See reason
    CLAIM_LOST = "claim_lost"  # the right to an upload could not be renewed; another process may upload the same video

    # Topics that every process follows: assets and ledger
    TOPIC_TAIL_READY = "topic_tail_ready"  # all that such a topic held at the start has been read
    TOPIC_TAIL_WAITS = "topic_tail_waits"  # it can't be read at the moment; what was known of it stays in force

    # Ledger
    LEDGER_RECORD_UNREADABLE = "ledger_record_unreadable"  # a record of the ledger can't be read, it counts for nothing
    LEDGER_BEGINS_ANEW = "ledger_begins_anew"  # the ledger topic was made anew: what was granted and spent is forgotten

    # Pauses
    PAUSED = "paused"  # the operator has paused `what`, perhaps with an end: nothing of it is begun or paid for
    RESUMED = "resumed"  # a pause is over, by the operator or by its end

    # Traces
    TRACING = "tracing"  # traces are on; where they are sent and which of them are sampled
    TRACES_NOT_SENT = "traces_not_sent"  # the collector takes no spans; they are lost meanwhile. Logged once
    TRACES_SENT_AGAIN = "traces_sent_again"  # it takes spans again; `lost` says how many it did not get
    TRACES_CUT = "traces_cut"  # the process ends, and the collector took the last spans not within `seconds`

    # Watchdog
    LOOP_BLOCKED = "loop_blocked"  # the event loop does not run; the process ends

    # Ingest
    INGEST_ACTIVE = "ingest_active"  # this process sends the requests now; with how many it remembers from before
    INGEST_SENT = "ingest_sent"  # what became of events, in numbers; at most one line a second, the sum of several
    INGEST_STANDBY = "ingest_standby"  # another process sends the requests; this one takes its place when it ends
    INGEST_INTERRUPTED = "ingest_interrupted"  # nothing is sent at the moment, tried again; nothing is lost, see reason
    INGEST_OFFSET_LAPSED = "ingest_offset_lapsed"  # a committed offset is not in its topic; read on from the beginning
    NOTIFICATION_REJECTED = "notification_rejected"  # a notification can't be read or no request be made of it
    NOTIFICATION_REFUSED = "notification_refused"  # one over HTTP was not taken: not signed, too large, not read
    RECORDED_AT_MISSING = "recorded_at_missing"  # a rule asks for recorded_at, and neither name nor event says it
    FOLDER_UNREADABLE = "folder_unreadable"  # a watched folder can't be read at the moment; it is looked at again
    FILE_NAME_UNUSABLE = "file_name_unusable"  # a watched file is not sent: its name is not UTF-8; rename it
    FOLDER_SCANNED = "folder_scanned"  # the first look at a watched folder; `passed_over` were there before

    # Emulator
    EMULATOR_READY = "emulator_ready"  # the local platform is listening; with its base URL
    EMULATOR_STOPPED = "emulator_stopped"  # the local platform has ended
    EMULATOR_JOURNAL_DAMAGED = "emulator_journal_damaged"  # lines of its state directory's journal can't be read
    EMULATOR_BROKEN = "emulator_broken"  # a fault in the emulator itself


CAUSED_BY_RECORDS = frozenset(
    {
        LogEvent.RECORD_REJECTED,
        LogEvent.DEAD_LETTER_CUT,
        LogEvent.PARSER_FAILED,
        LogEvent.ACCEPT_FAILED,
        LogEvent.COMPLETION_GONE,
        LogEvent.OUTPUT_TOO_LARGE,
        LogEvent.RANGE_UNREADABLE,
        LogEvent.WEBHOOK_REFUSED,
        LogEvent.NOTIFICATION_REJECTED,
        LogEvent.NOTIFICATION_REFUSED,
        LogEvent.RECORDED_AT_MISSING,
    }
)
"""One record is enough for one line: of each of these a limited number is written in a while."""
