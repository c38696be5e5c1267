"""The settings of the connection to Kafka."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from contracts.deadletters import ROOM_BYTES
from service.settings.section import Section
from service.settings.sources import shown, variable_of

_TLS_FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
_LOGIN_SECRETS = (
    ("sasl_password", "sasl_password_file"),
    ("sasl_oauth_client_secret", "sasl_oauth_client_secret_file"),
)
_PASSWORD_LOGIN = ("sasl_username", "sasl_password")
_TOKEN_LOGIN = ("sasl_oauth_token_url", "sasl_oauth_client_id", "sasl_oauth_client_secret")
_SERVER = re.compile(r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$")


class KafkaSettings(Section):
    """Connection and group membership."""

    bootstrap_servers: str = Field(
        "127.0.0.1:9092", min_length=1, description="Brokers to begin with: host:port, separated by commas."
    )
    group_id: str = Field(
        "reelwire",
        min_length=1,
        description="Consumer group; transactional ids begin with it. Deployments that share topics must share it.",
    )
    client_id: str = Field("reelwire", description="Name of this process at the broker, in its logs and quotas.")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to connect: with or without TLS (SSL) and login (SASL)."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"] = Field(
        "PLAIN",
        description="How to log in, with a SASL protocol. AWS_MSK_IAM needs the msk extra and AWS credentials; the "
        "region is AWS_REGION, or told by the names of the brokers.",
    )
    sasl_username: str | None = Field(None, description="User of the login; needed with PLAIN and SCRAM.")
    sasl_password: SecretStr | None = Field(None, description="Password of the login; needed with PLAIN and SCRAM.")
    sasl_password_file: Path | None = Field(
        None, description="File that holds the password, instead of sasl_password; read again when it changes."
    )
    sasl_oauth_token_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+",
        description="Where tokens are fetched, with the client credentials grant; needed with OAUTHBEARER.",
    )
    sasl_oauth_client_id: str | None = Field(None, description="Our name at the token server; needed with OAUTHBEARER.")
    sasl_oauth_client_secret: SecretStr | None = Field(
        None, description="Our secret at the token server; needed with OAUTHBEARER."
    )
    sasl_oauth_client_secret_file: Path | None = Field(
        None, description="File that holds it, instead of sasl_oauth_client_secret; read again when it changes."
    )
    sasl_oauth_scope: str | None = Field(None, description="Scope to ask for with a token, where one is wanted.")
    ssl_cafile: Path | None = Field(
        None,
        description="PEM file of the authorities that sign the brokers' certificates; unset: those of the system.",
    )
    ssl_certfile: Path | None = Field(
        None,
        description="PEM file of our certificate; goes with ssl_keyfile. Read again when it changes.",
    )
    ssl_keyfile: Path | None = Field(
        None, description="PEM file of the key of our certificate. Read again when it changes."
    )
    ssl_key_password: SecretStr | None = Field(None, description="Password of the key, where it has one.")
    delivery: Literal["exactly_once", "at_least_once"] = Field(
        "exactly_once",
        description="at_least_once is for brokers without transactions; an event may then be there twice, with one id.",
    )
    offset_reset: Literal["recent", "earliest", "latest", "stop"] = Field(
        "recent",
        description="Where reading goes on when the committed offset is not in the requests topic. recent: with the "
        "first record of the last jobs.dedup_hours. stop: the partition is not read until another value is set.",
    )
    session_timeout_ms: int = Field(
        10_000, ge=1_000, description="How long without a heartbeat until the group takes this process for dead."
    )
    heartbeat_interval_ms: int = Field(
        200,
        ge=100,
        description="Time between two heartbeats; at most a third of session_timeout_ms. A member learns of a "
        "rebalance with its next heartbeat, and intake stands still until all have learnt of it.",
    )
    rebalance_timeout_ms: int = Field(
        30_000, ge=1_000, description="How long a member may take to join a rebalance before it is removed."
    )
    request_timeout_ms: int = Field(15_000, ge=1_000, description="Longest wait for a broker's answer to one request.")
    connect_timeout_ms: int = Field(10_000, ge=100, description="Longest wait for one connection, with TLS and login.")
    transaction_timeout_ms: int = Field(
        30_000, ge=1_000, description="The broker aborts a transaction that is open for longer."
    )
    call_timeout_seconds: float = Field(30, gt=0, description="Limit for every call of a producer.")
    rights_check_seconds: float = Field(
        5, ge=0.1, description="How often it is looked whether our principal still has its rights."
    )
    max_message_bytes: int = Field(
        8 * 1024 * 1024 - ROOM_BYTES,
        ge=1024,
        description="Largest record of the requests topic that `topics create` asks for. Completions, job states and "
        "dead letters may be 64 KiB larger; nothing is asked for above 8 MiB.",
    )
    max_batch_bytes: int = Field(
        32 * 1024 * 1024,
        ge=1024 * 1024,
        description="A batch of records that holds more when it is decompressed becomes a dead letter, unread.",
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        servers = [server.strip() for server in value.split(",")]
        for server in servers:
            match = _SERVER.match(server)
            if match is None or not 0 < int(match.group(2)) < 65_536:
                raise ValueError(f"{shown(server)} is not host:port")
        return ",".join(servers)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        protocol = f"REELWIRE_KAFKA__SECURITY_PROTOCOL={self.security_protocol}"
        self._check_login()
        for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_key_password"):
            if getattr(self, name) is not None and not self.security_protocol.endswith("SSL"):
                raise ValueError(f"{variable_of(('kafka', name))}: has no effect with {protocol}")
        for name in (*_TLS_FILES, *(file for _, file in _LOGIN_SECRETS)):
            path = getattr(self, name)
            if path is not None and (not path.is_file() or not os.access(path, os.R_OK)):
                raise ValueError(f"{variable_of(('kafka', name))}: {path} is no file that can be read")
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            present, missing = ("ssl_certfile", "ssl_keyfile") if self.ssl_certfile else ("ssl_keyfile", "ssl_certfile")
            raise ValueError(f"{variable_of(('kafka', missing))}: is needed with {variable_of(('kafka', present))}")
        if self.heartbeat_interval_ms * 3 > self.session_timeout_ms:
            raise ValueError(
                "REELWIRE_KAFKA__HEARTBEAT_INTERVAL_MS: must be at most a third of REELWIRE_KAFKA__SESSION_TIMEOUT_MS"
            )
        return self

    def _check_login(self) -> None:
        """What a mechanism needs is there, and nothing that it does not use. Raises `ValueError`."""
        with_login = self.security_protocol.startswith("SASL")
        mode = f"REELWIRE_KAFKA__SECURITY_PROTOCOL={self.security_protocol}"
        if with_login:
            mode = f"REELWIRE_KAFKA__SASL_MECHANISM={self.sasl_mechanism}"
        if with_login and self.sasl_mechanism == "AWS_MSK_IAM" and self.security_protocol != "SASL_SSL":
            raise ValueError(f"REELWIRE_KAFKA__SECURITY_PROTOCOL: must be SASL_SSL with {mode}")
        needed: tuple[str, ...] = ()
        if with_login and self.sasl_mechanism != "AWS_MSK_IAM":
            needed = _TOKEN_LOGIN if self.sasl_mechanism == "OAUTHBEARER" else _PASSWORD_LOGIN
        files = dict(_LOGIN_SECRETS)
        for name, file in _LOGIN_SECRETS:
            if getattr(self, name) is not None and getattr(self, file) is not None:
                raise ValueError(f"{variable_of(('kafka', file))}: has no effect with {variable_of(('kafka', name))}")
        for name in (*_PASSWORD_LOGIN, *_TOKEN_LOGIN, "sasl_oauth_scope"):
            given = [one for one in (name, files.get(name)) if one is not None and getattr(self, one) is not None]
            if given and name not in needed and not (name == "sasl_oauth_scope" and needed is _TOKEN_LOGIN):
                raise ValueError(f"{variable_of(('kafka', given[0]))}: has no effect with {mode}")
            if not given and name in needed:
                or_file = f" (or {variable_of(('kafka', files[name]))})" if name in files else ""
                raise ValueError(f"{variable_of(('kafka', name))}: is needed{or_file} with {mode}")
