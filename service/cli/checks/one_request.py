"""Where one request is: `reelwire doctor --request ID`."""

from __future__ import annotations

from service.cli.checks.finding import Finding
from service.cli.reading.request_search import Found, find_request
from service.settings import Settings

_PARTITIONERS = (
    "clients that choose partitions in different ways send one id to several of them, and it is analysed in each: make "
    "all producers use murmur2 (librdkafka: partitioner=murmur2_random), as docs of the requests topic say"
)


async def check_request(settings: Settings, request_id: str) -> list[Finding]:
    """One finding for each partition that it is in, and one more when that is more than one."""
    found = await find_request(settings, request_id)
    about = f"request {request_id}"
    if not found:
        return [
            Finding(
                "fail",
                about,
                "is not known: not among the jobs, the unread requests, or those that ended within the dedup window",
                "check the id, and that REELWIRE_TOPICS__* are those of the service",
            )
        ]
    findings = [Finding("ok", about, _where(one)) for one in found]
    if len(found) > 1:
        where = ", ".join(str(one.partition) for one in found)
        findings.append(Finding("fail", about, f"it is in {len(found)} partitions: {where}", _PARTITIONERS))
    return findings


def _where(one: Found) -> str:
    place = f"partition {one.partition}" + ("" if one.offset is None else f", offset {one.offset}")
    if one.job is not None:
        task = f", task {one.job.task_id}" if one.job.task_id else ""
        return f"{place}: in flight, {one.job.phase.value}, attempt {one.job.attempt}{task}"
    if one.ended is not None:
        completion = one.ended.completion
        at = f"{completion.topic}/{completion.partition}, offset {completion.offset}"
        return f"{place}: has ended; its completion is at {at}"
    if one.state == "ended":
        return f"{place}: has ended"
    return f"{place}: not read yet by the service"
