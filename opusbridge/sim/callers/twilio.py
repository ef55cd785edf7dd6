"""Twilio Media Streams from the other side: a bidirectional stream of one call.

It reads what the bridge sends with plain checks of its own, buffers the sound and plays it
in real time, sends marks back when they are heard or cleared, and records everything that
Twilio's documents forbid under the number Twilio would log.
"""

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, assert_never

import orjson

from opusbridge.errors import OpusbridgeError
from opusbridge.sim.callers.caller import Caller
from opusbridge.sim.callers.person import FRAME_SECONDS, Action, DropLine, HangUp, Person, Press
from opusbridge.sim.callers.playout import Playout
from opusbridge.sim.callers.sounds import as_text, noise, speech_text
from opusbridge.sound import PCMU_8K

ACCOUNT_SID = "AC" + "5e" * 16

#: Twilio buffers about ten minutes, then discards.
BUFFER_MS = 600_000.0

# The keys each message may have, beyond ``event`` and ``streamSid``; and those inside.
_BODIES = {"media": ("media", "payload"), "mark": ("mark", "name"), "clear": None}


@dataclass(frozen=True, slots=True)
class TwilioHabits:
    """How this Twilio behaves within what is documented or has been observed."""

    first_timestamp_ms: int = 100
    """Captures show 90 to 170; never 0."""
    clear_delay: tuple[float, float] = (0.0, 0.0)
    """Seconds, least and most, until a ``clear`` is heard; 0 to 0.3 is plausible."""
    noise_amplitude: int = 0
    """Of 32767; 0 is digital silence between the person's words."""
    digit_gap_seconds: float = 0.14
    gap_chance: float = 0.0
    """For each silent frame: that the line sends nothing for it (comfort noise)."""
    stall_chance: float = 0.0
    """For each frame: that the network holds it and the next back, then sends all at once."""
    stall_frames: int = 10
    strange_events: bool = False
    """Unknown events, unknown fields, and a mark nobody has placed."""
    ring_seconds: float = 1.0
    """How long it rings where a call is transferred to, before somebody answers or does not."""
    transfer_outcome: str = "answered"
    """``answered``, or why it failed: ``no-answer``, ``busy``, ``declined``, ``error``."""


class SimulatedTwilio(Caller):
    """A person calling over Twilio; ``custom_parameters`` are those of the TwiML."""

    def __init__(
        self,
        person: Person,
        call_sid: str,
        stream_sid: str,
        custom_parameters: Mapping[str, str],
        random: Random,
        habits: TwilioHabits | None = None,
        account_sid: str = ACCOUNT_SID,
    ) -> None:
        self.habits = habits or TwilioHabits()
        super().__init__(person, random, self.habits.clear_delay)
        self.call_sid, self.stream_sid, self.account_sid = call_sid, stream_sid, account_sid
        self.custom_parameters = dict(custom_parameters)
        self.console: list[int] = []
        """The numbers Twilio would show its customer, each once."""
        self.refused: OpusbridgeError | None = None
        """Why a stream of the call was not opened."""
        self.marks: list[str] = []
        """Every mark placed, in order."""
        self.pressed_by_bridge: list[str] = []
        """Keys it had pressed for the other end, by TwiML."""
        self._sequence = 0
        self._chunk = 0
        self._frames = 0
        self._digits: list[tuple[float, str]] = []
        self._held: list[str] = []
        self._hold_frames = 0
        self._silence = [as_text(f) for f in noise(PCMU_8K, self.habits.noise_amplitude, random)]

    def hang_up_by_rest(self, now: float) -> None:
        """``Status=completed`` was posted: stop, then close."""
        self._stop(now)

    def new_twiml(self, now: float) -> None:
        """``Twiml`` or ``Url`` was posted: this stream is over, its buffered sound is lost."""
        self._stop(now)

    def another_stream(
        self, stream_sid: str, custom_parameters: Mapping[str, str], now: float
    ) -> None:
        """The call goes on with TwiML that has a stream; the person has stayed on the line."""
        self.stream_sid, self.custom_parameters = stream_sid, dict(custom_parameters)
        self.playout = Playout(self.person.ear)
        self._closing = self.ended_at = None
        self._sequence = self._chunk = self._frames = self._hold_frames = 0
        for kept in (self._outbox, self._digits, self._held, self._pending_clears):
            kept.clear()
        self.person.lose_keys()
        self._restart_line(now)
        self._begin(now)

    # --- What we send -------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        if self.answered_at is None:  # by the TwiML that asks for the stream
            self.answered_at = now
        self._outbox.append('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        start = {
            "streamSid": self.stream_sid,
            "accountSid": self.account_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": self.custom_parameters,
        }
        self._say("start", start=start)
        if self.habits.strange_events:
            self._say("weather", weather={"sky": "blue"}, urgency="low")
            self._say("mark", mark={"name": "never-placed"})
        self._next_tick = now + FRAME_SECONDS
        self._ticks = 1

    def _tick(self, now: float) -> None:
        self.person.now = now
        # Who presses keys one by one does nothing else before the last.
        action = None if self._digits else self.person.tick(now)
        if action is not None:
            self._act(action, now)
            if self._closing is not None:
                return
        while self._digits and self._digits[0][0] <= now:
            digit = self._digits.pop(0)[1]
            self.person.keys_left -= 1
            self._say("dtmf", dtmf={"track": "inbound_track", "digit": digit})
        self._send_frame()

    def _send_frame(self) -> None:
        timestamp = self.habits.first_timestamp_ms + 20 * self._frames
        self._frames += 1
        person = self.person
        person.carried()
        if person.saying is not None:
            payload = speech_text(person.saying, PCMU_8K)[person.frame]
        else:
            if self.habits.gap_chance and self.random.random() < self.habits.gap_chance:
                return
            payload = self._silence[self._frames % len(self._silence)]
        self._sequence += 1
        self._chunk += 1
        self._carry(
            f'{{"event":"media","sequenceNumber":"{self._sequence}",'
            f'"streamSid":"{self.stream_sid}","media":{{"track":"inbound",'
            f'"chunk":"{self._chunk}","timestamp":"{timestamp}","payload":"{payload}"}}}}'
        )

    def _carry(self, text: str) -> None:
        """To the bridge, unless the network is stalled: then in a burst when it is over."""
        chance = self.habits.stall_chance
        if chance and not self._hold_frames and self.random.random() < chance:
            self._hold_frames = self.habits.stall_frames
        self._held.append(text)
        if self._hold_frames:
            self._hold_frames -= 1
        if not self._hold_frames:
            self._release()

    def _release(self) -> None:
        self._outbox += self._held
        self._held.clear()
        self._hold_frames = 0

    def _say(self, event: str, **body: Any) -> None:
        self._release()  # one ordered socket: nothing overtakes the frames held back
        self._sequence += 1
        message = {"event": event, "sequenceNumber": str(self._sequence)}
        self._outbox.append(
            orjson.dumps({**message, "streamSid": self.stream_sid, **body}).decode()
        )

    def _act(self, action: Action, now: float) -> None:
        match action:
            case Press(digits):
                gap = self.habits.digit_gap_seconds
                self._digits += [(now + gap * n, digit) for n, digit in enumerate(digits)]
                self.person.keys_left += len(digits)
            case HangUp():
                self._stop(now)
            case DropLine():
                self._close(None, now)
            case _:
                assert_never(action)

    def _stop(self, now: float) -> None:
        if self._closing is None and self.ended_at is None:
            self._settle(now)
            self._say("stop", stop={"accountSid": self.account_sid, "callSid": self.call_sid})
            self._close(1000, now)

    def _mark_reached(self, name: str, now: float, cleared: bool = False) -> None:
        self._say("mark", mark={"name": name})  # Twilio does not tell the two apart

    def _abandoned(self, now: float, *, cut: bool) -> None:
        self._log(31921)  # logged even where it is meant

    # --- What the bridge sends ----------------------------------------------------------

    def _hear(self, text: str, now: float) -> None:
        if not self._sequence:
            self._violation("a message before start")
            return
        message = self._checked(text)
        if message is None:
            return
        match message["event"]:
            case "media":
                self._play(message["media"]["payload"], now)
            case "mark":
                name = message["mark"]["name"]
                self.marks.append(name)
                if not self.playout.add_mark(name):
                    self._mark_reached(name, now)
            case "clear":
                self._ask_to_clear(now)

    def _checked(self, text: str) -> dict[str, Any] | None:
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            self._refuse(31950, "not JSON")
            return None
        fault = self._fault(message)
        if fault is not None:
            self._refuse(31951, fault)
            return None
        assert isinstance(message, dict)
        return message

    def _fault(self, message: Any) -> str | None:
        event = message.get("event") if isinstance(message, dict) else None
        if not isinstance(event, str) or event not in _BODIES:
            return "an unknown event"
        if message.get("streamSid") != self.stream_sid:
            return f"{event} with a wrong streamSid or none"
        body = _BODIES[event]
        if set(message) - {"event", "streamSid"} != ({body[0]} if body else set()):
            return f"{event} with keys missing or too many"
        if body is None:
            return None
        inside = message[body[0]]
        if not isinstance(inside, dict) or set(inside) != {body[1]}:
            return f"{event} without its {body[1]}, or with more"
        if not isinstance(inside[body[1]], str) or not inside[body[1]]:
            return f"{event} with an empty {body[1]}"
        return None

    def _play(self, payload: str, now: float) -> None:
        try:
            sound = b64decode(payload, validate=True)
        except (BadBase64, ValueError):
            self._refuse(31951, "media with bad base64")
            return
        if len(sound) % 160:
            self.irregularities.append(f"a payload of {len(sound)} bytes, not whole frames")
        if self.playout.queued_ms + len(sound) / 8 > BUFFER_MS:
            self._log(31931)
            self._violation("31931: more than ten minutes queued")
            return
        self.playout.add(sound, PCMU_8K, now)

    def _refuse(self, number: int, what: str) -> None:
        self._log(number)
        self._violation(f"{number}: {what}")

    def _log(self, number: int) -> None:
        if number not in self.console:
            self.console.append(number)
