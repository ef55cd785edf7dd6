"""What may be asked of a call, and how digits find whoever waits for them."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from opusbridge import effects, events
from opusbridge.agent import Agent
from opusbridge.audio.wav import wav_bytes
from opusbridge.bridge import control as control_room
from opusbridge.bridge.control import MOST_PLAYED_BYTES, Control
from opusbridge.errors import TransferRefused, WishRefused
from opusbridge.privacy import Private
from opusbridge.tools import CallContext, Digits

AGENT = Agent(name="a", instructions="b", destinations={"billing": "+15550100300"})


def a_control() -> tuple[Control, list[events.FromShell]]:
    happened: list[events.FromShell] = []
    return Control(AGENT, happened.append, lambda target: None, lambda: None), happened


def delivery(name: str, digits: str, how: str) -> effects.DeliverDigits:
    return effects.DeliverDigits(name, Private(digits), how)


def test_wishes_become_events_and_the_agents_own_words_go_no_further() -> None:
    control, happened = a_control()
    control.hang_up("they said something private")
    control.transfer("billing", "a bill")

    assert happened == [
        events.HangUpRequested("agent-hung-up"),
        events.TransferRequested(Private("+15550100300"), Private("a bill")),
    ]


def test_it_is_known_which_tool_leaves() -> None:
    control, happened = a_control()
    control.of_tool("call_1").hang_up("they said goodbye")
    control.of_tool("call_2").transfer("billing", "a bill")

    assert [getattr(one, "tool_call_id", None) for one in happened] == ["call_1", "call_2"]


def test_a_transfer_to_anywhere_else_is_refused() -> None:
    control, happened = a_control()

    with pytest.raises(TransferRefused):
        control.transfer("+15550100999", "they asked")
    assert happened == []


def test_keys_for_the_other_end_are_keys() -> None:
    control, happened = a_control()
    control.send_dtmf("12*#")

    assert happened == [events.DTMFRequested(Private("12*#"))]
    for digits in ("", "1" * 21, "12A", "one", "١"):
        with pytest.raises(ValueError, match="0-9"):
            control.send_dtmf(digits)


def test_a_line_that_cannot_send_keys_says_so() -> None:
    def refuse() -> None:
        raise WishRefused("this line cannot")

    control = Control(AGENT, lambda event: None, lambda target: None, refuse)

    with pytest.raises(WishRefused, match="this line cannot"):
        control.send_dtmf("1")


def test_a_file_is_played_with_its_words(tmp_path: Path) -> None:
    control, happened = a_control()
    path = tmp_path / "music.wav"
    path.write_bytes(wav_bytes(bytes(1_600), 8_000, 1))
    control.play(path, "La la.")

    assert happened == [events.PlayRequested(8_000, bytes(1_600), Private("La la."))]


async def test_a_tool_in_a_thread_reads_its_file_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in: list[threading.Thread] = []

    def read(path: Path) -> tuple[int, bytes]:
        read_in.append(threading.current_thread())
        return 8_000, path.read_bytes()

    monkeypatch.setattr(control_room, "read_clip", read)
    (tmp_path / "music.wav").write_bytes(b"la")
    played_in: list[threading.Thread] = []
    control = Control(
        AGENT,
        lambda event: played_in.append(threading.current_thread()),
        lambda target: None,
        lambda: None,
    )
    here = threading.current_thread()
    context = CallContext("call-1", control=control).for_thread(asyncio.get_running_loop())

    await asyncio.to_thread(context.play, tmp_path / "music.wav")
    assert here not in read_in
    assert played_in == [here]
    with pytest.raises(WishRefused):
        await asyncio.to_thread(context.play, tmp_path / "none.wav")

    context.play(tmp_path / "music.wav")  # as an async part of the tool's may
    assert read_in[1:] == [here]


def test_what_is_no_text_is_refused_to_who_said_it(tmp_path: Path) -> None:
    control, happened = a_control()
    path = tmp_path / "music.wav"
    path.write_bytes(wav_bytes(bytes(1_600), 8_000, 1))
    wrong: Any = {"note": "wants a refund"}

    with pytest.raises(TypeError, match="words must be a str, not dict"):
        control.play(path, wrong)
    with pytest.raises(TypeError, match="reason must be a str"):
        control.transfer("billing", wrong)
    with pytest.raises(TypeError, match="summary must be a str"):
        control.transfer("billing", "a bill", wrong)
    assert happened == []


def test_nothing_said_may_be_none_too() -> None:
    control, happened = a_control()
    nothing: Any = None
    control.transfer("billing", "a bill", nothing)

    assert happened == [events.TransferRequested(Private("+15550100300"), Private("a bill"))]


def test_a_file_that_is_none_or_too_long_is_refused(tmp_path: Path) -> None:
    control, happened = a_control()
    (tmp_path / "long.wav").write_bytes(wav_bytes(bytes(16_000 * 61), 8_000, 1))
    (tmp_path / "text.wav").write_text("La la.")

    for name in ("long.wav", "text.wav", "none.wav"):
        with pytest.raises(WishRefused, match=r"played|longer"):
            control.play(tmp_path / name, "")
    assert happened == []


def test_a_file_that_was_written_anew_is_played_as_it_is_now(tmp_path: Path) -> None:
    control, happened = a_control()
    path = tmp_path / "answer.wav"
    for sound in (bytes(1_600), b"\x01\x02" * 800):
        path.write_bytes(wav_bytes(sound, 8_000, 1))
        control.play(path, "")

    assert happened == [
        events.PlayRequested(8_000, bytes(1_600), Private("")),
        events.PlayRequested(8_000, b"\x01\x02" * 800, Private("")),
    ]


def test_what_is_too_large_or_no_file_at_all_is_not_even_read(tmp_path: Path) -> None:
    control, happened = a_control()
    with open(tmp_path / "large.wav", "wb") as large:
        large.truncate(MOST_PLAYED_BYTES + 1)  # a hole, which takes no room
    os.mkfifo(tmp_path / "pipe.wav")  # reading it would wait for a writer

    for name, why in (("large.wav", "too large"), ("pipe.wav", "cannot be played")):
        with pytest.raises(WishRefused, match=why):
            control.play(tmp_path / name, "")
    assert happened == []


def test_hold_is_asked_for_and_ended() -> None:
    control, happened = a_control()
    control.hold(True)
    control.hold(False)

    assert happened == [events.HoldRequested(True), events.HoldRequested(False)]


async def test_a_hold_says_which_tool_asks_and_keys_find_it_all_the_same() -> None:
    control, happened = a_control()
    of_tool = control.of_tool("call_1")
    of_tool.hold(True)
    control.hold(True)

    assert happened == [events.HoldRequested(True, "call_1"), events.HoldRequested(True)]
    two = [
        asyncio.create_task(one.collect_digits(4, "#", 5.0, False)) for one in (of_tool, control)
    ]
    await asyncio.sleep(0)
    control.deliver(delivery("digits-2", "22", "timeout"))
    control.deliver(delivery("digits-1", "11", "timeout"))
    assert [await one for one in two] == [Digits("11", False), Digits("22", False)]


@pytest.mark.parametrize(("how", "complete"), [("length", True), ("timeout", False)])
async def test_digits_find_whoever_waits_for_them(how: str, complete: bool) -> None:
    control, happened = a_control()
    waiting = asyncio.create_task(control.collect_digits(4, "#", 5.0, True))
    await asyncio.sleep(0)
    assert happened == [events.DigitsWanted("digits-1", 4, "#", 5.0, True)]
    control.deliver(delivery("digits-7", "99", "length"))
    control.deliver(delivery("digits-1", "1234", how))
    control.deliver(delivery("digits-1", "5678", how))

    assert await waiting == Digits("1234", complete)
    assert len(happened) == 1


async def test_digits_that_are_a_secrets_say_so() -> None:
    control, _ = a_control()
    waiting = asyncio.create_task(control.collect_digits(1, "#", 5.0, False))
    await asyncio.sleep(0)
    control.deliver(effects.DeliverDigits("digits-1", Private("5"), "length", secret=True))

    assert await waiting == Digits("5", True, secret=True)


async def test_who_stops_waiting_says_so() -> None:
    control, happened = a_control()
    waiting = asyncio.create_task(control.collect_digits(4, "#", 5.0, False))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert happened[1:] == [events.DigitsUnwanted("digits-1")]


async def test_when_the_call_has_ended_nobody_waits_for_digits() -> None:
    control, happened = a_control()
    waiting = asyncio.create_task(control.collect_digits(4, "#", 5.0, False))
    await asyncio.sleep(0)
    control.call_ended()

    assert await waiting == Digits("", False)
    assert await control.collect_digits(4, "#", 5.0, False) == Digits("", False)
    assert happened == [events.DigitsWanted("digits-1", 4, "#", 5.0, False)]


async def test_a_tool_that_asks_again_and_again_is_cancelled_with_its_call() -> None:
    control, _ = a_control()
    of_tool, asked = control.of_tool("call_1"), list[Digits]()

    async def tool() -> None:
        while True:
            asked.append(await of_tool.collect_digits(4, "#", 5.0, False))

    waiting = asyncio.create_task(tool())
    late = asyncio.create_task(asyncio.sleep(0.05))
    await asyncio.sleep(0)
    control.call_ended()
    again = asyncio.create_task(tool())
    await late
    for task in (waiting, again):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert asked == []


async def test_one_tool_collects_at_a_time() -> None:
    control, _ = a_control()
    waiting = asyncio.create_task(control.collect_digits(4, "#", 5.0, False))
    await asyncio.sleep(0)
    control.deliver(delivery("digits-1", "", "busy"))

    with pytest.raises(RuntimeError, match="another tool"):
        await waiting
