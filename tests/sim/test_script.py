"""Call scripts: what is written is what happens, and mistakes are named."""

from pathlib import Path
from random import Random

import pytest

from opusbridge.audio.wav import wav_bytes
from opusbridge.errors import ConfigurationError
from opusbridge.sim import espeak, tones, voices
from opusbridge.sim.callers import (
    DropLine,
    HangUp,
    Interrupt,
    Press,
    Say,
    Wait,
    WaitForAgent,
    WaitForSilence,
    WaitForSound,
)
from opusbridge.sim.model import Fault, FaultKind
from opusbridge.sim.script import CallScript, load, parse, schema, spoken
from opusbridge.sim.staged import audiocodes_caller

EVERYTHING = """
description = "One of each."

[caller]
steps = [
    { wait_for_agent = true },
    { wait_for_sound = true },
    { say = "opening-hours" },
    { say = "do you also open on sundays?" },
    { interrupt = { after_ms = 1500, say = "one-more-thing" } },
    { wait = 1.5 },
    { press = "12#" },
    { wait_for_agent = 4.5 },
    { wait_for_silence = 2 },
    { drop_line = true },
    { drop_line = true, back_after = 3 },
    { hang_up = true },
]

[[model.replies]]
voice = "front-desk"

[[model.replies]]
text = "Let me see."
tool = "look"
arguments = { where = "there" }
delay = 0.5
"""


def test_each_step_is_something_a_person_does() -> None:
    script = parse(EVERYTHING, "all")
    steps = script.caller.taken()

    assert steps == [
        WaitForAgent(),
        WaitForSound(),
        spoken("opening-hours"),
        spoken("sundays-too"),
        Interrupt(1500, spoken("one-more-thing")),
        Wait(1.5),
        Press("12#"),
        WaitForAgent(4.5),
        WaitForSilence(2.0),
        DropLine(),
        DropLine(3.0),
        HangUp(),
    ]
    assert script.name == "all"
    assert not script.person().done


@pytest.mark.parametrize("written", ["1", "1.0"])
def test_one_second_of_waiting_is_not_taken_for_true(written: str) -> None:
    steps = f"{{ wait_for_agent = {written} }}, {{ wait_for_sound = {written} }}"
    script = parse(f"[caller]\nsteps = [{steps}]", "short")

    assert script.caller.taken() == [WaitForAgent(1.0), WaitForSound(1.0)]


def test_a_line_is_spoken_as_it_was_recorded() -> None:
    line = spoken("opening-hours")

    rate_hz, pcm = voices.load("opening-hours")
    assert (line.rate_hz, line.pcm, line.text) == (rate_hz, pcm, voices.LINES["opening-hours"])
    assert spoken("opening-hours") is line, "made once, so that its frames are"


def test_the_model_says_what_is_written_and_hears_what_is_said() -> None:
    script = parse(EVERYTHING, "all").reply_script()

    greeting, look = script.replies
    assert greeting.text == voices.LINES["front-desk"]
    assert greeting.pcm24k is not None
    assert len(greeting.pcm24k) > 2 * 24_000
    assert (look.text, look.pcm24k, look.delay_seconds) == ("Let me see.", None, 0.5)
    assert (look.tool_calls[0].name, look.tool_calls[0].arguments) == ("look", '{"where": "there"}')
    assert list(script.heard) == [
        voices.LINES[slug] for slug in ("opening-hours", "sundays-too", "one-more-thing")
    ]


def test_silence_that_is_said_makes_no_turn_and_has_no_words() -> None:
    steps = "{ silence = 0.5 }, { say = 'yes-please' }, { tone = { hz = 440, seconds = 1 } }"
    script = parse(f"[caller]\nsteps = [{steps}]", "silent")

    assert list(script.reply_script().heard) == [voices.LINES["yes-please"], ""]


def test_what_comes_of_a_transfer_is_the_callers_side_to_know() -> None:
    script = load("transfer-refused")

    assert audiocodes_caller(script, "a-name", Random(1)).habits.transfer_outcome == "busy"


def test_parallel_tools_and_arguments_that_are_no_json_can_be_written() -> None:
    script = parse(
        "[caller]\nsteps = []\n[[model.replies]]\n"
        "tools = [{ name = 'a', arguments = { n = 1 } }, { name = 'b', arguments = 'no json' }]",
        "tools",
    )

    (reply,) = script.reply_script().replies
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [
        ("a", '{"n": 1}'),
        ("b", "no json"),
    ]


def test_faults_and_knobs_are_the_simulated_models() -> None:
    script = parse(
        "[caller]\nsteps = []\n[model]\nfaults = [{ response = 2, kind = 'failed', "
        "detail = 'server_error' }]\n[model.knobs]\nrefusal-text = 'january-2025'\n"
        "odd-deltas = true\ndelta-ms = '20-40'",
        "faults",
    )

    knobs = script.model.behaviour()
    assert knobs.faults[2] == Fault(FaultKind.FAILED, "server_error")
    assert (knobs.refusal_text, knobs.odd_deltas, knobs.delta_ms) == (
        "january-2025",
        True,
        (20, 40),
    )


def test_a_fault_among_the_knobs_is_one_beside_those_of_the_table() -> None:
    script = parse(
        "[caller]\nsteps = []\n[model]\nfaults = [{ response = 2, kind = 'empty' }]\n"
        "[model.knobs]\nfailed = '3:server_error'\ndrop = 5\nmessage-items = 3\ndelta-ms = 20",
        "faults",
    )

    knobs = script.model.behaviour()
    assert knobs.faults == {
        2: Fault(FaultKind.EMPTY),
        3: Fault(FaultKind.FAILED, "server_error"),
        5: Fault(FaultKind.DROP),
    }
    assert (knobs.message_items, knobs.delta_ms) == (3, (20, 20))


def test_steps_are_repeated_but_the_hanging_up() -> None:
    script = parse(
        "[caller]\nrepeat = 3\nsteps = [{ wait = 1 }, { press = '1' }, { hang_up = true }]", "again"
    )

    assert script.caller.taken() == [Wait(1.0), Press("1")] * 3 + [HangUp()]


# --- What is said -----------------------------------------------------------------------


def test_a_tone_and_silence_are_said_for_as_long_as_written() -> None:
    script = parse(
        "[caller]\nsteps = [{ tone = { hz = 440, seconds = 0.5 } }, { silence = 2 }]", "sounds"
    )

    tone, silence = script.caller.taken()
    assert isinstance(tone, Say)
    assert isinstance(silence, Say)
    assert (len(tone.pcm), any(tone.pcm)) == (8_000, True)
    assert (len(silence.pcm), any(silence.pcm)) == (32_000, False)


def test_a_wav_beside_the_script_is_said_with_its_words(tmp_path: Path) -> None:
    pcm = tones.voice(300, 8_000)
    (tmp_path / "hello.wav").write_bytes(wav_bytes(pcm, 8_000, 1))
    (tmp_path / "odd.wav").write_bytes(wav_bytes(tones.voice(300, 11_025), 11_025, 1))
    (tmp_path / "mine.toml").write_text(
        "[caller]\nsteps = [{ wav = 'hello.wav', words = 'Hello.' }, { wav = 'odd.wav' }]"
    )

    script = load(tmp_path / "mine.toml")
    said, odd = script.caller.taken()
    assert isinstance(said, Say)
    assert (said.pcm, said.rate_hz, said.text) == (pcm, 8_000, "Hello.")
    assert isinstance(odd, Say)
    assert odd.rate_hz == 8_000
    assert abs(len(odd.pcm) - 4_800) < 20
    assert list(script.reply_script().heard) == ["Hello.", ""]


def test_a_wav_is_that_of_the_folder_and_the_time_in_which_the_script_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt = "{ interrupt = { after_ms = 1, wav = 'hello.wav' } }"
    text = f"[caller]\nsteps = [{{ wav = 'hello.wav' }}, {interrupt}]"
    sounds = [tones.voice(hz, 8_000) for hz in (300, 500, 700)]
    (tmp_path / "elsewhere").mkdir()
    read = []
    for folder, sound in zip((".", ".", "elsewhere"), sounds, strict=True):
        monkeypatch.chdir(tmp_path / folder)
        Path("hello.wav").write_bytes(wav_bytes(sound, 8_000, 1))
        read.append(parse(text, "script"))
    Path("hello.wav").unlink()

    for script, sound in zip(read, sounds, strict=True):
        said, interruption = script.caller.taken()
        assert isinstance(said, Say)
        assert isinstance(interruption, Interrupt)
        assert said.pcm == interruption.say.pcm == sound


def test_a_wav_that_will_not_do_is_named(tmp_path: Path) -> None:
    (tmp_path / "stereo.wav").write_bytes(wav_bytes(bytes(400), 8_000, 2))
    (tmp_path / "text.wav").write_text("hello")
    for name, why in (
        ("stereo.wav", "must have one channel"),
        ("text.wav", "this is not a WAV file"),
        ("none.wav", "there is no WAV file none.wav beside the script"),
    ):
        (tmp_path / "bad.toml").write_text(f"[caller]\nsteps = [{{ wav = '{name}' }}]")
        with pytest.raises(ConfigurationError, match=why):
            load(tmp_path / "bad.toml")


@pytest.mark.skipif(not espeak.installed(), reason="espeak-ng is not installed")
def test_other_words_are_spoken_by_espeak() -> None:
    script = parse("[caller]\nsteps = [{ say = 'Is my parcel blue?' }]", "own")

    (said,) = script.caller.taken()
    assert isinstance(said, Say)
    assert (said.text, said.rate_hz) == ("Is my parcel blue?", 8_000)
    assert 0.5 < len(said.pcm) / 16_000 < 3


def test_without_espeak_other_words_are_a_mistake_with_its_cure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(espeak, "PROGRAM", "espeak-that-is-not-there")

    with pytest.raises(ConfigurationError) as caught:
        parse("[caller]\nsteps = [\n{ say = 'Is my parcel green?' }]", "own", "own.toml")
    assert str(caught.value).startswith("own.toml:3: caller.steps[0].say: not one of the stored")
    assert "apt-get install espeak-ng" in str(caught.value)


# --- Places -----------------------------------------------------------------------------


def test_an_expectation_knows_its_line() -> None:
    script = parse("[caller]\nsteps = []\n\n[expect]\nheard = [\n  'one',\n  'two',\n]", "lines")

    assert script.line(("expect", "heard", 1)) == 7
    assert script.line(("expect", "conflicts")) == 4, "a default stands where its table does"


def test_a_script_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[caller]\nsteps = [{ hang_up = true }]")

    mine = load(tmp_path / "mine.toml")
    assert (mine.name, mine.file) == ("mine", str(tmp_path / "mine.toml"))
    (tmp_path / "marked.toml").write_text("\ufeff[caller]\nsteps = 1", "utf-8")
    with pytest.raises(ConfigurationError, match=r"marked\.toml:2: caller\.steps: "):
        load(tmp_path / "marked.toml")
    with pytest.raises(ConfigurationError, match=r"other\.toml: cannot be read: No such file"):
        load(tmp_path / "other.toml")
    with pytest.raises(ConfigurationError, match=r"no script other; there are "):
        load("other")


# --- For editors ------------------------------------------------------------------------


def test_the_schema_knows_every_key_and_says_what_it_is_for() -> None:
    made = schema()

    assert set(made["properties"]) == set(CallScript.model_fields)
    steps = made["$defs"]["StepTable"]["properties"]
    assert "wait_for_silence" in steps
    assert {"required": ["hang_up"]} in made["$defs"]["StepTable"]["oneOf"]
    assert set(steps) == {
        *(one["required"][0] for one in made["$defs"]["StepTable"]["oneOf"]),
        *made["$defs"]["StepTable"]["dependentRequired"],
    }
    assert "not been heard" in steps["wait_for_silence"]["description"]
