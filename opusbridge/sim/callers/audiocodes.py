"""AudioCodes VoiceAI Connect from the other side: the client of its Bot API, streaming mode.

It rings until the first play stream, withholds the person's voice during playback unless
barge-in is on, and is a strict referee: what its documents forbid is a violation.
"""

from enum import Enum, auto
from math import inf
from random import Random
from typing import Any, assert_never

import orjson

from opusbridge.sim.callers.audiocodes_habits import AudioCodesHabits, Mode
from opusbridge.sim.callers.audiocodes_playing import PlayStreams
from opusbridge.sim.callers.audiocodes_silence import NoInput
from opusbridge.sim.callers.audiocodes_voice import Chunker
from opusbridge.sim.callers.audiocodes_words import (
    FORMATS,
    PATIENCE_SECONDS,
    checked,
    event_activity,
    start_parameters,
    wrong_with,
)
from opusbridge.sim.callers.caller import Caller
from opusbridge.sim.callers.person import Action, DropLine, HangUp, Person, Press
from opusbridge.sound import AudioFormat


class UserStream(Enum):
    CLOSED = auto()
    STARTING = auto()  # we said start; the bridge has not yet said started
    OPEN = auto()
    STOPPING = auto()  # we said stop; the bridge has not yet said stopped


class SimulatedAudioCodes(Caller):
    """A person calling over AudioCodes."""

    def __init__(
        self,
        person: Person,
        conversation_id: str,
        random: Random,
        habits: AudioCodesHabits | None = None,
        *,
        caller: str = "+15550104477",
        callee: str = "+15550100200",
    ) -> None:
        self.habits = habits or AudioCodesHabits()
        super().__init__(person, random, self.habits.clear_delay)
        self.conversation_id, self._caller, self._callee = conversation_id, caller, callee
        self.barge_in = self.habits.barge_in
        self.validated: bool | None = None
        self.refused: str | None = None
        """The reason of a ``session.error``."""
        self.answered_at: float | None = None
        self.session_params: dict[str, Any] = {}
        self.dtmf_sent: list[str] = []
        """By the bridge, with ``sendDtmf``."""
        self.transfers: list[dict[str, Any]] = []
        self.user_stream = UserStream.CLOSED
        self.reconnect_wanted = False
        self.back_after: float | None = None
        """Seconds until it dials again, where that is said."""
        self._send_dtmf = self.habits.send_dtmf
        self._play_finished = self.habits.play_finished
        self._no_input = NoInput(self.habits.no_input_seconds, told=self.habits.no_input)
        self._chunker: Chunker | None = None
        self._resuming = False
        self._awaiting: str | None = None
        self._awaiting_since = 0.0
        self.play_streams = PlayStreams(self.playout, self.habits.offer, self._violation)
        self._transfer_due: float | None = None
        self._start_due = self._ringing_since = inf

    @property
    def media_format(self) -> AudioFormat | None:
        """What the bridge accepted."""
        return self._chunker.format if self._chunker else None

    @property
    def seconds_to_answer(self) -> float | None:
        if self.answered_at is None or self.begun_at is None:
            return None
        return self.answered_at - self.begun_at

    def resume(self, now: float) -> None:
        """A new socket is open: the same call goes on with ``session.resume`` on it.

        The person has stayed on the line, and what was buffered has played on.
        """
        self._settle(now)
        self._closing = self.ended_at = None
        self.reconnect_wanted = False
        self.play_streams.forget()
        self.user_stream = UserStream.CLOSED
        self._outbox.clear()
        self._restart_line(now)
        self._say_resume(now)

    # --- What we send -------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        match self.habits.mode:
            case Mode.VALIDATE:
                self._ask('{"type":"connection.validate"}', "connection.validate", now)
            case Mode.RESUME_UNKNOWN:
                self._say_resume(now)
            case Mode.CALL:
                self._say(
                    "session.initiate",
                    botName="front-desk",
                    caller=self._caller,
                    expectAudioMessages=self.habits.expect_audio,
                    supportedMediaFormats=self.habits.offer,
                )
                self._await("session.initiate", now)
            case _:
                assert_never(self.habits.mode)

    def _say_resume(self, now: float) -> None:
        self._resuming = True
        self._say("session.resume")
        self._await("session.resume", now)

    def _say(self, kind: str, **fields: Any) -> None:
        message = {"type": kind, "conversationId": self.conversation_id, **fields}
        self._outbox.append(orjson.dumps(message).decode())

    def _ask(self, text: str, kind: str, now: float) -> None:
        self._outbox.append(text)
        self._await(kind, now)

    def _await(self, kind: str, now: float) -> None:
        self._awaiting, self._awaiting_since = kind, now

    def _tell(self, name: str, now: float, **fields: Any) -> None:
        """An event for the bridge, as an activity."""
        self._say("activities", activities=[event_activity(name, now, self.random, fields)])

    def _tick(self, now: float) -> None:
        if self._awaiting is not None and now - self._awaiting_since >= PATIENCE_SECONDS:
            self._violation(f"no answer to {self._awaiting}")
            self._awaiting = None
            if self._chunker is None or self._resuming:
                self._close(1000, now)
            return
        if self._transfer_due is not None and now >= self._transfer_due:
            self._settle_transfer(now)
        if now >= self._start_due:
            self._start(now)
        if self.answered_at is not None:
            action = self.person.tick(now)
            if action is not None:
                self._act(action, now)
            if self._no_input.due(self.user_stream is UserStream.OPEN and self._silent, now):
                self._tell("noUserInput", now, value=self._no_input.times)
        elif self._chunker is not None and now - self._ringing_since >= self.habits.ring_seconds:
            self.person.in_vain.append("waited in vain for an answer")
            self._end("client-disconnected", "Client Side", now)
        if self._closing is None and self._chunker is not None and not self._resuming:
            self._mind_user_stream(now)

    def _act(self, action: Action, now: float) -> None:
        match action:
            case Press(digits):
                if self._send_dtmf:
                    for value in [digits] if self.habits.digits_together else digits:
                        self._tell(self.habits.dtmf_name, now, value=value)
            case HangUp():
                self._end("client-disconnected", "Client Side", now)
            case DropLine(back_after):
                self.reconnect_wanted, self.back_after = True, back_after
                self._close(None, now)
            case _:
                assert_never(action)

    def _end(self, code: str, reason: str, now: float) -> None:
        self._say("session.end", reasonCode=code, reason=reason)
        self._close(1000, now)

    def _abandoned(self, now: float, *, cut: bool) -> None:
        if self._chunker is not None:
            self.reconnect_wanted = True
        elif self.habits.mode is Mode.CALL and self.refused is None and not cut:
            self._violation("the socket was closed without a session.error")

    # --- The person's voice -------------------------------------------------------------

    @property
    def _may_listen(self) -> bool:
        """Without barge-in the bridge gets no sound while it is heard."""
        return self.barge_in or (self.playout.empty and not self.play_streams.open)

    @property
    def _silent(self) -> bool:
        return self.person.saying is None and self.playout.empty

    def _mind_user_stream(self, now: float) -> None:
        match self.user_stream:
            case UserStream.CLOSED if self._may_listen and not self._rings:
                self._open_user_stream(now)
            case UserStream.OPEN:
                self._send_frame()
                self.person.carried()

    def _open_user_stream(self, now: float) -> None:
        self.user_stream = UserStream.STARTING
        assert self._chunker is not None
        self._chunker.begin()
        self._say("userStream.start")
        self._await("userStream.start", now)

    def _withhold(self, now: float) -> None:
        if self.user_stream in (UserStream.STARTING, UserStream.OPEN):
            self.user_stream = UserStream.STOPPING
            self._say("userStream.stop")
            self._await("userStream.stop", now)

    @property
    def _rings(self) -> bool:
        """Before ``start``: nobody has answered yet."""
        return self._start_due < inf

    def _send_frame(self) -> None:
        assert self._chunker is not None
        for audio in self._chunker.chunks(self.person, rings=self._rings):
            self._outbox.append(
                f'{{"type":"userStream.chunk","conversationId":"{self.conversation_id}",'
                f'"audioChunk":"{audio}"}}'
            )

    # --- What the bridge sends ----------------------------------------------------------

    def _hear(self, text: str, now: float) -> None:
        message = checked(text, self._violation)
        if message is None:
            return
        kind = message["type"]
        if self.habits.mode is Mode.VALIDATE:
            self._hear_validated(kind, message, now)
        elif kind == "session.error":
            self.refused = message["reason"]
            self._awaiting = None
            self._close(1000, now)
        elif kind == "session.accepted":
            self._hear_accepted(message, now)
        elif self._chunker is None or self._resuming:
            self._violation(f"{kind} before session.accepted")
        else:
            self._hear_in_session(kind, message, now)

    def _hear_validated(self, kind: str, message: dict[str, Any], now: float) -> None:
        if kind != "connection.validated":
            self._violation(f"{kind} in answer to connection.validate")
        self.validated = kind == "connection.validated" and message["success"]
        self._awaiting = None
        self._close(1000, now)

    def _hear_accepted(self, message: dict[str, Any], now: float) -> None:
        if self._awaiting not in ("session.initiate", "session.resume"):
            self._violation("session.accepted twice")
            return
        self._awaiting = None
        if self.habits.mode is Mode.RESUME_UNKNOWN:
            self._violation("an unknown conversation was resumed")
        name = message["mediaFormat"]
        if name not in self.habits.offer or name not in FORMATS:
            self._violation("session.accepted with a format not offered, or with a WAV header")
            self._end("error", "media format", now)
            return
        self._chunker = Chunker(FORMATS[name], self.habits, self.random)
        if self._resuming:
            self._resuming = False
            return
        if self.habits.stream_before_start:
            self._open_user_stream(now)
        self._start_due = now + self.habits.start_seconds
        if not self.habits.start_seconds:
            self._start(now)

    def _start(self, now: float) -> None:
        self._start_due, self._ringing_since = inf, now
        who = self.conversation_id, self._caller, self._callee
        self._tell("start", now, parameters=start_parameters(*who, self.habits.dialout_metadata))
        if self.habits.start_seconds or not self.habits.connect_on_prompt:
            self.answered_at = now

    def _hear_in_session(self, kind: str, message: dict[str, Any], now: float) -> None:
        match kind:
            case "playStream.start":
                self._play_start(message, now)
            case "playStream.chunk":
                self.play_streams.chunk(message, now)
            case "playStream.stop":
                self._play_stop(message, now)
            case "userStream.started":
                self._acknowledged(UserStream.STARTING, UserStream.OPEN, kind)
            case "userStream.stopped":
                self._acknowledged(UserStream.STOPPING, UserStream.CLOSED, kind)
            case "userStream.speech.started" | "userStream.speech.hypothesis":
                self._no_input.heard_him()
                if self.barge_in:
                    self._ask_to_clear(now)
            case "userStream.speech.committed":
                if self.barge_in and self.habits.committed_cuts:
                    self._ask_to_clear(now)
            case "activities":
                for activity in message["activities"]:
                    self._perform(activity, now)
            case "connection.validated":
                self._violation("connection.validated without a question")

    def _acknowledged(self, before: UserStream, after: UserStream, kind: str) -> None:
        if self.user_stream is before:
            self.user_stream = after
            self._awaiting = None
        # A stop may cross with the answer to the start before it.
        elif not (kind == "userStream.started" and self.user_stream is UserStream.STOPPING):
            self._violation(f"{kind} out of turn")

    def _play_start(self, message: dict[str, Any], now: float) -> None:
        if not self.play_streams.start(message, now):
            return
        if self._rings:
            self._violation("playStream.start before start")
        if self.answered_at is None:
            self.answered_at = now
        if not self.barge_in:
            self._withhold(now)

    def _play_stop(self, message: dict[str, Any], now: float) -> None:
        stream_id = self.play_streams.stop(message)
        if stream_id is None:
            return
        if self.habits.stop_cuts and self.barge_in:
            self._ask_to_clear(now)
        elif not self.playout.add_mark(stream_id):
            self._mark_reached(stream_id, now)

    def _mark_reached(self, name: str, now: float, cleared: bool = False) -> None:
        if self._play_finished and not cleared:
            self._tell("playFinished", now, streamId=name)

    def _perform(self, activity: Any, now: float) -> None:
        if self._closing is not None:
            return  # an activity after hangup or transfer
        if (wrong := wrong_with(activity)) is not None:
            self._violation(wrong)
            return
        params = activity.get("activityParams") or {}  # null was objected to already
        self._set(activity.get("sessionParams") or {})
        match activity["name"]:
            case "hangup":
                self._end("bot-disconnected", str(params.get("hangupReason", "")), now)
            case "transfer" | "handover":
                self._transfer(params, now)
            case "abortPrompts":
                self._ask_to_clear(now)
            case "sendDtmf":
                digits = params.get("dtmfDigits")
                if isinstance(digits, str) and 0 < len(digits) <= 20:
                    self.dtmf_sent.append(digits)
                else:
                    self._violation("sendDtmf without proper dtmfDigits")
            case "config":
                if params:
                    self.irregularities.append("config in activityParams does not last")

    def _set(self, params: dict[str, Any]) -> None:
        self.session_params |= params
        self.barge_in = bool(self.session_params.get("bargeIn", self.barge_in))
        self._send_dtmf = bool(self.session_params.get("sendDTMF", self._send_dtmf))
        self._no_input.set(params)
        if "playFinished" in (params.get("sendEventsToBot") or ()):
            self._play_finished = True

    def _transfer(self, params: dict[str, Any], now: float) -> None:
        if not isinstance(params.get("transferTarget"), str):
            self._violation("transfer without a transferTarget")
            return
        self.transfers.append(params)
        if params.get("transferNotifications"):
            self._transfer_due = now + self.habits.transfer_seconds
        else:
            self._end("transferred", "", now)

    def _settle_transfer(self, now: float) -> None:
        self._transfer_due, outcome = None, self.habits.transfer_outcome
        if outcome == "answered":
            self._tell("transferStatus", now, value={"status": "answered"})
            self._end("transferred", "", now)
        else:
            value = {"status": "failed", "reasonCode": outcome, "reason": "486"}
            self._tell("transferStatus", now, value=value)
