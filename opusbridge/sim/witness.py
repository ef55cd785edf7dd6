"""Who listens in on the wires of a simulated call, to compare what was said with what was heard.

It keeps the sound the model sent for each item, before any truncation, and every truncation
the bridge asked for. What the person heard the caller knows.
"""

from base64 import b64decode
from dataclasses import replace
from math import inf

import orjson

from opusbridge.sim.callers import Caller
from opusbridge.sim.checks import (
    Cut,
    SpokenItem,
    Truncation,
    cut_speech_unheard,
    heard_of,
    nothing_lost,
    truncations_honest,
)
from opusbridge.sim.door import DoorWatch
from opusbridge.sound import PCM_24K, PCMA_8K, PCMU_8K, AudioFormat

_FORMATS = {"audio/pcm": PCM_24K, "audio/pcmu": PCMU_8K, "audio/pcma": PCMA_8K}

#: So far from where it was cleared may playing go on without a word being lost.
SEAM_MS = 300.0

# Where a text names its type; sound is longer than this and must not be searched.
_HEAD = 400

# The activities of AudioCodes that hand the caller over, and tell what came of it.
_TRANSFER = '"name":"transfer"'
_TRANSFER_STATUS = '"name":"transferStatus"'


class Witness:
    def __init__(self, clock_rate: float = 1.0) -> None:
        """``clock_rate``: how much faster the caller's clock runs, by which he hears."""
        self._rate = clock_rate
        self.truncations: list[tuple[float, Truncation]] = []
        """With the time the bridge sent it."""
        self.deletions: list[tuple[float, str]] = []
        """Items the bridge had forgotten whole, since nothing of them was heard."""
        self.words: dict[str, str] = {}
        """What the model said, by item, in order."""
        self.handed_over_at = inf
        """When AudioCodes was told to transfer the caller, unless it has told what came of it."""
        self.door = DoorWatch()
        self._sound: dict[str, bytearray] = {}
        self._spoken_at: dict[str, float] = {}
        self._done_at: dict[str, float] = {}
        self._format: AudioFormat = PCM_24K

    @property
    def items(self) -> list[SpokenItem]:
        return [
            SpokenItem(
                item_id,
                bytes(sound),
                self._format,
                self._spoken_at[item_id],
                self._done_at.get(item_id),
            )
            for item_id, sound in self._sound.items()
        ]

    def model_said(self, text: str, now: float) -> None:
        head = text[:_HEAD]
        if '"response.output_audio.delta"' in head:
            event = orjson.loads(text)
            self._sound.setdefault(event["item_id"], bytearray()).extend(b64decode(event["delta"]))
            self._spoken_at.setdefault(event["item_id"], now * self._rate)
        elif '"response.output_audio_transcript.done"' in head:
            event = orjson.loads(text)
            self.words[event["item_id"]] = event["transcript"]
        elif '"session.updated"' in head:
            output = orjson.loads(text)["session"]["audio"]["output"]
            self._format = _FORMATS[output["format"]["type"]]

    def model_replaced(self) -> None:
        """Another session: whatever was open in the old one is not in this."""
        self.door.session_over()

    def bridge_heard(self, text: str, now: float) -> None:
        """From the model, when it has come over the wire."""
        self.door.heard(text, now)
        if '"response.output_item.done"' in text[:_HEAD]:
            self._done_at[orjson.loads(text)["item"]["id"]] = now * self._rate

    def bridge_said(self, text: str, now: float) -> None:
        """To the model."""
        self.door.said(text, now)
        if '"conversation.item.truncate"' in text[:_HEAD]:
            event = orjson.loads(text)
            truncation = Truncation(event["item_id"], event["audio_end_ms"])
            self.truncations.append((now * self._rate, truncation))
        elif '"conversation.item.delete"' in text[:_HEAD]:
            self.deletions.append((now * self._rate, orjson.loads(text)["item_id"]))

    def telephony_told(self, text: str, now: float) -> None:
        """By the bridge."""
        if _TRANSFER in text[:_HEAD]:
            self.handed_over_at = now

    def telephony_said(self, text: str) -> None:
        """When it has come over the wire."""
        if _TRANSFER_STATUS in text[:_HEAD]:
            self.handed_over_at = inf

    def heard_words(self, caller: Caller) -> str:
        """The words of every item that reached the ear, in proportion to how much of it did."""
        found = []
        for item in self.items:
            ms = heard_of(item, caller.heard, inf, cleared_at(caller), SEAM_MS)
            share = ms * item.format.bytes_per_ms / len(item.sound)
            words = self.words.get(item.item_id, "")
            # The padding of the last frame may be missing; a word cut in half was not heard.
            found.append(words if share > 0.97 else _whole_words(words, share))
        return " ".join(filter(None, found))

    def compares(self, caller: Caller) -> bool:
        """Whether anything of it was heard as it was said."""
        return any(span.format == self._format for span in caller.heard)

    def verdict(
        self, caller: Caller, wire_seconds: float, clear_seconds: float, parted: bool = False
    ) -> list[str]:
        """What is wrong between what was said and what was heard.

        ``wire_seconds`` is the slowest way to the caller, ``clear_seconds`` the longest a clear
        takes to be heard. ``parted``: the bridge ended the call over the model's head. Sound that
        was converted on its way is not compared.
        """
        if not self.compares(caller):
            return []
        items = self.items
        spoken = {item.item_id: item for item in items}
        # What the bridge knows is old by one way, what it does takes effect after another; and
        # a frame each for the mark's tick and for the frame being played.
        slack_ms = 1000 * (2 * wire_seconds + clear_seconds) + 40
        settled = wire_seconds + clear_seconds + 0.02
        truncations = [replace(one, effective_at=at + settled) for at, one in self.truncations]
        cut = [(at, t.item_id) for at, t in self.truncations] + self.deletions
        cuts = [Cut(spoken[item_id], at + settled) for at, item_id in cut if item_id in spoken]
        told = {item_id for _, item_id in cut}
        cleared = cleared_at(caller)
        ended_at = 0.0 if parted else caller.ended_at or 0.0
        return [
            *nothing_lost(items, told, caller.heard, ended_at, cleared, slack_ms),
            *truncations_honest(truncations, items, caller.heard, slack_ms, cleared),
            *cut_speech_unheard(cuts, items, caller.heard),
        ]


def cleared_at(caller: Caller) -> list[float]:
    return [clearing.effective_at for clearing in caller.clearings]


def _whole_words(text: str, share: float) -> str:
    cut = text[: int(len(text) * share)]
    return cut if cut == text else cut.rpartition(" ")[0]
