"""Other deployments of this service that read the same requests topic, and have all else to themselves.

No marker can tell of them, since neither may write to what the other reads. But their members tell their topic names
(`topic_names.py`) to whoever may describe their group.
"""

from __future__ import annotations

from service.kafka.other_clients.group_members import GroupMember, members_by_group
from service.settings import Settings

MOST_GROUPS = 200
"""How many groups of a cluster are looked at."""


async def deployments_beside(settings: Settings) -> dict[str, list[GroupMember]]:
    """The members of each such group that may be described, as far as the first groups of the cluster go.

    Raises `BrokerUnavailable`.
    """
    topic = settings.topics.requests
    found: dict[str, list[GroupMember]] = {}
    for group, members in (await members_by_group(settings.kafka, MOST_GROUPS)).items():
        ours = [one for one in members if one.names is not None and one.names["requests"] == topic]
        if ours and group != settings.kafka.group_id:
            found[group] = ours
    return found
