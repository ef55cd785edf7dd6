"""Settings: every knob, its default and the reason.

They are read from the environment and from a ``.env`` file in the current folder; the
environment wins. ``OPENAI_API_KEY`` keeps the name everybody knows; all others begin with
``OPUSBRIDGE_``, and a name of that kind which is not ours is refused, because a misspelt
knob that silently does nothing is worse than none. An empty value counts as not set.
Durations are seconds.
"""

from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from opusbridge.config.sources import (
    ENCODING,
    PREFIX,
    DotEnvFile,
    Environment,
    complaint,
    refuse_unreadable,
)
from opusbridge.config.sources import variable as variable
from opusbridge.config.values import BargeInKind as BargeInKind
from opusbridge.config.values import (
    BaseURL,
    HttpURL,
    Name,
    PhoneNumber,
    PublicURL,
    Seconds,
    Secret,
    SocketURL,
    SomeSeconds,
    UserPath,
    lower,
    none_is_off,
    seconds_list,
)
from opusbridge.errors import ConfigurationError

TurnDetectionKind = Literal["server_vad", "semantic_vad", "none"]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``; a name we cannot judge counts as not."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


class Settings(BaseSettings):
    """Every knob. Build it with :meth:`load`, which says what is wrong in one line."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding=ENCODING,
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    openai_api_key: Secret | None = Field(default=None, validation_alias="OPENAI_API_KEY")
    """The model's key. No default: it is a secret, and calls cost money."""

    realtime_url: SocketURL = "wss://api.openai.com/v1/realtime"
    """Any GA Realtime endpoint: OpenAI's own, Azure's, or the simulator's."""

    realtime_auth: Annotated[Literal["bearer", "api-key"], BeforeValidator(lower)] = "bearer"
    """How the key is shown: ``bearer`` is OpenAI's way, ``api-key`` Azure's."""

    model: Name = "gpt-realtime"
    """OpenAI's general voice model: the name that stays when dated ones are retired."""

    agent: Name | None = None
    """``FILE.py[:NAME]`` or ``FILE.toml``. None: the built-in receptionist, so that the first
    call needs no file."""

    public_url: PublicURL | None = None
    """How the telephony side reaches us. Signatures and stream URLs are built from it and
    never from request headers, which anybody can write; so it cannot be guessed. Twilio opens
    streams at ``https://`` alone."""

    own_url: PublicURL | None = None
    """How it reaches this very process, where several stand behind the public URL: another name,
    or a path that the balancer takes off. Streams and what follows a call come back by it. None:
    the public URL, as one process is enough for most."""

    twilio_account_sid: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    """With the auth token: hang-up and transfer go through Twilio's REST interface."""

    twilio_auth_token: Secret | None = None
    """Checks Twilio's signatures, and is the account's password for its REST interface. None:
    ``/twilio`` is open on loopback only, and only while there is no public URL."""

    twilio_auth_token_secondary: Secret | None = None
    """Another token that Twilio may sign with, and nothing else: while the account's is being
    changed, calls come with the one or the other."""

    twilio_api_url: BaseURL = "https://api.twilio.com"
    """Base of Twilio's REST interface; another one is for tests that stand in for it."""

    twilio_from: PhoneNumber | None = None
    """The number that calls placed through Twilio come from, unless the order names another:
    one of the account's own. Also whom a transfer's target sees of a caller without a number."""

    audiocodes_dial_url: HttpURL | None = None
    """Where calls through AudioCodes are ordered, such as
    ``https://livehub.audiocodes.io/api/v1/actions/dialout``. None: none are placed."""

    audiocodes_dial_token: Secret | None = None
    """For it: ``CLIENT_ID:SECRET`` of an API client, or a token to show as bearer."""

    audiocodes_dial_bot: Name | None = None
    """The id of the bot that such a call is to reach: this server, as Live Hub knows it."""

    outbound_per_day: Annotated[int, Field(ge=0)] = 100
    """Calls that may be placed within 24 hours: a program that places calls in a circle costs
    money, and people their peace. 0: no limit."""

    outbound_per_number: Annotated[int, Field(ge=0)] = 3
    """The same to one number: who did not answer three times does not want to. 0: no limit."""

    audiocodes_token: Secret | None = None
    """What AudioCodes presents as bearer. None: ``/audiocodes`` is open on loopback only, and only
    while there is no public URL."""

    admin_token: Secret | None = None
    """Bearer for ``/api`` and ``/metrics``. None: open on loopback only, and only
    while there is no public URL, which means a proxy or tunnel in front."""

    allow_unauthenticated: bool = False
    """Opens telephony endpoints without their secret: every call costs money, so never by
    default."""

    transcription_model: Annotated[Name | None, BeforeValidator(none_is_off)] = (
        "gpt-4o-mini-transcribe"
    )
    """Writes down the caller's words. ``none``: no words of the caller in the transcript. The
    default is the cheapest one that is good enough to restore a lost conversation from."""

    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]+)*$")] | None = None
    """The caller's language for the transcription, such as ``de``. Of ``pt-BR`` it is told ``pt``:
    only the stored speech knows regions. None: it is detected."""

    vad_threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """How loud speech must be for ``server_vad``: the model's own default."""

    vad_silence_ms: Annotated[int, Field(ge=0, le=10_000)] = 500
    """Silence that ends a turn for ``server_vad``: the model's own default. Shorter answers
    sooner and cuts in on people who think while they speak."""

    vad_eagerness: Annotated[Literal["low", "medium", "high", "auto"], BeforeValidator(lower)] = (
        "auto"
    )
    """How soon ``semantic_vad`` takes a turn for finished: the model's own default."""

    noise_reduction: Annotated[
        Literal["near_field", "far_field"] | None,
        BeforeValidator(lower),
        BeforeValidator(none_is_off),
    ] = None
    """``near_field``, ``far_field`` or ``none``. Telephones reduce noise themselves, and twice
    costs words."""

    turn_detection: Annotated[TurnDetectionKind, BeforeValidator(lower)] = "server_vad"
    """Who finds the end of a turn. ``server_vad`` waits for silence: predictable on a telephone
    line. ``none``: AudioCodes' own end of speech."""

    responses_by: Annotated[Literal["bridge", "model"], BeforeValidator(lower)] = "bridge"
    """Who starts the response to a caller's turn. ``bridge``: all requests leave by one door,
    so they cannot collide."""

    barge_in: BargeInKind = True
    """Whether the caller's speech interrupts at once: what people expect of a conversation.
    ``confirmed``: the agent pauses at a sound, and is cut short only by speech that lasts; after a
    cough it goes on from where it stopped. For noisy lines. Needs ``OPUSBRIDGE_RESPONSES_BY``
    to be ``bridge``, and turn detection."""

    barge_in_ms: Annotated[int, Field(ge=20, le=2_000)] = 250
    """With ``OPUSBRIDGE_BARGE_IN=confirmed``: so much voice is speech, in milliseconds. A cough has
    less; a short word has more."""

    created_timeout: SomeSeconds = 5
    """``response.create`` without an answer. Ordinarily it takes under half a second; a caller
    takes five of silence for a dead line."""

    progress_timeout: SomeSeconds = 20
    """An active response without any event. Long, because a reasoning model may be silent for
    a while before it speaks."""

    retry_backoff: Annotated[
        tuple[Seconds, ...], Field(min_length=1, max_length=9), BeforeValidator(seconds_list)
    ] = (2.0, 4.0, 8.0)
    """Waits before a failed response is asked for again, one for each attempt: fourteen seconds
    in all is about as long as a caller stays on the line."""

    hold_after: SomeSeconds = 6
    """An answer is owed and the caller has heard nothing for this long: the stored "one moment
    please". Longer, and callers ask whether anybody is there."""

    resume_grace: Seconds = 30
    """How long a call outlives its model session while another is dialled; then the caller
    hears an apology and the call ends. 0: at once."""

    speech_dir: UserPath | None = None
    """Stored speech in other languages or voices: ``LANGUAGE/NAME.wav`` (16-bit mono, 8, 16 or
    24 kHz) for ``one-moment``, ``sorry`` and ``goodbye``. What is missing there is spoken in
    English."""

    drain_seconds: Seconds = 3600
    """Longest wait for live calls after ``SIGTERM``: an hour lets nearly every call end by
    itself."""

    dtmf_gap: Seconds = 1.5
    """Keys closer than this are one input: people look at the keypad between groups of digits,
    and seldom for longer."""

    max_calls: Annotated[int, Field(ge=0)] = 0
    """Beyond it new calls are politely refused. 0: no limit, because it depends on the
    machine."""

    capacity_file: UserPath | None = None
    """What ``opusbridge bench --write`` left: the calls it found are the limit, where
    ``OPUSBRIDGE_MAX_CALLS`` is not set."""

    max_call_seconds: SomeSeconds = 7200
    """A forgotten line costs money: two hours is beyond any call that was meant. The model
    ends its own sessions sooner."""

    data_dir: UserPath = Path("opusbridge-data")
    """The files of each call; in the current folder, where a first
    user finds it."""

    record: bool = True
    """``recording.wav`` and ``transcript.json``: the first question about a call is what was
    said."""

    flight: Annotated[bool | Literal["whole"], BeforeValidator(lower)] = True
    """``flight.jsonl``: the second question is why. ``whole`` keeps the sound that came as well,
    for a replay to the last sample: up to 130 kB a second."""

    webhook_url: HttpURL | None = None
    """Told of each call when it is over, as signed JSON: what ``call.json`` and
    ``transcript.json`` have. None: nobody is told."""

    webhook_secret: Secret | None = None
    """Shared with whoever listens there: what they are told is signed with it, because anybody
    could tell them anything."""

    sockets: Annotated[Literal["auto", "default", "fast"], BeforeValidator(lower)] = "auto"
    """``fast`` is the lean sockets of the ``[fast]`` extra, for many calls on one machine;
    ``auto`` takes them where they are installed, because nothing else differs."""

    log_format: Annotated[Literal["text", "json"], BeforeValidator(lower)] = "text"
    """``text`` for a person at a terminal, ``json`` for a collector."""

    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = (
        "info"
    )
    """``info`` is two lines a call; ``debug`` one for every change of state."""

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """From the environment and ``.env``; ``overrides`` (by field name) win over both.

        Raises :class:`ConfigurationError` with one line that names the variables at fault and
        never a value.
        """
        given = overrides.get("_env_file", cls.model_config["env_file"])
        try:
            for file in given if isinstance(given, list | tuple) else [given]:
                if file is not None:
                    refuse_unreadable(Path(file))
            return cls(**overrides)
        except ValidationError as error:
            raise ConfigurationError("; ".join(map(complaint, error.errors()))) from None
        except UnicodeDecodeError:
            raise ConfigurationError("the .env file is not UTF-8 text") from None
        except OSError:
            raise ConfigurationError("the .env file cannot be read") from None

    def replace(self, **changes: Any) -> Self:
        """A copy with values that were checked already, checked against each other."""
        changed = self.model_copy(update=changes)
        changed._check_together()
        return changed

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._check_together()
        return self

    def _check_together(self) -> None:
        if self.own_url is not None and self.public_url is None:
            raise ConfigurationError(
                f"{PREFIX}PUBLIC_URL is not set: {PREFIX}OWN_URL is that of one process among "
                "those behind it"
            )
        if self.twilio_auth_token_secondary is not None and self.twilio_auth_token is None:
            raise ConfigurationError(
                f"{PREFIX}TWILIO_AUTH_TOKEN is not set: {PREFIX}TWILIO_AUTH_TOKEN_SECONDARY only "
                "stands beside it"
            )
        if self.webhook_url is not None and self.webhook_secret is None:
            raise ConfigurationError(
                f"{PREFIX}WEBHOOK_SECRET is not set: whoever listens at {PREFIX}WEBHOOK_URL "
                "could not know who speaks"
            )
        if self.turn_detection == "none" and self.responses_by == "model":
            raise ConfigurationError(
                f"{PREFIX}TURN_DETECTION: without turn detection the model never starts a "
                f"response by itself: {PREFIX}RESPONSES_BY must be bridge",
                "turn_detection",
            )
        if self.barge_in == "confirmed" and self.responses_by == "model":
            raise ConfigurationError(
                f"{PREFIX}BARGE_IN: confirmed leaves false interruptions unanswered, and a model "
                f"that starts responses itself would not: {PREFIX}RESPONSES_BY must be bridge",
                "barge_in",
            )
        if self.barge_in == "confirmed" and self.turn_detection == "none":
            raise ConfigurationError(
                f"{PREFIX}BARGE_IN: confirmed needs turn detection to tell when the caller begins "
                f"to speak: {PREFIX}TURN_DETECTION must be server_vad or semantic_vad",
                "barge_in",
            )

    def check_ready(self, host: str, port: int) -> None:
        """What ``serve`` on ``host`` and ``port`` needs; raises :class:`ConfigurationError`."""
        if not 0 <= port <= 65_535:
            raise ConfigurationError("the port must be between 0 and 65535")
        if self.lacks_a_key:
            raise ConfigurationError(
                f"OPENAI_API_KEY is not set; without it {PREFIX}REALTIME_URL must point to a "
                "model on loopback (opusbridge model)"
            )
        if self.twilio_auth_token and self.public_url is None and not is_loopback(host):
            raise ConfigurationError(
                f"{PREFIX}PUBLIC_URL is not set: Twilio's signatures cannot be checked without it"
            )
        if self.twilio_auth_token and self._no_stream_of_twilios():
            raise ConfigurationError(
                f"{PREFIX}{'OWN' if self.own_url else 'PUBLIC'}_URL is not https: Twilio opens no "
                "streams there"
            )

    @property
    def lacks_a_key(self) -> bool:
        """Whether a key is missing, for a model that is not on this machine."""
        host = cast(str, urlsplit(self.realtime_url).hostname)
        return self.openai_api_key is None and not is_loopback(host)

    def _no_stream_of_twilios(self) -> bool:
        """Whether the address of streams is one that only a pretended Twilio would go to."""
        url = urlsplit(self.own_url or self.public_url or "")
        pretended = urlsplit(self.twilio_api_url).scheme == "http"
        return url.scheme == "http" and not (pretended or is_loopback(url.hostname or ""))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        dotenv = DotEnvFile(settings_cls, env_file=dotenv_settings.env_file)
        return init_settings, Environment(settings_cls), dotenv
