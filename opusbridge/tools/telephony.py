"""The tools every agent may be given: end the call, hand the caller over."""

from opusbridge.errors import TransferRefused
from opusbridge.tools.context import CallContext
from opusbridge.tools.registry import ToolFailed, tool
from opusbridge.tools.signature import Destination

# Both are async so that they run in the event loop, where the call lives.


@tool
async def hang_up(reason: str, call: CallContext) -> dict[str, str]:
    """End the call. Say goodbye first: the caller hears it out before the line closes.

    Args:
        reason: Why the call ends, in a few words.
    """
    call.hang_up(reason)
    return {"status": "hanging up"}


@tool
async def transfer_call(destination: Destination, reason: str, call: CallContext) -> dict[str, str]:
    """Hand the caller over to somebody else. Say so first; your part in the call ends with it.

    Args:
        destination: Where to.
        reason: Why, in a few words.
    """
    try:
        call.transfer(destination, reason)
    except TransferRefused as error:
        raise ToolFailed(str(error)) from error
    return {"status": "transferring"}
