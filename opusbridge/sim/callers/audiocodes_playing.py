"""The bridge's play streams, as a strict VoiceAI Connect takes them: one at a time."""

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Callable, Container
from typing import Any

from opusbridge.sim.callers.audiocodes_words import FORMATS
from opusbridge.sim.callers.playout import Playout
from opusbridge.sound import AudioFormat


class PlayStreams:
    """What is open, what was used, and what was done wrong; sound goes into the playout."""

    def __init__(
        self, playout: Playout, offer: Container[str], violation: Callable[[str], None]
    ) -> None:
        self._playout, self._offer, self._violation = playout, offer, violation
        self._open: tuple[str, AudioFormat] | None = None
        self._used: set[str] = set()
        self.started_at: list[float] = []

    @property
    def open(self) -> bool:
        return self._open is not None

    def forget(self) -> None:
        """The socket is lost: nothing is open any more; ids stay used."""
        self._open = None

    def start(self, message: dict[str, Any], now: float) -> bool:
        """Whether a stream is open now because of this message."""
        stream_id, name = message["streamId"], message["mediaFormat"]
        if self._open is not None:
            self._violation("a second play stream while one is open")
        if stream_id in self._used:
            self._violation("a streamId used again")
        self._used.add(stream_id)
        if name not in self._offer or name not in FORMATS:
            self._violation("playStream.start with a format not offered, or with a WAV header")
            return False
        self._open = (stream_id, FORMATS[name])
        self.started_at.append(now)
        return True

    def chunk(self, message: dict[str, Any], now: float) -> None:
        if self._open is None or message["streamId"] != self._open[0]:
            self._violation("playStream.chunk for a stream that is not open")
            return
        format = self._open[1]
        try:
            sound = b64decode(message["audioChunk"], validate=True)
        except (BadBase64, ValueError):
            self._violation("playStream.chunk with bad base64")
            return
        if not sound:
            self._violation("an empty playStream.chunk")
        elif len(sound) % format.sample_bytes:
            self._violation("playStream.chunk with half a sample")
        else:
            self._playout.add(sound, format, now)

    def stop(self, message: dict[str, Any]) -> str | None:
        """The id of the stream that is closed now."""
        if self._open is None or message["streamId"] != self._open[0]:
            self._violation("playStream.stop for a stream that is not open")
            return None
        closed, self._open = self._open[0], None
        return closed
