"""What the shell hands to a call's recorder, if there is one, and when."""

import asyncio

from opusbridge.call.engine import Outgoing
from opusbridge.events import Event
from opusbridge.logs import Log
from opusbridge.recording.recorder import CallRecorder

log = Log("opusbridge.bridge")

#: An ended call waits so long for its files. Writing them takes part of a second; a disk that
#: stands still must not keep the place of a caller who is no longer there.
FILES_SECONDS = 5.0


async def write_as_it_goes(recorder: CallRecorder | None) -> None:
    """Until cancelled: a silent line must not keep what is known from the disk."""
    if recorder is None:
        return
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        # A line that is not silent hands over in passing, and this finds nothing to do.
        nonlocal timer
        recorder.hand_over_if_due(loop.time())
        timer = loop.call_at(recorder.silent_at, look)

    look()  # a timer by itself: to wake a task as often takes three times as long
    try:
        await loop.create_future()
    finally:
        timer.cancel()


def keep_told(
    recorder: CallRecorder | None, event: Event, now: float | None, policy: object = None
) -> float:
    """What is about to be handed to the call and came over neither socket; returns when.

    ``now`` if that is not this instant; ``policy`` if the event says how to conduct the call.
    """
    at = asyncio.get_running_loop().time() if now is None else now
    if recorder is not None:
        recorder.told(event, at, policy)
    return at


def keep_sent(recorder: CallRecorder | None, out: Outgoing, now: float) -> None:
    """What goes out to both peers."""
    if recorder is None:
        return
    for text in out.to_telephony:
        recorder.said("telephony", "out", text, now)
    for text in out.to_model:
        recorder.said("model", "out", text, now)


async def files_complete(recorder: CallRecorder | None) -> None:
    """Returns when the call's files are, or the disk takes too long: then the writer completes
    them by itself."""
    if recorder is None:
        return
    try:
        async with asyncio.timeout(FILES_SECONDS):
            await recorder.closed()
    except TimeoutError:
        log.warning("the disk is slow: the call's files are not complete yet")
