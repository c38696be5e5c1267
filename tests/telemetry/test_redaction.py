"""What is taken out of a text, in every spelling, and in linear time."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ReelwireError
from service.telemetry import redaction
from service.telemetry.known_secrets import secrets_of_url
from service.telemetry.redaction import LONGEST, MASK, KnownSecrets, clean, clean_for_log, clean_members, clean_value

pytestmark = pytest.mark.unit

SECRET = "s3/cr+t:\"ä'\\ %"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> KnownSecrets:
    secrets = KnownSecrets()
    monkeypatch.setattr(redaction, "KNOWN", secrets)
    return secrets


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        quote(SECRET, safe=""),
        repr(SECRET),
        repr(SECRET.encode()),
        json.dumps(SECRET),
        f"Basic {base64.b64encode(f'alice:{SECRET}'.encode()).decode()}",
        repr(f"\0alice\0{SECRET}".encode()),
    ],
)
def test_a_known_secret_is_taken_out_in_every_spelling(known: KnownSecrets, spelled: str) -> None:
    known.remember(SECRET, "alice")
    known.remember(SECRET[:6])

    cleaned = clean(f"before {spelled} after")

    assert spelled.strip("'\"b") not in cleaned
    assert MASK in cleaned
    assert cleaned.startswith("before ")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http://user:hunter2@proxy:3128", f"http://{MASK}@proxy:3128"),
        ("http://user:hun/ter2@proxy:3128/a", f"http://{MASK}@proxy:3128/a"),
        ("http://user:hun?ter2@proxy:3128", f"http://{MASK}@proxy:3128"),
        ("http://user:hun@ter2@proxy:3128", f"http://{MASK}@proxy:3128"),
        ("url='socks5h://u:hunter2@[::1]:1080/'", f"url='socks5h://{MASK}@[::1]:1080/'"),
        ("//bucket/a.mp4 https://b.example/a.mp4?X-Amz-Signature=hunter2&b=1 x", "https://b.example/a.mp4?*** x"),
        ("https://h/cb#access_token=hunter2", f"https://h/cb#{MASK}"),
        ("s3://hunter2:hunter2@bucket/key", f"s3://{MASK}@bucket/key"),
        ("HTTPS://USER:hunter2@EXAMPLE.COM", f"HTTPS://{MASK}@EXAMPLE.COM"),
        ("Authorization: Bearer hunter2", f"Bearer {MASK}"),
        ("{'Proxy-Authorization': 'Basic hunter2'}", f"Basic {MASK}"),
        ("{'x-api-key': 'hunter2'}", f"'{MASK}'"),
        ("x-api-key: hunter2", MASK),
        ("password=hunter2, host=b", f"password={MASK}, host=b"),
        ("sasl_plain_password='hunter2'", f"sasl_plain_password='{MASK}'"),
        ("SaslAuthenticateRequest(sasl_auth_bytes=b'\\x00u\\x00hunter2')", f"b'{MASK}'"),
        ('{"client_secret": "hunter2"}', f'"{MASK}"'),
        ("X-Amz-Signature=hunter2&x=1", f"={MASK}&x=1"),
        ("aws_access_key_id=hunter2", f"={MASK}"),
        ("GET " + "A" * 9_000, "GET (9000 characters of base64)"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, kept: str) -> None:
    cleaned = clean(text)

    assert "hunter2" not in cleaned
    assert kept in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "Max retries exceeded with url: /c/a.mp4?sv=2022&sig=hunter2 (Caused by",
        "GET /a.mp4?X-Amz-Credential=hunter2&X-Amz-Date=1",
        "url=https%3A%2F%2Fh%2Fa%3FX-Amz-Signature%3Dhunter2%20x",
        "url=https%253a%252f%252fu%253ahunter2%2540h",
        "https:\\/\\/u:hunter2@h",
        "https://u:hun'ter2hunter2@h/",
        "https://h/a?rscd=filename='a'&sig=hunter2",
        "https://h/a?x=1\\u0026sig=hunter2",
        "x=1\\u0026sig=hunter2",
        '{\\"api_key\\": \\"hunter2\\"}',
        '{\\"Authorization\\": \\"Bearer hunter2\\"}',
        r"{\\\"password\\\": \\\"hun\\\\\\\"ter hunter2\\\"}",
        '{"password": "a\\"b hunter2", "x": 1}',
        "('Authorization','Bearer hunter2')",
        "(b'authorization', b'Bearer hunter2')",
        "Authorization: ApiKey hunter2",
        "Authorization: Unheard Of hunter2",
        "cookie: a=1; b=hunter2",
        'authorization: Digest username="u", response="hunter2"',
        "Authorization: AWS4-HMAC-SHA256 Credential=hunter2/2026, Signature=hunter2",
        "Credential=hunter2/2026",
        "password='hun ter2 hunter2'",
        'password="a, hunter2", x=1',
        "http://a:b://hunter2@h",
        "a://b,c://u:hunter2@d",
    ],
)
def test_a_secret_in_any_dress_is_taken_out(text: str) -> None:
    cleaned = clean(f"before {text} \nafter")

    assert "hunter2" not in cleaned
    assert "hun'" not in cleaned
    assert cleaned.startswith("before ")
    assert cleaned.endswith("\nafter")


@pytest.mark.parametrize("secret", [SECRET, "a+b/c=d%2F", "tlk_/0123+ABC", "line one\nline two"])
def test_a_known_secret_is_taken_out_however_often_it_is_escaped(known: KnownSecrets, secret: str) -> None:
    known.remember(secret, "alice")
    once = [
        quote(secret),
        quote(secret, safe=""),
        re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        quote(quote(secret, safe=""), safe=""),
        quote(quote(quote(secret))),
        json.dumps(secret),
        json.dumps(json.dumps(secret)),
        json.dumps(quote(secret)),
        quote(json.dumps(secret)),
        json.dumps(secret).replace("/", "\\/").replace("+", "\\u002b"),
        "".join(f"\\u{ord(character):04x}" for character in secret),
        "".join(f"\\u{ord(character):04X}" for character in secret),
        html.escape(secret),
        base64.urlsafe_b64encode(secret.encode()).decode(),
        quote(base64.b64encode(f"alice:{secret}".encode()).decode(), safe=""),
    ]
    for spelled in once:
        bare = spelled.strip('"=').removeprefix("%22").removesuffix("%22")
        cleaned = clean(f"before {spelled} after")
        assert bare not in cleaned, spelled
        assert MASK in cleaned, spelled
        assert cleaned.startswith("before "), spelled
        assert cleaned.endswith(" after"), spelled


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com:8443/a/b.mp4#t=10"[:-5],
        "C:\\temp\\new can't be read: 50% of it; is it there? a=b",
        "100%25 of \\d+ and &amp; &lt;b&gt; stay as they are",
        "what is this? it is one = two",
        "[('key', 'cam7'), ('design', 'x')], design=blue",
        "passwords, secrets and cookies are taken out; authorization failed",
        "see https://h:8080/a, https://h/b; (https://[::1]:9092/c) and 'https://h:9/d'",
        '{"url":"https://h:8080/a","mail":"x@example.com"}',
        "the token's value, 'a', is unknown",
        "http://[::1]:9092/x",
        "max_tokens=512, output_tokens=3, tokens: 4",
        "the token is: expired; key: cam7; secret: must be set",
        "video.analysis.requests.v1/3@42 can't be read",
        "what about https://example.com/?",
        "https://medium.example/@user/story",
        "://", "a://", "?", "x://?",
    ],
)  # fmt: skip
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert clean(text) == text


def test_a_name_that_says_secret_hides_its_value_at_any_depth() -> None:
    value = {"a": [{"api_key": "x", "b": {"token": 7, "key": "cam7"}}], "http://u:p@h": 1}

    assert clean_value("detail", value) == {
        "a": [{"api_key": MASK, "b": {"token": 7, "key": "cam7"}}],
        f"http://{MASK}@h": 1,
    }


def test_an_error_of_ours_never_holds_a_secret(known: KnownSecrets) -> None:
    known.remember("tlk_0123456789")

    error = ReelwireError("refused tlk_0123456789 by http://u:hunter2@proxy:1")

    assert str(error) == f"refused {MASK} by http://{MASK}@proxy:1"
    assert clean_members({"reason": ["tlk_0123456789", 1, None]}) == {"reason": [MASK, 1, None]}


def test_a_secret_on_the_border_of_a_cut_does_not_show(known: KnownSecrets) -> None:
    known.remember("tlk_0123456789")

    for before in range(32_700, 32_800):
        assert "tlk" not in clean("." * before + "tlk_0123456789" + "." * 1_000)
    assert len(clean_for_log("." * 1_000_000)) < LONGEST + 100


def test_the_url_of_a_request_is_a_secret_of_its_job() -> None:
    url = "https://u:hun@ter2@h/a.mp4?se=1&sig=ab%2Bcd%3Defgh&name=x"
    told = ["bad signature ab%2bcd%3defgh", "ab+cd=efgh was refused", "no login hun@ter2", "x and 1 stay"]

    cleaned = clean_members({"message": told}, secrets_of_url(url))

    assert cleaned == {"message": ["bad signature ***", "*** was refused", "no login ***", "x and 1 stay"]}


def test_a_structure_that_holds_itself_ends() -> None:
    loop: dict[str, object] = {}
    loop["a"] = loop

    assert "…" in str(clean_value("x", loop))


HOSTILE = [
    "a.a." * 10_000 + " ://",
    "a.a." * 10_000 + "://",
    "a://" * 10_000,
    "://" * 13_000,
    "://@" * 10_000,
    "a://b:c" * 6_000 + "@",
    "x" * 256 + " ",
    ("A" * 256 + ".") * 160,
    "A" * 40_000,
    "password" * 5_000,
    "password=" * 4_000,
    "password   " * 4_000,
    "authorization: basic " * 2_000,
    "cookie" + " " * 40_000,
    "?" * 40_000,
    "http://" + "?" * 40_000,
    "http://" + "@" * 40_000,
    "http://" + ":" * 40_000,
    "http://" + "a:" * 20_000 + "@",
    "\\x00" * 10_000,
    "secret'   :  " * 3_000,
    "password='" * 3_000,
    "password='" + "\\\\\"password='" * 3_000,
    "".join("password=" + "\\" * n + '"' for n in range(1, 260)),
    "%25" * 13_000,
    "%" * 40_000,
    "\\" * 40_000,
    "%5c" * 13_000,
    "&#37;25" * 6_000,
    "?a" * 20_000,
    "?a=" * 13_000 + " ",
    "a://b:c#=" * 4_000,
    "://b:c@" * 5_000 + "://b:x",
    "authorization:\r" * 2_500,
]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_the_time_grows_no_faster_than_the_text(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the cut, of a megabyte: a quadratic way would take more than an hour.
    monkeypatch.setattr(redaction, "_MOST_CHARS", 2_000_000)

    clean((text * (1_000_000 // len(text) + 1))[:1_000_000])


@given(st.text("a.:/@?#= \"'&bpassword\\", max_size=80), st.text("hunter2äß/%", min_size=4, max_size=12))
def test_a_known_secret_is_never_left(around: str, secret: str) -> None:
    known = KnownSecrets()
    known.remember(secret)

    assert secret not in known.masked(around + secret + around)
