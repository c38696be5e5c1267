from __future__ import annotations

import pytest

from service.sandbox.broker.node import Listeners, as_environment, as_properties, node_settings

pytestmark = pytest.mark.unit

SETTINGS = node_settings(Listeners(client="127.0.0.1:1", controller="127.0.0.1:2", advertised="127.0.0.1:1"), "/data")


def test_a_node_alone_asks_for_no_replica() -> None:
    factors = {name: value for name, value in SETTINGS.items() if name.endswith(("replication.factor", "min.isr"))}
    assert len(factors) == 6
    assert set(factors.values()) == {"1"}


def test_listeners_are_named_in_every_place_kafka_looks_for_them() -> None:
    assert SETTINGS["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert SETTINGS["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1"
    assert SETTINGS["controller.quorum.voters"] == "1@127.0.0.1:2"


def test_a_backslash_survives_the_properties_file() -> None:
    assert as_properties({"log.dirs": r"C:\kafka"}) == "log.dirs=C:\\\\kafka\n"


def test_the_image_reads_settings_from_variables_without_dots() -> None:
    variables = as_environment(SETTINGS)
    assert variables["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert len(variables) == len(SETTINGS)
    assert all(name.startswith("KAFKA_") and name.upper() == name and "." not in name for name in variables)
