"""The caller's own stream: whether it is open, what is of it, and where its samples begin.

VAIC opens and closes it. It may open others for further parties, and may name whose a
message is with some of them and not with others: what names nobody is the caller's, unless
his are named and somebody without a name has opened one, too. Who was there beside him does
not take his place when all were closed and are opened again.
"""

from enum import Enum, auto
from typing import Any

from opusbridge.errors import RemoteProtocolError
from opusbridge.protocols.audiocodes import messages
from opusbridge.sound import Audio, AudioFormat, sound_bytes

#: Streams of others that are told apart; a call has a few.
MOST_OTHERS = 16


class State(Enum):
    NEVER = auto()  # not opened yet
    OPEN = auto()
    STOPPED = auto()  # VAIC may open it again


class CallerStream:
    """Of one call; ``audio_format`` is to be set before it is opened."""

    def __init__(self) -> None:
        self.audio_format: AudioFormat | None = None
        self.party: str | None = None
        """Who has it, where VAIC said so when it opened it."""
        self.stray_chunks = 0
        """Of somebody else, or after the end."""
        self._state = State.NEVER
        self._others: set[str | None] = set()  # who has a stream besides
        self._named = False  # whether his chunks say whose they are
        self._spare = b""
        self._head = ""  # of the latest chunk that was read

    def started(self, party: str | None) -> bool:
        """Whether this opens the caller's."""
        if self._state is State.OPEN:
            if party != self.party and len(self._others) < MOST_OTHERS:
                self._others.add(party)
            self._head = ""
            return False
        if party is not None and party != self.party and party in self._others:
            return False  # somebody else, though the caller has none just now
        self._state, self.party = State.OPEN, party
        self._others.discard(party)
        self._head, self._spare = "", b""
        return True

    def stopped(self, party: str | None) -> bool:
        """Whether it was open, and is not any more."""
        if self._state is not State.OPEN or self._is_of_another(party):
            if party is None:
                self._others.discard(None)
            return False
        self._state = State.STOPPED
        return True

    def over(self) -> None:
        self._state = State.STOPPED

    def plain(self, text: str) -> str | None:
        """The whole samples of a chunk that begins as the latest did; nothing is remembered."""
        if self._state is not State.OPEN or self._spare:
            return None
        chunk = messages.plain_chunk(text, self._head)
        assert self.audio_format is not None
        whole = chunk is not None and sound_bytes(chunk) % self.audio_format.sample_bytes == 0
        return chunk if whole else None

    def chunk(self, message: dict[str, Any], text: str) -> Audio | None:
        """The whole samples of any chunk, together with what is left of the one before."""
        if self._state is State.NEVER:
            raise RemoteProtocolError(messages.PEER, "media-before-start")
        party = messages.named(message.get("participant"))
        of_another = self._is_of_another(party)
        if self._state is State.STOPPED or of_another:
            self.stray_chunks += 1
            return None
        assert self.audio_format is not None
        self._named = party is not None
        chunk = messages.sound(message.get("audioChunk"))
        self._head = messages.head_of_chunk(text, chunk)
        audio = Audio(chunk, self.audio_format)
        if self._spare or audio.size_bytes % self.audio_format.sample_bytes:
            return self._realigned(audio.raw, self.audio_format)
        return audio

    def _is_of_another(self, party: str | None) -> bool:
        if party is None:
            return self._named and None in self._others
        return party in self._others or (self.party is not None and party != self.party)

    def _realigned(self, raw: bytes, audio_format: AudioFormat) -> Audio | None:
        """VAIC may cut a sample in two: its first byte waits for the next chunk."""
        raw = self._spare + raw
        whole = len(raw) - len(raw) % audio_format.sample_bytes
        raw, self._spare = raw[:whole], raw[whole:]
        return Audio.of(raw, audio_format) if raw else None
