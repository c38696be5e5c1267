"""Whom a takeover must look for before it takes topics that have notes of other deployments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kafka.other_clients.deployments import Deployment, DeploymentNote, running
from service.kafka.other_clients.group_members import GroupMember
from service.kafka.takeover.owner_check import CANDIDATE_PREFIX, OWNER_KEY, Claims

pytestmark = pytest.mark.unit

OWN = Deployment("ours", "requests")
DEPLOYMENTS = st.builds(Deployment, st.sampled_from(["ours", "b", "c"]), st.sampled_from(["requests", "other"]))
NOTES = st.builds(DeploymentNote, DEPLOYMENTS, st.just("process"), st.integers(0, 9))


def _claims(owner: DeploymentNote | None, candidates: list[DeploymentNote]) -> Claims:
    values = {CANDIDATE_PREFIX + note.deployment.group.encode(): note.encode() for note in candidates}
    if owner is not None:
        values[OWNER_KEY] = owner.encode()
    return Claims.among(values)


@given(st.none() | NOTES, st.lists(NOTES))
def test_an_owner_looks_for_nobody_and_everyone_else_for_the_owner_and_all_candidates(
    owner: DeploymentNote | None, candidates: list[DeploymentNote]
) -> None:
    claims = _claims(owner, candidates)
    rivals = {note.deployment for note in claims.rivals(OWN)}
    assert OWN not in rivals
    if claims.owned_by(OWN):
        assert rivals == set()
    else:
        noted = {note.deployment for note in claims.candidates} | ({owner.deployment} if owner else set())
        assert rivals == noted - {OWN}


@given(NOTES)
def test_a_note_is_read_as_it_was_written(note: DeploymentNote) -> None:
    assert DeploymentNote.decode(note.encode()) == note


@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"{}", b'{"group":"g"}', b"\xff", None])
def test_what_is_no_note_is_none(value: bytes | None) -> None:
    assert DeploymentNote.decode(value) is None


def test_only_members_that_read_its_topic_or_do_not_tell_count_as_running() -> None:
    reads = GroupMember("a", "/10.0.0.1", frozenset({"requests"}))
    other = GroupMember("b", "/10.0.0.2", frozenset({"something"}))
    joining = GroupMember("c", "/10.0.0.3", None)
    assert running(OWN, [reads, other, joining]) == [reads, joining]
    assert str(reads) == "a at 10.0.0.1"
