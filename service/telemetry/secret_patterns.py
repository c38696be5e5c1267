"""What looks like a secret: credentials and queries of URLs, values of headers and of assignments that carry one.

Every search moves forward only: the time is in proportion to the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from service.telemetry.plain_view import View

Span = tuple[int, int]

# Names whose value is a secret, where they are assigned to.
_SPELLED = (
    r"password|passwd|secret|api[_-]?key|access[_-]?key(?:[_-]id)?|signature|credential|token"
    r"|(?<![A-Za-z])sig|sasl_auth_bytes"
)
_HEADERS = r"(?:proxy-)?authorization|set-cookie|cookie"
_NAMED = re.compile(
    rf"(?i)(?:(?P<header>{_HEADERS})|x-api-key|{_SPELLED})"
    r"(?P<quoted>[\"'])?\s{0,3}(?P<by>[:=,])\s{0,3}(?:b?(?P<quote>[\"']))?"
)
_SCHEME = re.compile(r"(?i)(?:basic|bearer|digest|negotiate|apikey|api-key|token|aws4-hmac-sha256)[ +]{1,3}")
_VALUE_END = re.compile(r"[\s,;&)}\]]")
_LINE_END = re.compile(r"[\r\n]")
_WORD_END = re.compile(r"\s")
_QUERY = re.compile(r"\?[^\s?=]*=")
_PATH = re.compile(r"[/?#]")
_WORDS = ("auth", "key", "cookie", "pass", "secret", "sig", "credential", "token")  # one is in each of the names


def looks_secret(view: View) -> Iterator[Span]:
    """The parts of `view.text` that look like secrets, in any order."""
    text = view.text
    if "://" in text:
        yield from _in_urls(text)
    if "?" in text:
        yield from _in_queries(text)
    lowered = text.lower()
    if any(word in lowered for word in _WORDS):  # the expression is slow, this is not
        yield from _in_assignments(view)


def _end(pattern: re.Pattern[str], text: str, begin: int) -> int:
    found = pattern.search(text, begin)
    return len(text) if found is None else found.start()


def _in_urls(text: str) -> Iterator[Span]:
    """Credentials, query and fragment of what stands behind a `://`, up to white space.

    Quotes do not end it: they are allowed in the URLs of requests.
    """
    at = text.find("://")
    while at >= 0:
        end = _end(_WORD_END, text, at + 3)
        last_at = text.rfind("@", at + 3, end)
        while at >= 0:  # the URLs of one word
            begin = at + 3
            at = text.find("://", begin, end)
            part_end = at if at >= 0 else end
            behind = _behind_credentials(text, begin, part_end, last_at)
            if behind > begin:
                yield begin, behind
            if behind > part_end:
                part_end, at = end, -1  # the password has a `://` in it
            query = text.find("?", behind, part_end)
            fragment = text.find("#", behind, part_end)
            if query < 0 and fragment >= 0 and text.find("=", fragment, part_end) >= 0:
                query = fragment
            if query >= 0:
                if query + 1 < end:
                    yield query + 1, end
                break
        at = text.find("://", end)


def _behind_credentials(text: str, begin: int, end: int, last_at: int) -> int:
    """Where the `@` behind the credentials of a URL stands; `begin` without credentials."""
    path = _PATH.search(text, begin, end)
    authority = text[begin : end if path is None else path.start()]
    if "@" in authority:
        return begin + authority.rindex("@")
    name, colon, port = authority.partition(":")
    if colon and not port.rstrip("\"'`,;)}]").isdigit() and not name.startswith("["):
        # A password that should have been escaped, with a `/`, `?` or `#` in it.
        return max(begin, last_at)
    return begin


def _in_queries(text: str) -> Iterator[Span]:
    """Everything behind the `?` of `?name=…`: a relative URL has no `://`."""
    found = _QUERY.search(text)
    while found is not None:
        end = _end(_WORD_END, text, found.end())
        yield found.start() + 1, end
        found = _QUERY.search(text, end)


def _in_assignments(view: View) -> Iterator[Span]:
    text = view.text
    unclosed: set[tuple[str, int]] = set()
    found = _NAMED.search(text)
    while found is not None:
        begin = end = found.end()
        quote = found["quote"]
        if quote and (found["by"] != "," or found["quoted"]):
            end = _closing(view, quote, begin, unclosed)
        elif quote or found["by"] == ",":
            pass  # a word in a list
        elif found["header"]:
            end = _end(_LINE_END, text, begin)
        elif found["by"] == "=" or found["quoted"] or found[0].lower().startswith("x-"):
            end = _end(_VALUE_END, text, begin)
        if end > begin:
            scheme = _SCHEME.match(text, begin, end) if found["header"] else None
            yield begin if scheme is None else scheme.end(), end
        found = _NAMED.search(text, end)


def _closing(view: View, quote: str, begin: int, unclosed: set[tuple[str, int]]) -> int:
    """Where the quoted value that begins at `begin` ends: at a quote that is escaped as its opening one is.

    `unclosed` holds the quotes that are known to have no other behind them.
    """
    text = view.text
    width = view.width(begin - 1)
    if (quote, width) not in unclosed:
        at = text.find(quote, begin)
        while at >= 0:
            if view.width(at) == width:
                return at
            at = text.find(quote, at + 1)
        unclosed.add((quote, width))
    return _end(_LINE_END, text, begin)
