"""``X-Twilio-Signature``, against written vectors and against Twilio's own library."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from opusbridge.protocols.twilio.signature import (
    accepts,
    sign,
    upgrade_urls,
    webhook_urls,
)

TOKEN = "opusbridge-test-token-0123456789"
FORM = [
    ("AccountSid", "ACfedcba9876543210fedcba9876543210"),
    ("ApiVersion", "2010-04-01"),
    ("CallSid", "CA0123456789abcdef0123456789abcdef"),
    ("CallStatus", "ringing"),
    ("Direction", "inbound"),
    ("From", "+15550100001"),
    ("FromCity", ""),
    ("To", "+15550100002"),
]
HOST = "voice.example.com"
JSON_URL = (
    f"https://{HOST}/twilio/json?bodySHA256="
    "2c0666189e06a136563bd761c2f72f38f9bac28ae28ac660caca87f3e6e3fa6f"
)
JSON_SIGNATURE = "s3AN8UJRZ+4KkDCbRDv0UmoJeiM="

#: Token, URL, form fields, signature.
VECTORS = [
    (TOKEN, f"https://{HOST}/twilio/incoming", FORM, "hwLv4Xgq9JeRCXGlvMntZMF114k="),
    (TOKEN, f"https://{HOST}:8443/twilio/incoming", FORM, "IbwzylEkfg9KxZecQRwQc68ZD5k="),
    (
        TOKEN,
        f"https://{HOST}/twilio/incoming?CallSid=CA1&From=%2B15550100001",
        [],
        "NeeDvalALktsh53Bdj5BTOmfBdE=",
    ),
    (TOKEN, JSON_URL, [], JSON_SIGNATURE),
    (TOKEN, f"wss://{HOST}/twilio/media", [], "uHOMSFMnhrL+mgyqRzI5PaT8EMc="),
    (TOKEN, f"wss://{HOST}/twilio/media/", [], "NIJMgWfEs2vjhQN2zNK6xqe5HiI="),
    (TOKEN, f"wss://{HOST}/twilio/media/AbC-123", [], "Lxw0TlfSd/myoeNdTqyGi1QlXUo="),
    (
        "12345",
        "https://example.com/myapp.php?foo=1&bar=2",
        [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675310"),
            ("From", "+14158675310"),
            ("Digits", "1234"),
            ("To", "+18005551212"),
        ],
        "L/OH5YylLD5NRKLltdqwSvS0BnU=",
    ),
    (
        "12345",
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        [
            ("Sid", "CA123"),
            ("SidAccount", "AC123"),
            ("Digits", "5678"),
            ("Digits", "1234"),
            ("Digits", "1234"),
        ],
        "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
    ),
]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FIELDS = st.lists(st.tuples(TEXT, TEXT), max_size=6)
SCHEMES = st.sampled_from(["https", "http", "wss", "ws"])
PATHS = st.from_regex(r"(/[A-Za-z0-9%._-]{1,8}){0,3}/?", fullmatch=True)


class Form(dict[str, list[str]]):
    """A multi-dict as the web frameworks hand it to Twilio's validator."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        for name, value in fields:
            self.setdefault(name, []).append(value)

    def getall(self, name: str) -> list[str]:
        return self[name]


@pytest.mark.parametrize(("token", "url", "fields", "signature"), VECTORS)
def test_a_signature_is_the_one_written_down(
    token: str, url: str, fields: list[tuple[str, str]], signature: str
) -> None:
    assert sign(token, url, fields) == signature
    assert sign(token, url, reversed(fields)) == signature
    assert accepts([token], [url], fields, signature)


@pytest.mark.slow
@settings(derandomize=True, deadline=None)
@given(TEXT, SCHEMES, PATHS, FIELDS)
def test_we_sign_as_twilios_library_does(
    token: str, scheme: str, path: str, fields: list[tuple[str, str]]
) -> None:
    url = f"{scheme}://{HOST}{path}"

    assert sign(token, url, fields) == RequestValidator(token).compute_signature(url, Form(fields))


@pytest.mark.slow
@settings(derandomize=True, deadline=None)
@given(
    st.sampled_from(["", ":443", ":8443"]), st.sampled_from(["", ":443", ":8443"]), PATHS, FIELDS
)
def test_we_accept_a_webhook_exactly_where_twilios_library_does(
    ours: str, signed: str, path: str, fields: list[tuple[str, str]]
) -> None:
    header = sign(TOKEN, f"https://{HOST}{signed}{path}", fields)
    seen = f"https://{HOST}{ours}{path}"

    accepted = accepts([TOKEN], webhook_urls(f"https://{HOST}{ours}", path), fields, header)

    assert accepted == RequestValidator(TOKEN).validate(seen, Form(fields), header)


@pytest.mark.parametrize(
    "header", [None, "", "hwLv4Xgq9JeRCXGlvMntZMF114", "é", "\ud800", "=" * 28]
)
def test_a_header_that_is_no_signature_is_refused_quietly(header: str | None) -> None:
    assert not accepts([TOKEN], [VECTORS[0][1]], FORM, header)


def test_text_that_utf8_cannot_hold_is_refused_quietly() -> None:
    assert not accepts([TOKEN], ["https://x/\ud800"], [("\ud800", "\udfff")], VECTORS[0][3])


def test_one_changed_field_is_refused() -> None:
    assert not accepts([TOKEN], [VECTORS[0][1]], [*FORM[:-1], ("To", "+1")], VECTORS[0][3])
    assert not accepts([TOKEN], [VECTORS[0][1]], FORM[:-1], VECTORS[0][3])


def test_during_a_rotation_either_token_opens() -> None:
    _, url, fields, signature = VECTORS[0]

    assert accepts(iter(["new-token", TOKEN]), iter([url]), iter(fields), signature)
    assert not accepts(["new-token"], [url], fields, signature)


def test_without_a_token_nobody_gets_in() -> None:
    url = VECTORS[0][1]

    assert not accepts([], [url], FORM, VECTORS[0][3])
    assert not accepts([""], [url], FORM, sign("", url, FORM))


@pytest.mark.parametrize("variant", ["", "/"])
@pytest.mark.parametrize("port", ["", ":443"])
@pytest.mark.parametrize("path", ["/twilio/media", "/twilio/media/"])
def test_an_upgrade_may_be_signed_with_a_slash_and_a_port_or_without(
    variant: str, port: str, path: str
) -> None:
    header = sign(TOKEN, f"wss://{HOST}{port}/twilio/media{variant}")

    assert accepts([TOKEN], upgrade_urls(f"https://{HOST}", path), (), header)


@pytest.mark.parametrize(
    ("public", "path", "urls"),
    [
        (
            f"https://{HOST}",
            "/m",
            [
                f"wss://{HOST}/m",
                f"wss://{HOST}:443/m",
                f"wss://{HOST}/m/",
                f"wss://{HOST}:443/m/",
            ],
        ),
        (
            f"https://user:pass@{HOST}:8443/voice/",
            "/m/",
            [
                f"wss://{HOST}:8443/voice/m/",
                f"wss://{HOST}/voice/m/",
                f"wss://{HOST}:8443/voice/m",
                f"wss://{HOST}/voice/m",
            ],
        ),
        (
            "http://[::1]:8000",
            "/m",
            ["ws://[::1]:8000/m", "ws://[::1]/m", "ws://[::1]:8000/m/", "ws://[::1]/m/"],
        ),
        (
            "wss://[::1]",
            "/",
            ["wss://[::1]/", "wss://[::1]:443/", "wss://[::1]", "wss://[::1]:443"],
        ),
    ],
)
def test_the_spellings_of_an_upgrade(public: str, path: str, urls: list[str]) -> None:
    assert upgrade_urls(public, path) == urls


def test_the_spellings_of_a_webhook_keep_path_and_query_as_they_were() -> None:
    assert webhook_urls(f"https://{HOST}/a/", "/b%20c/", "d=%2B1&e") == [
        f"https://{HOST}/a/b%20c/?d=%2B1&e",
        f"https://{HOST}:443/a/b%20c/?d=%2B1&e",
    ]
    assert webhook_urls("http://127.0.0.1:8000", "/b") == [
        "http://127.0.0.1:8000/b",
        "http://127.0.0.1/b",
    ]


def test_a_webhook_has_no_second_spelling_of_its_slash() -> None:
    header = sign(TOKEN, f"https://{HOST}/twilio/voice/", FORM)

    assert not accepts([TOKEN], webhook_urls(f"https://{HOST}", "/twilio/voice"), FORM, header)
