"""What whoever takes the caller over should know: the hand-over packet.

It goes into files and letters, so it holds no more of a pause of the recording than they do.
"""

from dataclasses import replace
from itertools import islice

from opusbridge.call.conversation import Conversation
from opusbridge.call.transcript_item import WITHHELD
from opusbridge.effects import Handover, TransferCall
from opusbridge.events import TransferRequested

#: The latest things said; who takes over has no time for more.
MOST_SAID = 100


def transfer_for(asked: TransferRequested, *, withheld: bool) -> TransferCall:
    """``withheld``: the recording is paused while it is asked for."""
    return TransferCall(asked.target, asked.reason.value, asked.summary.value, withheld=withheld)


def who_asks(asked: TransferRequested) -> str:
    return "tool" if asked.tool_call_id else "operator"


def with_handover(transfer: TransferCall, talk: Conversation) -> TransferCall:
    """The same transfer with what was heard by now, and what the tools found out."""
    said = (
        (item["speaker"], item["heard"] if item["speaker"] == "agent" else item["text"])
        for item in talk.transcript.written()
        if item["speaker"] != "tool"
    )
    latest = islice(((speaker, text) for speaker, text in said if text), MOST_SAID)
    heard = tuple(latest)[::-1]
    found_out = talk.model.history.results
    asked = (WITHHELD, WITHHELD) if transfer.withheld else (transfer.reason, transfer.summary)
    return replace(transfer, handover=Handover(*asked, heard, found_out))
