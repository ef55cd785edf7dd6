"""Agents: what they are made of, and how a file becomes one."""

import calendar
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opusbridge.agent import Agent
from opusbridge.audio.wav import wav_bytes
from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError, TransferRefused
from opusbridge.manners import NoInput, read_rule
from opusbridge.privacy import Private
from opusbridge.receptionist import RECEPTIONIST
from opusbridge.tools import hang_up, tool, transfer_call

BILLING = "+15550100300"
AGENT = """
from opusbridge.agent import Agent
agent = Agent(name="front", instructions="Be kind.")
"""


@tool
def look_up(order_id: str) -> str:
    """Find an order."""
    return order_id


def an_agent(**keys: Any) -> Agent:
    return Agent(**{"name": "front", "instructions": "Be kind.", **keys})


@pytest.fixture(autouse=True)
def _nothing_stays_imported(tmp_path: Path) -> Iterator[None]:
    yield
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name.startswith("opusbridge_agent_") or file.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The defaults, whatever this machine has set."""
    for name in list(os.environ):
        if name.upper().startswith(("OPUSBRIDGE_", "OPENAI_")):
            monkeypatch.delenv(name)
    return Settings.load(_env_file=None)


def refusal(**keys: Any) -> str:
    with pytest.raises(ConfigurationError) as refused:
        an_agent(**keys)
    return str(refused.value)


def refusal_of_file(spec: object) -> str:
    with pytest.raises(ConfigurationError) as refused:
        Agent.load(str(spec))
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A greeting of a tenth of a second."""
    path = tmp_path / "hello.wav"
    path.write_bytes(wav_bytes(bytes(1_600), 8_000, 1))
    return path


# --- The value --------------------------------------------------------------------------


def test_giving_up_leads_nowhere_but_to_the_destination_named() -> None:
    destinations = {"billing": BILLING}

    assert an_agent().give_up_target is None
    assert an_agent(give_up="hang_up", destinations=destinations).give_up_target is None
    transfer = an_agent(give_up="transfer:billing", destinations=destinations)
    assert transfer.give_up_target == Private(BILLING)


def test_an_agent_needs_a_name_and_instructions_only() -> None:
    agent = an_agent()

    assert (agent.voice, agent.greeting, agent.tools, agent.session) == ("marin", None, (), {})


def test_the_model_sees_the_agents_tools_with_its_destinations() -> None:
    agent = an_agent(tools=[look_up, hang_up, transfer_call], destinations={"billing": BILLING})

    shown = agent.tool_definitions()

    assert [entry["name"] for entry in shown] == ["look_up", "hang_up", "transfer_call"]
    assert shown[2]["parameters"]["properties"]["destination"]["enum"] == ["billing"]
    assert agent.tool("look_up") is look_up
    assert agent.tool("nothing") is None


def test_a_destination_is_found_by_its_name_only() -> None:
    agent = an_agent(destinations={"billing": BILLING})

    assert agent.target("billing") == Private(BILLING)
    with pytest.raises(TransferRefused, match=r"there are: billing$"):
        agent.target(BILLING)
    with pytest.raises(TransferRefused, match=r"there are: none$"):
        an_agent().target("billing")


@pytest.mark.parametrize(
    "target", [BILLING, "sip:front@example.com", "sips:a@b;transport=tls", "tel:+1-555-0100"]
)
def test_what_can_be_dialled_is_a_destination(target: str) -> None:
    assert an_agent(destinations={"a": target}).target("a") == Private(target)


@pytest.mark.parametrize(
    "target",
    ["", "5550100300", "+0555", "+1555x", "+١٢٣٤٥٦٧", "sip:", "sip:a b", "http://x", "tel:x"],
)
def test_what_cannot_be_dialled_is_refused_without_repeating_it(target: str) -> None:
    assert refusal(destinations={"billing": target}) == (
        "agent: destinations.billing must be +DIGITS (E.164), sip:… or tel:…"
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"gives_up": "wait"},
            "agent: gives_up is not a key of an agent; did you mean give_up?",
        ),
        (
            {"no_input": {"after": 3}},
            "agent: no_input.after is not a key of no_input; did you mean after_seconds?",
        ),
        ({"no_input": {"after_seconds": "x"}}, "agent: no_input.after_seconds: must be a number"),
        ({"no_input": {"nudges": "Hello?"}}, "agent: no_input.nudges: must be a list"),
        ({"configure": lambda: None}, "agent: configure: must be a function that takes one"),
        ({"on_end": lambda one, two: None}, "agent: on_end: must be a function that takes one"),
        ({"on_end": 3}, "agent: on_end: must be a function"),
        ({"max_seconds": "long"}, "agent: max_seconds: must be a number"),
        ({"session": {"output_modalities": ["text"]}}, "agent: session.output_modalities must be"),
        ({"give_up": "cry"}, "agent: give_up must be wait, hang_up or transfer:NAME"),
        ({"give_up": "transfer:"}, "agent: give_up must be wait, hang_up or transfer:NAME"),
        ({"give_up": "transfer:home"}, "agent: give_up must be wait, hang_up or transfer:NAME"),
        ({"give_up": "wait:billing"}, "agent: give_up must be wait, hang_up or transfer:NAME"),
        ({"name": ""}, "agent: name: "),
        ({"keys": {"12": "hang_up"}}, "agent: keys.12: is no key of a telephone: one of 0 to 9"),
        ({"voice": 3}, "agent: voice: "),
        ({"tools": [look_up, look_up]}, "agent: tools: two tools have the name look_up"),
        ({"tools": [print]}, "agent: tools: print is not a tool; decorate"),
        ({"tools": [3]}, "agent: tools: int is not a tool; decorate"),
        ({"tools": ["shop:look_up"]}, "agent: tools: in Python a tool is the function itself"),
        ({"tools": look_up}, "agent: tools: must be a list"),
        ({"tools": [transfer_call]}, "agent: the tool transfer_call needs destinations"),
        ({"turn_detection": "maybe"}, "agent: turn_detection: "),
        ({"barge_in": "sometimes"}, "agent: barge_in: must be true, false or confirmed"),
        ({"session": {"a": object()}}, "agent: session.a"),
    ],
)
def test_a_key_that_cannot_be_is_named(keys: dict[str, Any], said: str) -> None:
    assert refusal(**keys).startswith(said)


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"gives_up": "wait"}, "gives_up"),
        ({"no_input": {"nudges": ["Hm?", 7]}}, "no_input.nudges.1"),
        ({"keys": {"12": "hang_up"}}, "keys.12"),
        ({"keys": {"1": "transfer:home"}}, "keys.1"),
        ({"destinations": {"home": "over there"}}, "destinations.home"),
        ({"give_up": "cry"}, "give_up"),
        ({"tools": [transfer_call]}, "destinations"),
        ({"greeting_words": "Hello."}, "greeting_words"),
    ],
)
def test_whoever_asks_is_told_the_key_by_itself(keys: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        an_agent(**keys)

    assert refused.value.key == path


def test_an_agent_prints_neither_orders_nor_numbers() -> None:
    shown = repr(an_agent(destinations={"billing": BILLING}))

    assert BILLING not in shown
    assert "kind" not in shown


def test_what_the_agent_says_wins_over_the_settings(settings: Settings) -> None:

    assert an_agent().applied_to(settings) == settings
    applied = an_agent(transcription="none", turn_detection="none", barge_in=False).applied_to(
        settings
    )
    assert applied.transcription_model is None
    assert applied.turn_detection == "none"
    assert applied.barge_in is False
    assert an_agent(barge_in="confirmed").applied_to(settings).barge_in == "confirmed"
    assert an_agent(transcription="None ").applied_to(settings).transcription_model is None
    assert an_agent(transcription="whisper").applied_to(settings).transcription_model == "whisper"


def test_an_agent_that_does_not_go_with_the_settings_is_refused(settings: Settings) -> None:
    settings = settings.replace(responses_by="model")

    with pytest.raises(ConfigurationError, match="RESPONSES_BY"):
        an_agent(turn_detection="none").applied_to(settings)
    with pytest.raises(ConfigurationError, match=r"farewell_interruptible.*RESPONSES_BY"):
        an_agent(farewell_interruptible=False).applied_to(settings)


def test_a_stored_greeting_needs_its_words_and_replaces_the_models(hello: Path) -> None:
    agent = an_agent(greeting_audio=hello, greeting_words="Hello.")

    assert agent.greeting_audio == hello
    assert "one or the other" in refusal(
        greeting="Say hello.", greeting_audio=hello, greeting_words="Hello."
    )
    assert "belong together" in refusal(greeting_audio=hello)
    assert "belong together" in refusal(greeting_words="Hello.")


def test_sound_that_cannot_be_used_is_refused_before_anybody_calls(tmp_path: Path) -> None:
    stereo = tmp_path / "stereo.wav"
    stereo.write_bytes(wav_bytes(bytes(1_600), 8_000, 2))

    assert "greeting_audio" in refusal(greeting_audio=tmp_path / "none.wav", greeting_words="a")
    assert "one channel" in refusal(greeting_audio=stereo, greeting_words="a")


def test_a_files_paths_start_in_its_own_folder(hello: Path) -> None:
    named = 'greeting_audio = "hello.wav"\ngreeting_words = "Hello."\n'
    (hello.parent / "agent.toml").write_text(f'name = "a"\ninstructions = "b"\n{named}')

    assert Agent.load(str(hello.parent / "agent.toml")).greeting_audio == hello


def test_keys_do_what_the_agent_says_and_nothing_else() -> None:
    rules = {"0": "transfer:billing", "1": "say:We open at nine: come in.", "9": "hang_up"}
    agent = an_agent(destinations={"billing": BILLING}, keys=rules)

    assert agent.keys == rules
    assert [read_rule(rule) for rule in agent.keys.values()] == [
        ("transfer", "billing"),
        ("say", "We open at nine: come in."),
        ("hang_up", ""),
    ]
    assert "destinations" in refusal(keys=rules)
    assert "transfer:NAME" in refusal(keys={"1": "dance"})
    assert "keys" in refusal(keys={"12": "hang_up"})


def test_one_wait_is_enough_for_every_rung_or_each_has_its_own() -> None:
    assert NoInput(after_seconds=4).waits == (4.0, 4.0, 4.0)
    assert NoInput(after_seconds=(4, 5, 6)).waits == (4.0, 5.0, 6.0)
    assert an_agent(no_input={"nudges": ["Ask."], "after_seconds": [3, 4]}).no_input == NoInput(
        nudges=("Ask.",), after_seconds=(3, 4)
    )
    assert "after_seconds" in refusal(no_input={"after_seconds": [1, 2]})


def test_the_agents_longest_call_wins_over_the_settings(settings: Settings) -> None:
    assert an_agent(max_seconds=90).applied_to(settings).max_call_seconds == 90
    assert an_agent().applied_to(settings).max_call_seconds == settings.max_call_seconds


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 0, -1])
def test_no_call_lasts_for_ever(seconds: float) -> None:
    assert refusal(max_seconds=seconds).startswith("agent: max_seconds: ")
    assert "no_input" in refusal(no_input={"after_seconds": seconds})


def test_the_receptionist_greets_and_can_hang_up() -> None:
    assert RECEPTIONIST.greeting == "Say hello and ask how you can help."
    assert [entry["name"] for entry in RECEPTIONIST.tool_definitions()] == ["hang_up"]


# --- Files ------------------------------------------------------------------------------


def test_a_python_file_defines_an_agent(tmp_path: Path) -> None:
    file = tmp_path / "shop.py"
    file.write_text(AGENT + "night = Agent(name='night', instructions='Whisper.')\n")

    assert Agent.load(str(file)).name == "front"
    assert Agent.load(f"{file}:night").name == "night"
    assert str(tmp_path) not in sys.path


def test_a_python_file_may_import_its_neighbours_and_be_looked_up_by_name(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_kiosk.py").write_text("WORDS = 'Be quick.'\n")
    file = tmp_path / "kiosk.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from neighbour_of_kiosk import WORDS\n"
        "from opusbridge.agent import Agent\n"
        "@dataclass\nclass Stock:\n    count: int = 0\n"
        "agent = Agent(name='kiosk', instructions=WORDS)\n"
    )

    assert Agent.load(str(file)).instructions == "Be quick."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "{} defines no agent"),
        (AGENT.replace("agent =", "front ="), "{0} defines no agent; there is {0}:front"),
        ("agent = 3\n", "agent in {} is not an Agent"),
        ("x = 1\nx ===\n", "not valid Python (bad.py line 2: invalid syntax)"),
        ("import nowhere_at_all\n", "there is no module nowhere_at_all"),
        (
            "x = 1\nraise KeyError('+15550100300')\n",
            "{}: KeyError in line 2 of bad.py; `python {}` shows what it says",
        ),
        (AGENT.replace("name", "title"), "agent: name is missing"),
        ("from opusbridge.tools import tool\n@tool\ndef f(a): ...\n", "parameter a needs a type"),
    ],
)
def test_a_python_file_that_cannot_work_is_told_of_in_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "bad.py"
    file.write_text(text)

    told = refusal_of_file(file)

    assert said.replace("{0}", "{}").replace("{}", str(file)) in told
    assert "15550100300" not in told
    assert str(tmp_path) not in sys.path


TOML = """
name = "front"
instructions = "Be kind."
greeting = "Say hello."
barge_in = false
tools = ["orders_of_shop:look_up", "opusbridge.tools:transfer_call"]

[destinations]
billing = "+15550100300"

[session]
temperature = 0.7
"""


def test_a_toml_file_has_the_same_keys(tmp_path: Path) -> None:
    (tmp_path / "orders_of_shop.py").write_text(
        "from opusbridge.tools import tool\n@tool\ndef look_up(order_id: str) -> str: ...\n"
    )
    file = tmp_path / "shop.toml"
    file.write_text(TOML)

    agent = Agent.load(str(file))

    assert (agent.name, agent.greeting, agent.barge_in) == ("front", "Say hello.", False)
    assert [tool.name for tool in agent.tools] == ["look_up", "transfer_call"]
    assert agent.target("billing") == Private(BILLING)
    assert agent.session == {"temperature": 0.7}


def test_each_file_has_the_functions_of_its_own_folder(tmp_path: Path) -> None:
    keys = """
name = "a"
instructions = "b"
tools = ["desk_of_branch:book", "branch.counter:ask"]
configure = "desk_of_branch:configure"
"""
    source = "from opusbridge.tools import tool\n@tool\ndef {}() -> str:\n    return '{}'\n"
    for place in ("north", "south"):
        folder = tmp_path / place
        (folder / "branch").mkdir(parents=True)
        (folder / "branch" / "__init__.py").write_text(f"PLACE = '{place}'\n")
        ask = source.format("ask", place).replace(f"'{place}'", "PLACE")
        (folder / "branch" / "counter.py").write_text(f"from . import PLACE\n{ask}")
        hook = "def configure(call):\n    return book()\n"
        (folder / "desk_of_branch.py").write_text(source.format("book", place) + hook)
        (folder / "agent.toml").write_text(keys)

    for place in ("north", "south", "north"):
        agent = Agent.load(str(tmp_path / place / "agent.toml"))
        assert [tool() for tool in agent.tools] == [place, place]
        assert agent.configure is not None
        assert agent.configure(None) == place
        assert agent.configure is Agent.load(str(tmp_path / place / "agent.toml")).configure


def test_a_neighbour_may_have_the_name_of_a_module_that_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "calendar.py").write_text("def configure(call): ...\n")
    file = tmp_path / "shop.toml"
    file.write_text("name='a'\ninstructions='b'\nconfigure='calendar:configure'\n")

    assert Agent.load(str(file)).configure is not None
    assert sys.modules["calendar"] is calendar


def test_two_python_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    agents = []
    for place in ("north", "south"):
        (tmp_path / place).mkdir()
        file = tmp_path / place / "agent.py"
        file.write_text(
            f"import pickle\nclass Order:\n    place = '{place}'\n"
            "def configure(call):\n    return pickle.loads(pickle.dumps(Order())).place\n"
            f"{AGENT.replace(')', ', configure=configure)')}"
        )
        agents.append(Agent.load(str(file)))

    assert [agent.configure and agent.configure(None) for agent in agents] == ["north", "south"]


def test_a_toml_file_may_be_written_by_any_editor(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_bytes(b"\xef\xbb\xbf" + b'name = "a"\r\ninstructions = """b\r\nc"""\r\n')

    agent = Agent.load(str(file))

    assert (agent.name, agent.instructions) == ("a", "b\nc")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = \n", "not valid TOML: Invalid value (at line 1"),
        ("gives_up = 'wait'\nname='a'\ninstructions='b'\n", "gives_up is not a key of an agent"),
        ("give_up = 'cry'\nname='a'\ninstructions='b'\n", "give_up must be wait"),
        ("tools = 3\n", "tools must be a list of module:function"),
        ("tools = [3]\n", "tools are named as module:function"),
        ("tools = ['look_up']\n", "tools are named as module:function"),
        ("tools = ['nowhere_at_all:look_up']\n", "there is no module nowhere_at_all"),
        ("tools = ['opusbridge.tools:nothing']\n", "tool opusbridge.tools:nothing not found"),
        ("tools = ['json:dumps']\nname='a'\ninstructions='b'\n", "dumps is not a tool; decorate"),
    ],
)
def test_a_toml_file_that_cannot_work_is_told_of_in_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)

    assert said in refusal_of_file(file)


def test_a_neighbours_failure_is_found_in_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "broken_orders.py").write_text("def made():\n    return 1 / 0\nmade()\n")
    file = tmp_path / "shop.toml"
    file.write_text("tools = ['broken_orders:look_up']\n")

    assert "ZeroDivisionError in line 2 of broken_orders.py" in refusal_of_file(file)


def test_a_hook_that_hides_what_it_takes_is_believed() -> None:
    assert an_agent(on_end=next).on_end is next


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(b"name = '\xff'")

    assert refusal_of_file(file).endswith("not UTF-8 text")


def test_a_missing_file_is_named() -> None:
    assert refusal_of_file("nowhere/agent.py") == "nowhere/agent.py: there is no such file"
    assert refusal_of_file("nowhere/agent.py:night") == "nowhere/agent.py: there is no such file"
    assert refusal_of_file("nowhere/agent.toml") == "nowhere/agent.toml: there is no such file"


@pytest.mark.parametrize("spec", ["", "agent", "agent.yaml", "agent.toml:night", "agent.py:"])
def test_only_two_kinds_of_files_are_agents(spec: str) -> None:
    assert refusal_of_file(spec) == "an agent is named as FILE.py, FILE.py:NAME or FILE.toml"


def test_a_filler_that_cannot_be_played_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "stereo.wav").write_bytes(wav_bytes(bytes(1_600), 8_000, 2))
    for name, said in (
        ("nowhere.wav", "there is no such file, or it cannot be read"),
        ("stereo.wav", "must be sound in one channel at 8, 16 or 24 kHz"),
    ):

        @tool(filler_after=2, filler=tmp_path / name)
        def look_up_slowly() -> None: ...

        with pytest.raises(ConfigurationError) as refused:
            an_agent(tools=[look_up_slowly])
        assert str(refused.value) == f"agent: the tool look_up_slowly: filler: {said}"
        assert refused.value.key == "tools.look_up_slowly.filler"
