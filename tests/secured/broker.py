"""A real broker with listeners for every way to log in, ACLs on; one for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from service.kafka.rights.least import Right
from service.sandbox.addresses import HOST, free_ports
from service.sandbox.broker.local import LocalBroker
from tests.secured import token_server as tokens_of
from tests.secured.certificates import Authority
from tests.secured.token_server import TokenServer

USER, PASSWORD = "reelwire", "the-secret-of-kafka"
ROOT = "root"
"""Who may do everything."""

BRIEF_SECONDS = 2

_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_OAUTH = "org.apache.kafka.common.security.oauthbearer"
_VALIDATOR = f"{_OAUTH}.OAuthBearerValidatorCallbackHandler"
_KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
}


class SecuredBroker:
    """Listeners: `PLAINTEXT` of the administrator, `TLS`, `MUTUAL`, `LOGIN` (SASL over TLS), `BRIEF` (the same, and a
    login is good for `BRIEF_SECONDS`).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys_file = folder / "keys.json"
        self.tokens = TokenServer(self.keys_file)
        self._keystore, self._truststore = folder / "server.pem", folder / "trust.pem"
        self.renew("authority")
        names = ("TLS", "MUTUAL", "LOGIN", "BRIEF")
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.local = LocalBroker(amend=self._amended)

    def address(self, listener: str) -> str:
        return f"{HOST}:{self._ports[listener]}"

    def renew(self, name: str) -> None:
        """Another authority, and a certificate of the broker by it, from the next start on."""
        self.authority = Authority(self.folder, name)
        cert, key = self.authority.certificate("server")
        self._keystore.write_bytes(key.read_bytes() + cert.read_bytes())
        self._truststore.write_bytes(self.authority.file.read_bytes())

    async def start(self) -> None:
        # The broker reads the keys of the token server only from where this allows.
        os.environ["JAVA_TOOL_OPTIONS"] = (
            f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.keys_file.as_uri()} "
            f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.files={self.keys_file}"
        )
        try:
            await self.local.start()
        finally:
            del os.environ["JAVA_TOOL_OPTIONS"]

    async def stop(self) -> None:
        self.local.kill()  # in order it would take seconds, and nothing of it is kept
        await self.local.stop()
        self.tokens.close()

    @cached_property
    def admin(self) -> AdminClient:
        """Kept: one that is collected takes its answers with it."""
        return AdminClient({"bootstrap.servers": self.local.bootstrap_servers, "log_level": 0})

    def add_scram_user(self, password: str = PASSWORD) -> None:
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        alteration = UserScramCredentialUpsertion(USER, info, password.encode())
        for future in self.admin.alter_user_scram_credentials([alteration]).values():
            future.result()

    def grant(self, rights: Iterable[Right], user: str = USER) -> None:
        for future in self.admin.create_acls([_binding(right, user) for right in rights]).values():
            future.result()

    def take_away(self, right: Right, user: str = USER) -> None:
        one = _binding(right, user)
        what = (one.restype, one.name, one.resource_pattern_type, one.principal)
        wanted = AclBindingFilter(*what, one.host, one.operation, one.permission_type)
        for future in self.admin.delete_acls([wanted]).values():
            assert len(future.result()) == 1

    def _amended(self, node: dict[str, str]) -> dict[str, str]:
        jwks = self.keys_file.as_uri()
        listeners = "".join(f",{name}://{HOST}:{port}" for name, port in self._ports.items())
        amended = node | {
            "listeners": node["listeners"] + listeners,
            "advertised.listeners": node["advertised.listeners"] + listeners,
            "listener.security.protocol.map": node["listener.security.protocol.map"]
            + ",TLS:SSL,MUTUAL:SSL,LOGIN:SASL_SSL,BRIEF:SASL_SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._keystore),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._truststore),
            "listener.name.mutual.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:ANONYMOUS;User:{ROOT};User:{tokens_of.USER}",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
        }
        users = f'user_{USER}="{PASSWORD}" user_{ROOT}="{PASSWORD}"'
        for listener in ("login", "brief"):
            begin = f"listener.name.{listener}"
            amended |= {
                f"{begin}.plain.sasl.jaas.config": f"{_PLAIN} {users};",
                f"{begin}.scram-sha-512.sasl.jaas.config": _SCRAM,
                f"{begin}.oauthbearer.sasl.jaas.config": f"{_OAUTH}.OAuthBearerLoginModule required;",
                f"{begin}.oauthbearer.sasl.server.callback.handler.class": _VALIDATOR,
                f"{begin}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": jwks,
                f"{begin}.oauthbearer.sasl.oauthbearer.expected.audience": "kafka",
                f"{begin}.oauthbearer.sasl.oauthbearer.expected.issuer": "tests",
            }
        for mechanism in ("plain", "scram-sha-512", "oauthbearer"):
            amended[f"listener.name.brief.{mechanism}.connections.max.reauth.ms"] = str(BRIEF_SECONDS * 1000)
        return amended


def _binding(right: Right, user: str) -> AclBinding:
    return AclBinding(
        _KINDS[right.kind],
        right.name,
        ResourcePatternType.PREFIXED if right.prefix else ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation[right.operation],
        AclPermissionType.ALLOW,
    )
