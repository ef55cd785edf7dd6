"""The person's voice as VoiceAI Connect cuts it into chunks."""

from random import Random

from opusbridge.sim import tones
from opusbridge.sim.callers.audiocodes_habits import AudioCodesHabits
from opusbridge.sim.callers.person import Person, Say, frames_in
from opusbridge.sim.callers.sounds import as_text, noise, speech, speech_text
from opusbridge.sound import AudioFormat

#: What a line on which it rings sounds like in Europe: a second of tone, then four of none.
RINGBACK = Say(tones.tone(425.0, 1000, 8_000) + tones.silence(4000, 8_000), 8_000, "")


class Chunker:
    """20 ms of line in, some chunks out; with the usual habits one ready-made text."""

    def __init__(self, format: AudioFormat, habits: AudioCodesHabits, random: Random) -> None:
        self.format = format
        self._random = random
        self._size = habits.chunk_ms * format.bytes_per_ms
        self._odd_splits = habits.odd_splits
        self._ready_made = habits.chunk_ms == 20 and not habits.odd_splits
        self._silence = noise(format, habits.noise_amplitude, random)
        self._silence_text = [as_text(frame) for frame in self._silence]
        self._ticks = 0
        self._rest = bytearray()

    def begin(self) -> None:
        """A new user stream: what was left of the old one is lost."""
        self._rest.clear()

    def chunks(self, person: Person, *, rings: bool = False) -> list[str]:
        """What the line carried in this tick, as base64."""
        self._ticks += 1
        said, frame = person.saying, person.frame
        if rings:
            said, frame = RINGBACK, self._ticks % frames_in(RINGBACK)
        if self._ready_made:
            if said is not None:
                return [speech_text(said, self.format)[frame]]
            return [self._silence_text[self._ticks % len(self._silence_text)]]
        if said is not None:
            self._rest += speech(said, self.format)[frame]
        else:
            self._rest += self._silence[self._ticks % len(self._silence)]
        found = []
        while len(self._rest) >= (size := self._next_size()):
            found.append(as_text(bytes(self._rest[:size])))
            del self._rest[:size]
        return found

    def _next_size(self) -> int:
        return self._random.randint(1, self._size) | 1 if self._odd_splits else self._size
