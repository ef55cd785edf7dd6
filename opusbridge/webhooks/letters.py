"""What a webhook says."""

from datetime import UTC, datetime
from pathlib import Path

from opusbridge.texts import as_json
from opusbridge.tools.outcome import CallOutcome, without_words


def call_ended(outcome: CallOutcome, data_dir: Path, *, transcript: bool) -> bytes:
    """The whole call, as JSON.

    ``id`` is the same however often it is sent; ``files`` is the folder of the call, from
    ``data_dir``, or null if nothing is there; without ``transcript`` nothing is in it of what was
    said.
    """
    folder = outcome.folder
    if folder is not None and folder.is_relative_to(data_dir):
        folder = folder.relative_to(data_dir)
    told = {
        "id": outcome.call_id,
        "type": "call.ended",
        "created_at": datetime.now(UTC).isoformat(),
        "call": dict(outcome.call) if transcript else without_words(outcome.call),
        "transcript": dict(outcome.transcript) if transcript else None,
        "files": None if folder is None else folder.as_posix(),
    }
    return as_json(told)
