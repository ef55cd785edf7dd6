"""The model uses its tools: they are run, their outputs told, and answered once.

While one is at work nobody waits in silence: the model says something first where the tool asks
for it and the model has not said anything itself, and after a while the tool's filler is played.
"""

from collections.abc import Callable
from typing import assert_never

from opusbridge import effects, events
from opusbridge.call.barge_in import BargeIn
from opusbridge.call.history import History, ToolUse
from opusbridge.call.mcp import McpWork
from opusbridge.call.model_side import Item
from opusbridge.call.openings import Openings
from opusbridge.call.pending import Cause, PendingUserInput, Why
from opusbridge.call.policy import CallPolicy, ToolTraits
from opusbridge.call.response import ResponseLifecycle
from opusbridge.call.tools import MOST_RUNNING, ToolDesk
from opusbridge.call.transcript import Transcript
from opusbridge.effects import Effect, Note
from opusbridge.privacy import Private

TOO_MANY_TOOLS = '{"error": "too many tools are running"}'

#: A tool that hangs up so soon was called for that.
AT_ONCE_SECONDS = 1.0

USUAL = ToolTraits()


class ToolWork:
    """Every method takes ``now`` in seconds and returns effects in the order they must go."""

    def __init__(
        self,
        policy: CallPolicy,
        response: ResponseLifecycle,
        history: History,
        transcript: Transcript,
        barge_in: BargeIn,
        tell: Callable[[Item], list[Effect]],
        call_ms: Callable[[float], int],
    ) -> None:
        """``tell`` puts an item before the model."""
        self._traits = policy.tools
        self._response, self._history, self._transcript = response, history, transcript
        self._barge_in, self._tell, self._call_ms = barge_in, tell, call_ms
        self.words_of: str | None = None
        """The last response that said more than that the caller is to wait, or a later file's
        item."""
        self.leave_taken = False
        """For a hang-up words were heard that were not over when it was wished, or were said
        beside the tool that was called for it: others of before may be about anything. A transfer
        needs none."""
        self._called: dict[str, tuple[str, float]] = {}  # that run: by which response, and when
        self._desk = ToolDesk()
        self._openings = Openings(transcript)
        self._mcp = McpWork(self._desk, history, transcript, self._openings)
        self._outputs = 0
        self._latest = ""  # the last response that made something
        self._spoke: str | None = None  # the last response that made sound, or its tool did
        self._preamble: str | None = None  # the last response that is nothing but one

    @property
    def running(self) -> int:
        return self._desk.running

    @property
    def owing(self) -> bool:
        """Whether the caller waits for any: some run of which nothing is to be said."""
        return self._desk.owing(self._goodbye)

    @property
    def owing_words(self) -> bool:
        """The same of any beside which the agent has said nothing."""
        return self._desk.owing_words

    @property
    def _goodbye(self) -> str | None:
        """The response that took leave of the caller: its tools get no reply."""
        return self._spoke if self._barge_in.leaving and self.leave_taken else None

    @property
    def busy(self) -> bool:
        """Whether any is at work, or was used by a response that is not over."""
        return self._desk.busy

    def is_running(self, tool_call_id: str) -> bool:
        return self._desk.is_running(tool_call_id)

    def said_beside(self, tool_call_id: str, now: float) -> bool:
        """Whether the response that called this tool just now has said something beside it."""
        response_id, at = self._called.get(tool_call_id, ("", now))
        return response_id == self.words_of and now <= at + AT_ONCE_SECONDS

    @property
    def filler(self) -> tuple[float, str] | None:
        """Of the tools that run, who fills a silence first: after how many seconds, and which."""
        waits = [
            (traits.filler_after, name)
            for name, traits in self._desk.at_work
            if traits.filler_after is not None
        ]
        return min(waits, default=None)

    def response_created(self, response_id: str, asked: PendingUserInput | None) -> None:
        """``asked``: what waited before, all of which this one has taken in."""
        if asked is not None and all(cause.why is Why.PREAMBLE for cause in asked.causes):
            self._preamble = response_id

    def agent_spoke(self, response_id: str) -> None:
        self._spoke = response_id
        if response_id != self._preamble:
            self.words_of = response_id
            self._desk.agent_spoke()

    def file_spoke(self, item_id: str, tool_call_id: str) -> None:
        """Words of the agent's in a file, which are a goodbye if it leaves while they are heard.
        Those that a tool at work has played its response has said."""
        self.words_of = item_id
        if tool_call_id in self._called:
            self._spoke = self._called[tool_call_id][0]
            self._desk.file_spoke(self._spoke)

    def called(self, event: events.ToolCalled, now: float) -> list[Effect]:
        found = self._response.seen(event.response_id, True, now)
        traits = self._traits.get(event.name, USUAL)
        silent = self._spoke != event.response_id
        if not self._desk.called(event.response_id, event.tool_call_id, event.name, traits, silent):
            return [*found, Note("stray", "tool-call", (event.tool_call_id,))]
        self._called[event.tool_call_id] = event.response_id, now
        use = ToolUse(event.response_id, event.item_id, event.name, event.arguments)
        self._history.tool_called(event.tool_call_id, use)
        wanted = f"{event.name}({event.arguments.value})"
        withheld, at_ms = self._openings.met_a_pause(event.item_id), self._call_ms(now)
        self._transcript.used(event.tool_call_id, event.item_id, wanted, at_ms, withheld)
        if self._desk.running > MOST_RUNNING:
            found.append(Note("dropped-tool", "too-many", (event.tool_call_id,)))
            refusal = Private(TOO_MANY_TOOLS)
            return found + self.finished(event.tool_call_id, refusal, failed=True, now=now)
        return [*found, effects.RunTool(event.tool_call_id, event.name, event.arguments)]

    def told(self, event: events.ToolFinished | events.ApprovalDecided, now: float) -> list[Effect]:
        """By the shell, in which tools and policies run."""
        if isinstance(event, events.ToolFinished):
            return self.finished(event.tool_call_id, event.output, event.failed, now)
        return self._decided(event.item_id, event.approve, now)

    def finished(
        self, tool_call_id: str, output: Private[str], failed: bool, now: float
    ) -> list[Effect]:
        """The output goes at once; the reply to it through the door."""
        if not self._desk.is_running(tool_call_id):
            return [Note("stray", "tool-output", (tool_call_id,))]
        self._called.pop(tool_call_id, None)
        self._transcript.answered(tool_call_id, output.value, failed, self._call_ms(now))
        self._outputs += 1
        item_id = f"output-{self._outputs}"
        self._history.tool_answered(tool_call_id, item_id, output)
        found = self._tell(effects.AddToolOutput(item_id, tool_call_id, output))
        return found + self._answer(self._desk.finished(tool_call_id, item_id, failed), now)

    # --- Tools of MCP servers -----------------------------------------------------------

    def item_begun(self, event: events.OutputItemAdded, now: float) -> list[Effect]:
        self._latest = event.response_id
        found = self._response.seen(event.response_id, True, now)
        if event.kind != "message":
            self._openings.began(event.item_id)
        if event.kind == "mcp_call":
            self._mcp.began(event, self._spoke, now)
            self._provider_at_work(now)
        return found

    def item_done(self, event: events.OutputItemDone, now: float) -> list[Effect]:
        """A call that was cut off is never run: nothing comes of it."""
        found = self._response.seen(event.response_id, False, now)
        if (event.kind, event.status) == ("mcp_call", "incomplete"):
            found += self._dropped(self._mcp.settled(event.item_id, None), now)
            self._provider_at_work(now)
        return found

    def mcp(self, event: events.OfMcp, now: float) -> list[Effect]:
        match event:
            case events.McpListFailed(item_id):
                return [Note("mcp", "unlisted", (item_id,))]
            case events.ApprovalAsked():
                at_ms = self._call_ms(now)
                return self._mcp.asked(event, self._latest, self._spoke, at_ms, now)
            case events.McpUsed():
                self._mcp.used(event, self._call_ms(now))
                done = event.item_id, event.approval_request_id
                gone, settled = self._mcp.run_by_another(*done), self._mcp.settled(*done)
                self._provider_at_work(now)
                return self._settled(settled, event.failed, now) + self._dropped(gone, now)
            case events.McpSettled(item_id):
                settled = self._mcp.settled(item_id, None)
                self._provider_at_work(now)
                return self._settled(settled, False, now)
            case _:
                assert_never(event)

    def _provider_at_work(self, now: float) -> None:
        """A response shows nothing of itself while it waits for such a tool."""
        until = self._mcp.busy_until(self._response.response_id)
        self._response.door.at_work(until, now)

    def _decided(self, item_id: str, approve: bool, now: float) -> list[Effect]:
        """The answer goes at once; if it is no, the model is asked to speak of that."""
        noted = self._mcp.decided(item_id, approve, self._call_ms(now))
        if noted is None:
            return [Note("stray", "approval", (item_id,))]
        self._outputs += 1
        answer = effects.AddApproval(f"output-{self._outputs}", item_id, approve)
        found = [noted, *self._tell(answer)]
        if approve:
            return found
        return found + self._settled(self._mcp.refused(item_id), True, now, answer.item_id)

    def used_by(self, response_id: str) -> bool:
        """Whether this response, which is over now, called any of ours, or one of a server's of
        which more is to be said."""
        return self._history.called_a_tool(response_id) or self._desk.will_reply(response_id)

    def go_on_from(self, response_id: str | None) -> bool:
        """Whether the reply to our tools goes on where this response, cut off now, stopped."""
        return self._history.called_a_tool(response_id) and self._desk.will_reply(response_id)

    def lost(self, now: float) -> list[Effect]:
        """The session is; our own tools go on, those of MCP servers ran in it."""
        return self._given_up(self._mcp.lost(), "lost", now)

    @property
    def deadline(self) -> float | None:
        return self._mcp.deadline

    def timed_out(self, now: float) -> list[Effect]:
        return self._given_up(self._mcp.overdue(now), "overdue", now)

    def _given_up(self, settled: list[str], why: str, now: float) -> list[Effect]:
        noted: list[Effect] = [Note("mcp", why, (one,)) for one in settled]
        return noted + self._settled(settled, True, now)

    def _settled(
        self, settled: list[str], failed: bool, now: float, item_id: str | None = None
    ) -> list[Effect]:
        found: list[Effect] = []
        for one in settled:
            found += self._answer(self._desk.finished(one, item_id, failed), now)
        return found

    def _dropped(self, gone: list[str], now: float) -> list[Effect]:
        return [effect for one in gone for effect in self._answer(self._desk.dropped(one), now)]

    # --- Afterwards ---------------------------------------------------------------------

    def response_over(self, response_id: str, now: float, broken_off: bool = False) -> list[Effect]:
        """``broken_off``: before it had come to its end."""
        found = self._dropped(self._mcp.broken_off(response_id) if broken_off else [], now)
        found += self._answer(self._desk.response_over(response_id), now)
        words = self._desk.preamble(response_id)
        # A caller who speaks is answered in any case, and that breaks the silence.
        return found if self._response.caller_turn_under_way else found + self._answer(words, now)

    def _answer(self, cause: Cause | None, now: float) -> list[Effect]:
        if cause is None or cause.key == self._goodbye:
            return []
        self._history.reply_asked(cause.items)
        return self._response.user_input(cause, now)
