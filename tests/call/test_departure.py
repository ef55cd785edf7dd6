"""How our side leaves a call: the stages, and the ways back."""

import pytest

from opusbridge import events
from opusbridge.call.conversation import Conversation
from opusbridge.call.departure import Departure
from opusbridge.call.farewell import HANG_UP_SECONDS, TAIL_SECONDS, TRANSFER_SECONDS
from opusbridge.call.policy import TWILIO, CallPolicy
from opusbridge.call.transcript import Transcript
from opusbridge.effects import CancelResponse, HangUp, Note, SessionConfig, TransferCall
from opusbridge.errors import ending
from opusbridge.privacy import Private
from opusbridge.sound import PCM_24K, PCMU_8K, Audio

BY_OPERATOR = HangUp("hung-up-by-operator")
TRANSFER = TransferCall(Private("sip:front@example.com"), "billing")


def conversation() -> Conversation:
    policy = CallPolicy(TWILIO, SessionConfig("Be kind.", PCM_24K))
    return Conversation(policy, PCMU_8K, Transcript(), lambda at: round(at * 1000), 0.0)


def parted(then: HangUp | TransferCall) -> Departure:
    """At 1.0, on a line that was silent."""
    departure, talk = Departure(), conversation()
    departure.wish(then, talk, 0.0)
    assert departure.look(talk, True, 0.0) == []
    assert departure.look(talk, True, 20.0) == [then]
    return departure


def test_nobody_parts_from_a_line_that_is_not_ours_yet() -> None:
    departure, talk = Departure(), conversation()
    departure.wish(BY_OPERATOR, talk, 0.0)

    assert departure.look(talk, False, 1.0) == []
    assert departure.look(talk, True, 1.0 + TAIL_SECONDS) == [BY_OPERATOR]


def test_nobody_speaks_behind_the_last_word_though_an_answer_is_being_made() -> None:
    departure, talk = Departure(), conversation()
    talk.handle(events.SessionConfigured(PCMU_8K, PCMU_8K), 0.0)
    talk.handle(events.TurnCommitted("item_1"), 1.0)
    talk.handle(events.ResponseCreated("resp_1", "request-1"), 1.0)
    departure.wish(BY_OPERATOR, talk, 1.0)

    found = departure.look(talk, True, 1.0 + TAIL_SECONDS)
    assert found == [CancelResponse("resp_1"), BY_OPERATOR]
    assert talk.response.door.held_by == "ending"
    sound = Audio.of(bytes(160), PCMU_8K)
    assert talk.handle(events.ModelSpoke("resp_1", "item_2", 0, sound), 1.4) == []


def test_who_parted_waits_so_long_and_no_longer_for_the_other_side() -> None:
    hung_up, handed_over = parted(BY_OPERATOR), parted(TRANSFER)

    assert hung_up.gone_at == 20.0 + HANG_UP_SECONDS
    assert handed_over.gone_at == 20.0 + TRANSFER_SECONDS
    assert hung_up.followed() == ending("hung-up-by-operator")
    assert handed_over.followed() is None


def test_a_transfer_that_was_answered_cannot_fail_any_more() -> None:
    departure = parted(TRANSFER)
    departure.transfer_succeeded(21.0)

    assert not departure.transfer_failed()
    assert departure.gone_at == 21.0 + HANG_UP_SECONDS
    assert departure.ending("telephony-lost") == ending("transferred")


def test_a_transfer_that_failed_leaves_nothing_behind() -> None:
    departure = parted(TRANSFER)

    assert departure.transfer_failed()
    assert not departure.under_way
    assert departure.gone_at is None
    assert departure.ending("telephony-lost") == ending("telephony-lost")


def test_of_a_transfer_of_our_own_that_the_caller_stopped_the_model_is_told_nothing() -> None:
    departure, talk = Departure(), conversation()
    departure.wish(TRANSFER, talk, 0.0)

    assert departure.caller_spoke(talk, 1.0) == [Note("farewell-cancelled")]
    assert not departure.wished


AGENT_HANGS_UP = HangUp("agent-hung-up")
ELSEWHERE = TransferCall(Private("sip:billing@example.com"), "a bill")


@pytest.mark.parametrize(
    ("first", "then", "stands"),
    [
        (("operator", TRANSFER), ("", AGENT_HANGS_UP), True),
        (("operator", TRANSFER), ("tool", ELSEWHERE), True),
        (("operator", TRANSFER), ("last resort", ELSEWHERE), True),
        (("operator", TRANSFER), ("operator", ELSEWHERE), False),
        (("operator", TRANSFER), ("caller", ELSEWHERE), False),
        (("operator", TRANSFER), ("", BY_OPERATOR), False),
        (("", BY_OPERATOR), ("tool", TRANSFER), True),
        (("", BY_OPERATOR), ("caller", TRANSFER), True),
        (("caller", TRANSFER), ("tool", ELSEWHERE), True),
        (("last resort", TRANSFER), ("", AGENT_HANGS_UP), True),
        (("tool", TRANSFER), ("", AGENT_HANGS_UP), False),
        (("", AGENT_HANGS_UP), ("last resort", TRANSFER), False),
    ],
)
def test_what_the_agent_wishes_takes_the_place_of_nobody_elses_wish(
    first: tuple[str, HangUp | TransferCall],
    then: tuple[str, HangUp | TransferCall],
    stands: bool,
) -> None:
    departure, talk = Departure(), conversation()
    for by, wish in (first, then):
        departure.wish(wish, talk, 0.0, by)

    done = departure.look(talk, True, 20.0) + departure.look(talk, True, 40.0)
    left = [one for one in done if isinstance(one, HangUp | TransferCall)]
    assert left == [first[1] if stands else then[1]]


def test_last_words_are_announced_once() -> None:
    departure = Departure()

    departure.part(ending("drained"), ("goodbye",), None, False, 0.0)
    departure.part(ending("too-long"), ("sorry",), None, False, 0.0)

    assert departure.unsaid == ("goodbye",)
    assert departure.ending("caller-hung-up") == ending("drained")
