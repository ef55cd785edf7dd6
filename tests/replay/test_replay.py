"""Calls that were recorded are played again: exactly, or up to the first difference."""

import dataclasses
import json
import runpy
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opusbridge import events
from opusbridge.agent import Agent
from opusbridge.replay import Replay, assert_replays, replay
from opusbridge.replay.kept import KeptEngine
from opusbridge.replay.moments import moments
from opusbridge.replay.regression import write_test
from opusbridge.replay.replaying import UNHEARD
from opusbridge.sim import script
from opusbridge.sim.seeded import manner, seeded_call
from opusbridge.testing.virtual import staged
from opusbridge.tools.context import CallContext
from tests.replay.kept import Kept

#: Both sides, each manner of barge-in, responses begun by either party.
SEEDS = (0, 3, 5, 11)

#: Barge-in is judged by how loud the caller is; 156 cuts samples in two.
CONFIRMED = (59, 156)

#: Short, and quickly simulated.
SHORT = 86

Lines = list[dict[str, Any]]


def kept(seed: int, folder: Path, *, whole: bool = False) -> Path:
    """The flight of the call of this seed."""
    call, path = seeded_call(seed), folder / f"seed-{seed}.jsonl"
    engine = KeptEngine(call.engine, path, whole=whole)  # type: ignore[arg-type]  # the real one
    call.engine = engine
    call.run(300.0)
    engine.finish()
    return path


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kept(SHORT, tmp_path_factory.mktemp("flights"))


def changed(flight: Path, folder: Path, change: Callable[[Lines], object]) -> Path:
    """A copy in which something was changed."""
    lines = [json.loads(line) for line in flight.read_text().splitlines()]
    change(lines)
    path = folder / "changed.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def played(flight: Path, folder: Path, change: Callable[[Lines], object]) -> Replay:
    return replay(changed(flight, folder, change))


def requests(lines: Lines) -> Lines:
    """Our requests for a response."""
    return [one for one in lines if "text" in one and one["text"].get("type") == "response.create"]


# --- Exact ------------------------------------------------------------------------------


def test_the_seeds_are_of_both_sides_and_every_manner() -> None:
    manners = [str(manner(seed)) for seed in (*SEEDS, *CONFIRMED)]

    for word in ("twilio", "audiocodes", "confirmed barge-in", "by the model", "by the bridge"):
        assert any(word in told for told in manners), word


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*SEEDS, *CONFIRMED])
def test_a_simulated_call_goes_as_it_went(seed: int, tmp_path: Path) -> None:
    again = replay(kept(seed, tmp_path))

    assert str(again.difference or again.stopped) == ""
    assert again.messages > 5
    assert again.frames > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", [SHORT, 156])
def test_where_the_sound_was_kept_it_is_the_same_to_the_last_sample(
    seed: int, tmp_path: Path
) -> None:
    path = kept(seed, tmp_path, whole=True)
    again = replay(path)
    assert str(again.difference or again.stopped) == ""

    def silenced(lines: Lines) -> None:
        for line in lines:
            if "sound" in line:
                line["sound"] = b64encode(bytes(len(b64decode(line["sound"])))).decode()

    assert replay(changed(path, tmp_path, silenced)).difference is not None


def test_sound_of_a_model_that_calls_it_as_the_beta_did_goes_as_it_went(tmp_path: Path) -> None:
    call = Kept(tmp_path, whole=True)
    call.model(type="response.created", response={"id": "resp_1", "output": []})
    of = {"response_id": "resp_1", "item_id": "item_1", "content_index": 0}
    call.model(type="response.audio.delta", **of, delta=b64encode(bytes(range(160))).decode())
    call.until(9.0)
    call.finish()

    (came,) = (one for one in call.lines if one.get("peer") == "model" and "media" in one)
    assert (came["media"], came["bytes"], came["of"]) == ("response.audio.delta", 160, of)
    again = call.replayed()
    assert str(again.difference or again.stopped) == ""
    assert again.frames == 1


@pytest.mark.parametrize("text", ["<oversized>", "x" * 65_537])
def test_a_text_that_is_no_message_comes_again_as_it_came_or_as_long(
    tmp_path: Path, text: str
) -> None:
    call = Kept(tmp_path)
    call.engine.telephony_said(text, 3.0)
    call.finish()

    *_, came = (one.text for one in moments(call.lines[1:]) if one.peer == "telephony")
    assert came == (text if text == "<oversized>" else " " * len(text))


# --- Different --------------------------------------------------------------------------


def test_a_call_conducted_otherwise_differs_where_that_shows_first(
    flight: Path, tmp_path: Path
) -> None:
    def change(lines: Lines) -> None:
        lines[0]["policy"]["session"]["instructions"] = "Be long-winded."

    found = played(flight, tmp_path, change).difference

    assert found is not None
    assert '"instructions":"Be brief."' in found.expected
    assert '"instructions":"Be long-winded."' in found.came
    assert "telephony → bridge" in str(found)
    assert len(found.context) >= 2
    with pytest.raises(AssertionError, match="the first difference is at"):
        assert_replays(tmp_path / "changed.jsonl")


def test_one_byte_of_a_message_is_a_difference(flight: Path, tmp_path: Path) -> None:
    def change(lines: Lines) -> None:
        requests(lines)[-1]["sha"] = "0" * 16

    found = played(flight, tmp_path, change).difference
    assert found is not None
    assert (
        found.came
        == "the same with another hash: the file was changed, or we spell it otherwise now"
    )


def test_a_message_that_leaves_no_more_is_missed(flight: Path, tmp_path: Path) -> None:
    def change(lines: Lines) -> None:
        # The engine is not told of what made it ask: the turn that was committed.
        for line in lines:
            if "text" in line and line["text"].get("type") == "session.updated":
                line["text"]["type"] = "somebody's.invention"

    found = played(flight, tmp_path, change).difference

    assert found is not None
    assert found.came.startswith(("nothing", "{"))


def test_a_message_that_did_not_leave_is_one_too_many(flight: Path, tmp_path: Path) -> None:
    def change(lines: Lines) -> None:
        gone = requests(lines)[-1]["n"]
        lines[:] = [line for line in lines if line.get("n") != gone]
        for line in lines:
            if line.get("n", 0) > gone:
                line["n"] -= 1
            elif "gaps" in line and line["n"] + sum(a * b for a, b in line["gaps"]) > gone:
                steps = [step for step, count in line["gaps"] for _ in range(count)]
                at = line["n"]
                for nth, step in enumerate(steps):
                    at += step
                    if at > gone:
                        steps[nth] -= 1
                        break
                line["gaps"] = [[step, 1] for step in steps]

    found = played(flight, tmp_path, change).difference

    assert found is not None
    assert found.expected == "nothing more"
    assert "response.create" in found.came


def test_sound_of_another_length_is_a_difference(flight: Path, tmp_path: Path) -> None:
    def change(lines: Lines) -> None:
        line = next(one for one in lines if one.get("media") and one["dir"] == "out")
        sizes = line["sizes"]
        line["sizes"] = sizes + 1 if isinstance(sizes, int) else [sizes[0] + 1, *sizes[1:]]

    found = played(flight, tmp_path, change).difference

    assert found is not None
    assert "bytes of sound" in found.expected


def test_another_ending_is_a_difference(flight: Path, tmp_path: Path) -> None:
    def change(lines: Lines) -> None:
        next(line for line in lines if line.get("note") == "ended")["reason"] = "too-long"

    found = played(flight, tmp_path, change).difference

    assert found is not None
    assert found.expected == "the ending too-long"


def test_a_call_that_no_longer_ends_is_a_difference(flight: Path, tmp_path: Path) -> None:
    def change(lines: Lines) -> None:
        for line in lines:
            if line.get("text", {}).get("event") == "stop":
                line["text"]["event"] = "x-stop"

    found = played(flight, tmp_path, change).difference

    assert found is not None
    assert (found.expected, found.came) == ("the ending agent-hung-up", "no ending")


# --- Not to be played to the end --------------------------------------------------------


def test_a_crash_costs_what_was_not_written_and_nothing_before(
    flight: Path, tmp_path: Path
) -> None:
    content = flight.read_bytes()
    (tmp_path / "cut.jsonl").write_bytes(content[: len(content) // 2])
    again = replay(tmp_path / "cut.jsonl")

    assert again.exact
    assert again.messages > 2
    assert again.stopped in (
        "the file is cut off or damaged",
        "the file ends, before the call does",
    )
    assert again.stopped in str(again)


@pytest.mark.parametrize(
    ("note", "why"), [("flight-full", "limit"), ("flight-gap", "in time"), ("other", "cut off")]
)
def test_it_is_told_why_something_is_missing(
    flight: Path, tmp_path: Path, note: str, why: str
) -> None:
    def change(lines: Lines) -> None:
        lines.append({"t": 1.0, "note": note})
        last = requests(lines)[-1]["n"]
        lines[:] = [line for line in lines if line.get("n") != last]

    again = played(flight, tmp_path, change)

    assert again.exact
    assert why in again.stopped


@pytest.mark.parametrize("last", ["playStream.stop", '"wakes"'])
def test_a_last_line_that_cannot_be_read_is_no_difference(tmp_path: Path, last: str) -> None:
    """The file has the ending: what came just before it may be written after it."""
    call = Kept(tmp_path, "audiocodes")
    call.shell(events.HangUpRequested("hung-up-by-operator"))
    call.until(20.0)
    call.engine.finish()
    lines = call.path.read_text().splitlines()
    number = max(json.loads(line)["n"] for line in lines if last in line)
    lines = [line for line in lines if json.loads(line).get("n", 0) <= number]
    lines = [line[:40] if f'"n":{number},' in line else line for line in lines]
    call.path.write_text("\n".join(lines))
    again = call.replayed()

    assert again.exact, again
    assert "the file is cut off or damaged" in again.stopped


def test_what_was_withheld_cannot_be_played(flight: Path, tmp_path: Path) -> None:
    def change(lines: Lines) -> None:
        came = [one for one in lines if one.get("dir") == "in" and "text" in one]
        for line in came[-4:]:
            line["text"], line["withheld"] = {"type": "<withheld>"}, True

    again = played(flight, tmp_path, change)

    assert again.exact
    assert "not reproducible" in again.stopped or again.stopped == ""


@pytest.mark.slow
def test_the_sound_of_a_pause_is_missing_where_all_was_kept(tmp_path: Path) -> None:
    call, path = seeded_call(3), tmp_path / "paused.jsonl"
    engine = KeptEngine(call.engine, path, whole=True)  # type: ignore[arg-type]  # the real one
    call.engine = engine
    call.happens(events.RecordingPauseRequested("operator"), 3.0)
    call.run(300.0)
    engine.finish()

    again = replay(path)
    assert str(again.difference or "") == ""
    assert UNHEARD in again.stopped


@pytest.mark.slow
def test_a_call_with_a_pause_is_played_through_it(tmp_path: Path) -> None:
    call, path = seeded_call(0), tmp_path / "paused.jsonl"
    engine = KeptEngine(call.engine, path)  # type: ignore[arg-type]  # the real one
    call.engine = engine
    call.happens(events.RecordingPauseRequested("operator"), 1.0)
    call.happens(events.RecordingResumeRequested("operator"), 6.0)
    call.run(300.0)
    engine.finish()

    again = replay(path)
    assert "<withheld>" in path.read_text()
    assert again.exact
    assert again.stopped == ""


@pytest.mark.slow
def test_a_call_in_which_keys_were_secret_is_played_as_far_as_they_do_not_matter(
    tmp_path: Path,
) -> None:
    call, path = seeded_call(3), tmp_path / "secret.jsonl"
    engine = KeptEngine(call.engine, path)  # type: ignore[arg-type]  # the real one
    call.engine = engine
    call.happens(events.DigitsWanted("digits-1", 4, "#", 5.0, secret=True), 3.0)
    call.run(300.0)
    engine.finish()

    again = replay(path)
    assert again.exact
    assert again.seconds > 50.0
    assert again.stopped == "", "no key was pressed"


def test_a_call_that_judges_by_loudness_needs_to_hear(flight: Path, tmp_path: Path) -> None:
    def deafen(lines: Lines) -> None:
        for line in lines:
            line.pop("levels", None)

    again = played(flight, tmp_path, deafen)

    assert again.exact
    assert "OPUSBRIDGE_FLIGHT=whole" in again.stopped


# --- No flight --------------------------------------------------------------------------


def spoil(lines: Lines) -> None:
    for line in lines[1:]:
        line["at"] = "!"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda lines: lines[0].update(policy=None), "without the policy"),
        (lambda lines: lines[0].update(policy={"telephony": {"name": "pigeon"}}), "the policy"),
        (lambda lines: lines[0].update(flight=7), "of version 7"),
        (spoil, "damaged"),
        (lambda lines: [line.update(event="x") for line in lines if "event" in line], "damaged"),
        (lambda lines: [line.pop("text", None) for line in lines], "damaged"),
        (lambda lines: [line.update(n="x") for line in lines[1:] if "n" in line], "damaged"),
    ],
)
def test_what_cannot_be_played_is_told_in_one_line(
    flight: Path, tmp_path: Path, change: Callable[[Lines], object], why: str
) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        played(flight, tmp_path, change)

    assert "\n" not in str(refused.value)


def test_a_line_that_cannot_be_played_is_told_by_its_place_in_the_file(
    flight: Path, tmp_path: Path
) -> None:
    lines = [json.loads(text) for text in flight.read_text().splitlines()]
    nth = next(nth for nth in range(30, len(lines)) if lines[nth].get("dir") == "in")
    lines[nth]["at"] = "!"
    path = tmp_path / "flight.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    with pytest.raises(ValueError, match=rf"line {nth + 1} \(n {lines[nth]['n']}\) cannot be"):
        replay(path)


# --- To a test --------------------------------------------------------------------------


def test_a_flight_becomes_a_test_that_holds_and_can_fail(flight: Path, tmp_path: Path) -> None:
    known = dataclasses.replace(replay(flight), call_id="a-call.1")
    test = write_test(flight, known, tmp_path / "calls")
    copy = tmp_path / "calls" / "call_a_call_1.flight.jsonl"

    assert test.name == "test_call_a_call_1.py"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    run = runpy.run_path(str(test))["test_call_a_call_1_goes_as_it_went"]
    run()

    def change(lines: Lines) -> None:
        lines[0]["policy"]["session"]["instructions"] = "Be long-winded."

    copy.write_bytes(changed(flight, tmp_path, change).read_bytes())
    with pytest.raises(AssertionError, match="long-winded"):
        run()
    with pytest.raises(FileExistsError):
        write_test(flight, known, tmp_path / "calls")


def test_such_a_test_fails_for_a_copy_of_which_less_can_be_played(
    flight: Path, tmp_path: Path
) -> None:
    known = dataclasses.replace(replay(flight), call_id="1")
    test = write_test(flight, known, tmp_path)
    copy, content = tmp_path / "call_1.flight.jsonl", flight.read_bytes().splitlines(True)
    run = runpy.run_path(str(test))["test_call_1_goes_as_it_went"]
    assert f"messages={known.messages}, ended=True)" in test.read_text()

    copy.write_bytes(content[0])
    with pytest.raises(AssertionError, match=f"only 0 messages of {known.messages} were proved"):
        run()
    copy.write_bytes(b"".join(line for line in content if b'"note":"ended"' not in line))
    with pytest.raises(AssertionError, match="did not come to its end"):
        run()


def test_a_call_whose_agent_was_chosen_for_it_goes_as_it_went(tmp_path: Path) -> None:
    def configure(call: CallContext) -> dict[str, str]:
        return {"greeting": "Greet the caller by name."}

    agent = Agent(name="desk", instructions="Be kind.", greeting="Hello.", configure=configure)
    call = staged(script.load("greeting"), "twilio", agent)
    engine = KeptEngine(call.engine, tmp_path / "flight.jsonl")
    call.call.engine = engine
    call.run()
    engine.finish()

    assert_replays(tmp_path / "flight.jsonl")
    assert "CallConfigured" in (tmp_path / "flight.jsonl").read_text()
