"""Settings: where they come from, what they refuse, and that they never print a secret."""

import os
from pathlib import Path

import pytest

from opusbridge.config import Settings, is_loopback, variable
from opusbridge.errors import ConfigurationError
from opusbridge.privacy import Private

KEY = "sk-very-secret"
NO_HOST = "must name a host that can be: no part of it empty or too long, no strange characters"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine's own reaches these tests."""
    for name in list(os.environ):
        if name.upper().startswith(("OPUSBRIDGE_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal(**overrides: object) -> str:
    """What the user reads for a value that cannot be."""
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(**overrides)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_without_any_setting_the_defaults_hold() -> None:
    settings = Settings.load()

    assert settings.openai_api_key is None
    assert settings.realtime_url == "wss://api.openai.com/v1/realtime"
    assert settings.retry_backoff == (2.0, 4.0, 8.0)
    assert settings.transcription_model == "gpt-4o-mini-transcribe"
    assert settings.noise_reduction is None
    assert settings.barge_in is True
    assert (settings.hold_after, settings.resume_grace) == (6.0, 30.0)
    assert settings.speech_dir is None
    assert settings.data_dir == Path("opusbridge-data")


def test_every_setting_says_why_it_has_its_default() -> None:
    undocumented = [n for n, field in Settings.model_fields.items() if not field.description]

    assert undocumented == []


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("OPENAI_API_KEY", KEY, "openai_api_key", Private(KEY)),
        ("OPUSBRIDGE_MODEL", "gpt-realtime-mini", "model", "gpt-realtime-mini"),
        ("OPUSBRIDGE_REALTIME_AUTH", "api-key", "realtime_auth", "api-key"),
        ("OPUSBRIDGE_ADMIN_TOKEN", " token ", "admin_token", Private("token")),
        ("OPUSBRIDGE_TWILIO_AUTH_TOKEN", "t", "twilio_auth_token", Private("t")),
        ("OPUSBRIDGE_AUDIOCODES_TOKEN", "a", "audiocodes_token", Private("a")),
        ("OPUSBRIDGE_TWILIO_ACCOUNT_SID", "AC00ff", "twilio_account_sid", "AC00ff"),
        ("OPUSBRIDGE_TRANSCRIPTION_MODEL", "none", "transcription_model", None),
        ("OPUSBRIDGE_NOISE_REDUCTION", "none", "noise_reduction", None),
        ("OPUSBRIDGE_NOISE_REDUCTION", "near_field", "noise_reduction", "near_field"),
        ("OPUSBRIDGE_LANGUAGE", "de", "language", "de"),
        ("OPUSBRIDGE_TURN_DETECTION", "none", "turn_detection", "none"),
        ("OPUSBRIDGE_VAD_SILENCE_MS", "300", "vad_silence_ms", 300),
        ("OPUSBRIDGE_RETRY_BACKOFF", "1, 2.5", "retry_backoff", (1.0, 2.5)),
        ("OPUSBRIDGE_BARGE_IN", "false", "barge_in", False),
        ("OPUSBRIDGE_BARGE_IN", "Confirmed", "barge_in", "confirmed"),
        ("OPUSBRIDGE_HOLD_AFTER", "4.5", "hold_after", 4.5),
        ("OPUSBRIDGE_RESUME_GRACE", "0", "resume_grace", 0.0),
        ("OPUSBRIDGE_SPEECH_DIR", "speech", "speech_dir", Path("speech")),
        ("OPUSBRIDGE_DATA_DIR", "~/calls", "data_dir", Path.home() / "calls"),
        ("OPUSBRIDGE_SPEECH_DIR", "~/speech", "speech_dir", Path.home() / "speech"),
        ("OPUSBRIDGE_CAPACITY_FILE", "~/load.json", "capacity_file", Path.home() / "load.json"),
        ("OPUSBRIDGE_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("OPUSBRIDGE_PUBLIC_URL", "https://v.example.com/", "public_url", "https://v.example.com"),
        (
            "OPUSBRIDGE_PUBLIC_URL",
            "HTTP://localhost:80/in/",
            "public_url",
            "http://localhost:80/in",
        ),
        ("OPUSBRIDGE_REALTIME_URL", "ws://[::1]:8090/", "realtime_url", "ws://[::1]:8090"),
        ("opusbridge_max_calls", "7", "max_calls", 7),
        ("OPUSBRIDGE_DATA_DIR", "", "data_dir", Path("opusbridge-data")),
    ],
)
def test_a_variable_of_the_environment_sets_its_field(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, field: str, value: object
) -> None:
    monkeypatch.setenv(name, text)

    assert getattr(Settings.load(), field) == value


@pytest.mark.parametrize("path", ["", "/", "/hooks/opusbridge", "/hooks/opusbridge/"])
@pytest.mark.parametrize("field", ["webhook_url", "audiocodes_dial_url"])
def test_an_address_that_is_asked_as_it_is_keeps_the_slash_at_its_end(
    field: str, path: str
) -> None:
    """Many a server knows the path with it only."""
    url = f"https://x.example{path}"

    assert getattr(Settings.load(webhook_secret="s", **{field: url}), field) == url


def test_a_base_needs_no_slash_at_its_end() -> None:
    assert Settings.load(twilio_api_url="https://t.example/a/").twilio_api_url == (
        "https://t.example/a"
    )


def test_the_realtime_url_may_carry_a_query() -> None:
    url = "wss://x.openai.azure.com/openai/v1/realtime?api-version=1"

    assert Settings.load(realtime_url=url).realtime_url == url


def test_a_host_may_be_written_in_any_language() -> None:
    assert Settings.load(public_url="https://münchen.example").public_url == (
        "https://münchen.example"
    )
    assert Settings.load(realtime_url="wss://münchen.example/").realtime_url == (
        "wss://münchen.example"
    )


def test_an_override_wins_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("OPUSBRIDGE_MODEL=file\nOPUSBRIDGE_MAX_CALLS=1\nOPENAI_API_KEY=f\n")
    monkeypatch.setenv("OPUSBRIDGE_MODEL", "environment")
    monkeypatch.setenv("OPUSBRIDGE_MAX_CALLS", "2")

    settings = Settings.load(max_calls=3)

    assert (settings.openai_api_key, settings.model, settings.max_calls) == (
        Private("f"),
        "environment",
        3,
    )


def test_other_names_in_the_file_are_nobodys_business() -> None:
    Path(".env").write_text("DATABASE_URL=postgres://x\nUNSET\nOPUSBRIDGE_MODEL=m\n")

    assert Settings.load().model == "m"


@pytest.mark.parametrize("end", ["\r\n", "\n"], ids=["crlf", "lf"])
@pytest.mark.parametrize("mark", ["\ufeff", ""], ids=["bom", "plain"])
def test_a_file_is_read_as_it_is_meant_whatever_editor_wrote_it(mark: str, end: str) -> None:
    lines = ["OPUSBRIDGE_MODEL=m", "OPUSBRIDGE_LANGUAGE='da'", "", "OPUSBRIDGE_MAX_CALLS=3", ""]
    Path(".env").write_bytes(f"{mark}{end.join(lines)}".encode())

    settings = Settings.load()

    assert (settings.model, settings.language, settings.max_calls) == ("m", "da", 3)


def test_the_first_line_of_a_marked_file_is_no_less_ours_to_refuse() -> None:
    Path(".env").write_bytes(b"\xef\xbb\xbfOPUSBRIDGE_MODLE=m\r\n")

    assert refusal().startswith("OPUSBRIDGE_MODLE, found in .env, is not a setting")

    Path(".env").write_bytes(b"\xef\xbb\xbfOPUSBRIDGE_MODEL\r\n")

    assert refusal().startswith(".env: line 1 is not NAME=value")


def test_a_misspelt_name_is_refused_with_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPUSBRIDGE_MODLE", KEY)

    assert refusal() == (
        "OPUSBRIDGE_MODLE, found in the environment, is not a setting; "
        "did you mean OPUSBRIDGE_MODEL?"
    )


def test_an_unknown_name_in_the_file_is_refused_even_if_empty() -> None:
    Path(".env").write_text("OPUSBRIDGE_ZZZZZZ=\n")

    assert refusal() == "OPUSBRIDGE_ZZZZZZ, found in .env, is not a setting"


#: As Kubernetes puts them into each container beside a Service of that name.
SERVICE_LINKS = {
    "OPUSBRIDGE_SERVICE_HOST": "10.0.0.5",
    "OPUSBRIDGE_SERVICE_PORT": "8000",
    "OPUSBRIDGE_SERVICE_PORT_HTTP": "8000",
    "OPUSBRIDGE_PORT": "tcp://10.0.0.5:8000",
    "OPUSBRIDGE_PORT_8000_TCP": "tcp://10.0.0.5:8000",
    "OPUSBRIDGE_PORT_8000_TCP_PROTO": "tcp",
    "OPUSBRIDGE_PORT_8000_TCP_PORT": "8000",
    "OPUSBRIDGE_PORT_8000_TCP_ADDR": "10.0.0.5",
    "OPUSBRIDGE_CANARY_SERVICE_HOST": "10.0.0.6",
    "OPUSBRIDGE_CANARY_PORT": "udp://10.0.0.6:8000",
}


def test_a_service_of_our_name_in_kubernetes_is_no_misspelt_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SERVICE_LINKS.items():
        monkeypatch.setenv(name, value)

    assert Settings.load() == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPUSBRIDGE_PORT", "8000"),
        ("OPUSBRIDGE_SERVICE_HOSTS", "10.0.0.5"),
        ("OPUSBRIDGE_PORT_HTTP", "tcp://10.0.0.5:8000"),
    ],
)
def test_what_only_looks_like_one_is(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    assert refusal().startswith(f"{name}, found in the environment, is not a setting")


def test_no_file_of_ours_has_them(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPUSBRIDGE_SERVICE_HOST=10.0.0.5\n")

    assert refusal().startswith("OPUSBRIDGE_SERVICE_HOST, found in .env, is not a setting")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("OPENAI_API_KEY=x\nOPUSBRIDGE_ADMIN_TOKEN secret\n", "line 2 is"),
        ("secret words\n\n# fine\nOPUSBRIDGE_MODEL: secret\nA=1\n= secret", "lines 1, 4 and 6 are"),
        ("OPENAI_API_KEY\nopusbridge_record # = false\nUNSET\n", "lines 1 and 2 are"),
    ],
)
def test_a_line_of_the_file_that_cannot_be_read_is_refused_by_its_number_and_not_shown(
    text: str, lines: str, caplog: pytest.LogCaptureFixture
) -> None:
    Path(".env").write_text(text)

    assert refusal() == (
        f".env: {lines} not NAME=value: write the = between the two, a # before a comment"
    )
    assert not caplog.records  # the library that reads it has words of its own


def test_a_name_alone_in_the_file_hands_on_what_the_environment_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPUSBRIDGE_MODEL", "m")
    Path(".env").write_text("OPUSBRIDGE_MODEL\n")

    assert Settings.load().model == "m"


def test_who_wants_no_file_is_not_told_of_it() -> None:
    Path(".env").write_text("OPUSBRIDGE_ADMIN_TOKEN secret\n")

    assert Settings.load(_env_file=None).admin_token is None
    assert "line 1 is" in refusal(_env_file=["absent.env", ".env"])


def test_an_unknown_override_is_refused() -> None:
    assert refusal(colour="x") == "colour is not a setting"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"barge_in": "sometimes"}, "OPUSBRIDGE_BARGE_IN: must be true, false or confirmed"),
        ({"barge_in_ms": 0}, "OPUSBRIDGE_BARGE_IN_MS"),
        (
            {"barge_in": "confirmed", "responses_by": "model"},
            "OPUSBRIDGE_BARGE_IN: confirmed leaves false interruptions unanswered",
        ),
        (
            {"barge_in": "confirmed", "turn_detection": "none"},
            "OPUSBRIDGE_BARGE_IN: confirmed needs turn detection",
        ),
        ({"hold_after": 0}, "OPUSBRIDGE_HOLD_AFTER"),
        ({"resume_grace": -1}, "OPUSBRIDGE_RESUME_GRACE"),
        ({"resume_grace": "inf"}, "OPUSBRIDGE_RESUME_GRACE"),
        ({"openai_api_key": "two words"}, "OPENAI_API_KEY: must be printable ASCII without blanks"),
        ({"admin_token": ""}, "OPUSBRIDGE_ADMIN_TOKEN: must be printable"),
        ({"admin_token": "kéy"}, "OPUSBRIDGE_ADMIN_TOKEN: must be printable"),
        ({"admin_token": Private("a\nb")}, "OPUSBRIDGE_ADMIN_TOKEN: must be printable"),
        ({"admin_token": 7}, "OPUSBRIDGE_ADMIN_TOKEN: must be printable"),
        ({"public_url": "voice.example.com"}, "OPUSBRIDGE_PUBLIC_URL: must be a URL beginning"),
        ({"public_url": "wss://voice.example.com"}, "OPUSBRIDGE_PUBLIC_URL: must be a URL"),
        ({"public_url": "https://"}, "OPUSBRIDGE_PUBLIC_URL: must be a URL"),
        ({"public_url": "https://a b"}, "OPUSBRIDGE_PUBLIC_URL: must be a URL"),
        ({"public_url": "https://a:0"}, "OPUSBRIDGE_PUBLIC_URL: must be a URL"),
        ({"public_url": "https://a:99999"}, "OPUSBRIDGE_PUBLIC_URL: must be a URL"),
        (
            {"public_url": "https://a.example/twilio/voice/"},
            "OPUSBRIDGE_PUBLIC_URL: must be the address without /twilio/voice",
        ),
        (
            {"public_url": "https://a.example", "own_url": "https://b.example/twilio/media"},
            "OPUSBRIDGE_OWN_URL: must be the address without /twilio/media",
        ),
        ({"twilio_auth_token_secondary": "t"}, "OPUSBRIDGE_TWILIO_AUTH_TOKEN is not set"),
        ({"own_url": "https://a.example"}, "OPUSBRIDGE_PUBLIC_URL is not set"),
        ({"public_url": "https://a?b=c"}, "OPUSBRIDGE_PUBLIC_URL: must hold no user name"),
        ({"public_url": "https://u:p@a"}, "OPUSBRIDGE_PUBLIC_URL: must hold no user name"),
        *(
            ({"realtime_url": f"wss://{host}/v1"}, f"OPUSBRIDGE_REALTIME_URL: {NO_HOST}")
            for host in (".openai.azure.com", "api..openai.com", f"{'a' * 64}.com")
        ),
        *(
            ({field: f"https://{host}/x", "webhook_secret": "s"}, f"{variable(field)}: {NO_HOST}")
            for field in ("public_url", "twilio_api_url", "audiocodes_dial_url", "webhook_url")
            for host in (".example.com", "10.0.0.300", "über_x.com", "exam\u00adple.com")
        ),
        (
            {"realtime_url": "https://a"},
            "OPUSBRIDGE_REALTIME_URL: must be a URL beginning with wss",
        ),
        ({"vad_threshold": 1.5}, "OPUSBRIDGE_VAD_THRESHOLD: must be less than or equal to 1"),
        ({"vad_silence_ms": -1}, "OPUSBRIDGE_VAD_SILENCE_MS: must be greater"),
        ({"dtmf_gap": "-1"}, "OPUSBRIDGE_DTMF_GAP: must be greater"),
        ({"created_timeout": 0}, "OPUSBRIDGE_CREATED_TIMEOUT: must be greater than 0"),
        ({"progress_timeout": "inf"}, "OPUSBRIDGE_PROGRESS_TIMEOUT: must be a finite number"),
        *(
            (
                {"retry_backoff": text},
                "OPUSBRIDGE_RETRY_BACKOFF: must be one to nine waits in seconds, separated by "
                "commas, such as 2,4,8",
            )
            for text in ("2;4", "2,x", "2,-4", "2,inf", "", "2,", ",".join("1234567890"))
        ),
        ({"retry_backoff": (1.0, -1.0)}, "OPUSBRIDGE_RETRY_BACKOFF: must be greater"),
        ({"log_level": "loud"}, "OPUSBRIDGE_LOG_LEVEL: must be 'debug', 'info'"),
        ({"turn_detection": "maybe"}, "OPUSBRIDGE_TURN_DETECTION: must be 'server_vad'"),
        ({"twilio_account_sid": "../x"}, "OPUSBRIDGE_TWILIO_ACCOUNT_SID: String should match"),
        ({"data_dir": 3}, "OPUSBRIDGE_DATA_DIR: Input is not a valid path"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    overrides: dict[str, object], said: str
) -> None:
    assert refusal(**overrides).startswith(said)


def test_several_mistakes_make_one_line() -> None:
    assert refusal(record="perhaps", max_calls=-1) == (
        "OPUSBRIDGE_MAX_CALLS: must be greater than or equal to 0; "
        "OPUSBRIDGE_RECORD must be true or false"
    )


def test_without_turn_detection_the_model_cannot_start_responses() -> None:
    assert "OPUSBRIDGE_RESPONSES_BY must be bridge" in refusal(
        turn_detection="none", responses_by="model"
    )


def test_replaced_values_are_checked_against_each_other() -> None:
    settings = Settings.load(responses_by="model")

    assert settings.replace(barge_in=False).barge_in is False
    with pytest.raises(ConfigurationError, match="RESPONSES_BY"):
        settings.replace(turn_detection="none")


def test_a_refused_value_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "very secret")
    monkeypatch.setenv("OPUSBRIDGE_PUBLIC_URL", "https://user:secret@[host")
    monkeypatch.setenv("OPUSBRIDGE_REALTIME_URL", "wss://host:secret")

    assert "secret" not in refusal()


def test_no_secret_prints() -> None:
    settings = Settings.load(
        openai_api_key=KEY, twilio_auth_token=KEY, audiocodes_token=KEY, admin_token=KEY
    )

    assert (
        KEY not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
    )
    assert settings.admin_token == Private(KEY)


def test_settings_do_not_change_under_anybodys_hands() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().model = "other"


def test_a_file_that_is_not_text_is_refused() -> None:
    Path(".env").write_bytes(b"OPENAI_API_KEY=\xff\xfe\n")

    assert refusal() == "the .env file is not UTF-8 text"


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs Linux' /proc")
def test_a_file_that_cannot_be_read_is_refused() -> None:
    Path(".env").symlink_to("/proc/self/mem")  # a file whose first byte nobody can read

    assert refusal() == "the .env file cannot be read"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("::ffff:10.0.0.1", False),
        ("example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_only_what_nobody_else_can_reach_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_without_a_key_only_a_model_on_loopback_is_called() -> None:
    Settings.load(openai_api_key=KEY).check_ready("0.0.0.0", 8000)
    Settings.load(realtime_url="ws://127.0.0.1:8090").check_ready("127.0.0.1", 8000)

    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY is not set"):
        Settings.load().check_ready("127.0.0.1", 8000)
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY is not set"):
        Settings.load(realtime_url="ws://127.0.0.1.example.com").check_ready("127.0.0.1", 8000)


def test_signatures_off_loopback_need_the_public_url() -> None:
    settings = Settings.load(openai_api_key=KEY, twilio_auth_token="token")

    settings.check_ready("127.0.0.1", 8000)
    settings.replace(public_url="https://v.example.com").check_ready("0.0.0.0", 8000)
    with pytest.raises(ConfigurationError, match="OPUSBRIDGE_PUBLIC_URL is not set"):
        settings.check_ready("0.0.0.0", 8000)


def test_twilio_opens_its_streams_over_https_alone() -> None:
    good, bad = "https://v.example.com", "http://v.example.com"
    settings = Settings.load(openai_api_key=KEY, twilio_auth_token="token", public_url=bad)

    for wrong, name in (
        (settings, "PUBLIC_URL"),
        (settings.replace(public_url=good, own_url=bad), "OWN_URL"),
    ):
        with pytest.raises(ConfigurationError, match=f"OPUSBRIDGE_{name} is not https"):
            wrong.check_ready("0.0.0.0", 8000)
    for right in (
        settings.replace(public_url="http://127.0.0.1:8000"),
        settings.replace(twilio_auth_token=None),
        settings.replace(own_url=good),
        settings.replace(twilio_api_url="http://pretended:9000"),
    ):
        right.check_ready("0.0.0.0", 8000)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_must_exist(port: int) -> None:
    with pytest.raises(ConfigurationError, match="port"):
        Settings.load(openai_api_key=KEY).check_ready("127.0.0.1", port)


def test_a_field_knows_its_variable() -> None:
    assert variable("openai_api_key") == "OPENAI_API_KEY"
    assert variable("max_calls") == "OPUSBRIDGE_MAX_CALLS"
