from math import inf

from opusbridge.call.judge import (
    ECHO_LOSS_DB,
    ECHO_SECONDS,
    FADE_SECONDS,
    QUIET_SECONDS,
    RECENT_MS,
    Judge,
)
from opusbridge.sound import PCM_8K, Audio

LOUD_DBFS = -6.0


def sound(ms: int, level: int = 16_384) -> Audio:
    """A square wave of that height of 32768: half of it is -6 dBFS."""
    high, low = level.to_bytes(2, "little"), (-level).to_bytes(2, "little", signed=True)
    return Audio.of((high + low) * (4 * ms), PCM_8K)


def silent(since: float, until: float) -> float:
    return -inf


def heard(judge: Judge, ms: int, now: float, level: int = 16_384) -> float:
    """So much of it in frames of 20 ms; when the last one ended."""
    for _ in range(ms // 20):
        now += 0.02
        judge.hear(sound(20, level), now)
    return now


def test_so_much_voice_is_speech() -> None:
    judge = Judge(250, silent)
    judge.open(1.0, 1.0)
    now = heard(judge, 240, 1.0)
    assert not judge.is_speech

    heard(judge, 20, now)
    assert judge.is_speech
    assert judge.voice_ms == 260


def test_what_is_as_quiet_as_a_line_is_not_voice() -> None:
    judge = Judge(250, silent)
    judge.open(1.0, 1.0)
    heard(judge, 1000, 1.0, level=300)

    assert judge.voice_ms == 0
    assert judge.quiet_at == 1.0 + QUIET_SECONDS


def test_speech_of_which_nobody_told_for_a_second_and_a_half_is_speech() -> None:
    judge = Judge(250, silent)
    now = heard(judge, 320, 1.0)
    now = heard(judge, 1_400, now, level=300)
    judge.open(1.0, now)
    assert judge.is_speech


def test_every_sound_puts_off_the_silence() -> None:
    judge = Judge(250, silent)
    judge.open(1.0, 1.0)
    now = heard(judge, 100, 1.0)

    assert judge.quiet_at == now + QUIET_SECONDS


def test_where_frames_are_long_silence_is_awaited_until_the_next_can_have_come() -> None:
    judge = Judge(250, silent)
    judge.hear(sound(500), 1.0)
    judge.open(0.9, 1.05)
    assert judge.quiet_at > 1.5 + 0.25

    judge.hear(sound(20), 1.5)
    assert judge.quiet_at == 1.5 + QUIET_SECONDS


def test_only_what_came_since_the_sound_began_counts_of_what_came_before() -> None:
    judge = Judge(250, silent)
    now = heard(judge, 400, 1.0)
    judge.open(now - 0.1, now)

    assert round(judge.voice_ms) == 100


def test_what_came_long_before_is_forgotten() -> None:
    judge = Judge(250, silent)
    now = heard(judge, 9000, 1.0)
    judge.open(0.0, now)

    assert judge.voice_ms == RECENT_MS


def test_a_judgement_begins_anew_and_a_closed_one_weighs_nothing() -> None:
    judge = Judge(250, silent)
    judge.open(1.0, 1.0)
    now = heard(judge, 200, 1.0)
    judge.close()
    now = heard(judge, 200, now)
    assert judge.voice_ms == 200

    judge.open(now, now)
    assert judge.voice_ms == 0


def test_a_long_piece_is_weighed_by_its_parts() -> None:
    judge = Judge(250, silent)
    judge.open(1.0, 1.0)
    judge.hear(Audio.of(sound(50).raw + bytes(16 * 150), PCM_8K), 1.2)

    assert 40 <= judge.voice_ms <= 60


def test_what_is_fainter_than_the_agent_was_is_his_echo_and_no_silence_either() -> None:
    asked: list[tuple[float, float]] = []

    def loud_agent(since: float, until: float) -> float:
        asked.append((since, until))
        return LOUD_DBFS + ECHO_LOSS_DB + 0.1

    judge = Judge(250, loud_agent)
    judge.open(1.0, 1.0)
    judge.hear(sound(20), 1.5)

    assert judge.voice_ms == 0
    assert judge.quiet_at == 1.5 + QUIET_SECONDS
    assert asked == [(1.5 - ECHO_SECONDS, 1.5)]


def test_a_syllable_that_fades_is_the_callers_as_long_as_it_may_be() -> None:
    judge = Judge(250, lambda since, until: LOUD_DBFS + ECHO_LOSS_DB - 0.1)
    judge.open(1.0, 1.0)
    now = heard(judge, 20, 1.5)
    heard(judge, 400, now, level=4_000)

    assert 0 <= 20 + FADE_SECONDS * 1000 - judge.voice_ms <= 20


def test_what_is_louder_than_his_echo_could_be_is_the_callers() -> None:
    judge = Judge(250, lambda since, until: LOUD_DBFS + ECHO_LOSS_DB - 0.1)
    judge.open(1.0, 1.0)
    judge.hear(sound(20), 1.5)

    assert judge.voice_ms == 20
