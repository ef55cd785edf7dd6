"""When what the model uses began, so that no pause of the recording is missed.

A tool's use is told when it is complete, or even done; the model began it before. The words of
what was under way at any moment of a pause are withheld, however late they come.
"""

from opusbridge.call.tools import MOST_KNOWN
from opusbridge.call.transcript import Transcript


class Openings:
    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._before: dict[str, int] = {}
        """How many pauses were over when each began."""

    def began(self, item_id: str) -> None:
        """Or it has been known of for longer already."""
        self._before.setdefault(item_id, self._transcript.pauses - self._transcript.paused)
        while len(self._before) > MOST_KNOWN:
            del self._before[next(iter(self._before))]

    def met_a_pause(self, item_id: str | None) -> bool:
        """Whether there was one at any moment since it began."""
        now = self._transcript.pauses
        return self._before.get(item_id or "", now) < now
