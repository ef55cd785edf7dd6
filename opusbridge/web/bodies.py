"""Request bodies, read with a limit and only after the door was opened."""

from typing import TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from opusbridge.web.access import Refusal

#: Twilio's forms are 1 to 4 kB, an operator's text a few hundred bytes.
MAX_BODY_BYTES = 64 * 1024

#: A form with more fields was not made by Twilio, which sends about thirty.
MAX_FORM_FIELDS = 500

#: In place of pydantic's words, where those speak of patterns or of its own types.
_IN_WORDS = {
    "extra_forbidden": "there is no such key",
    "json_invalid": "not JSON",
    "missing": "this key is missing",
    "model_type": "not a JSON object",
    "string_pattern_mismatch": "not of the form that it must have",
}

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request) -> bytes | None:
    """The raw body; ``None`` if it is too large or was broken off.

    How long it may take is the server's business, which times every request.
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return None
    except ClientDisconnect:
        return None
    return bytes(body)


async def read_model(request: Request, model: type[Model]) -> Model | str:
    """The body as ``model``, an empty one as ``{}``; where it does not fit, in words what about
    it: a key, and never its value."""
    body = await read_body(request)
    if body is None:
        return f"it is longer than {MAX_BODY_BYTES} bytes, or was broken off"
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(map(str, first["loc"])) or "the body"
        return f"{key}: {_IN_WORDS.get(first['type'], first['msg'])}"


async def read_form(request: Request) -> list[tuple[str, str]] | Refusal:
    """The fields of a form, in their order, or why there are none."""
    body = await read_body(request)
    if body is None:
        return Refusal(413, "too-large")
    text = body.decode("utf-8", "replace")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        return Refusal(400, "bad-form")
