"""The tools every agent may be given: end the call, hand the caller over."""

from typing import Annotated

from pydantic import Field

from opusbridge.errors import TransferRefused, WishRefused
from opusbridge.tools.context import KEY_SECONDS, CallContext
from opusbridge.tools.registry import ToolFailed, tool
from opusbridge.tools.signature import Destination

# Both are async so that they run in the event loop, where the call lives.


@tool(reply="if_silent")  # to a goodbye that was said there is nothing to add
async def hang_up(reason: str, call: CallContext) -> dict[str, str]:
    """End the call. Say goodbye first: the caller hears it out before the line closes.

    Args:
        reason: Why the call ends, in a few words.
    """
    call.hang_up(reason)
    return {"status": "hanging up"}


@tool
async def transfer_call(
    destination: Destination, reason: str, call: CallContext, summary: str = ""
) -> dict[str, str]:
    """Hand the caller over to somebody else. Say so first; your part in the call ends with it.

    Args:
        destination: Where to.
        reason: Why, in a few words.
        summary: What whoever takes over should know, in two or three sentences.
    """
    try:
        call.transfer(destination, reason, summary)
    except TransferRefused as error:
        raise ToolFailed(str(error)) from error
    return {"status": "transferring"}


@tool
async def send_dtmf(digits: str, call: CallContext) -> dict[str, str]:
    """Press keys on the telephone, as for a menu that answered the call.

    Args:
        digits: 0-9, * and #, at most 20.
    """
    try:
        call.send_dtmf(digits)
    except (ValueError, WishRefused) as error:
        raise ToolFailed(str(error)) from error
    return {"status": "pressed"}


#: Where the other tools of the call find what was typed last, as :class:`Digits`.
TYPED = "digits"

#: Digits the model may ask for at once, and the longest pause between two keys.
Length = Annotated[int, Field(ge=1, le=32)]
Pause = Annotated[float, Field(ge=2, le=30)]


@tool(timeout_seconds=600)  # each key may take its pause, and that has a limit of its own
async def collect_digits(
    call: CallContext,
    length: Length | None = None,
    terminator: Annotated[str, Field(pattern=r"^[0-9*#]?$")] = "#",
    timeout: Pause = KEY_SECONDS,  # noqa: ASYNC109  # of a pause between keys
    secret: bool = False,
) -> dict[str, str | bool]:
    """Wait for the caller to type digits on the telephone. First say what to type.

    Args:
        length: How many digits are enough; without it the caller must press the terminator.
        terminator: The key that ends the input; empty for none.
        timeout: Seconds to wait for each key.
        secret: For a PIN, a card number and the like. You will not see the digits; the other
            tools can use them.
    """
    try:
        digits = await call.collect_digits(length, terminator, timeout, secret)
    except (RuntimeError, ValueError) as error:
        raise ToolFailed(str(error)) from error
    call.state[TYPED] = digits
    if secret or digits.secret:
        return {"complete": digits.complete, "typed_anything": bool(digits.value)}
    return {"complete": digits.complete, "digits": digits.value}
