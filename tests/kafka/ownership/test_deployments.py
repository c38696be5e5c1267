"""Two deployments that would pay twice or fence each other, on a real broker: one of them is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import Role
from service.cli.checks.deployments import check_deployments
from service.errors import ProcessError
from service.kafka.connecting.connection import client_options
from service.kafka.other_clients.deployments import DeploymentRefused
from service.kafka.other_clients.group_members import members_by_group
from service.kafka.other_clients.same_requests import deployments_beside
from service.kafka.other_clients.topic_names import TopicNames
from service.kafka.takeover.owner_check import CANDIDATE_PREFIX, OWNER_KEY
from service.sandbox.topics import TopicMaker
from service.settings import Settings, TopicSettings
from tests.kafka.ownership.conftest import make_service_topics
from tests.kafka.ownership.world import Member, World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


async def test_a_second_group_on_the_same_topics_is_refused_and_the_first_is_not_disturbed(
    world: World, eventually: Any
) -> None:
    own, other = world.settings.kafka.group_id, f"{world.settings.kafka.group_id}-b"
    async with world.member() as first:
        await first.serves(0, 1)
        await world.request("a")
        await eventually(lambda: first.host.live() == {"a"})
        intruder = world.member(group_id=other)
        async with intruder:
            error = await intruder.failure()
        assert isinstance(error, DeploymentRefused)
        assert f"group {own}, requests topic {world.topics.requests}" in str(error)
        assert "is running: reelwire at" in str(error)
        assert "REELWIRE_KAFKA__GROUP_ID" in str(error)
        assert all(not jobs.restored for jobs in intruder.host.opened), "no job was begun"
        await world.request("b")
        await eventually(lambda: first.host.live() == {"a", "b"})
    # It starts again although the other one has left traces, and perhaps goes on trying.
    async with world.member() as again:
        await again.serves(0, 1)
        assert again.host.live() == {"a", "b"}


async def test_a_deployment_that_is_gone_does_not_block_its_successor_and_may_not_come_back_beside_it(
    world: World,
) -> None:
    other = f"{world.settings.kafka.group_id}-b"
    async with world.member() as first:
        await first.serves(0, 1)
    async with world.member(group_id=other) as second:
        await second.serves(0, 1)
        lapses = {"lapse": "forgotten", "action": "recent"}
        assert second.value("reelwire_input_offset_lapses_total", **lapses) == 2, "not all of the topic is paid again"
        returned = world.member()
        async with returned:
            error = await returned.failure()
        assert f"group {other}," in str(error)
    async with world.member(group_id=other) as second:
        await second.serves(0, 1)


async def test_of_two_new_groups_that_start_at_once_at_most_one_serves(world: World, eventually: Any) -> None:
    async with (
        world.member(group_id=f"{world.settings.kafka.group_id}-a") as a,
        world.member(group_id=f"{world.settings.kafka.group_id}-b") as b,
    ):
        tasks = {member: member.task for member in (a, b) if member.task is not None}

        def decided() -> bool:
            """Each is refused or has all; both are refused if each was the first to one of the partitions."""
            return all(task.done() or member.serving() == [0, 1] for member, task in tasks.items())

        await eventually(decided, "each of them is refused or serves")
        refused = [member for member, task in tasks.items() if task.done()]
        assert refused, "two deployments serve the same topics"
        for member in refused:
            assert isinstance(await member.failure(), DeploymentRefused)


async def _other_topics(world: World, make_topics: TopicMaker) -> TopicSettings:
    topics = TopicSettings(**{role.value: f"{getattr(world.topics, role.value)}.b" for role in Role}, partitions=2)
    await make_service_topics(topics, make_topics)
    return topics


@pytest.mark.parametrize("turned", [False, True])
async def test_one_group_with_different_topics_is_refused_in_either_order(
    world: World, make_topics: TopicMaker, turned: bool
) -> None:
    topics = await _other_topics(world, make_topics)
    settings = [world.settings, world.settings.model_copy(update={"topics": topics})]
    if turned:
        settings.reverse()
    first, second = Member(settings[0]), Member(settings[1])
    async with first:
        await first.serves(0, 1)
        async with second:
            error = await second.failure()
        assert isinstance(error, DeploymentRefused)
        assert settings[0].topics.requests in str(error)
        assert settings[1].topics.requests in str(error)
        assert f"group {world.settings.kafka.group_id}" in str(error)
        assert first.serving() == [0, 1]
        assert first.value("reelwire_group_rejoins_total") == 0
    async with Member(settings[1]) as second:  # the first is gone: nothing to refuse
        await second.serves(0, 1)


async def _with(world: World, make_topics: TopicMaker, *roles: str, group: str | None = None) -> Settings:
    """The settings of a deployment that differs in these topics, and in its group if one is given."""
    other = await _other_topics(world, make_topics)
    topics = world.topics.model_copy(update={role: getattr(other, role) for role in roles})
    kafka = world.settings.kafka.model_copy(update={"group_id": group or world.settings.kafka.group_id})
    return world.settings.model_copy(update={"topics": topics, "kafka": kafka})


@pytest.mark.parametrize("role", ["jobs", "finished", "completions"])
async def test_one_group_that_differs_in_one_topic_is_refused_by_its_name(
    world: World, make_topics: TopicMaker, role: str
) -> None:
    second = Member(await _with(world, make_topics, role))
    async with world.member() as first:
        await first.serves(0, 1)
        async with second:
            error = await second.failure()
        assert isinstance(error, DeploymentRefused)
        name = getattr(world.topics, role)
        assert f"REELWIRE_TOPICS__{role.upper()} is {name} there and {name}.b here" in str(error)
        assert not second.host.opened
        assert first.serving() == [0, 1]
        assert first.value("reelwire_group_rejoins_total") == 0
    async with Member(second.settings) as again:  # the first is gone
        await again.serves(0, 1)


async def test_a_deployment_that_shares_the_requests_topic_alone_is_named_to_who_asks(
    world: World, make_topics: TopicMaker
) -> None:
    roles = [role for role, _ in TopicNames.of(world.topics).by_role if role != "requests"]
    second = Member(await _with(world, make_topics, *roles, group=f"{world.settings.kafka.group_id}-b"))
    async with world.member() as first, second:
        await first.serves(0, 1)
        await second.serves(0, 1)
        [(group, members)] = (await deployments_beside(world.settings)).items()
        assert group == second.settings.kafka.group_id
        assert members[0].client_id == "reelwire"
        [finding] = await check_deployments(world.settings)
        assert finding.grade == "warn"
        assert f"another deployment reads {world.topics.requests} as well" in finding.detail


async def test_groups_of_others_without_members_do_not_hide_another_deployment(world: World) -> None:
    own = world.settings.kafka.group_id
    names = (f"{own}-empty-a", f"{own}-empty-b")
    for group in names:
        await _leave_empty(world, group)
    async with world.member() as member:
        await member.serves(0, 1)
        found = await members_by_group(world.settings.kafka, 10_000)
        assert [found[name] for name in names] == [[], []]
        assert [one.client_id for one in found[own]] == ["reelwire"]
        assert await check_deployments(world.settings) == []


async def _leave_empty(world: World, group: str) -> None:
    """A group that has committed an offset and has no member."""
    topic = world.topics.requests
    consumer = AIOKafkaConsumer(topic, **client_options(world.settings.kafka), group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        await consumer.commit({TopicPartition(topic, 0): 0})
    finally:
        await consumer.stop()


async def test_other_programs_may_read_the_requests_topic(world: World) -> None:
    consumer = AIOKafkaConsumer(
        world.topics.requests,
        **client_options(world.settings.kafka),
        group_id=f"{world.settings.kafka.group_id}-analytics",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        async with world.member() as member:
            await member.serves(0, 1)
    finally:
        await consumer.stop()


async def test_notes_that_nobody_can_read_and_markers_without_a_deployment_are_accepted(world: World) -> None:
    await world.write(world.topics.jobs, OWNER_KEY, b"{not json")
    await world.write(world.topics.jobs, CANDIDATE_PREFIX + b"x", b'{"v":9}')
    await world.write(world.topics.jobs, b"!marker", b'{"v":1,"id":"0","owner":"reelwire","at_ms":1}')
    async with world.member() as member:
        await member.serves(0, 1)


async def test_a_refusal_is_an_error_that_ends_the_process() -> None:
    assert issubclass(DeploymentRefused, ProcessError)
