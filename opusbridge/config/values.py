"""What a setting's value must look like, whatever the setting."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
)

from opusbridge.privacy import Private


def _secret(value: object) -> object:
    """Keys travel in HTTP headers, and comparing them in constant time wants ASCII."""
    text = value.value if isinstance(value, Private) else value
    text = text.strip() if isinstance(text, str) else ""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII without blanks")
    return Private(text)


def lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def none_is_off(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


_YES_OR_NO = TypeAdapter(bool)


def _barge_in(value: object) -> object:
    text = lower(value)
    if text == "confirmed":
        return text
    try:
        return _YES_OR_NO.validate_python(text)
    except ValidationError:
        raise ValueError("must be true, false or confirmed") from None


def seconds_list(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return _SOME_WAITS.validate_python(value.split(","))
    except ValidationError:
        raise ValueError(
            "must be one to nine waits in seconds, separated by commas, such as 2,4,8"
        ) from None


#: Said of one whose host nobody can be asked for.
_NO_HOST = "must name a host that can be: no part of it empty or too long, no strange characters"


def _url(value: str, schemes: tuple[str, ...], query: bool = False) -> str:
    """``value`` with its scheme and host checked, and its path as it is."""
    wrong = f"must be a URL beginning with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    try:
        parts = urlsplit(value.strip())
        port = parts.port
    except ValueError:  # its own text would quote the value, which may hold a password
        raise ValueError(wrong) from None
    if parts.scheme not in schemes or not parts.hostname or port == 0 or " " in parts.netloc:
        raise ValueError(wrong)
    if parts.username is not None or parts.fragment or (parts.query and not query):
        raise ValueError("must hold no user name, no query and no fragment")
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ValueError(_NO_HOST) from None
    return urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query, ""))


def _without_last_slash(value: str) -> str:
    parts = urlsplit(value)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/")))


def _http_url(value: str) -> str:
    url = _url(value, ("https", "http"))
    import httpx2  # only where there is an address to read with it

    try:
        httpx2.URL(url)  # stricter than sockets are
    except httpx2.InvalidURL:
        raise ValueError(_NO_HOST) from None
    return url


def _public_url(value: str) -> str:
    for path in ("/twilio/voice", "/twilio/media", "/audiocodes"):
        if value.endswith(path):
            raise ValueError(f"must be the address without {path}, which is added to it")
    return value


def _socket_url(value: str) -> str:
    return _url(value, ("wss", "ws"), query=True)


def _of_user(path: Path) -> Path:
    """``~`` is the user's home: in ``.env`` no shell has put it in."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError("names the home of a user who has none") from None


Secret = Annotated[
    Private[str], BeforeValidator(_secret), PlainSerializer(lambda _: "<private>", return_type=str)
]
#: Asked as it is: servers often know a path with a slash at its end only, or without.
HttpURL = Annotated[str, AfterValidator(_http_url)]
#: Paths are added to it.
BaseURL = Annotated[HttpURL, AfterValidator(_without_last_slash)]
PublicURL = Annotated[BaseURL, AfterValidator(_public_url)]
SocketURL = Annotated[str, AfterValidator(_socket_url), AfterValidator(_without_last_slash)]
Name = Annotated[str, Field(min_length=1, max_length=256)]
BargeInKind = Annotated[bool | Literal["confirmed"], BeforeValidator(_barge_in)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_SOME_WAITS = TypeAdapter(Annotated[tuple[Seconds, ...], Field(min_length=1, max_length=9)])
#: A watchdog that is due at once would cut every response off.
SomeSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
UserPath = Annotated[Path, AfterValidator(_of_user)]
PhoneNumber = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")]
