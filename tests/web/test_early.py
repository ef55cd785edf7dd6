"""Calls that are there before it is known whose they are."""

from opusbridge.errors import ending
from opusbridge.web.early import EarlyCalls

KEPT_SECONDS = 180.0


def some() -> EarlyCalls:
    """Two of AudioCodes ring since 0.0."""
    early = EarlyCalls(KEPT_SECONDS)
    early.came("call-1", "audiocodes", "conversation-1", 0.0)
    early.came("call-2", "audiocodes", "conversation-2", 0.0)
    return early


def test_who_is_claimed_is_no_longer_there() -> None:
    early = some()
    assert early.ringing() == {"audiocodes": 2}

    claimed = early.claim("audiocodes", "conversation-2")
    assert claimed is not None
    assert (claimed.call_id, claimed.how) == ("call-2", None)
    assert early.claim("audiocodes", "conversation-2") is None
    assert early.ringing() == {"audiocodes": 1}


def test_the_same_name_on_another_side_is_another_call() -> None:
    assert some().claim("twilio", "conversation-1") is None


def test_one_that_is_over_can_still_be_claimed() -> None:
    early = some()
    early.over("call-1", ending("not-answered"))
    early.settled("call-1")
    assert early.ringing() == {"audiocodes": 1}

    claimed = early.claim("audiocodes", "conversation-1")
    assert claimed is not None
    assert claimed.how == ending("not-answered")


def test_what_nobody_claims_is_forgotten_once_it_rings_no_longer() -> None:
    early = some()
    early.settled("call-1")
    early.came("call-3", "audiocodes", "conversation-3", KEPT_SECONDS + 1.0)

    assert early.claim("audiocodes", "conversation-1") is None
    assert early.claim("audiocodes", "conversation-2") is not None


def test_of_others_nothing_is_known() -> None:
    early = EarlyCalls(KEPT_SECONDS)
    early.over("call-1", ending("not-answered"))
    early.settled("call-1")

    assert not early.ringing()
