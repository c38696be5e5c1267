"""Every log event, declared once. Code logs `log.info(E.PARTITION_TAKEN, partition=3)`."""

from __future__ import annotations

from enum import StrEnum


class LogEvent(StrEnum):
    """Log events; the comment behind each says what a reader should make of it."""

    # Process
    SERVICE_STARTING = "service_starting"  # with version and redacted settings
    SERVICE_READY = "service_ready"  # every owned partition is served
    SERVICE_STOPPING = "service_stopping"  # a signal or a fatal error; drain begins
    SERVICE_STOPPED = "service_stopped"
    AT_LEAST_ONCE = "at_least_once"  # no transactions, no fencing: events may be there twice, with the same ids
    TASK_FAILED = (
        "task_failed"  # a background task ended without being asked to; `ends_process`, or it is started again
    )
    BROKER_WAITED_FOR = "broker_waited_for"  # the start goes on as soon as a broker answers

    # Operations
    HTTP_LISTENING = "http_listening"  # health and metrics are served at host and port

    # Writing to Kafka
    WRITER_DIED = "writer_died"  # the partition is taken over anew, or given up when fenced; see reason
    SENDER_REPLACED = "sender_replaced"  # a fragment was not delivered; attempts with open fragments end
    SENDER_WAITING = "sender_waiting"  # no producer can be had just now; asked again until a broker answers

    # Sandbox
    BROKER_CHOSEN = "broker_chosen"  # demo and tests run on this one; `passed_over` tells why not on the others
    BROKER_PASSED_OVER = "broker_passed_over"  # with the reason; harmless when another one is chosen

    # Engine
    JOB_ENDED = "job_ended"  # a completion is durable; the audit line of a request
    JOB_EVENT = "job_event"  # a job goes on: retrying and interrupted at warning, the rest at debug
    WORK_FAILED = "work_failed"  # a bug: the work of one job raised; it is begun again after a pause
    UNIT_REFUSED = "unit_refused"  # a record fits no topic: raise kafka.max_message_bytes
    ASSETS_UNKNOWN = "assets_unknown"  # the assets topic can't be read or written just now; the upload waits
    ASSET_GONE = "asset_gone"  # the platform has lost an asset of ours; the video is uploaded again
    PROGRESS_NOT_SENT = "progress_not_sent"  # a live upload progress event was not taken; nothing depends on it
    DRAINING = "draining"  # stop was asked for; streams may end within their budget
    DRAINED = "drained"  # `cut` streams did not end in time and begin anew with the next owner

    # Ownership of partitions
    GROUP_JOINED = "group_joined"  # with the partitions this process now owns
    GROUP_REJOINING = "group_rejoining"  # with the reason; partitions are assigned anew
    PARTITION_TAKEN = "partition_taken"  # its jobs go on; with how many, and how long it took
    PARTITION_RENEWED = "partition_renewed"  # kept over a rebalance, still ours
    PARTITION_LOST = "partition_lost"  # given to another member; its jobs go on there
    PARTITION_FAILED = "partition_failed"  # taken over again, a limited number of times; see reason
    JOBS_NOT_CLOSED = "jobs_not_closed"  # the engine did not let go of a partition's jobs in time
    OWNERSHIP_FAILED = "ownership_failed"  # a fault in ours; the process ends
    BROKER_UNREACHABLE = "broker_unreachable"  # said once; everything waits until it is back
    BROKER_BACK = "broker_back"  # with how long it was away
    INPUT_BEHIND = "input_behind"  # committed offset no longer in the requests topic; see lost

    # Intake
    RECORD_REJECTED = "record_rejected"  # a record is no request; it is in the dead letters
    DEAD_LETTER_CUT = "dead_letter_cut"  # a record larger than any dead letter: copied without its value
    JOB_QUARANTINED = "job_quarantined"  # a job record can't be read; it stays, a copy is in the dead letters
    PARSER_FAILED = "parser_failed"  # a fault in our parser; the record is in the dead letters
    ACCEPT_FAILED = "accept_failed"  # a fault in ours; the record is in the dead letters
    COMPLETION_GONE = "completion_gone"  # a duplicate's completion is no longer in its topic
    INTAKE_WAITS = "intake_waits"  # finished requests can't be looked up just now
    INTAKE_FAILED = "intake_failed"  # a fault in ours; the partition is taken over again

    # Assets
    ASSET_LOG_READY = "asset_log_ready"  # every known asset is in the index
    CLAIM_LOST = "claim_lost"  # a claim to an upload could not be renewed; another process may upload the same video
    ASSET_LOG_WAITS = "asset_log_waits"  # the assets topic can't be read just now

    # Watchdog
    LOOP_BLOCKED = "loop_blocked"  # the event loop stands still; the process ends

    # Emulator
    EMULATOR_READY = "emulator_ready"  # the local platform listens, with its base url
    EMULATOR_STOPPED = "emulator_stopped"
    EMULATOR_BROKEN = "emulator_broken"  # a fault in the emulator itself
