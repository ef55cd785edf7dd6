"""What the pretend model says, and what it hears the caller say."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolCallReply:
    name: str
    arguments: str = "{}"
    """JSON, as the model writes it; it need not be well-formed."""


@dataclass(frozen=True, slots=True)
class McpCallReply:
    """The model uses a tool of an MCP server, which the service itself runs."""

    server_label: str
    name: str
    arguments: str = "{}"
    output: str = "done"
    error: str | None = None
    """What the server says in place of the output."""
    seconds: float = 0.5
    """How long it takes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One response. Text and tool calls together make a preamble and then the calls."""

    text: str = ""
    pcm24k: bytes | None = None
    """How it sounds, PCM at 24 kHz; ``None``: something like speech, of a natural length."""
    tool_calls: tuple[ToolCallReply, ...] = ()
    delay_seconds: float = 0.0
    """How much longer than usual the model thinks before it speaks."""
    mcp_calls: tuple[McpCallReply, ...] = ()
    """They come last."""


DEFAULT_REPLIES = (
    Reply("Thank you for calling. How can I help you today?"),
    Reply("I see. Could you tell me a little more about that?"),
    Reply("All right, I have made a note of that. Is there anything else?"),
)

OUT_OF_BAND_REPLY = Reply("Noted.")


@dataclass(slots=True)
class ReplyScript:
    """Replies in order, for the responses in the default conversation; then the usual, in a ring.

    A response that a fault lets fail, come empty, be withheld, freeze or drop leaves its reply to
    the next one.
    """

    replies: Sequence[Reply] = ()
    heard: Sequence[str] = ()
    """The caller's turns in words, in order, for the transcriptions."""
    usual: Sequence[Reply] = DEFAULT_REPLIES
    usually_heard: str = "I have a question about my order."
    out_of_band: Reply = OUT_OF_BAND_REPLY
    mcp_unlisted: Sequence[str] = ()
    """The MCP servers, by label, whose tools cannot be listed."""
    listens: Callable[[], str] | None = None
    """What a caller whom one can ask has said since; in place of ``heard``."""
    _used: int = field(default=0, init=False)
    _turns: int = field(default=0, init=False)
    _small_talk: list[Sequence[Mapping[str, Any]]] = field(default_factory=list, init=False)

    @property
    def unused(self) -> int:
        """So many of the replies were not asked for yet."""
        return max(0, len(self.replies) - self._used)

    @property
    def not_written(self) -> set[str]:
        """The ids of the items with which the model helped itself when no reply was left."""
        return {item["id"] for items in self._small_talk for item in items}

    def next_reply(self) -> Reply:
        """The reply whose turn it is; it stays so until :meth:`used`."""
        if self._used < len(self.replies):
            return self.replies[self._used]
        return self.usual[(self._used - len(self.replies)) % len(self.usual)]

    def used(self, items: Sequence[Mapping[str, Any]] = ()) -> None:
        """``items``: where those in which it is said will be."""
        if self.replies and not self.unused and self.usual is DEFAULT_REPLIES:
            self._small_talk.append(items)
        self._used += 1

    def next_heard(self) -> str:
        if self.listens is not None:
            return self.listens()
        self._turns += 1
        if self._turns <= len(self.heard):
            return self.heard[self._turns - 1]
        return self.usually_heard
