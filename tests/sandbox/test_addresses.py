from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from service.sandbox.addresses import HOST, candidates, free_ports, is_free
from service.sandbox.errors import PortError

pytestmark = pytest.mark.unit


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_somebody_listens_on_is_not_free(taken: int) -> None:
    assert not is_free(taken)


def test_taken_and_repeated_ports_are_passed_over(taken: int) -> None:
    one, two = free_ports(2)
    assert free_ports(2, tried=[taken, one, one, two]) == (one, two)


def test_too_few_free_ports_is_an_error_that_says_so(taken: int) -> None:
    with pytest.raises(PortError, match=r"2 free ports are needed on 127\.0\.0\.1; of 1 tried, 0 were free"):
        free_ports(2, tried=[taken])


def test_no_candidate_is_a_port_that_outgoing_connections_get_by_default() -> None:
    assert all(port < 32_768 for port in candidates())
