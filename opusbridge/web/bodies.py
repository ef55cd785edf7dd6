"""Request bodies, read with a limit and only after the door was opened."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

#: Twilio's forms are 1 to 4 kB, an operator's text a few hundred bytes.
MAX_BODY_BYTES = 64 * 1024

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


async def read_model(request: Request, model: type[Model]) -> Model | None:
    """The body as ``model``, an empty one as ``{}``; ``None`` if it does not fit."""
    body = await read_body(request)
    if body is None:
        return None
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError:
        return None
