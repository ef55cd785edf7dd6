"""What whoever takes the caller over should know: the hand-over packet."""

from opusbridge.call.conversation import Conversation
from opusbridge.effects import Handover, TransferCall

#: The latest things said; who takes over has no time for more.
MOST_SAID = 100


def with_handover(transfer: TransferCall, talk: Conversation) -> TransferCall:
    """The same transfer with what was heard by now, and what the tools found out."""
    said = [
        (item["speaker"], item["heard"] if item["speaker"] == "agent" else item["text"])
        for item in talk.transcript.snapshot("")["items"]
        if item["speaker"] != "tool"
    ]
    heard = tuple((speaker, text) for speaker, text in said if text)[-MOST_SAID:]
    packet = Handover(transfer.reason, transfer.summary, heard, talk.model.history.results)
    return TransferCall(transfer.target, transfer.reason, transfer.summary, packet)
