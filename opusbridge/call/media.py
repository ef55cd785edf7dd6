"""The caller's format and the model's, and what lies between.

When both sides speak the same, a frame passes as the text it came as. Otherwise, or when a
chunk is not made of whole samples, it is decoded, converted and made anew.
"""

from opusbridge.audio.formats import Transcoder, silence_byte
from opusbridge.audio.framing import Framer
from opusbridge.sound import Audio, AudioFormat

#: Caller's speech kept while the model session is not ready, or was given up when nobody spoke.
#: Older than this it would only mislead turn detection, which would see it all at once.
HELD_MS = 5_000
#: The same after the session was lost: several turns at once would cut each other off.
HELD_AFTER_LOSS_MS = 1_500

#: A frame may come so much later than when the one before it was over, if both are as long.
LATE_SECONDS = 0.25


class CallerPath:
    """From the caller to the model."""

    def __init__(self, telephony: AudioFormat, model: AudioFormat) -> None:
        self.model_format = model
        self._same = telephony == model
        self._sample_bytes = telephony.sample_bytes
        self._transcoder = Transcoder(telephony, model)
        self._carrying = False

    @property
    def as_it_comes(self) -> bool:
        """Whether whole samples go on as the text they come as."""
        return self._same and not self._carrying

    def convert(self, audio: Audio) -> Audio | None:
        """What to append; ``None`` while less than a sample has come."""
        if self._same:
            if self._sample_bytes == 1:
                return audio
            broken = audio.size_bytes % self._sample_bytes != 0
            if not self._carrying and not broken:
                return audio
            # A sample is two bytes: one broken piece begins with a half, the next ends it.
            self._carrying = self._carrying != broken
        raw = self._transcoder.convert(audio.raw)
        return Audio.of(raw, self.model_format) if raw else None


class HeldAudio:
    """The caller's speech while nobody can take it yet; the oldest gives way."""

    def __init__(self) -> None:
        self.most_ms = HELD_MS
        self._held: list[Audio] = []
        self._ms = 0.0
        self._of_turn = 0  # how many came until a turn was over

    def hold(self, audio: Audio) -> float:
        """Keep it; returns how many ms had to be dropped for it."""
        self._held.append(audio)
        self._ms += audio.ms
        dropped = 0.0
        while (over_ms := round(self._ms - self.most_ms)) > 0:
            oldest = self._held[0]
            if oldest.ms > over_ms:
                gone: float = over_ms
                cut = over_ms * oldest.format.bytes_per_ms
                self._held[0] = Audio.of(oldest.raw[cut:], oldest.format)
            else:
                gone = self._held.pop(0).ms
                self._of_turn = max(self._of_turn - 1, 0)
            self._ms -= gone
            dropped += gone
        return dropped

    def turn_over(self) -> None:
        """What comes from now on is not part of what he has said."""
        self._of_turn = len(self._held)

    def take(self, of_turn: bool = False) -> list[Audio]:
        """All of it; or what came until :meth:`turn_over`."""
        count = self._of_turn if of_turn else len(self._held)
        taken, self._held, self._of_turn = self._held[:count], self._held[count:], 0
        self._ms -= sum(audio.ms for audio in taken)
        return taken


class AgentPath:
    """From the model to the caller's ear; one utterance at a time."""

    def __init__(self, model: AudioFormat, telephony: AudioFormat, frame_bytes: int) -> None:
        assert frame_bytes % telephony.sample_bytes == 0
        self._telephony_format = telephony
        self._frame_bytes = frame_bytes
        # Where nothing is converted the framer alone keeps samples whole.
        self._transcoder = None if telephony == model else Transcoder(model, telephony)
        self._framer = Framer(frame_bytes)

    def convert(self, audio: Audio) -> Audio | None:
        """What can leave in whole frames; the rest waits for more."""
        if self._transcoder is not None:
            return self._audio(self._framer.push(self._transcoder.convert(audio.raw)))
        if self.passes(audio.size_bytes):
            return audio
        return self._audio(self._framer.push(audio.raw))

    def passes(self, size_bytes: int) -> bool:
        """Whether so much leaves as it comes."""
        whole = not self._framer.pending and size_bytes % self._frame_bytes == 0
        return self._transcoder is None and whole

    def flush(self) -> Audio | None:
        """The end of an utterance: the filter's tail and a last frame, padded with silence."""
        tail = self._transcoder.flush() if self._transcoder is not None else b""
        raw = self._framer.push(tail)
        return self._audio(raw + self._framer.flush(silence_byte(self._telephony_format)))

    def clear(self) -> None:
        """What was cut must not sound on through the filter's memory."""
        if self._transcoder is not None:
            self._transcoder.reset()
        self._framer.clear()

    def _audio(self, raw: bytes) -> Audio | None:
        return Audio.of(raw, self._telephony_format) if raw else None
