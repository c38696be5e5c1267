"""Whether another deployment reads the same requests: both would pay for each."""

from __future__ import annotations

from service.cli.checks.finding import Finding
from service.kafka.other_clients.same_requests import deployments_beside
from service.settings import Settings


async def check_deployments(settings: Settings) -> list[Finding]:
    """A warning for each group of this service that reads our requests topic. Raises `BrokerUnavailable`."""
    topic = settings.topics.requests
    return [
        Finding(
            "warn",
            f"group {group}",
            f"another deployment reads {topic} as well ({', '.join(str(one) for one in members[:3])}): each of the two "
            "pays for every request",
            "if that is not what you want, stop one of them, or give it a REELWIRE_TOPICS__REQUESTS of its own",
        )
        for group, members in (await deployments_beside(settings)).items()
    ]
