"""One Twilio media stream: texts in, events out; effects in, texts out.

Twilio says ``connected``, ``start``, then ``media`` every 20 ms with ``dtmf`` and ``mark``
between, and ``stop`` at the end. We may say ``media``, ``mark`` and ``clear`` while it lasts.
Hang-up and transfer are not messages of this wire: see ``by_other_means``.
"""

import json
from enum import Enum, auto
from typing import Any, ClassVar, assert_never

from opusbridge import effects, events
from opusbridge.effects import ToTelephony
from opusbridge.errors import LocalProtocolError, RemoteProtocolError
from opusbridge.events import FromTelephony
from opusbridge.privacy import Private
from opusbridge.protocols.twilio import messages
from opusbridge.sound import PCMU_8K, Audio


class Stage(Enum):
    OPEN = auto()  # the socket is open and nothing was said yet
    GREETED = auto()  # ``connected`` has come
    LIVE = auto()  # between ``start`` and ``stop``
    ENDED = auto()


class TwilioProtocol:
    """One stream of one call. Another stream, even of the same call, is another object."""

    peer: ClassVar[str] = messages.PEER
    frame_kind: ClassVar[str] = "media"
    longest_text: ClassVar[int] = 65_536  # a frame is about 400 bytes

    #: Effects that this wire cannot carry: the shell performs them, and ``send`` refuses them.
    by_other_means: ClassVar[frozenset[type]] = frozenset(
        {effects.HangUp, effects.TransferCall, effects.SendDTMF}
    )

    def __init__(self) -> None:
        self.stream_sid: str | None = None
        self.call_sid: str | None = None
        self.account_sid: str | None = None
        #: What the TwiML's ``<Parameter>`` elements said, the stream token among it.
        self.custom_parameters: Private[dict[str, str]] = Private({})
        #: Messages, and tracks, that we do not know; tolerated, and worth counting.
        self.unknown_messages = 0
        self._stage = Stage.OPEN
        self._sid_json = '""'
        self.around = "", ""
        """What stands around the sound in a ``media`` of ours."""
        self._outbox: list[str] = []

    def receive(self, text: str) -> list[FromTelephony]:
        """What a text frame of Twilio's means.

        Raises RemoteProtocolError, and nothing else; the message is then as if never sent.
        """
        message = messages.parse(text)
        event = message.get("event")
        if type(event) is not str:
            raise RemoteProtocolError(self.peer, "no-type")
        if self._stage is Stage.ENDED:
            raise RemoteProtocolError(self.peer, "out-of-order")
        match event:
            case "media":
                return self._media(message)
            case "connected":
                return self._connected()
            case "start":
                return self._start(messages.read(messages.Start, message).start)
            case "dtmf":
                self._must_be_of_this_stream(message)
                digit = messages.read(messages.DTMF, message).dtmf.digit.upper()
                return [events.DigitsPressed(Private(digit))]
            case "mark":
                self._must_be_of_this_stream(message)
                return [events.MarkReached(messages.mark_name(message))]
            case "stop":
                self._must_be_of_this_stream(message)
                self._stage = Stage.ENDED
                return [events.CallerHungUp("caller-hung-up")]
            case _:
                self.unknown_messages += 1
                return []

    def frame(self, text: str) -> tuple[str, int | None] | None:
        """The caller's sound in ``text``, and Twilio's clock; ``None``: :meth:`receive` must read.

        The same as :meth:`receive` where both find it; nothing is raised or remembered.
        """
        if self._stage is not Stage.LIVE or self.stream_sid is None:
            return None
        return messages.plain_media(text, self.stream_sid)

    def echo(self, text: str) -> str | None:
        """The name of the mark that comes back in ``text``; ``None``: :meth:`receive` must read.

        The same as :meth:`receive` where both find it; nothing is raised or remembered.
        """
        if self._stage is not Stage.LIVE or not text.startswith('{"event":"mark"'):
            return None
        return messages.plain_mark(text, self.stream_sid)

    def stream(self, sound: str, mark: str) -> list[str]:
        """Sound in its format, in base64, and a mark of ours behind it: the texts.

        The same as :meth:`send` makes of both. Raises LocalProtocolError where nothing may be said.
        """
        self._must_be_live()
        head = f'{{"event":"mark","streamSid":{self._sid_json},"mark":{{"name":"'
        return [sound.join(self.around), head + mark + '"}}']

    def masked(self, text: str) -> str:
        """The message without sound and keys, and without what we do not understand."""
        return messages.masked(text)

    def send(self, effect: ToTelephony) -> None:
        """Put an effect into Twilio's words; :meth:`messages_to_send` then has them.

        An effect that means nothing to Twilio is accepted and does nothing. Raises
        LocalProtocolError for what may not be said now, and for ``by_other_means``.
        """
        match effect:
            case effects.PlayAudio(audio):
                self._play(audio)
            case effects.PlaceMark(name):
                if not name:
                    raise LocalProtocolError("a mark needs a name")
                body = json.dumps(name)
                self._say(
                    f'{{"event":"mark","streamSid":{self._sid_json},"mark":{{"name":{body}}}}}'
                )
            case effects.ClearPlayout():
                self._say(f'{{"event":"clear","streamSid":{self._sid_json}}}')
            case effects.ConfigureTelephony() | effects.AnswerCall() | effects.EndPlayout():
                pass
            case (
                effects.TellSpeechStarted()
                | effects.TellSpeechStopped()
                | effects.TellSpeechCommitted()
            ):
                pass
            case effects.HangUp() | effects.TransferCall() | effects.SendDTMF():
                raise LocalProtocolError("Twilio's socket has no message for this effect")
            case _:
                assert_never(effect)

    def call_ended(self, reason: str) -> None:
        """The stream ends with its socket."""

    def messages_to_send(self) -> list[str]:
        """The texts to put on the socket, in order; taking them forgets them."""
        if not self._outbox:
            return []
        outbox, self._outbox = self._outbox, []
        return outbox

    # --- What Twilio says ------------------------------------------------------------------

    def _media(self, message: dict[str, Any]) -> list[FromTelephony]:
        if self._stage is not Stage.LIVE:
            raise RemoteProtocolError(self.peer, "media-before-start")
        self._must_be_of_this_stream(message)
        media = message.get("media")
        if type(media) is not dict:
            raise RemoteProtocolError(self.peer, "bad-fields")
        if media.get("track", "inbound") != "inbound":
            self.unknown_messages += 1
            return []
        payload = messages.check_base64(media.get("payload"))
        at_ms = messages.milliseconds(media.get("timestamp"))
        return [events.CallerSpoke(Audio(payload, PCMU_8K), at_ms)]

    def _connected(self) -> list[FromTelephony]:
        if self._stage is not Stage.OPEN:
            raise RemoteProtocolError(self.peer, "out-of-order")
        self._stage = Stage.GREETED
        return []  # no reply is expected

    def _start(self, start: messages.StartMetadata) -> list[FromTelephony]:
        if self._stage is Stage.LIVE:
            raise RemoteProtocolError(self.peer, "second-start")
        sound = start.mediaFormat
        if (sound.encoding, sound.sampleRate, sound.channels) != ("audio/x-mulaw", 8_000, 1):
            raise RemoteProtocolError(self.peer, "bad-format")
        self._stage = Stage.LIVE
        self.stream_sid, self.call_sid = start.streamSid, start.callSid
        self.account_sid = start.accountSid
        self.custom_parameters = Private(start.customParameters)
        self._sid_json = json.dumps(start.streamSid)
        head = f'{{"event":"media","streamSid":{self._sid_json},"media":{{"payload":"'
        self.around = head, '"}}'
        # ``start`` names neither party: our TwiML put them among the parameters.
        told = start.customParameters
        caller = Private(told["from"]) if told.get("from") else None
        callee = Private(told["to"]) if told.get("to") else None
        kept = {name: value for name, value in told.items() if name != "token"}
        return [
            events.CallArrived(start.callSid, PCMU_8K, caller),
            events.CallStarted(caller, callee, Private(kept)),
        ]

    def _must_be_of_this_stream(self, message: dict[str, Any]) -> None:
        if self._stage is not Stage.LIVE:
            raise RemoteProtocolError(self.peer, "out-of-order")
        if message.get("streamSid") != self.stream_sid:
            raise RemoteProtocolError(self.peer, "unknown-stream")

    # --- What we say -----------------------------------------------------------------------

    def _play(self, audio: Audio) -> None:
        if audio.format != PCMU_8K:
            raise LocalProtocolError("Twilio plays PCMU at 8000 Hz only")
        if audio.size_bytes:
            # Base64 needs no escaping, so this is JSON without an encoder.
            self._say(audio.text.join(self.around))

    def _say(self, text: str) -> None:
        self._must_be_live()
        self._outbox.append(text)

    def _must_be_live(self) -> None:
        if self._stage is not Stage.LIVE:
            raise LocalProtocolError("nothing may be said to Twilio before start or after stop")
