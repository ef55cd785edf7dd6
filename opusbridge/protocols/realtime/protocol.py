"""The Realtime API's language, GA shape: server events in, client events out.

Translation only. Which response is whose, and what waits, is the call's to know; what this
object remembers is what the wire leaves unsaid: the format of the audio deltas, and which
of our events an error speaks of.
"""

from collections.abc import Callable
from typing import Any, Literal, assert_never

import orjson
from pydantic import ValidationError

from opusbridge import effects, events
from opusbridge.effects import ToModel
from opusbridge.errors import RemoteProtocolError
from opusbridge.events import FromModel
from opusbridge.privacy import Private
from opusbridge.protocols.realtime import client_events, errors, messages
from opusbridge.sound import PCM_24K, PCMA_8K, PCMU_8K, Audio, AudioFormat, is_base64
from opusbridge.texts import as_json, from_json

#: How many of our event ids an error may still speak of; errors come within round trips.
SENT_EVENTS_KEPT = 64

#: What ``session.updated`` may call a format; the last three are the beta's words.
FORMATS: dict[str, AudioFormat] = {
    "audio/pcm": PCM_24K,
    "audio/pcmu": PCMU_8K,
    "audio/pcma": PCMA_8K,
    "pcm16": PCM_24K,
    "g711_ulaw": PCMU_8K,
    "g711_alaw": PCMA_8K,
}

#: Our own types are not written by themselves: what is private would be, and in no wire's shape.
_AS_IS = orjson.OPT_PASSTHROUGH_DATACLASS

#: Pieces of what the agent says, several a second; and whether they are text, which nobody hears.
_WORD_DELTAS = {
    "response.output_audio_transcript.delta": False,
    "response.output_text.delta": True,
}

_AUDIO_DELTAS = frozenset({"response.output_audio.delta", "response.audio.delta"})

_Delta = tuple[Literal["sound", "words", "all words"] | None, str]
_NO_DELTA: _Delta = None, ""
#: What is told in short (:meth:`RealtimeProtocol.delta`), and in which field it has it.
_DELTAS: dict[str, _Delta] = {
    "response.output_audio.delta": ("sound", "delta"),
    "response.output_audio_transcript.delta": ("words", "delta"),
    "response.output_audio_transcript.done": ("all words", "transcript"),
}


class RealtimeProtocol:
    """One model socket's worth; a new socket is a new session and needs a new object."""

    def __init__(self) -> None:
        self.unknown_messages = 0
        """Events of a type we have never heard of: tolerated, and worth a metric."""
        self._outbox: list[str] = []
        self._ids = 0
        self._sent: dict[str, str] = {}
        self._output_format = PCM_24K  # the session's default, until we or the server say
        self._looked_at: tuple[str | None, Any] = (None, None)  # a text, and what it holds

    @property
    def output_format(self) -> AudioFormat:
        """Of the agent's sound that comes."""
        return self._output_format

    # --- In ------------------------------------------------------------------------------

    def receive(self, text: str) -> list[FromModel]:
        """What the text means to a call, often nothing.

        Raises :class:`RemoteProtocolError`, and nothing else, for a text that cannot be used.
        """
        looked_at, message = self._looked_at
        if looked_at is not text:
            message = _parsed(text)
        self._looked_at = None, None
        if not isinstance(message, dict):
            raise _unusable("not-json" if message is _NO_JSON else "not-an-object")
        kind = message.get("type")
        if not isinstance(kind, str):
            raise _unusable("no-type")
        if kind in _AUDIO_DELTAS:
            return self._audio_delta(message)
        kind = messages.BETA_NAMES.get(kind, kind)
        if kind in _WORD_DELTAS and (words := _plain_words(kind, message)) is not None:
            return words
        model = messages.SERVER_EVENTS.get(kind)
        if model is None:
            if kind not in messages.UNUSED_EVENTS:
                self.unknown_messages += 1
            return []
        try:
            event = model.model_validate(message)
        except ValidationError:
            raise _unusable("bad-fields") from None
        return TRANSLATIONS[model](self, event)

    def delta(self, text: str) -> events.Delta | None:
        """More of the agent's sound or words, if that is all it is, and it is as it should be.

        ``None`` for all other texts, bad ones too: they are for :meth:`receive`.
        """
        message = _parsed(text)
        kind = message.get("type") if type(message) is dict else None
        what, key = _DELTAS.get(kind, _NO_DELTA) if type(kind) is str else _NO_DELTA
        if what is None:
            self._looked_at = text, message
            return None
        response_id, item_id = message.get("response_id"), message.get("item_id")
        index, delta = message.get("content_index"), message.get(key)
        plain = type(response_id) is type(item_id) is type(delta) is str and type(index) is int
        if not plain or not (is_base64(delta) if what == "sound" else delta):
            self._looked_at = text, message
            return None
        return what, response_id, item_id, index, delta

    def _audio_delta(self, message: dict[str, Any]) -> list[FromModel]:
        response_id, item_id = message.get("response_id"), message.get("item_id")
        index, delta = message.get("content_index") or 0, message.get("delta")
        if not (
            isinstance(response_id, str)
            and isinstance(item_id, str)
            and isinstance(index, int)
            and isinstance(delta, str)
        ):
            raise _unusable("bad-fields")
        if not delta:
            return []
        if not is_base64(delta):
            raise _unusable("bad-base64")
        return [events.ModelSpoke(response_id, item_id, index, Audio(delta, self._output_format))]

    def _session_updated(self, event: messages.SessionUpdated) -> list[FromModel]:
        session = event.session
        audio = session.audio or messages.SessionAudio()
        input_format = _format(audio.input, session.input_audio_format)
        output_format = _format(audio.output, session.output_audio_format)
        self._output_format = output_format or self._output_format
        return [events.SessionConfigured(input_format, output_format)]

    # --- Out -----------------------------------------------------------------------------

    def send(self, effect: ToModel) -> None:
        """Put the client event for ``effect`` in the outbox.

        Raises :class:`LocalProtocolError` for a session in a format the model does not speak.
        """
        match effect:
            case effects.AppendAudio(audio):
                self._outbox.append(append(audio.text))
            case effects.ConfigureSession(session):
                self._say(client_events.session_update(self._id("cfg"), session))
                self._output_format = session.audio_format
            case effects.FeelPulse():
                self._say(client_events.empty_update(self._id("pulse")))
            case effects.CommitAudio():
                self._say(client_events.input_audio_buffer_commit(self._id("commit")))
            case effects.CreateResponse():
                self._say(client_events.response_create(effect))
            case effects.CancelResponse(response_id):
                self._say(client_events.response_cancel(self._id("cancel"), response_id))
            case effects.TruncateItem():
                self._say(client_events.conversation_item_truncate(self._id("trunc"), effect))
            case effects.DeleteItem(item_id):
                self._say(client_events.conversation_item_delete(self._id("del"), item_id))
            case effects.AddToolOutput():
                self._say(client_events.function_call_output(_of_item(effect.item_id), effect))
            case effects.AddApproval():
                self._say(client_events.mcp_approval_response(_of_item(effect.item_id), effect))
            case effects.AddText():
                self._say(client_events.text_message(_of_item(effect.item_id), effect))
            case effects.AddToolCall():
                self._say(client_events.tool_call(_of_item(effect.item_id), effect))
            case _:
                assert_never(effect)

    def messages_to_send(self) -> list[str]:
        """The texts for the socket, in order; taking them forgets them."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def _id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}-{self._ids}"

    def _say(self, event: client_events.ClientEvent) -> None:
        # An agent may hold its tools in mappings that are not dicts.
        self._outbox.append(as_json(event, _plain, _AS_IS).decode())
        if event["event_id"].startswith(errors.ITEM_EVENT):
            return  # it tells of itself what it is
        if len(self._sent) == SENT_EVENTS_KEPT:
            del self._sent[next(iter(self._sent))]
        self._sent[event["event_id"]] = event["type"]


_NO_JSON = object()


def _parsed(text: str) -> Any:
    """What the text holds; :data:`_NO_JSON` if it cannot be read."""
    try:
        return from_json(text)
    except orjson.JSONDecodeError:
        return _NO_JSON


def append(sound: str) -> str:
    """The client event that appends this sound, in base64, to what the model hears."""
    # Base64 needs no escaping, so what came is what goes; it has no event_id, fifty times a second.
    return '{"type":"input_audio_buffer.append","audio":"' + sound + '"}'


def _of_item(item_id: str) -> str:
    """The ``event_id`` of an item we create: a refusal that echoes it names the item."""
    return f"{errors.ITEM_EVENT}{item_id}"


def _plain(value: Any) -> Any:
    """Secrets of the session's tools are private until here."""
    return value.value if isinstance(value, Private) else dict(value)


def _unusable(kind: str) -> RemoteProtocolError:
    return RemoteProtocolError("model", kind)


def _format(direction: messages.Direction | None, beta: str | None) -> AudioFormat | None:
    wire = direction.format if direction is not None else None
    if wire is None:
        return FORMATS.get(beta or "")
    found = FORMATS.get(wire.type)
    agreed = found is not None and wire.rate in (None, found.rate_hz)
    return found if agreed else None


def _transcribed(item_id: str, delta: str | None) -> list[FromModel]:
    return [events.CallerTranscribed(item_id, Private(delta), final=False)] if delta else []


def _response_created(response: messages.Response) -> events.ResponseCreated:
    token = (response.metadata or {}).get("bridge_req")
    return events.ResponseCreated(
        response.id,
        request_id=token if isinstance(token, str) else None,
        in_conversation=response.in_conversation,
    )


def _response_done(response: messages.Response) -> events.ResponseDone:
    details = response.status_details or messages.StatusDetails()
    error = details.error or messages.RealtimeError()
    return events.ResponseDone(
        response.id,
        status=response.status or "unknown",
        reason=details.reason,
        error_code=error.code or error.type,
        retry_after_seconds=errors.retry_after_seconds(error),
        empty=response.empty,
        cut_off=response.cut_off,
        usage=response.usage.counted if response.usage is not None else None,
        in_conversation=response.in_conversation,
    )


def _output_item_added(response_id: str, item: messages.Item) -> events.OutputItemAdded:
    tool = item.server_label, item.name
    return events.OutputItemAdded(response_id, item.id, item.type, *tool)


def _output_item_done(response_id: str, item: messages.Item) -> list[FromModel]:
    status = item.status or "completed"
    done = events.OutputItemDone(response_id, item.id, item.type, status, written=item.written)
    # An incomplete call was cut off, and its arguments with it: it must not be run.
    if item.type != "function_call" or status != "completed":
        return [*_mcp_item(item, response_id), done]
    if item.call_id is None or item.name is None:
        raise _unusable("bad-fields")
    arguments = Private(item.arguments or "")
    return [events.ToolCalled(response_id, item.id, item.call_id, item.name, arguments), done]


def _mcp_item(item: messages.Item, response_id: str | None) -> list[FromModel]:
    """An item the provider or the model made for an MCP server's tool; others mean nothing here.

    An item that cannot be used costs its own message: without one the tool is given up in time.
    """
    if item.type not in ("mcp_approval_request", "mcp_call"):
        return []
    if item.server_label is None or item.name is None:
        raise _unusable("bad-fields")
    arguments = Private(item.arguments or "")
    if item.type == "mcp_approval_request":
        asked = events.ApprovalAsked(item.id, item.server_label, item.name, arguments, response_id)
        return [asked]
    if item.output is None and item.error is None:
        return []  # it waits to be approved, or to be run
    output = item.output if item.error is None else orjson.dumps(item.error).decode()
    used = events.McpUsed(
        item.id,
        item.server_label,
        item.name,
        arguments,
        Private(output or ""),
        failed=item.error is not None,
        approval_request_id=item.approval_request_id,
    )
    return [used, events.McpSettled(item.id)]


def _plain_words(kind: str, message: dict[str, Any]) -> list[FromModel] | None:
    """What a piece of the agent's words means whose fields are just what they should be.

    ``None``: it is not so plain, and for :mod:`~.messages` to judge.
    """
    response_id, item_id = message.get("response_id"), message.get("item_id")
    index, words = message.get("content_index", 0), message.get("delta")
    if type(response_id) is type(item_id) is type(words) is str and type(index) is int:
        plain, written = Private(words), _WORD_DELTAS[kind]
        part = events.ModelWords(response_id, item_id, index, plain, False, written)
        return [part] if words else []
    return None


def _words(part: messages.Part, words: str, *, final: bool) -> events.ModelWords:
    written = isinstance(part, messages.ResponseOutputTextDelta | messages.ResponseOutputTextDone)
    return events.ModelWords(
        part.response_id, part.item_id, part.content_index, Private(words), final, written
    )


def _word_delta(
    event: messages.ResponseOutputAudioTranscriptDelta | messages.ResponseOutputTextDelta,
) -> list[FromModel]:
    return [_words(event, event.delta, final=False)] if event.delta else []


Translation = Callable[[RealtimeProtocol, Any], list[FromModel]]

#: What each of :data:`~.messages.SERVER_EVENTS` means to a call. A table, because asking in turn
#: for twenty kinds costs more than all the rest.
TRANSLATIONS: dict[type[messages.ServerEvent], Translation] = {
    messages.SessionCreated: lambda _, e: [events.SessionCreated(e.session.id or "")],
    messages.SessionUpdated: RealtimeProtocol._session_updated,
    messages.Error: lambda it, e: [errors.erred(e.error, it._sent)],
    messages.InputAudioBufferSpeechStarted: lambda _, e: [
        events.SpeechStarted(e.item_id, e.audio_start_ms)
    ],
    messages.InputAudioBufferSpeechStopped: lambda _, e: [
        events.SpeechStopped(e.item_id, e.audio_end_ms)
    ],
    messages.InputAudioBufferCommitted: lambda _, e: [
        events.TurnCommitted(e.item_id, e.previous_item_id)
    ],
    messages.ConversationItemAdded: lambda _, e: [
        events.ItemAdded(e.item.id, e.previous_item_id, e.item.type, e.item.role)
    ],
    messages.ConversationItemDone: lambda _, e: _mcp_item(e.item, None),
    messages.McpListToolsFailed: lambda _, e: [events.McpListFailed(e.item_id)],
    messages.McpCallSettled: lambda _, e: [events.McpSettled(e.item_id)],
    messages.ConversationItemTruncated: lambda _, e: [
        events.ItemTruncated(e.item_id, e.audio_end_ms)
    ],
    messages.ConversationItemDeleted: lambda _, e: [events.ItemDeleted(e.item_id)],
    messages.ConversationItemInputAudioTranscriptionDelta: lambda _, e: _transcribed(
        e.item_id, e.delta
    ),
    messages.ConversationItemInputAudioTranscriptionCompleted: lambda _, e: [
        events.CallerTranscribed(e.item_id, Private(e.transcript or ""), final=True)
    ],
    messages.ConversationItemInputAudioTranscriptionFailed: lambda _, e: [
        events.TranscriptionFailed(e.item_id)
    ],
    messages.ResponseCreated: lambda _, e: [_response_created(e.response)],
    messages.ResponseDone: lambda _, e: [_response_done(e.response)],
    messages.ResponseOutputItemAdded: lambda _, e: [_output_item_added(e.response_id, e.item)],
    messages.ResponseOutputItemDone: lambda _, e: _output_item_done(e.response_id, e.item),
    messages.ResponseArgumentsDelta: lambda _, e: (
        [events.ResponseWentOn(e.response_id)] if e.response_id else []
    ),
    messages.ResponseOutputAudioDone: lambda _, e: [
        events.ModelAudioDone(e.response_id, e.item_id, e.content_index)
    ],
    messages.ResponseOutputAudioTranscriptDelta: lambda _, e: _word_delta(e),
    messages.ResponseOutputAudioTranscriptDone: lambda _, e: [_words(e, e.transcript, final=True)],
    messages.ResponseOutputTextDelta: lambda _, e: _word_delta(e),
    messages.ResponseOutputTextDone: lambda _, e: [_words(e, e.text, final=True)],
}
