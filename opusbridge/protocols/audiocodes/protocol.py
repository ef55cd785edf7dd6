"""One socket of AudioCodes' VoiceAI Connect (VAIC): texts in, events out; effects in, texts out.

The first message decides what the socket is: a check of the connection, a new call, or a
call resumed. A call is accepted at once, in the best format that both sides speak. From
then on VAIC opens and closes the caller's stream and we open and close play streams, one
at a time, each with a new id; the phone rings until the first of them. Commands are
activities. The call ends with VAIC's ``session.end``, never by a closed socket.
"""

import json
from base64 import b64encode
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, ClassVar, assert_never

from opusbridge import effects, events
from opusbridge.effects import ToTelephony
from opusbridge.errors import LocalProtocolError, RemoteProtocolError
from opusbridge.events import FromTelephony, MessageRejected
from opusbridge.privacy import Private
from opusbridge.protocols.audiocodes import messages
from opusbridge.protocols.audiocodes.caller_stream import CallerStream
from opusbridge.sound import PCMU_8K, Audio, AudioFormat

#: What a message means: events of the telephony side, and what was wrong with parts of it.
Heard = list[FromTelephony | MessageRejected]


class Stage(Enum):
    WAITING = auto()  # nothing is accepted yet
    ACCEPTED = auto()
    REFUSED = auto()  # we said ``session.error``; what still comes had already left
    ENDED = auto()  # VAIC said ``session.end``


class AudioCodesProtocol:
    """One socket of one call."""

    peer: ClassVar[str] = messages.PEER
    frame_kind: ClassVar[str] = "userStream.chunk"
    longest_text: ClassVar[int] = messages.LONGEST_CHUNK

    #: Effects that this wire cannot carry: there are none.
    by_other_means: ClassVar[frozenset[type]] = frozenset()

    def __init__(self) -> None:
        self.conversation_id: str | None = None
        #: Of the sound in both directions, once accepted; ``media_format`` is its wire name.
        self.audio_format: AudioFormat | None = None
        self.media_format = ""
        #: The id of the play stream that is open: VAIC then takes us to be speaking.
        self.open_stream: str | None = None
        #: An administrator pressed "Validate"; no call follows on such a socket.
        self.validated = False
        #: Messages and activities that we do not know; tolerated, and worth counting.
        self.unknown_messages = 0
        self._stage = Stage.WAITING
        self._caller: Private[str] | None = None
        self._call_started = False
        self._stream = CallerStream()
        self._streams_opened = 0
        self._end_told = False
        self._hangs_up = False  # VAIC was told to end the call
        self._hands_over = False  # or to hand it over, and nobody has refused it yet
        self._outbox: list[str] = []

    @property
    def accepted(self) -> bool:
        """From ``session.accepted`` to the end of the session."""
        return self._stage is Stage.ACCEPTED

    @property
    def stray_chunks(self) -> int:
        """Chunks of somebody else, or that came after we had confirmed the caller's end."""
        return self._stream.stray_chunks

    def receive(self, text: str) -> Heard:
        """What a text frame of VAIC's means; what it demands an answer to is answered.

        Raises RemoteProtocolError, and nothing else; the message is then as if never sent.
        A malformed activity among others costs only itself: it becomes a MessageRejected.
        """
        message = messages.parse(text)
        kind = message.get("type")
        if type(kind) is not str:
            raise RemoteProtocolError(self.peer, "no-type")
        if kind != "userStream.chunk" and len(text) > messages.LONGEST_TEXT:
            return self._oversized(kind)
        if self._stage is Stage.ENDED:
            raise RemoteProtocolError(self.peer, "out-of-order")
        if message.get("conversationId") != self.conversation_id:
            self._must_not_be_of_another_call(message)
        if kind == "userStream.chunk":
            return self._chunk(message, text)
        if kind == "session.end":
            return self._end(message)
        if self._stage is Stage.REFUSED:
            return []
        if kind == "connection.validate":
            return self._validate()
        if self._stage is Stage.WAITING:
            return self._before_acceptance(kind, message)
        return self._during_call(kind, message)

    def frame(self, text: str) -> tuple[str, None] | None:
        """The caller's whole samples in ``text``; ``None``: :meth:`receive` must read.

        The same as :meth:`receive` where both find them; nothing is raised or remembered.
        """
        chunk = self._stream.plain(text)
        return None if chunk is None else (chunk, None)

    def masked(self, text: str) -> str:
        """The message without sound and keys, and without what we do not understand."""
        return messages.masked(text, b"\xff" if self.audio_format == PCMU_8K else b"\x00")

    def refuse(self, reason: str) -> None:
        """Decline the call, or give it up at any later time: VAIC then drops it.

        ``reason`` ends up in VAIC's logs. After the end there is nobody to tell.
        """
        if self._stage in (Stage.WAITING, Stage.ACCEPTED):
            self._queue({"type": "session.error", "reason": reason})
            self._stage, self.open_stream = Stage.REFUSED, None
            self._stream.over()

    def send(self, effect: ToTelephony) -> None:
        """Put an effect into VAIC's words; :meth:`messages_to_send` then has them.

        An effect that means nothing to VAIC is accepted and does nothing. Raises
        LocalProtocolError for what may not be said before acceptance or after the end.
        """
        match effect:
            case effects.PlayAudio(audio):
                self._play(audio)
            case effects.EndPlayout():
                self._close_stream()
            case effects.ClearPlayout():
                self._clear()
            case effects.PlaceMark():
                pass  # the provider's marks are not confirmed yet; its clock has to do
            case effects.TellSpeechStarted():
                self._tell_speech("started")
            case effects.TellSpeechStopped():
                self._tell_speech("stopped")
            case effects.TellSpeechCommitted():
                self._tell_speech("committed")
            case effects.AnswerCall(silence_ms):
                self._answer(silence_ms)
            case effects.ConfigureTelephony(barge_in):
                # Silence is the model's to handle: VAIC must not drop the call over it.
                settings = {"bargeIn": barge_in, "userNoInputGiveUpTimeoutMS": 0}
                self._command({"type": "event", "name": "config", "sessionParams": settings})
            case effects.HangUp(reason):
                self._close_stream()
                params = {"hangupReason": reason}
                self._hangs_up = True
                self._command({"type": "event", "name": "hangup", "activityParams": params})
            case effects.TransferCall():
                activity = messages.transfer_activity(effect)
                self._close_stream()
                self._hands_over = True
                self._command(activity)
            case effects.SendDTMF(digits):
                params = {"dtmfDigits": digits.value}
                self._command({"type": "event", "name": "sendDtmf", "activityParams": params})
            case _:
                assert_never(effect)

    def call_ended(self, reason: str) -> None:
        """We end the call: at a closed socket alone VAIC would dial again, to resume it."""
        if self.accepted and not (self._hangs_up or self._hands_over):
            self.refuse(reason)

    def messages_to_send(self) -> list[str]:
        """The texts to put on the socket, in order; taking them forgets them."""
        if not self._outbox:
            return []
        outbox, self._outbox = self._outbox, []
        return outbox

    # --- What VAIC says ---------------------------------------------------------------------

    def _must_not_be_of_another_call(self, message: dict[str, Any]) -> None:
        # One socket carries one conversation, so a message need not name it.
        named, mine = message.get("conversationId"), self.conversation_id
        another = None not in (named, mine) and str(named) != mine  # it may be a number
        if another and message["type"] != "session.initiate":  # which has a name of its own
            raise RemoteProtocolError(self.peer, "unknown-conversation")

    def _before_acceptance(self, kind: str, message: dict[str, Any]) -> Heard:
        match kind:
            case "session.initiate":
                return self._read_initiate(message)
            case "session.resume":
                resume = messages.read(messages.SessionResume, message)
                self.conversation_id = resume.conversationId
                return self._decline("conversation not found", "telephony-error")
            case "activities" | "userStream.start" | "userStream.stop":
                raise RemoteProtocolError(self.peer, "out-of-order")
            case _:
                self.unknown_messages += 1
                return []

    def _during_call(self, kind: str, message: dict[str, Any]) -> Heard:
        match kind:
            case "activities":
                return self._activities(messages.read(messages.ActivitiesEnvelope, message))
            case "userStream.start":
                return self._stream_started(messages.read(messages.UserStream, message))
            case "userStream.stop":
                return self._stream_stopped(messages.read(messages.UserStream, message))
            case "session.initiate":
                raise RemoteProtocolError(self.peer, "second-initiate")
            case "session.resume":
                raise RemoteProtocolError(self.peer, "out-of-order")
            case _:
                self.unknown_messages += 1
                return []

    def _validate(self) -> Heard:
        self.validated = True
        self._queue({"type": "connection.validated", "success": True})
        return []

    def _oversized(self, kind: str) -> Heard:
        error = RemoteProtocolError(self.peer, "oversized")
        if kind != "session.initiate" or self._stage is not Stage.WAITING:
            raise error
        return self._decline_malformed(error)

    def _read_initiate(self, message: dict[str, Any]) -> Heard:
        try:
            said = messages.read(messages.SessionInitiate, message)
        except RemoteProtocolError as error:
            return self._decline_malformed(error)
        return self._initiate(said)

    def _decline_malformed(self, error: RemoteProtocolError) -> Heard:
        rejected = MessageRejected(error.peer, error.kind)
        return [rejected, *self._decline("session.initiate is malformed", "telephony-error")]

    def _initiate(self, said: messages.SessionInitiate) -> Heard:
        self.conversation_id = said.conversationId
        if not said.expectAudioMessages:
            hint = "this bot speaks audio only: enable voice streaming"
            return self._decline(hint, "text-mode")
        common = [name for name in messages.MEDIA_FORMATS if name in said.supportedMediaFormats]
        if not common:
            offered = messages.shown_formats(said.supportedMediaFormats)
            return self._decline("no common media format", "no-common-format", offered)
        self._stage = Stage.ACCEPTED
        self.media_format, self.audio_format = common[0], messages.MEDIA_FORMATS[common[0]]
        self._stream.audio_format = self.audio_format
        self._caller = Private(said.caller) if said.caller else None
        self._queue({"type": "session.accepted", "mediaFormat": self.media_format})
        return [events.CallArrived(said.conversationId, self.audio_format, self._caller)]

    def _decline(self, words: str, reason: str, offered: tuple[str, ...] | None = None) -> Heard:
        self.refuse(words)
        self._end_told = True
        return [events.CallerHungUp(reason, offered)]

    def _end(self, message: dict[str, Any]) -> Heard:
        self._stage, self.open_stream = Stage.ENDED, None
        self._stream.over()
        if self._end_told:
            return []
        # Read by hand: an end is an end, however garbled its reason.
        code = message.get("reasonCode")
        reason = messages.END_REASONS.get(code, "unknown") if type(code) is str else "unknown"
        return [events.CallerHungUp(reason)]

    # --- The caller's stream ----------------------------------------------------------------

    def _stream_started(self, said: messages.UserStream) -> Heard:
        party = messages.named(said.participant)
        self._queue({"type": "userStream.started"} | _participant(party))
        return [events.CallerStreamStarted()] if self._stream.started(party) else []

    def _stream_stopped(self, said: messages.UserStream) -> Heard:
        party = messages.named(said.participant)
        self._queue({"type": "userStream.stopped"} | _participant(party))
        return [events.CallerStreamStopped()] if self._stream.stopped(party) else []

    def _chunk(self, message: dict[str, Any], text: str) -> Heard:
        audio = self._stream.chunk(message, text)
        return [] if audio is None else [events.CallerSpoke(audio)]

    # --- VAIC's activities ------------------------------------------------------------------

    def _activities(self, said: messages.ActivitiesEnvelope) -> Heard:
        found: Heard = []
        for each in said.activities:
            try:
                found += self._activity(messages.read(messages.Activity, each, "bad-activity"))
            except RemoteProtocolError as error:
                found.append(events.MessageRejected(error.peer, error.kind))
        return found

    def _activity(self, said: messages.Activity) -> Iterable[FromTelephony]:
        # Event names are written in more than one way by the provider's own pages.
        match (said.type, said.name.lower()):
            case ("event", ""):
                raise RemoteProtocolError(self.peer, "bad-activity")
            case ("event", "start"):
                yield self._started(said.parameters)
            case ("event", "dtmf"):
                pressed = messages.value(messages.DTMF, said)
                yield events.DigitsPressed(Private(pressed.value.upper()))
            case ("event", "playfinished"):
                yield events.PlayFinished(said.streamId)
            case ("event", "nouserinput"):
                yield events.NoInputReported(messages.value(messages.NoUserInput, said).value)
            case ("event", "transferstatus"):
                yield from self._transferred(messages.value(messages.TransferStatus, said).value)
            case _:
                self.unknown_messages += 1  # ``hangup`` too: the end itself is session.end

    def _started(self, parameters: dict[str, Any]) -> events.CallStarted:
        if self._call_started:
            raise RemoteProtocolError(self.peer, "second-start")
        self._call_started = True
        told = messages.as_texts(parameters)
        caller = Private(told["caller"]) if parameters.get("caller") else self._caller
        callee = Private(told["callee"]) if parameters.get("callee") else None
        return events.CallStarted(caller, callee, Private(told))

    def _transferred(self, outcome: messages.TransferOutcome) -> Iterable[FromTelephony]:
        match outcome.status:
            case "answered":
                yield events.TransferSucceeded()
            case "failed":
                self._hands_over = False
                code = outcome.reasonCode
                known = type(code) is str and code in messages.TRANSFER_REASONS
                yield events.TransferFailed(code if known else "error")
            case _:
                self.unknown_messages += 1

    # --- What we say ------------------------------------------------------------------------

    def _play(self, audio: Audio) -> None:
        self._must_be_accepted()
        if audio.format != self.audio_format or audio.size_bytes % audio.format.sample_bytes:
            raise LocalProtocolError("a play stream takes whole samples in the accepted format")
        if not audio.size_bytes:
            return  # an empty chunk is not allowed, and would open a stream for nothing
        if self.open_stream is None:
            self._streams_opened += 1
            self._hands_over = False  # nobody took him
            self.open_stream = str(self._streams_opened)
            opening = {"type": "playStream.start", "streamId": self.open_stream}
            self._queue(opening | {"mediaFormat": self.media_format})
        # Neither base64 nor our own ids need escaping, so this is JSON without an encoder.
        head = f'{{"type":"playStream.chunk","streamId":"{self.open_stream}","audioChunk":"'
        self._outbox.append(head + audio.text + '"}')

    def _close_stream(self) -> None:
        if self.open_stream is not None:
            self._queue({"type": "playStream.stop", "streamId": self.open_stream})
            self.open_stream = None

    def _clear(self) -> None:
        self._close_stream()
        if self._streams_opened and self._stage is Stage.ACCEPTED:
            # A closed stream plays on to its end; only this, or the caller's speech, stops it.
            self._command({"type": "event", "name": "abortPrompts"})

    def _answer(self, silence_ms: int) -> None:
        self._must_be_accepted()
        if self._streams_opened:
            return  # the first play stream has answered the phone
        assert self.audio_format is not None
        zero = b"\xff" if self.audio_format == PCMU_8K else b"\x00"
        silence = zero * (self.audio_format.bytes_per_ms * silence_ms)
        self._play(Audio(b64encode(silence).decode("ascii"), self.audio_format))
        self._close_stream()

    def _tell_speech(self, what: str) -> None:
        self._must_be_accepted()
        kind = f"userStream.speech.{what}"
        self._queue({"type": kind} | _participant(self._stream.party))

    def _command(self, activity: dict[str, Any]) -> None:
        self._must_be_accepted()
        self._queue({"type": "activities", "activities": [activity]})

    def _must_be_accepted(self) -> None:
        if self._stage is not Stage.ACCEPTED:
            raise LocalProtocolError("nothing may be said to VAIC outside an accepted session")

    def _queue(self, message: dict[str, Any]) -> None:
        # The standard encoder: a reason may hold what UTF-8 cannot, and is escaped by it.
        self._outbox.append(json.dumps(message, separators=(",", ":")))


def _participant(name: str | None) -> dict[str, str]:
    """As the last fields of a message: VAIC wants it back where it gave one, and no nulls."""
    return {} if name is None else {"participant": name}
