"""A bad script is refused by file, line and key, with what was expected there."""

import os
from pathlib import Path

import pytest

from opusbridge.errors import ConfigurationError
from opusbridge.sim.script import load, load_all, parse

#: What is written, and how the complaint begins.
MISTAKES = [
    ("[caller\n", "bad:1: not TOML: Expected ']' at the end of a table declaration (column 8)"),
    ("", "bad:1: caller: this key is missing"),
    ("[caller]\nsteps = [{ say = '!' }]", "bad:2: caller.steps[0].say: there is nothing to"),
    ("[caller]\nsteps = [\n{ wait = -1 }]", "bad:3: caller.steps[0].wait: Input should be g"),
    ("[caller]\nsteps = [{}]", "bad:2: caller.steps[0]: a step is exactly one of say, wav,"),
    (
        "[caller]\nsteps = [{ wait = 1, press = '1' }]",
        "bad:2: caller.steps[0]: a step is exactly",
    ),
    ("[caller]\nsteps = [{ press = 'x' }]", "bad:2: caller.steps[0].press: keys are 0"),
    ("[caller]\nsteps = [{ sing = 1 }]", "bad:2: caller.steps[0].sing: there is no such key"),
    ("[caller]\nsteps = 1", "bad:2: caller.steps: Input should be a list"),
    (
        "[caller]\nsteps = [{ wait_for_agent = 'x' }]",
        "bad:2: caller.steps[0].wait_for_agent: Input should be true or a valid number",
    ),
    ("[caller]\nsteps = [{ hang_up = 1 }]", "bad:2: caller.steps[0].hang_up: Input should be t"),
    ("[caller]\nsteps = [{ words = 'x', wait = 1 }]", "bad:2: caller.steps[0]: words belongs"),
    (
        "[caller]\nsteps = [{ wait = 1, back_after = 1 }]",
        "bad:2: caller.steps[0]: back_after belongs to drop_line",
    ),
    (
        "[caller]\nsteps = [{ interrupt = { after_ms = 1 } }]",
        "bad:2: caller.steps[0].interrupt: an interruption has exactly one of",
    ),
    ("[caller]\nsteps = []\n[expect]\nending = 'tired'", "bad:4: expect.ending: no such r"),
    ("[caller]\nsteps = []\n[expect]\nheard = ['?']", "bad:4: expect.heard[0]: there are no"),
    (
        "[caller]\nsteps = []\n[expect]\ntranscript = [{}]",
        "bad:4: expect.transcript[0]: an item of the transcript is told by at least one key",
    ),
    ("[caller]\nsteps = []\n[[model.replies]]", "bad:3: model.replies[0]: a reply has a text,"),
    (
        "[caller]\nsteps = []\n[[model.replies]]\ntext = 'x'\narguments = { a = 1 }",
        "bad:3: model.replies[0]: arguments without a tool",
    ),
    (
        "[caller]\nsteps = []\n[[model.replies]]\ntool = 'x'\ntools = [{ name = 'y' }]",
        "bad:3: model.replies[0]: a reply has tool or tools, not both",
    ),
    (
        "[caller]\nsteps = []\n[[model.faults]]\nresponse = 1\nkind = 'drop'\ndetail = 'x'",
        "bad:3: model.faults[0]: drop takes no detail",
    ),
    (
        "[caller]\nsteps = []\n[model.knobs]\nmood = 'good'",
        "bad:4: model.knobs.mood: there is no such fault; choose among ",
    ),
    (
        "[caller]\nsteps = []\n[[tools]]\nname = 'x'\noutput = 1\nerror = 'y'",
        "bad:3: tools[0]: a tool has an output or an error, not both",
    ),
    (
        "[caller]\nsteps = []\n[faults]\nnetwork = [\n{ kind = 'gone', side = 'model' }]",
        "bad:5: faults.network[0].kind: Input should be 'drop', 'stall', 'half-open' or 'slow'",
    ),
    (
        "[caller]\nsteps = []\n[[faults.network]]\nkind = 'drop'\nside = 'model'\nat = 1\n"
        "seconds = 2",
        "bad:3: faults.network[0]: a drop does not last: leave seconds out",
    ),
    ("[caller]\nsteps = []\nx = '", "bad:3: not TOML: Expected"),
    ('[caller]\nsteps = []\nx = """\n\n', "bad:4: not TOML: Unterminated string"),
    ("[caller]\nsteps = [{ wait = '1' }]", "bad:2: caller.steps[0].wait: Input should be a"),
    (
        "[caller]\nsteps = [{ hang_up = false }]",
        "bad:2: caller.steps[0].hang_up: Input should be true",
    ),
    (
        "[caller]\nsteps = [{ interrupt = { after_ms = 1, say = 'yes-please', words = 'x' } }]",
        "bad:2: caller.steps[0].interrupt: words belongs to a wav",
    ),
    ("name = '../up'\n[caller]\nsteps = []", "bad:1: name: a folder will be called so"),
    ("telephony = []\n[caller]\nsteps = []", "bad:1: telephony: Input should be a list with s"),
    ("[caller]\nsteps = []\n[expect]\nturns = true", "bad:4: expect.turns: Input should be a"),
    (
        "[caller]\nsteps = []\n[expect]\ntranscript = [\n{ status = 'done' }]",
        "bad:5: expect.transcript[0].status: Input should be 'completed', ",
    ),
    (
        "[caller]\nsteps = []\n[model.knobs]\nspeed = 'fast'",
        "bad:4: model.knobs.speed: speed takes a number, not below zero",
    ),
    (
        "[caller]\nsteps = []\n[[tools]]\nname = 'x'\n[[tools]]\nname = 'y'\n[[tools]]\nname = 'x'",
        "bad:8: tools[2].name: there is a tool x above already",
    ),
    (
        "[caller]\nsteps = []\n[[model.faults]]\nresponse = 2\nkind = 'drop'\n"
        "[[model.faults]]\nresponse = 2\nkind = 'failed'",
        "bad:7: model.faults[1].response: response 2 has the fault drop already",
    ),
    (
        "[caller]\nsteps = []\n[model.knobs]\ndrop = '2'\nfailed = '2'",
        "bad:5: model.knobs.failed: response 2 has the fault drop already",
    ),
    (
        "[caller]\nsteps = []\n[model.knobs]\ndrop = '2'\n[[model.faults]]\nresponse = 2\n"
        "kind = 'failed'",
        "bad:6: model.faults[0].response: response 2 has the fault drop already",
    ),
    (
        "[caller]\nsteps = []\n[model.knobs]\nmessage-items = 3.5",
        "bad:4: model.knobs.message-items: message-items takes a whole number, not below zero",
    ),
    ("[caller]\nsteps = []\nrepeat = 2", "bad:3: caller.repeat: there are no steps to repeat"),
    (
        "[caller]\nsteps = []\n[expect]\nturns = " + "9" * 4301,
        "bad:4: not TOML: a whole number has 64 bits at most",
    ),
    (
        "[caller]\nsteps = []\n[expect]\ntools = [\n{ name = 'x', times = 0x" + "f" * 5000 + " }]",
        "bad:5: expect.tools[0].times: a whole number has 64 bits at most",
    ),
    ("a = " + "[" * 5000 + "]" * 5000, "bad: not TOML for us: nested too deeply"),
]


@pytest.mark.parametrize(("text", "found"), MISTAKES)
def test_a_mistake_is_named_by_its_line_and_its_key(text: str, found: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "bad")

    assert str(caught.value).startswith(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "[caller]\nsteps = []\n[[model.replies]]\ntools = [{ name = 'x', arguments = 1 }]",
            "bad:4: model.replies[0].tools[0].arguments: Input should be a table or a valid string",
        ),
        (
            "telephony = ['sip']\n[caller]\nsteps = []",
            "bad:1: telephony[0]: Input should be 'twilio' or 'audiocodes'",
        ),
        (
            "[caller]\nsteps = []\n[expectt]\nturns = 1",
            "bad:3: expectt: there is no such key; did you mean expect?",
        ),
        (
            "[caller]\nsteps = [{ wait = 1, wait_for_silnce = 5 }]",
            "bad:2: caller.steps[0].wait_for_silnce: there is no such key; "
            "did you mean wait_for_silence?",
        ),
        (
            "[caller]\nsteps = [{ interrupt = { After-ms = 5, after_ms = 5, say = 'mm-hm' } }]",
            "bad:2: caller.steps[0].interrupt.After-ms: there is no such key; "
            "did you mean after_ms?",
        ),
        (
            "[caller]\nsteps = []\n[[faults.network]]\nkind = 'drop'\nsite = 'model'\nat = 1",
            "bad:3: faults.network[0].side: this key is missing\n"
            "bad:5: faults.network[0].site: there is no such key; did you mean side?",
        ),
        (
            "[caller]\nsteps = []\n[expect]\nheard = 'half past \"ten\"'",
            'bad:4: expect.heard: Input should be a list: heard = ["half past \\"ten\\""]',
        ),
        (
            "[caller]\nsteps = []\n[expect]\nlatencies = 1.5",
            "bad:4: expect.latencies: Input should be a list: latencies = [1.5]",
        ),
        (
            "[caller]\nsteps = []\n[expect]\ntools = ['look_up']",
            'bad:4: expect.tools[0]: Input should be a table: { name = "look_up" }',
        ),
        ("[caller]\nsteps = 'x'", "bad:2: caller.steps: Input should be a list"),
        ("[caller]\nsteps = ['hang_up']", "bad:2: caller.steps[0]: Input should be a table"),
        ("caller = 1", "bad:1: caller: Input should be a table"),
        (
            "[caller]\nsteps = []\n[model]\nknobs = 'drop'",
            "bad:4: model.knobs: Input should be a table",
        ),
        (
            "[caller]\nsteps = [{ sing = 1, wait = 1 }]",
            "bad:2: caller.steps[0].sing: there is no such key",
        ),
    ],
)
def test_one_mistake_is_one_sentence(text: str, found: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "bad")

    assert str(caught.value) == found


def test_a_file_that_is_no_text_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"[caller]\nname = '\xff'\n")

    with pytest.raises(ConfigurationError, match=r"bad\.toml:2: not TOML: it is no UTF-8 text"):
        load(tmp_path / "bad.toml")


def test_a_name_that_is_too_long_for_a_file_is_no_scripts() -> None:
    with pytest.raises(ConfigurationError, match="no script xxx"):
        load_all(["x" * 300])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_script_below_a_closed_folder_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(0o000)

    with pytest.raises(ConfigurationError, match="cannot be read: Permission denied"):
        load_all([str(tmp_path / "closed" / "one.toml")])


def test_every_mistake_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("[caller]\nsteps = [{ wait = -1 }, { wait = 0 }]", "bad")

    assert len(str(caught.value).splitlines()) == 2
