"""Every event of the Realtime API's reference, in both directions."""

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import pytest
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent

from opusbridge import effects, events
from opusbridge.privacy import Private
from opusbridge.protocols.realtime import RealtimeProtocol
from opusbridge.sound import PCM_24K, PCMA_8K, PCMU_8K, Audio
from opusbridge.usage import Usage
from tests.openai_oracle import assert_client_event, assert_server_event

GOLDEN = Path(__file__).parents[1] / "golden" / "realtime"
TEXTS = {path.stem: path.read_text() for path in sorted(GOLDEN.glob("*.json"))}
FROM_CLIENT = [name for name in TEXTS if name.startswith("client.")]
FROM_SERVER = [name for name in TEXTS if name.startswith("server.")]
FROM_BETA = [name for name in TEXTS if name.startswith("beta.")]

USAGE = Usage(input_text=120, input_audio=40, cached=64, output_text=8, output_audio=22)
ACTIVE = "conversation_already_has_active_response"
ACTIVE_TEXT = (
    "Conversation already has an active response in progress: resp_7Q."
    " Wait until the response is finished before creating a new one."
)
SERVER_TROUBLE = "The server had an error while processing your request. Sorry about that!"


def error(code: str | None, message: str, **more: Any) -> events.ModelErred:
    more = {"type": "invalid_request_error", "message": Private(message), **more}
    return events.ModelErred(code, **more)


def words(text: str, final: bool, written: bool = False) -> events.ModelWords:
    return events.ModelWords("resp_7Q", "item_a1", 0, Private(text), final, written)


def done(status: str, reason: str | None = None, **more: Any) -> events.ResponseDone:
    return events.ResponseDone("resp_7Q", status, reason, **more)


# What each text of the server means; those not here mean nothing to a call.
MCP = ("crm", "find_customer", Private('{"number":"77"}'))
ASKED = events.ApprovalAsked("mcpr_1", *MCP)
HTTP_ERROR = '{"type":"http_error","code":502,"message":"Bad gateway"}'

MEANINGS: dict[str, list[events.FromModel]] = {
    "server.mcp_list_tools.failed": [events.McpListFailed("mcpl_1")],
    "server.response.mcp_call.completed": [events.McpSettled("mcp_1")],
    "server.response.mcp_call.failed": [events.McpSettled("mcp_1")],
    "server.conversation.item.done.mcp_call": [
        events.McpUsed("mcp_1", *MCP, Private('{"name":"Ada"}'), False, "mcpr_1"),
        events.McpSettled("mcp_1"),
    ],
    "server.response.output_item.done.mcp_call.waiting": [
        events.OutputItemDone("resp_7Q", "mcp_1", "mcp_call", "completed")
    ],
    "server.response.output_item.done.mcp_call.failed": [
        events.McpUsed("mcp_1", *MCP, Private(HTTP_ERROR), True),
        events.McpSettled("mcp_1"),
        events.OutputItemDone("resp_7Q", "mcp_1", "mcp_call", "completed"),
    ],
    "server.conversation.item.done.mcp_approval_request": [ASKED],
    "server.response.output_item.done.mcp_approval_request": [
        replace(ASKED, response_id="resp_7Q"),
        events.OutputItemDone("resp_7Q", "mcpr_1", "mcp_approval_request", "completed"),
    ],
    "server.session.created": [events.SessionCreated("sess_01")],
    "server.session.updated": [events.SessionConfigured(PCMU_8K, PCMA_8K)],
    "server.error": [
        error(
            ACTIVE,
            ACTIVE_TEXT,
            about="response.create",
            response_active=True,
            active_response_id="resp_7Q",
        )
    ],
    "server.error.active-response.no-event-id": [
        error(
            ACTIVE,
            ACTIVE_TEXT,
            about="response.create",
            response_active=True,
            active_response_id="resp_7Q",
        )
    ],
    "server.error.active-response.2025-04": [
        error(
            ACTIVE,
            "Conversation already has an active response",
            about="response.create",
            response_active=True,
        )
    ],
    "server.error.active-response.2025-01": [
        error(
            None,
            "Conversation already has an active response",
            about="response.create",
            response_active=True,
        )
    ],
    "server.error.cancel-not-active": [
        error(
            "response_cancel_not_active",
            "Cancellation failed: no active response found",
            about="response.cancel",
        )
    ],
    "server.error.commit-empty": [
        error(
            "input_audio_buffer_commit_empty",
            "Error committing input audio buffer: buffer too small. Expected at least 100ms"
            " of audio, but buffer only has 0.00ms of audio.",
            about="input_audio_buffer.commit",
        )
    ],
    "server.error.already-shorter": [
        error(
            "invalid_value",
            "Audio content of 2450ms is already shorter than 2535ms",
            about="conversation.item.truncate",
        )
    ],
    "server.error.not-truncatable": [
        error(
            "unsupported_content_type",
            "Only model output audio messages can be truncated",
            about="conversation.item.truncate",
        )
    ],
    "server.error.item-truncate": [
        error(
            "item_truncate_invalid_item_id",
            "Item with item_id not found: item_x",
            about="conversation.item.truncate",
        )
    ],
    "server.error.item-delete": [
        error(
            "item_delete_invalid_item_id",
            "Error deleting item: the item with id 'item_x' does not exist.",
            about="conversation.item.delete",
        )
    ],
    "server.error.item-create": [
        error(
            "item_create_invalid_previous_item_id",
            "Error adding item: the previous item with id 'item_x' does not exist.",
            about="conversation.item.create",
        )
    ],
    "server.error.tool-call-id": [
        error(
            "invalid_tool_call_id",
            "Tool call ID 'call_x' not found in conversation.",
            about="conversation.item.create",
            tool_call_id="call_x",
        )
    ],
    "server.error.unknown-parameter": [
        error(
            "unknown_parameter",
            "Unknown parameter: 'session.x'.",
            about="session.update",
            param="session.x",
        )
    ],
    "server.error.invalid-type": [
        error(
            "invalid_value",
            "Invalid value: 'nope'. Supported values are: 'session.update' and 'response.cancel'.",
            param="type",
        )
    ],
    "server.error.rate-limit": [
        error(
            "rate_limit_exceeded",
            "Rate limit reached. Please try again in 1.5s.",
            type="rate_limit_exceeded",
            retry_after_seconds=1.5,
        )
    ],
    "server.error.server-error": [error(None, SERVER_TROUBLE, type="server_error")],
    "server.error.session-expired": [
        error("session_expired", "Your session hit the maximum duration of 60 minutes.")
    ],
    "server.input_audio_buffer.speech_started": [events.SpeechStarted("item_u9", 41250)],
    "server.input_audio_buffer.speech_stopped": [events.SpeechStopped("item_u9", 43120)],
    "server.input_audio_buffer.committed": [events.TurnCommitted("item_u9", "item_a1")],
    "server.input_audio_buffer.committed.first": [events.TurnCommitted("item_u1", None)],
    "server.conversation.item.added": [events.ItemAdded("item_u9", "item_a1", "message", "user")],
    "server.conversation.item.added.function_call_output": [
        events.ItemAdded("item_o1", "item_f1", "function_call_output", None)
    ],
    "server.conversation.item.added.first": [
        events.ItemAdded("item_a1", None, "message", "assistant")
    ],
    "server.conversation.item.created": [events.ItemAdded("item_u9", "item_u1", "message", "user")],
    "server.conversation.item.truncated": [events.ItemTruncated("item_a1", 1480)],
    "server.conversation.item.deleted": [events.ItemDeleted("item_u9")],
    "server.conversation.item.input_audio_transcription.delta": [
        events.CallerTranscribed("item_u9", Private("Where is"), final=False)
    ],
    "server.conversation.item.input_audio_transcription.completed": [
        events.CallerTranscribed("item_u9", Private("Where is my order?"), final=True)
    ],
    "server.conversation.item.input_audio_transcription.completed.duration": [
        events.CallerTranscribed("item_u9", Private(""), final=True)
    ],
    "server.conversation.item.input_audio_transcription.failed": [
        events.TranscriptionFailed("item_u9")
    ],
    "server.response.created": [events.ResponseCreated("resp_7Q", "rc-17", True)],
    "server.response.created.auto": [events.ResponseCreated("resp_8A", None, True)],
    "server.response.created.out-of-band": [events.ResponseCreated("resp_OB", None, False)],
    "server.response.output_item.added": [events.OutputItemAdded("resp_7Q", "item_a1", "message")],
    "server.response.output_item.added.function_call": [
        events.OutputItemAdded("resp_7Q", "item_f1", "function_call", name="lookup_order")
    ],
    "server.response.output_item.added.mcp_call": [
        events.OutputItemAdded("resp_7Q", "mcp_1", "mcp_call", *MCP[:2])
    ],
    "server.response.output_item.done": [
        events.OutputItemDone("resp_7Q", "item_a1", "message", "completed")
    ],
    "server.response.output_item.done.function_call": [
        events.ToolCalled(
            "resp_7Q", "item_f1", "call_AB12", "lookup_order", Private('{"id":"77"}')
        ),
        events.OutputItemDone("resp_7Q", "item_f1", "function_call", "completed"),
    ],
    "server.response.output_item.done.function_call.incomplete": [
        events.OutputItemDone("resp_7Q", "item_f1", "function_call", "incomplete")
    ],
    "server.response.function_call_arguments.delta": [events.ResponseWentOn("resp_7Q")],
    "server.response.mcp_call_arguments.delta": [events.ResponseWentOn("resp_7Q")],
    "server.response.output_audio.delta": [
        events.ModelSpoke("resp_7Q", "item_a1", 0, Audio("f39/f39/", PCM_24K))
    ],
    "server.response.output_audio.done": [events.ModelAudioDone("resp_7Q", "item_a1", 0)],
    "server.response.output_audio_transcript.delta": [words("Your order", final=False)],
    "server.response.output_audio_transcript.delta.padded": [words(" left", final=False)],
    "server.response.output_audio_transcript.done": [
        words("Your order left the warehouse.", final=True)
    ],
    "server.response.output_text.delta": [words("calm", final=False, written=True)],
    "server.response.output_text.done": [words("calm and kind", final=True, written=True)],
    "server.response.done": [done("completed", usage=USAGE)],
    "server.response.done.turn_detected": [done("cancelled", "turn_detected", usage=USAGE)],
    "server.response.done.before-any-output": [
        done("cancelled", "turn_detected", usage=Usage(), empty=True)
    ],
    "server.response.done.client_cancelled": [done("cancelled", "client_cancelled", usage=USAGE)],
    "server.response.done.max_output_tokens": [
        done("incomplete", "max_output_tokens", usage=USAGE)
    ],
    "server.response.done.empty": [done("completed", usage=Usage(), empty=True)],
    "server.response.done.out-of-band": [
        events.ResponseDone("resp_OB", "completed", in_conversation=False)
    ],
    "server.response.done.failed": [
        events.ResponseDone(
            "resp_7R", "failed", error_code="inference_rate_limit_exceeded", empty=True
        )
    ],
    "server.response.done.failed.rate-limit": [
        events.ResponseDone(
            "resp_7R",
            "failed",
            error_code="rate_limit_exceeded",
            retry_after_seconds=360.0,
            empty=True,
        )
    ],
    "server.response.done.failed.server-error": [
        events.ResponseDone("resp_7R", "failed", error_code="server_error", empty=True)
    ],
    "beta.session.updated": [events.SessionConfigured(PCMU_8K, PCM_24K)],
    "beta.response.audio.delta": [
        events.ModelSpoke("resp_7Q", "item_a1", 0, Audio("f39/f39/", PCM_24K))
    ],
    "beta.response.audio.done": [events.ModelAudioDone("resp_7Q", "item_a1", 0)],
    "beta.response.audio_transcript.delta": [words("Your order", final=False)],
    "beta.response.audio_transcript.done": [words("Your order left the warehouse.", final=True)],
    "beta.response.text.delta": [words("calm", final=False, written=True)],
    "beta.response.text.done": [words("calm and kind", final=True, written=True)],
}

TOOL = {
    "name": "lookup_order",
    "description": "Find an order",
    "parameters": MappingProxyType(
        {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    ),
}

# What each of our texts is made from; those not here we never send.
CAUSES: dict[str, effects.ToModel] = {
    "client.session.update": effects.ConfigureSession(
        effects.SessionConfig(
            instructions="You answer the phone for Example Ltd.",
            audio_format=PCMU_8K,
            tools=(TOOL,),
            turn_detection=effects.TurnDetection("server_vad", False, False),
            transcription_model="gpt-4o-mini-transcribe",
            language="en",
            noise_reduction="far_field",
            extra={
                "max_output_tokens": 1024,
                "truncation": "auto",
                "audio": {"output": {"speed": 1.1}},
            },
        )
    ),
    "client.session.update.semantic-vad": effects.ConfigureSession(
        effects.SessionConfig(
            instructions="",
            audio_format=PCMA_8K,
            voice="cedar",
            turn_detection=effects.TurnDetection("semantic_vad", True, True, eagerness="high"),
            transcription_model="whisper-1",
        )
    ),
    "client.session.update.no-turn-detection": effects.ConfigureSession(
        effects.SessionConfig(instructions="", audio_format=PCM_24K, language="en")
    ),
    "client.session.update.empty": effects.FeelPulse(),
    "client.input_audio_buffer.append": effects.AppendAudio(Audio("//7+/v79", PCMU_8K)),
    "client.input_audio_buffer.commit": effects.CommitAudio(),
    "client.conversation.item.create.assistant": effects.AddText(
        "item_a1", "assistant", Private("Your order left")
    ),
    "client.conversation.item.create.function_call": effects.AddToolCall(
        "item_f1", "call_AB12", "lookup_order", Private('{"id":"77"}')
    ),
    "client.conversation.item.create.function_call_output": effects.AddToolOutput(
        "item_o1", "call_AB12", Private('{"state":"shipped"}')
    ),
    "client.conversation.item.create.message": effects.AddText(
        "item_d1", "user", Private("The caller pressed 1.")
    ),
    "client.conversation.item.create.system": effects.AddText(
        "item_s1", "system", Private("The call was reconnected.")
    ),
    "client.conversation.item.truncate": effects.TruncateItem("item_a1", 0, 1480),
    "client.conversation.item.delete": effects.DeleteItem("item_u9"),
    "client.response.create": effects.CreateResponse("rc-17", "tool_outputs"),
    "client.response.create.instructions": effects.CreateResponse(
        "rc-18", "greeting", "Greet the caller."
    ),
    "client.conversation.item.create.mcp_approval_response": effects.AddApproval(
        "output-3", "mcpr_1", True
    ),
    "client.response.create.words-only": effects.CreateResponse(
        "rc-18", "preamble", "Say: one moment.", by_words_only=True
    ),
    "client.response.cancel": effects.CancelResponse("resp_7Q"),
    "client.response.cancel.any": effects.CancelResponse(None),
}


def types_of(union: Any) -> set[str]:
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0] for member in members}


@pytest.mark.parametrize("name", FROM_SERVER + FROM_BETA)
def test_each_text_of_the_server_means_what_the_reference_says(name: str) -> None:
    protocol = RealtimeProtocol()

    assert protocol.receive(TEXTS[name]) == MEANINGS.get(name, [])
    assert protocol.unknown_messages == 0


@pytest.mark.parametrize("name", CAUSES)
def test_each_effect_is_said_as_the_reference_says_it(name: str) -> None:
    protocol = RealtimeProtocol()

    protocol.send(CAUSES[name])

    (text,) = protocol.messages_to_send()
    assert json.loads(text) == json.loads(TEXTS[name])


def test_no_meaning_and_no_cause_is_left_without_its_golden_text() -> None:
    assert {*MEANINGS, *CAUSES} <= TEXTS.keys()


def test_there_is_a_golden_text_of_every_event_the_provider_knows() -> None:
    def golden(names: list[str]) -> set[str]:
        return {json.loads(TEXTS[name])["type"] for name in names}

    assert golden(FROM_SERVER) == types_of(RealtimeServerEvent)
    assert golden(FROM_CLIENT) == types_of(RealtimeClientEvent)


@pytest.mark.parametrize("name", FROM_SERVER)
def test_the_provider_s_own_client_knows_our_server_texts(name: str) -> None:
    assert_server_event(json.loads(TEXTS[name]))


@pytest.mark.parametrize("name", FROM_CLIENT)
def test_the_provider_s_own_client_knows_our_client_texts(name: str) -> None:
    assert_client_event(json.loads(TEXTS[name]))
