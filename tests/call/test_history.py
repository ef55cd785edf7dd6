"""What a new session is told: everything that was said, as far as it was heard, in order."""

from opusbridge.call.history import (
    CONTINUE,
    LOST_WORDS,
    MOST_ITEMS,
    RECONNECTED,
    History,
    ToolUse,
)
from opusbridge.call.transcript import Transcript
from opusbridge.effects import (
    AddText,
    AddToolCall,
    AddToolOutput,
    DeleteItem,
    Effect,
    Note,
    TruncateItem,
)
from opusbridge.privacy import Private


class Talk:
    """A transcript with its history, filled by hand."""

    def __init__(self) -> None:
        self.transcript = Transcript()
        self.history = History(self.transcript)

    def caller(self, item_id: str, words: str = "") -> None:
        self.transcript.words(item_id, "caller", words, final=True)
        self.transcript.committed(item_id, None)

    def agent(self, item_id: str, words: str, heard: float = 1.0) -> None:
        self.transcript.words(item_id, "agent", words, final=True)
        self.transcript.heard(item_id, 1000 * heard, 1000)

    def tool(self, call_id: str, output: str | None = None) -> None:
        self.transcript.used(call_id, f"item-of-{call_id}", "look_up({})", 0)
        self.history.tool_called(call_id, a_tool(call_id))
        if output is not None:
            self.history.tool_answered(call_id, f"output-{call_id}", Private(output))

    def note(self, item_id: str, words: str = "Mention the sale.") -> AddText:
        note = AddText(item_id, "system", Private(words))
        self.history.note_added(note)
        return note

    def restored(
        self, *unanswered: str, being_heard: str = "", cut_off: bool = False
    ) -> list[Effect]:
        return self.history.restore(unanswered, {being_heard}, cut_off)


def a_tool(call_id: str) -> ToolUse:
    return ToolUse(f"resp-{call_id}", f"item-{call_id}", "look_up", Private("{}"))


def text(item_id: str, role: str, words: str) -> AddText:
    return AddText(item_id, role, Private(words))


BACK = text("reconnected", "system", RECONNECTED)


def test_a_session_lost_before_anything_was_said_is_replaced_without_a_word() -> None:
    assert Talk().restored() == []


def test_everything_is_told_in_order_and_of_the_agent_only_what_was_heard() -> None:
    talk = Talk()
    talk.agent("a1", "Hello, how may I help you?")
    talk.caller("u1", "Where is my order?")
    talk.agent("a2", "Your order left our house yesterday.", heard=0.5)
    talk.caller("u2", "Which courier?")
    talk.agent("a3", "None of this was heard.", heard=0.0)

    assert talk.restored() == [
        BACK,
        text("a1", "assistant", "Hello, how may I help you?"),
        text("u1", "user", "Where is my order?"),
        text("a2", "assistant", "Your order left our"),
        text("u2", "user", "Which courier?"),
    ]


def test_what_is_still_on_its_way_to_the_ear_will_have_been_heard() -> None:
    talk = Talk()
    talk.agent("a1", "Your order left our house yesterday.", heard=0.5)

    assert talk.restored(being_heard="a1")[1:] == [
        text("a1", "assistant", "Your order left our house yesterday.")
    ]


def test_stored_speech_is_not_told_for_no_session_ever_knew_of_it() -> None:
    talk = Talk()
    talk.agent("clip:one-moment-1", "One moment please.")

    assert talk.restored(being_heard="clip:one-moment-1") == []


def test_a_tool_is_told_with_its_call_and_the_output_if_there_is_one() -> None:
    talk = Talk()
    talk.tool("c1", "found")
    talk.tool("c2")

    assert talk.restored()[1:] == [
        AddToolCall("item-c1", "c1", "look_up", Private("{}")),
        AddToolOutput("output-c1", "c1", Private("found")),
        AddToolCall("item-c2", "c2", "look_up", Private("{}")),
    ]


def test_what_was_injected_keeps_its_place_and_the_oldest_comes_first() -> None:
    talk = Talk()
    first = talk.note("text-1")
    talk.caller("u1", "Hello?")
    middle = talk.note("text-2")
    talk.agent("a1", "Hello.")

    assert talk.restored()[1:] == [
        first,
        text("u1", "user", "Hello?"),
        middle,
        text("a1", "assistant", "Hello."),
    ]


def test_lost_words_are_owned_up_to_only_where_they_still_wait() -> None:
    talk = Talk()
    talk.caller("u1")
    talk.agent("a1", "All right.")
    talk.caller("u2", "And now?")
    talk.caller("u3")

    assert talk.restored("u2", "u3")[-1] == text("lost-words", "system", LOST_WORDS)
    assert talk.restored("u2")[-1] == text("u2", "user", "And now?")


def test_so_are_those_of_which_only_the_first_had_come() -> None:
    talk = Talk()
    talk.transcript.words("u1", "caller", "I want to", final=False)
    talk.transcript.words("u1", "caller", " cancel", final=False)
    talk.transcript.committed("u1", None)

    assert talk.restored("u1") == [
        BACK,
        text("u1", "user", "I want to cancel"),
        text("lost-words", "system", LOST_WORDS),
    ]
    assert talk.restored()[-1] == text("u1", "user", "I want to cancel")


def test_an_answer_that_was_cut_off_is_to_be_continued() -> None:
    talk = Talk()
    talk.agent("a1", "Your order left", heard=1.0)

    assert talk.restored(cut_off=True)[-1] == text("cut-off", "system", CONTINUE)


def test_a_long_conversation_is_told_from_its_latest_part_on() -> None:
    talk = Talk()
    early = talk.note("text-1")
    for n in range(MOST_ITEMS + 50):
        talk.caller(f"u{n}", f"line {n}")

    told = talk.restored()

    assert told[:3] == [BACK, early, text("u50", "user", "line 50")]
    assert len(told) == MOST_ITEMS + 2


def test_notes_and_tools_are_kept_up_to_a_limit_but_never_one_that_runs() -> None:
    talk = Talk()
    for n in range(MOST_ITEMS + 1):
        talk.note(f"text-{n}")
    talk.tool("running")
    for n in range(MOST_ITEMS + 1):
        talk.tool(f"c{n}", "found")

    told = talk.restored()

    assert text("text-0", "system", "Mention the sale.") not in told
    assert text("text-1", "system", "Mention the sale.") in told
    assert talk.history.in_words("output-c0") is None
    assert talk.history.in_words("output-c2") is not None
    assert talk.history.called_a_tool("resp-running")


def test_as_many_tools_as_run_are_kept() -> None:
    talk = Talk()
    for n in range(MOST_ITEMS + 1):
        talk.tool(f"c{n}")

    assert talk.history.called_a_tool("resp-c0")


def test_a_tool_is_found_by_its_response_and_by_its_output() -> None:
    talk = Talk()
    talk.tool("c1", "found")

    assert talk.history.called_a_tool("resp-c1")
    assert not talk.history.called_a_tool("resp-c2")
    assert not talk.history.called_a_tool(None)
    words = Private("The tool look_up gave this result: found")
    assert talk.history.in_words("output-c1") == ("c1", words)
    assert talk.history.in_words("output-c2") is None
    talk.tool("c3")
    assert talk.history.in_words("") is None


# --- Cutting what this session has as texts ---------------------------------------------


def test_speech_of_this_session_is_cut_as_the_voice_says() -> None:
    talk = Talk()
    talk.agent("a1", "Hello there, caller.", heard=0.5)
    told: list[Effect] = [TruncateItem("a1", 0, 500), Note("truncated"), DeleteItem("a2")]

    assert talk.history.cut(told) == told
    assert not talk.history.is_text("a1")


def test_a_restored_text_cannot_be_truncated_and_is_put_anew_as_far_as_heard() -> None:
    talk = Talk()
    talk.agent("a1", "Hello there, dear caller.", heard=0.0)
    talk.restored(being_heard="a1")
    assert talk.history.is_text("a1")
    talk.transcript.heard("a1", 1000.0, 1000.0)  # half of it, by now

    told = talk.history.cut([TruncateItem("a1", 0, 500), TruncateItem("a1", 1, 1), Note("x")])

    assert told == [
        DeleteItem("a1"),
        text("a1-heard", "assistant", "Hello there,"),
        Note("x"),
    ]
    assert talk.history.is_text("a1-heard")


def test_what_is_put_anew_of_a_text_of_a_pause_is_withheld_as_well() -> None:
    talk = Talk()
    talk.transcript.pause("agent", 0, ())
    talk.agent("a1", "Hello there, dear caller.", heard=0.0)
    talk.transcript.resume("agent", 1)
    talk.agent("a2", "Hello there, dear caller.", heard=0.0)
    talk.restored(being_heard="a1")
    talk.history.cut([TruncateItem("a1", 0, 500), TruncateItem("a2", 0, 500)])

    assert talk.transcript.newly_withheld() == ("a1", "a1-heard")


def test_a_restored_text_of_which_no_word_was_heard_is_only_deleted() -> None:
    talk = Talk()
    talk.agent("a1", "Hello there, dear caller.", heard=0.0)
    talk.restored(being_heard="a1")

    assert talk.history.cut([TruncateItem("a1", 0, 1)]) == [DeleteItem("a1")]


def test_what_only_an_earlier_session_knew_is_not_cut_in_this() -> None:
    talk = Talk()
    talk.agent("a1", "", heard=0.0)
    talk.restored(being_heard="a1")

    told: list[Effect] = [TruncateItem("a1", 0, 500), DeleteItem("a1"), TruncateItem("a2", 0, 1)]
    assert talk.history.cut(told) == [TruncateItem("a2", 0, 1)]


def test_stored_speech_that_nobody_was_told_of_yet_is_told_as_it_was_heard() -> None:
    talk = Talk()
    for item_id, heard in (("s1", 0.5), ("s2", 0.0), ("s3", 0.0)):
        talk.agent(item_id, "Hello there, dear caller.", heard)
        talk.history.said_for_it(item_id)
    early = [text(one, "assistant", "Hello there, dear caller.") for one in ("s1", "s2", "s3")]
    typed = text("text-1", "user", "Keypad: 1")

    assert talk.history.as_heard([*early, typed], {"s3"}) == [
        text("s1", "assistant", "Hello there,"),
        early[2],
        typed,
    ]


def test_what_was_restored_once_is_no_text_of_a_session_that_was_not_told_it() -> None:
    talk = Talk()
    talk.agent("a1", "Hello.", heard=0.0)
    talk.restored(being_heard="a1")

    talk.restored()

    assert not talk.history.is_text("a1")
