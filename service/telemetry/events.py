"""Every log event, declared once. Code logs `log.info(E.PARTITION_TAKEN, partition=3)`."""

from __future__ import annotations

from enum import StrEnum


class E(StrEnum):
    """Log events; the comment behind each says what a reader should make of it."""

    # Process
    SERVICE_STARTING = "service_starting"  # with version and redacted settings
    SERVICE_READY = "service_ready"  # every owned partition is served
    SERVICE_STOPPING = "service_stopping"  # a signal or a fatal error; drain begins
    SERVICE_STOPPED = "service_stopped"

    # Operations
    HTTP_LISTENING = "http_listening"  # health and metrics are served at host and port

    # Writing to Kafka
    WRITER_DIED = "writer_died"  # the partition is taken over anew, or given up when fenced; see reason
    SENDER_REPLACED = "sender_replaced"  # a fragment was not delivered; attempts with open fragments end
    SENDER_WAITING = "sender_waiting"  # no producer can be had just now; asked again until a broker answers

    # Sandbox
    BROKER_CHOSEN = "broker_chosen"  # demo and tests run on this one; `passed_over` tells why not on the others
    BROKER_PASSED_OVER = "broker_passed_over"  # with the reason; harmless when another one is chosen
