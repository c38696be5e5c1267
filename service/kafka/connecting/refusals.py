"""Refusals in words: a login, a certificate or a right that Kafka does not accept, and which setting to look at.

What is said when nobody answers at all is in `connection.py`.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)

from service.kafka.connecting.tokens import TokenRefused
from service.settings import KafkaSettings
from service.words import in_words

Operation = Literal["READ", "WRITE"]

DENIED = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
"""What a broker answers to a request for which our principal lacks a right."""

_NO_SUCH_LOGIN = (UnsupportedSaslMechanismError, IllegalSaslStateError)
_MISSING = re.compile(r"the right [A-Z_]+ on .+ is missing")
_OURS = "check REELWIRE_KAFKA__SSL_CERTFILE and REELWIRE_KAFKA__SSL_KEYFILE, and which authorities the broker trusts"
_ALERTS = {
    "CERTIFICATE_REQUIRED": "asks for a client certificate and got none",
    "CERTIFICATE_EXPIRED": "says that our client certificate has expired",
    "CERTIFICATE_REVOKED": "says that our client certificate is revoked",
    "CERTIFICATE_UNKNOWN": "does not accept our client certificate",
    "UNSUPPORTED_CERTIFICATE": "does not accept our client certificate",
    "BAD_CERTIFICATE": "does not accept our client certificate",
    "UNKNOWN_CA": "does not know the authority that signed our client certificate",
    "ACCESS_DENIED": "does not accept our client certificate",
}
"""Alerts of TLS that are about us, by a part of OpenSSL's name of each."""


def refusal(settings: KafkaSettings, error: BaseException) -> str | None:
    """Why a broker, or we, refused a connection, with what to look at; None when that is not what happened."""
    for cause in _chain(error):
        if isinstance(cause, TokenRefused):
            return in_words(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(settings, cause)
        if isinstance(cause, ssl.SSLError):
            said = next((words for name, words in _ALERTS.items() if name in (cause.reason or "")), None)
            if said is not None:
                return _unwelcome(settings, said)
        if isinstance(cause, SaslAuthenticationFailed | AuthenticationFailedError):
            return _wrong_login(settings, cause)
        if isinstance(cause, _NO_SUCH_LOGIN):
            return (
                f"the broker does not take the login {settings.sasl_mechanism} at this address; "
                "check REELWIRE_KAFKA__SASL_MECHANISM and the port in REELWIRE_KAFKA__BOOTSTRAP_SERVERS"
            )
    silent = any(isinstance(cause, ConnectionRefusedError | TimeoutError | socket.gaierror) for cause in _chain(error))
    if not silent and settings.ssl_certfile and expired_since(settings.ssl_certfile) is not None:
        return _unwelcome(settings, "ends the connection")  # some do so without an alert
    return None


def refusal_and_advice(settings: KafkaSettings, error: BaseException) -> tuple[str, str] | None:
    """The same in two parts: why, and what to do, which may be empty."""
    said = refusal(settings, error)
    if said is None:
        return None
    why, parted, advice = said.rpartition("; ")
    return (why, advice) if parted else (said, "")


def login_not_taken(error: BaseException) -> bool:
    """Whether the broker does not take our kind of login at all, whoever we are."""
    return any(isinstance(cause, _NO_SUCH_LOGIN) for cause in _chain(error))


def missing_right(error: BaseException, operation: Operation) -> str | None:
    """Which right is missing, when that is why a request was refused. `operation` is what was done to a topic."""
    for cause in _chain(error):
        named = ", ".join(_names(cause.args))
        if isinstance(cause, TopicAuthorizationFailedError):
            if operation == "WRITE" and not named:  # only the commit of an offset does not tell the topic
                return "the right READ on the topic is missing, which an offset in a transaction takes"
            return f"the right {operation} on topic {named or 'in question'} is missing"
        if isinstance(cause, GroupAuthorizationFailedError):
            return f"the right READ on group {named or 'in question'} is missing"
        if isinstance(cause, TransactionalIdAuthorizationFailed):
            return f"the right WRITE on transactional id {named or 'in question'} is missing"
        if isinstance(cause, ClusterAuthorizationFailedError):
            return "the right IDEMPOTENT_WRITE on the cluster is missing, which brokers before Kafka 2.8 ask for"
    return None


def tells_of_missing_right(text: str) -> bool:
    """Whether a reason, which may have passed through several errors, was worded by `missing_right`."""
    return _MISSING.search(text) is not None


def reading_words(error: BaseException) -> str:
    """What an error says that came of reading, with the right that is missing if it is that."""
    return missing_right(error, "READ") or in_words(error)


def writing_words(error: BaseException) -> str:
    """The same for writing."""
    return missing_right(error, "WRITE") or in_words(error)


def expired_since(certificate: Path) -> datetime | None:
    """When a certificate has expired; None while it is good, or if it can't be read."""
    try:
        # The one reader of a certificate's dates in Python's own library; it has been there since 2.6.
        decoded = ssl._ssl._test_decode_cert(str(certificate))  # type: ignore[attr-defined]  # noqa: SLF001 - see above
        ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(decoded["notAfter"]), UTC)
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return ends if ends <= datetime.now(UTC) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _untrusted(settings: KafkaSettings, error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message or in_words(error)
    if "has expired" in said:
        return "the certificate of the broker has expired: renew it there"
    if "ostname mismatch" in said or "address mismatch" in said:
        return (
            f"the certificate of the broker is not made out for this address: {said}; "
            "check REELWIRE_KAFKA__BOOTSTRAP_SERVERS, and the names in the certificate"
        )
    if settings.ssl_cafile is None:
        return (
            f"the certificate of the broker is not signed by an authority that this system trusts ({said}); "
            "set REELWIRE_KAFKA__SSL_CAFILE to the authority of the cluster"
        )
    return (
        f"the certificate of the broker is not signed by an authority in {settings.ssl_cafile} ({said}); "
        "check REELWIRE_KAFKA__SSL_CAFILE"
    )


def _unwelcome(settings: KafkaSettings, said: str) -> str:
    if settings.ssl_certfile is None:
        return (
            f"the broker {said}; set REELWIRE_KAFKA__SSL_CERTFILE and REELWIRE_KAFKA__SSL_KEYFILE (mutual TLS), "
            "or check the port in REELWIRE_KAFKA__BOOTSTRAP_SERVERS"
        )
    if (ended := expired_since(settings.ssl_certfile)) is not None:
        return (
            f"our client certificate in {settings.ssl_certfile} has expired on {ended:%Y-%m-%d}, and the broker "
            f"{said}; renew it: the files of REELWIRE_KAFKA__SSL_CERTFILE and its key are read again"
        )
    return f"the broker {said}: {settings.ssl_certfile}; {_OURS}"


def _wrong_login(settings: KafkaSettings, error: BaseException) -> str:
    said = f": {', '.join(texts)}" if (texts := _names(error.args)) else ""
    if settings.sasl_mechanism == "OAUTHBEARER":
        return (
            f"the broker refuses our token{said}; check REELWIRE_KAFKA__SASL_OAUTH_SCOPE, and whether issuer and "
            "audience of the token server's tokens are those that the broker expects"
        )
    if settings.sasl_mechanism == "AWS_MSK_IAM":
        return f"the broker refuses our token{said}; check the IAM policy of this process, and AWS_REGION"
    password = "REELWIRE_KAFKA__SASL_PASSWORD" + ("_FILE" if settings.sasl_password_file is not None else "")
    return (
        f"the broker refuses the login of user {settings.sasl_username} ({settings.sasl_mechanism}){said}; "
        f"check REELWIRE_KAFKA__SASL_USERNAME and {password}"
    )


def _names(args: tuple[object, ...]) -> list[str]:
    found: list[str] = []
    for arg in args:
        if isinstance(arg, list | tuple | set | frozenset):
            found += sorted(str(one) for one in arg)
        elif arg is not None:
            found.append(str(arg))
    return found
