"""How a reply becomes events: items and parts opened, filled with deltas, and closed again.

A production is a generator of waits in seconds. Whoever runs it may stop it between any two
events; :meth:`Production.close_open_item` then says what was left unsaid about it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from random import Random
from typing import Any

from opusbridge.audio.formats import Transcoder
from opusbridge.sim.model.conversation import Conversation, Entry, shown
from opusbridge.sim.model.knobs import FaultKind, Knobs
from opusbridge.sim.model.mcp import McpHost
from opusbridge.sim.model.replies import McpCallReply, Reply, ToolCallReply
from opusbridge.sim.model.response import Response
from opusbridge.sim.model.wire import Wire
from opusbridge.sim.tones import speech, speech_ms
from opusbridge.sound import PCM_24K, AudioFormat

#: Arguments of a tool call come in pieces of so many characters, this often.
ARGUMENTS_PIECE = 24
ARGUMENTS_PACE_SECONDS = 0.02

#: Written words come this fast.
TEXT_PACE_SECONDS = 0.02


@dataclass(slots=True)
class _Open:
    """The item being produced."""

    entry: Entry
    index: int
    said: str = ""
    """Transcript, text or arguments sent so far."""


class Production:
    def __init__(
        self,
        response: Response,
        reply: Reply,
        wire: Wire,
        conversation: Conversation,
        knobs: Knobs,
        random: Random,
        tool_called: Callable[[str], None],
        mcp: McpHost,
    ) -> None:
        """``tool_called`` hears the ``call_id`` of each tool call the conversation now holds."""
        self.response = response
        self.reply = reply
        self._wire = wire
        self._conversation = conversation
        self._knobs = knobs
        self._random = random
        self._tool_called = tool_called
        self._mcp = mcp
        self._open: _Open | None = None

    def natural_seconds(self) -> float:
        """About how long it would take to say all this, for a response that says nothing."""
        spoken = speech_ms(self.reply.text) / 1000 / self._knobs.speed if self.reply.text else 0.0
        return self._knobs.first_audio_delay + self.reply.delay_seconds + spoken

    @property
    def half_said(self) -> bool:
        """Whether half of the reply's words and arguments were sent."""
        calls = sum(len(tool_call.arguments) for tool_call in self.reply.tool_calls)
        total = len(self.reply.text) + calls
        return bool(self.response.items) and 2 * self.response.text_length >= total

    def steps(self) -> Iterator[float]:
        """Say everything, pausing for the seconds yielded."""
        wait = self._knobs.first_audio_delay + self.reply.delay_seconds
        yield wait * 0.6
        kind = self.response.fault.kind if self.response.fault else None
        if kind is FaultKind.CONTENTLESS:
            self._finish(self._open_item(), "completed")
            return
        if self.reply.text or self.reply.pcm24k:
            for text, pcm24k in self._messages():
                opened = self._open_message()
                yield wait * 0.4
                wait = 0.0
                if self.response.speaks:
                    yield from self._speak(opened, text, pcm24k)
                else:
                    yield from self._write(opened, text)
                self._close_message(opened, "completed")
        if self.response.asked.get("tool_choice") != "none" and kind is not FaultKind.WRITTEN:
            for tool_call in self.reply.tool_calls:
                yield from self._call_tool(tool_call)
            for mcp_call in self.reply.mcp_calls:
                yield from self._use_mcp(mcp_call)

    def close_open_item(self, *, unsaid: bool = False) -> None:
        """The response was stopped: say that what it was in the middle of is incomplete.

        ``unsaid``: do not, but let ``response.done`` show it so.
        """
        if self._open is None:
            return
        if unsaid:
            item = self._open.entry.item
            if item["type"] == "message":
                item["content"] = self._content(self._open)
            elif item["type"] == "function_call":
                item["arguments"] = self._open.said
            if "status" in item:
                item["status"] = "incomplete"
            self._open = None
            return
        if self._open.entry.item["type"] == "message":
            self._close_message(self._open, "incomplete")
        elif self._open.entry.item["type"] == "function_call":
            self._close_tool_call(self._open, "incomplete")
        else:
            self._finish(self._open, "incomplete")

    def _messages(self) -> list[tuple[str, bytes]]:
        """The reply's words and sound, split over as many items as the knobs ask for."""
        words = self.reply.text.split(" ")
        count = max(1, min(self._knobs.message_items, len(words)))
        bounds = [len(words) * n // count for n in range(count + 1)]
        texts = [" ".join(words[a:b]) for a, b in pairwise(bounds)]
        if self.reply.pcm24k is None:
            return [(text, speech(text) if self.response.speaks else b"") for text in texts]
        samples = len(self.reply.pcm24k) // 2
        cuts = [2 * (samples * n // count) for n in range(count + 1)]
        sounds = [self.reply.pcm24k[a:b] for a, b in pairwise(cuts)]
        return list(zip(texts, sounds, strict=True))

    # -- messages

    def _open_message(self) -> _Open:
        opened = self._open_item()
        part = {"type": "audio", "transcript": ""} if self.response.speaks else _text_part("")
        self._say("response.content_part.added", **self._part_ids(opened), part=part)
        return opened

    def _open_item(self) -> _Open:
        item = {
            "id": self._wire.new_id("item"),
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        return self._add(Entry(item, format=self.response.format))

    def _speak(self, opened: _Open, text: str, pcm24k: bytes) -> Iterator[float]:
        ids = self._part_ids(opened)
        sound = converted(pcm24k, self.response.format)
        words = text.split(" ") if text else []
        sent_words = sent = 0
        for size in self._delta_sizes(len(sound)):
            piece = sound[sent : sent + size]
            sent += len(piece)
            upto = -(-len(words) * sent // len(sound))
            if delta := " ".join(words[sent_words:upto]):
                delta = delta if sent_words == 0 else " " + delta
                opened.said += delta
                self.response.text_length += len(delta)
                self._say("response.output_audio_transcript.delta", **ids, delta=delta)
            sent_words = upto
            if not opened.entry.truncated:
                opened.entry.audio += piece
            ms = len(piece) / self.response.format.bytes_per_ms
            self.response.audio_ms += ms
            delta = b64encode(piece).decode()
            self._say("response.output_audio.delta", **ids, delta=delta)
            yield ms / 1000 / self._knobs.speed

    def _delta_sizes(self, total: int) -> Iterator[int]:
        format = self.response.format
        while total > 0:
            size = format.bytes_per_ms * self._random.randint(*self._knobs.delta_ms)
            if self._knobs.odd_deltas:
                size += format.sample_bytes * (2 * self._random.randint(1, 3) + 1)
            yield size
            total -= size

    def _write(self, opened: _Open, text: str) -> Iterator[float]:
        for word in _pieces(text.split(" ")):
            opened.said += word
            self.response.text_length += len(word)
            self._say("response.output_text.delta", **self._part_ids(opened), delta=word)
            yield TEXT_PACE_SECONDS

    def _close_message(self, opened: _Open, status: str) -> None:
        ids, said = self._part_ids(opened), opened.said
        if self.response.speaks:
            self._say("response.output_audio.done", **ids)
            self._say("response.output_audio_transcript.done", **ids, transcript=said)
            part = {"type": "audio", "transcript": said}
        else:
            self._say("response.output_text.done", **ids, text=said)
            part = _text_part(said)
        self._say("response.content_part.done", **ids, part=part)
        opened.entry.item["content"] = self._content(opened)
        self._finish(opened, status)

    def _content(self, opened: _Open) -> Any:
        if opened.entry.truncated:
            return opened.entry.item["content"]
        if self.response.speaks:
            return [{"type": "output_audio", "transcript": opened.said}]
        return [{"type": "output_text", "text": opened.said}]

    # -- tool calls

    def _call_tool(self, tool_call: ToolCallReply) -> Iterator[float]:
        item = {
            "id": self._wire.new_id("item"),
            "object": "realtime.item",
            "type": "function_call",
            "status": "in_progress",
            "name": tool_call.name,
            "call_id": self._wire.new_id("call"),
            "arguments": "",
        }
        opened = self._add(Entry(item))
        ids = self._ids(opened) | {"call_id": item["call_id"]}
        for start in range(0, len(tool_call.arguments), ARGUMENTS_PIECE):
            delta = tool_call.arguments[start : start + ARGUMENTS_PIECE]
            opened.said += delta
            self.response.text_length += len(delta)
            self._say("response.function_call_arguments.delta", **ids, delta=delta)
            yield ARGUMENTS_PACE_SECONDS
        self._close_tool_call(opened, "completed")
        if not self.response.out_of_band:
            self._tool_called(str(item["call_id"]))

    def _close_tool_call(self, opened: _Open, status: str) -> None:
        item = opened.entry.item
        item["arguments"] = opened.said
        self._say(
            "response.function_call_arguments.done",
            **self._ids(opened),
            call_id=item["call_id"],
            name=item["name"],
            arguments=opened.said,
        )
        self._finish(opened, status)

    # -- tools of MCP servers

    def _use_mcp(self, call: McpCallReply) -> Iterator[float]:
        asked = {"server_label": call.server_label, "name": call.name, "arguments": call.arguments}
        item = {"id": self._wire.new_id("mcp"), "type": "mcp_call"}
        opened = self._add(Entry({**item, **asked}))
        ids = self._ids(opened)
        self._say("response.mcp_call_arguments.delta", **ids, delta=call.arguments)
        yield ARGUMENTS_PACE_SECONDS
        self._say("response.mcp_call_arguments.done", **ids, arguments=call.arguments)
        if self._mcp.needs_approval(call):
            self._ask_for_approval(opened, call, asked)
            return
        self._mcp.begin(opened.entry, opened.index)
        yield call.seconds
        self._mcp.finish(opened.entry, call, opened.index)
        self._finish(opened, "completed")

    def _ask_for_approval(self, called: _Open, call: McpCallReply, asked: dict[str, str]) -> None:
        item = {"id": self._wire.new_id("mcpr"), "type": "mcp_approval_request"}
        request = self._add(Entry({**item, **asked}))
        called.entry.item["approval_request_id"] = request.entry.id
        self._mcp.asked(request.entry.id, called.entry, call, called.index)
        self._finish(request, "completed")

    # -- items

    def _add(self, entry: Entry) -> _Open:
        opened = self._open = _Open(entry, len(self.response.items))
        self.response.items.append(entry.item)
        self._say(
            "response.output_item.added",
            response_id=self.response.id,
            output_index=opened.index,
            item=dict(entry.item),
        )
        if not self.response.out_of_band:
            previous = self._conversation.append(entry)
            item = dict(entry.item)
            self._say("conversation.item.added", previous_item_id=previous, item=item)
        return opened

    def _finish(self, opened: _Open, status: str) -> None:
        self._open = None
        if "status" in opened.entry.item:  # those of MCP servers have none
            opened.entry.item["status"] = status
        item = shown(opened.entry.item)

        def in_output() -> None:
            self._say(
                "response.output_item.done",
                response_id=self.response.id,
                output_index=opened.index,
                item=item,
            )

        def in_conversation() -> None:
            if not self.response.out_of_band:
                previous = self._conversation.before(opened.entry)
                self._say("conversation.item.done", previous_item_id=previous, item=item)

        order = [in_conversation, in_output]
        if self._knobs.item_done_order == "output-first":
            order.reverse()
        for say in order:
            say()

    def _ids(self, opened: _Open) -> dict[str, Any]:
        return {
            "response_id": self.response.id,
            "item_id": opened.entry.id,
            "output_index": opened.index,
        }

    def _part_ids(self, opened: _Open) -> dict[str, Any]:
        return self._ids(opened) | {"content_index": 0}

    def _say(self, type: str, **fields: Any) -> None:
        self._wire.say(type, **fields)


@lru_cache(maxsize=256)
def converted(pcm24k: bytes, format: AudioFormat) -> bytes:
    """The same sound in ``format``."""
    transcoder = Transcoder(PCM_24K, format)
    return transcoder.convert(pcm24k) + transcoder.flush()


def _pieces(words: list[str]) -> list[str]:
    return [word if n == 0 else " " + word for n, word in enumerate(words)]


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
