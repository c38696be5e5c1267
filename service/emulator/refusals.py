"""How the platform says no."""

from __future__ import annotations

from service.errors import ReelwireError


class Refusal(ReelwireError):
    """The request can't be served as it is. The message is for its sender."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def invalid(message: str) -> Refusal:
    """A member has a wrong value; the message names it."""
    return Refusal(400, "parameter_invalid", message)


def missing(name: str) -> Refusal:
    """A required member is not there."""
    return Refusal(400, "parameter_not_provided", f"The {name} parameter is required.")


def unknown(what: str, given: str, status: int = 404) -> Refusal:
    """There is no such thing; `what` names its kind."""
    return Refusal(status, "resource_not_exist", f"There is no {what} {given}.")
