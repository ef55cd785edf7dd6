"""Whole calls whose model is lost, silent or failing: what the caller hears of it, and the next
session is told. Both far ends are the simulators; each must be content as well."""

from dataclasses import replace
from itertools import pairwise

import pytest

from opusbridge import effects, events
from opusbridge.call.history import CONTINUE, LOST_WORDS, RECONNECTED, UNHEARD
from opusbridge.call.media import HELD_AFTER_LOSS_MS
from opusbridge.call.policy import CallPolicy
from opusbridge.call.pulse import BUSY_ANSWER_SECONDS
from opusbridge.call.rescue import PAUSES
from opusbridge.effects import ReplaceModel
from opusbridge.privacy import Private
from opusbridge.sim.callers import HangUp, Interrupt, Press, Step, Wait, WaitForAgent
from opusbridge.sim.model import Knobs, Reply, ToolCallReply
from opusbridge.sim.model.knobs import Fault, FaultKind
from opusbridge.sim.surroundings import Surroundings
from tests.call.replacing import CLIPS, QUESTION, REPLIES, WORDS, Story, asks, story

HELLO, ANSWER, MORE = (reply.text for reply in REPLIES[:3])
GREETED: list[Step] = [WaitForAgent(), Wait(0.5)]
#: Holding is heard as well, so waiting for the agent would end too soon.
ASKS_AND_WAITS: list[Step] = [*GREETED, asks(), Wait(30.0), HangUp()]
ASKS_ONCE: list[Step] = [*GREETED, asks(), WaitForAgent(), Wait(1.0), HangUp()]
SALE = events.TextInjected(Private("Mention the sale."))

#: The greeting is heard until about 5.0, and a turn asked then is committed at 7.2.
IDLE, ASKED = 5.5, 9.0

pytestmark = pytest.mark.slow


def fault(kind: str, *ordinals: int, detail: str = "") -> dict[int, Fault]:
    return {ordinal: Fault(FaultKind(kind), detail) for ordinal in ordinals}


def played(told: Story, *, violations: int = 0) -> Story:
    """To its end, with nobody complaining."""
    assert told.call.run(180.0)
    assert told.call.verdict() == []
    assert told.engine.tally.notes.get("violation", 0) == violations
    return told


def requests_after(told: Story, at: float) -> list[str]:
    return [request.why for _, request in told.all_of(effects.CreateResponse, after=at)]


# --- The session is lost ----------------------------------------------------------------


def test_a_session_lost_in_a_pause_is_replaced_and_nothing_is_asked_until_the_caller_asks() -> None:
    told = played(story([Wait(9.0), *ASKS_ONCE[2:]], Knobs(drop_at=IDLE), Knobs()))

    assert told.texts() == [("system", RECONNECTED), ("assistant", HELLO)]
    (lost,) = told.at(events.ModelLost)
    assert requests_after(told, lost) == ["turn"]
    assert told.words_heard() == f"{HELLO} {ANSWER}"
    assert told.clips() == []
    assert told.reasons() == ["caller-hung-up"]


def test_a_turn_that_waits_is_restored_as_text_and_asked_again() -> None:
    withheld = Knobs(drop_at=ASKED + 1.0, faults=fault("created-withheld", 2))

    told = played(story(ASKS_ONCE, withheld, Knobs()))

    assert told.texts() == [("system", RECONNECTED), ("assistant", HELLO), ("user", QUESTION)]
    assert requests_after(told, told.at(events.ModelLost)[0]) == ["turn"]
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def test_a_turn_without_its_words_is_owned_up_to() -> None:
    knobs = Knobs(drop_at=ASKED + 1.0, transcription="absent", faults=fault("created-withheld", 2))

    told = played(story(ASKS_ONCE, knobs, Knobs()))

    assert told.texts()[-1] == ("system", LOST_WORDS)
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def test_an_answer_that_was_cut_off_is_restored_as_heard_and_continued_once() -> None:
    told = played(story(ASKS_ONCE, Knobs(faults=fault("drop", 2)), Knobs()))

    restored = told.texts()
    assert [role for role, _ in restored] == ["system", "assistant", "user", "assistant", "system"]
    assert ANSWER.startswith(restored[3][1])
    assert restored[4] == ("system", CONTINUE)
    assert requests_after(told, told.at(events.ModelLost)[0]) == ["rest"]
    (over,) = told.all_of(events.ResponseDone, after=told.at(events.ModelLost)[0])
    assert over[1].status == "completed"


def test_a_continuation_that_is_cut_off_too_is_left_at_that() -> None:
    steps = [*GREETED, asks(), WaitForAgent(), Wait(1.0), asks(), WaitForAgent(), HangUp()]
    twice = Knobs(faults=fault("drop", 2)), Knobs(faults=fault("drop", 1)), Knobs()

    told = played(story(steps, *twice))

    assert len(told.at(effects.ReplaceModel)) == 2
    assert ("system", CONTINUE) not in told.texts()
    assert requests_after(told, told.at(events.ModelLost)[1]) == ["turn"]
    assert told.reasons() == ["caller-hung-up"]


def test_a_greeting_that_was_cut_off_is_not_said_again_from_the_beginning() -> None:
    steps: list[Step] = [Wait(1.0), WaitForAgent(), Wait(1.0), HangUp()]

    told = played(story(steps, Knobs(faults=fault("drop", 1)), Knobs()))

    first, again = told.all_of(effects.CreateResponse)
    assert first[1].instructions is not None
    assert again[1].instructions is None
    assert told.texts()[-1] == ("system", CONTINUE)


def test_a_greeting_that_nobody_heard_is_asked_for_again_as_a_greeting() -> None:
    steps: list[Step] = [Wait(1.0), WaitForAgent(), Wait(1.0), HangUp()]
    silent = Knobs(drop_at=1.0, first_audio_delay=3.0)

    told = played(story(steps, silent, Knobs()))

    first, again = told.all_of(effects.CreateResponse)
    assert first[1].instructions == again[1].instructions != ""
    assert told.told() == []
    assert told.words_heard() == ANSWER


def test_what_the_caller_had_just_said_is_asked_for_again() -> None:
    steps = [*GREETED, asks(2500), WaitForAgent(), Wait(1.0), HangUp()]

    told = played(story(steps, Knobs(drop_at=8.3), Knobs()))

    assert len(told.at(events.SpeechStarted)) == 1
    assert told.at(events.TurnCommitted) == []
    assert told.texts()[-1] == ("system", LOST_WORDS)
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def test_a_caller_who_speaks_on_through_a_loss_is_heard_to_his_end_and_then_answered() -> None:
    steps = [*GREETED, asks(2500), WaitForAgent(), Wait(1.0), HangUp()]

    told = played(story(steps, Knobs(drop_at=7.4), Knobs()))

    (_, again), (committed,) = told.at(events.SpeechStarted), told.at(events.TurnCommitted)
    assert told.at(events.ModelLost)[0] < again < committed
    assert told.texts()[-1] == ("system", LOST_WORDS)
    # What was asked before he was heard to speak on is cancelled, and covered by the second.
    assert told.at(effects.CreateResponse)[-1] == committed
    assert [done.status for _, done in told.all_of(events.ResponseDone)][1:] == [
        "cancelled",
        "completed",
    ]


def test_a_tool_that_runs_through_a_loss_is_answered_in_the_new_session() -> None:
    told = played(_with_a_tool(8.0))

    *_, call, output = told.told()
    assert isinstance(call, effects.AddToolCall)
    assert isinstance(output, effects.AddToolOutput)
    assert output.tool_call_id == call.tool_call_id
    assert requests_after(told, told.at(events.ModelLost)[0]) == ["tools"]
    assert told.words_heard().endswith(ANSWER)
    assert told.call.toolbox.run == ["look_up"]


def test_a_tool_that_ends_in_the_outage_has_its_output_restored_behind_its_call() -> None:
    told = played(_with_a_tool(5.0))

    (lost,) = told.at(events.ModelLost)
    assert lost < told.at(events.ToolFinished)[0] < told.ready_after(lost)
    assert [type(item) for item in told.told()[-2:]] == [
        effects.AddToolCall,
        effects.AddToolOutput,
    ]
    assert requests_after(told, lost) == ["tools"]
    assert told.words_heard().endswith(ANSWER)


def _with_a_tool(seconds: float) -> Story:
    """A tool called at 8.2 that takes so long, and a session lost at 13.1."""
    calls = Reply("Let me look that up for you, one second.", None, (ToolCallReply("look_up"),))
    return story(
        [*GREETED, asks(), Wait(18.0), HangUp()],
        Knobs(drop_at=13.0),
        Knobs(),
        replies=[REPLIES[0], calls, REPLIES[1]],
        tools={"look_up": lambda arguments: '{"order": "sent"}'},
        surroundings=Surroundings(tool_seconds=(seconds, seconds)),
    )


def test_a_second_loss_is_survived_if_the_first_one_led_to_an_answer() -> None:
    steps = [*GREETED, asks(), WaitForAgent(), Wait(8.0), asks(), WaitForAgent(), HangUp()]
    short = Knobs(drop_at=IDLE), Knobs(drop_at=12.0), Knobs(drop_at=9.0), Knobs()

    told = played(story([*steps[:-1], Wait(9.0), HangUp()], *short))

    assert len(told.at(effects.ReplaceModel)) == 3
    assert told.reasons() == ["caller-hung-up"]


def test_sessions_that_die_one_after_the_other_without_an_answer_end_the_call_aloud() -> None:
    dying = Knobs(drop_at=1.0)

    told = played(story([*GREETED, Wait(60.0)], Knobs(drop_at=IDLE), dying, dying, Knobs()))

    assert len(told.at(effects.ReplaceModel)) == 2
    assert told.clips() == [("sorry", "Sorry."), ("goodbye", "Goodbye.")]
    assert told.reasons() == ["model-lost"]


# --- Dialling ---------------------------------------------------------------------------


def test_a_dial_that_nobody_answers_is_repeated_after_growing_pauses() -> None:
    told = played(story(ASKS_ONCE, Knobs(drop_at=6.0), None, None, Knobs()))

    dials, lost = told.at(effects.ReplaceModel), told.at(events.ModelLost)
    assert dials == pytest.approx([lost[0], lost[1] + PAUSES[0], lost[2] + PAUSES[1]])
    assert told.words_heard() == f"{HELLO} {ANSWER}"
    assert told.reasons() == ["caller-hung-up"]


def test_when_the_grace_is_over_the_caller_is_told_and_the_call_ends() -> None:
    told = played(story([*GREETED, Wait(90.0)], Knobs(drop_at=IDLE)))

    (lost, *_), (hung_up,) = told.at(events.ModelLost), told.at(effects.HangUp)
    # The two clips take a second and a half.
    assert lost + 30.0 < hung_up < lost + 32.0
    said = [name for name, heard in told.clips() if heard]
    # Nobody hears him ask again, so he is told more often than one who is only waited for.
    assert said == ["one-moment"] * 3 + ["sorry", "goodbye"]
    assert told.reasons() == ["model-unreachable"]


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_a_loss_that_is_for_good_ends_the_call_aloud_at_once(telephony: str) -> None:
    steps = [*GREETED, Wait(60.0)]

    told = played(story(steps, Knobs(drop_at=IDLE), telephony=telephony, replaceable=False))

    (first, for_good) = told.at(events.ModelLost)
    assert first < for_good < told.at(effects.HangUp)[0] < for_good + 3.0
    assert told.clips() == [("sorry", "Sorry."), ("goodbye", "Goodbye.")]
    assert told.reasons() == ["model-lost"]


def test_without_a_grace_a_lost_session_is_not_replaced() -> None:
    def none(policy: CallPolicy) -> CallPolicy:
        return replace(policy, resume_grace=0.0)

    told = played(story([*GREETED, Wait(60.0)], Knobs(drop_at=IDLE), Knobs(), policy=none))

    assert told.at(effects.ReplaceModel) == []
    assert told.clips() == [("sorry", "Sorry."), ("goodbye", "Goodbye.")]


def test_an_expired_session_is_replaced_once_though_its_socket_closes_as_well() -> None:
    steps = [*GREETED, Wait(5.0), asks(), WaitForAgent(), Wait(1.0), HangUp()]

    told = played(story(steps, Knobs(session_limit=9.0), Knobs()))

    assert [one.reason for _, one in told.all_of(effects.ReplaceModel)] == ["session-expired"]
    assert told.at(events.ModelLost) == []
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def renewed(policy: CallPolicy) -> CallPolicy:
    return replace(policy, renew_after=8.0)


def test_an_old_session_gives_way_in_a_quiet_moment_before_it_expires() -> None:
    steps = [*GREETED, Wait(6.0), asks(), WaitForAgent(), Wait(1.0), HangUp()]

    told = played(story(steps, Knobs(session_limit=12.5), Knobs(), policy=renewed))

    (replaced,) = told.at(effects.ReplaceModel)
    assert 8.0 < replaced < 11.5
    assert told.notes("refused") == told.notes("audio-dropped") == []
    assert told.texts() == [("system", RECONNECTED), ("assistant", HELLO)]
    assert requests_after(told, replaced) == ["turn"]
    assert told.words_heard() == f"{HELLO} {ANSWER}"
    assert [note.reason for _, note in told.notes("model-replaced")] == ["session-expired"]


def test_a_quiet_caller_never_notices_it_however_long_the_dial_takes() -> None:
    around = Surroundings(dial_seconds=(2.0, 2.0))

    told = played(
        story(
            [*GREETED, Wait(14.0), HangUp()], Knobs(), Knobs(), policy=renewed, surroundings=around
        )
    )

    (replaced,) = told.at(effects.ReplaceModel)
    assert told.ready_after(replaced) > replaced + 2.0
    assert told.notes("audio-dropped") == []
    assert requests_after(told, replaced) == []
    assert told.texts() == [("system", RECONNECTED), ("assistant", HELLO)]


def test_what_the_caller_says_while_the_other_is_dialled_is_kept_and_answered() -> None:
    around = Surroundings(dial_seconds=(2.0, 2.0))
    # The old session goes at about 11.0, half a second before he begins.
    steps = [*GREETED, Wait(5.8), asks(), WaitForAgent(), Wait(1.0), HangUp()]

    told = played(story(steps, Knobs(), Knobs(), policy=renewed, surroundings=around))

    (replaced,) = told.at(effects.ReplaceModel)
    asked = told.call.caller.spoken[0].started_at
    assert replaced < asked < told.ready_after(replaced) - 0.9
    assert told.notes("audio-dropped") == []
    assert requests_after(told, replaced) == ["turn"]
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def test_nobody_who_speaks_or_waits_is_interrupted_by_that() -> None:
    told = played(story([*ASKS_ONCE[:-1], Wait(5.0), HangUp()], Knobs(), Knobs(), policy=renewed))

    (replaced,) = told.at(effects.ReplaceModel)
    assert replaced > told.at(events.ResponseDone)[1]
    assert told.texts() == [
        ("system", RECONNECTED),
        ("assistant", HELLO),
        ("user", QUESTION),
        ("assistant", ANSWER),
    ]
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def test_where_no_session_is_replaced_an_old_one_lasts_for_as_long_as_it_may() -> None:
    def never(policy: CallPolicy) -> CallPolicy:
        return replace(renewed(policy), resume_grace=0.0)

    told = played(story([*GREETED, Wait(20.0), HangUp()], Knobs(), policy=never))

    assert told.at(effects.ReplaceModel) == []
    assert told.reasons() == ["caller-hung-up"]


def test_a_model_that_is_silent_when_asked_is_replaced_and_the_caller_answered() -> None:
    told = story([*GREETED, Wait(24.0), HangUp()], Knobs(freeze_at=9.0), Knobs())
    told.call.happens(SALE, at=10.0)

    played(told)

    assert told.at(effects.CreateResponse)[1:3] == [10.0, 15.0]
    # Its latest word was an answer to the question whether it is there.
    (asked, *_), (replaced,) = told.all_of(effects.FeelPulse, after=9.0), told.at(ReplaceModel)
    assert replaced == asked[0] + BUSY_ANSWER_SECONDS
    assert told.notes("hold")[0][0] == 16.0
    assert told.texts()[-1] == ("system", "Mention the sale.")
    assert told.words_heard() == f"{HELLO} {ANSWER}"


@pytest.mark.parametrize("frozen", [2.5, 5.2, 5.5])
def test_a_model_that_froze_before_it_could_hear_the_caller_is_found_out(frozen: float) -> None:
    told = played(story(ASKS_AND_WAITS, Knobs(freeze_at=frozen), Knobs()))

    assert [one.reason for _, one in told.all_of(effects.ReplaceModel)] == ["model-silent"]
    assert [note.reason for _, note in told.notes("watchdog")] == ["silence"]
    (replaced,), spoken = told.at(effects.ReplaceModel), told.call.caller.spoken[0]
    assert replaced < spoken.ended_at + 6.0
    # What he said is nowhere, and the agent knows that it is.
    assert told.texts()[-1] == ("system", UNHEARD)
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def test_so_is_one_that_freezes_while_he_speaks() -> None:
    steps: list[Step] = [*GREETED, asks(3000), Wait(20.0), HangUp()]

    told = played(story(steps, Knobs(freeze_at=6.8), Knobs()))

    assert told.at(events.SpeechStarted) != []
    assert [note.reason for _, note in told.notes("watchdog")] == ["silence"]
    assert told.texts()[-1] == ("system", LOST_WORDS)
    assert requests_after(told, told.at(effects.ReplaceModel)[0]) == ["turn"]
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def test_a_model_that_is_there_is_left_alone_however_long_nobody_speaks() -> None:
    told = played(story([*GREETED, Wait(60.0), HangUp()], Knobs()))

    assert len(told.at(effects.FeelPulse)) > 10
    assert told.at(effects.ReplaceModel) == []
    assert told.notes("watchdog") == told.notes("refused") == []


def test_whoever_waits_is_asked_to_hold_though_the_dial_for_a_silent_model_takes_long() -> None:
    slow = Surroundings(dial_seconds=(9.0, 9.0))

    told = played(story(ASKS_AND_WAITS, Knobs(freeze_at=5.5), Knobs(), surroundings=slow))

    held = told.notes("hold")[0][0]
    assert held < told.call.caller.spoken[0].ended_at + 8.0
    # Being asked to hold is no reason not to be asked what he said.
    assert told.texts()[-1] == ("system", UNHEARD)
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def test_the_request_to_hold_at_the_ear_does_not_pass_for_the_agent_speaking() -> None:
    slow = Surroundings(dial_seconds=(6.8, 6.8))
    steps: list[Step] = [*GREETED, Wait(1.0), asks(800), Wait(14.0), HangUp()]

    told = played(story(steps, Knobs(drop_at=6.0), Knobs(), surroundings=slow))

    (lost,), (held, _) = told.at(events.ModelLost), told.notes("hold")[0]
    clip = len(CLIPS["one-moment"].pcm) / 48_000
    assert held < told.ready_after(lost) < held + clip
    assert told.texts()[-1] == ("system", UNHEARD)


def test_a_server_that_keeps_failing_loses_the_session() -> None:
    failing = Knobs(faults=fault("failed", 2, 3, 4, detail="server_error"))

    told = played(story(ASKS_AND_WAITS, failing, Knobs()))

    assert [one.reason for _, one in told.all_of(effects.ReplaceModel)] == ["model-failed"]
    assert told.words_heard() == f"{HELLO} {ANSWER}"


# --- The caller in the outage -----------------------------------------------------------


def test_of_what_the_caller_says_in_an_outage_the_latest_is_kept() -> None:
    steps = [*GREETED, Wait(1.0), asks(4500), WaitForAgent(), Wait(1.0), HangUp()]
    slow = Surroundings(dial_seconds=(4.5, 4.5))

    told = played(story(steps, Knobs(drop_at=6.0), Knobs(), surroundings=slow))

    (lost,) = told.at(events.ModelLost)
    ready = told.ready_after(lost)
    held = [what.audio.ms for at, what in told.all_of(effects.AppendAudio) if at == ready]
    assert HELD_AFTER_LOSS_MS - 40 <= sum(held) <= HELD_AFTER_LOSS_MS
    assert [note.value for _, note in told.notes("audio-dropped")] != []
    assert told.words_heard().startswith(HELLO)
    assert told.reasons() == ["caller-hung-up"]


def test_what_was_said_unheard_is_asked_for_once_somebody_listens_again() -> None:
    steps = [*GREETED, Wait(1.0), asks(800), Wait(12.0), HangUp()]
    slow = Surroundings(dial_seconds=(5.5, 5.5))

    told = played(story(steps, Knobs(drop_at=6.0), Knobs(), surroundings=slow))

    assert told.texts() == [
        ("system", RECONNECTED),
        ("assistant", HELLO),
        ("system", UNHEARD),
    ]
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def test_keys_pressed_in_an_outage_are_answered_after_it() -> None:
    steps = [*GREETED, Wait(2.0), Press("1"), WaitForAgent(), Wait(1.0), HangUp()]
    slow = Surroundings(dial_seconds=(4.5, 4.5))

    told = played(story(steps, Knobs(drop_at=6.0), Knobs(), surroundings=slow))

    assert told.texts()[-1] == ("user", "Keypad: 1")
    assert requests_after(told, told.at(events.ModelLost)[0]) == ["keys"]
    assert told.words_heard() == f"{HELLO} {ANSWER}"


def test_whoever_waits_in_an_outage_is_asked_to_hold() -> None:
    slow = Surroundings(dial_seconds=(8.0, 8.0))

    told = played(
        story([*GREETED, Wait(15.0), HangUp()], Knobs(drop_at=IDLE), Knobs(), surroundings=slow)
    )

    (lost,), ((held, _),) = told.at(events.ModelLost), told.notes("hold")
    assert held == pytest.approx(lost + 6.0)
    assert told.clips() == [("one-moment", WORDS["one-moment"])]


# --- Never silent -----------------------------------------------------------------------

SLOW = [REPLIES[0], Reply(ANSWER, None, (), 25.0)]


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_a_caller_who_waits_is_asked_to_hold_and_again_and_then_answered(telephony: str) -> None:
    steps = [*GREETED, asks(), Wait(36.0), HangUp()]

    told = played(story(steps, Knobs(), replies=SLOW, telephony=telephony))

    (first, _), (second, _) = told.notes("hold")
    clip = len(CLIPS["one-moment"].pcm) / 48_000
    # Since he fell silent, not since turn detection was sure of it.
    assert first == pytest.approx(told.call.caller.spoken[0].ended_at + 6.0, abs=0.15)
    assert second == pytest.approx(first + clip + 10.0, abs=0.4)
    assert told.clips() == [("one-moment", WORDS["one-moment"])] * 2
    # The answer is late, and is counted as late: holding is no answer.
    (latency,) = [note.value for _, note in told.notes("turn-latency")]
    assert latency > 25.0


def test_speech_that_cuts_the_request_to_hold_touches_no_item_of_the_model() -> None:
    steps = [*GREETED, asks(), Interrupt(300, asks()), WaitForAgent(), Wait(1.0), HangUp()]

    told = played(story(steps, Knobs(), replies=[*SLOW, REPLIES[2]]))

    ((_, heard),) = told.clips()
    assert heard != WORDS["one-moment"]
    assert told.at(effects.ClearPlayout) != []
    assert told.at(effects.TruncateItem) == told.at(effects.DeleteItem) == []
    # What was cut before it said anything leaves its reply to the next.
    assert told.reasons() == ["caller-hung-up"]


def test_an_agent_whose_goodbye_does_not_come_has_a_stored_one_said_for_it() -> None:
    hangs_up = Reply("", None, (ToolCallReply("hang_up"),))
    late = Reply("Goodbye then.", None, (), 9.0)
    steps = [*GREETED, asks(), Wait(60.0)]

    told = played(story(steps, Knobs(), replies=[REPLIES[0], hangs_up, late]))

    ((at, held),) = told.notes("hold")
    assert held.reason == "goodbye"
    assert at < told.call.caller.spoken[0].ended_at + 8.0
    assert told.clips() == [("goodbye", WORDS["goodbye"])]
    assert told.reasons() == ["agent-hung-up"]


# --- Giving up --------------------------------------------------------------------------

SPENT = Knobs(faults=fault("failed", 2, 3, 4, 5))


def giving_up(
    how: str, target: str | None = None, surroundings: Surroundings | None = None
) -> Story:
    def policy(policy: CallPolicy) -> CallPolicy:
        return replace(policy, give_up=how, give_up_target=Private(target) if target else None)

    steps = [*GREETED, asks(), Wait(22.0), asks(), WaitForAgent(), Wait(1.0), HangUp()]
    return story(steps, SPENT, policy=policy, surroundings=surroundings)


def test_retries_spent_are_owned_up_to_and_the_caller_may_try_again() -> None:
    told = played(giving_up("wait"))

    asked = told.at(effects.CreateResponse)
    assert [later - at for at, later in pairwise(asked[1:5])] == [
        pytest.approx(wait, abs=0.5) for wait in (2.0, 4.0, 8.0)
    ]
    assert [name for name, _ in told.clips()][-1] == "sorry"
    assert [note.reason for _, note in told.notes("apology")] == ["wait"]
    assert told.words_heard() == f"{HELLO} {ANSWER}"
    assert told.reasons() == ["caller-hung-up"]


def test_retries_spent_hang_up_where_the_agent_is_to() -> None:
    told = played(giving_up("hang_up"))

    assert told.clips()[-2:] == [("sorry", "Sorry."), ("goodbye", "Goodbye.")]
    assert told.reasons() == ["model-failed"]


def test_retries_spent_transfer_the_caller_where_the_agent_says_so() -> None:
    told = played(giving_up("transfer", "+15550100300"))

    assert told.clips()[-1] == ("sorry", "Sorry.")
    ((_, transfer),) = told.all_of(effects.TransferCall)
    assert transfer.target == Private("+15550100300")
    assert told.reasons() == ["transferred"]


@pytest.mark.parametrize("why", ["busy", "error"])
def test_where_that_transfer_fails_the_call_ends_aloud_and_nobody_is_asked_again(why: str) -> None:
    told = played(giving_up("transfer", "+15550100300", Surroundings(transfer_fails=why)))

    assert told.clips()[-3:] == [
        ("sorry", "Sorry."),
        ("sorry", "Sorry."),
        ("goodbye", "Goodbye."),
    ]
    assert len(told.at(effects.CreateResponse)) == 5
    assert told.reasons() == ["model-failed"]


def test_a_failure_that_asking_again_cannot_mend_ends_the_call_aloud() -> None:
    broke = Knobs(faults=fault("failed", 2, detail="insufficient_quota"))

    told = played(story(ASKS_ONCE, broke, Knobs()))

    assert len(told.at(effects.CreateResponse)) == 2
    assert told.clips() == [("sorry", "Sorry."), ("goodbye", "Goodbye.")]
    assert told.reasons() == ["model-failed"]


def test_a_failing_transfer_finds_a_model_again_that_was_lost_meanwhile() -> None:
    transfers = Reply("", None, (ToolCallReply("transfer_call", '{"destination": "billing"}'),))
    steps = [*GREETED, asks(), Wait(25.0), HangUp()]
    told = story(
        steps,
        Knobs(drop_at=16.0),
        Knobs(),
        replies=[REPLIES[0], transfers, *REPLIES[1:]],
        destinations={"billing": "+15550100300"},
        surroundings=Surroundings(transfer_fails="busy", rest_seconds=(6.0, 6.0)),
    )

    played(told)

    (failed,), (dialled,) = told.at(events.TransferFailed), told.at(effects.ReplaceModel)
    assert told.at(events.ModelLost)[0] < failed == dialled
    assert "The transfer failed (busy)" in told.texts()[-1][1]
    assert told.words_heard().endswith(MORE)
