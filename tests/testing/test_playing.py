"""``opusbridge.testing``: what users' own tests stand on."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import create_server, socket
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect

from opusbridge import Agent, CallContext, tool
from opusbridge.audio.wav import wav_bytes
from opusbridge.cli import calling
from opusbridge.config import Settings
from opusbridge.errors import ConfigurationError
from opusbridge.privacy import Private
from opusbridge.sim import script as scripts
from opusbridge.sim import tones
from opusbridge.sim.evidence import Evidence
from opusbridge.sim.script.expect import ExpectTable, Verdict
from opusbridge.sim.sockets import OPEN_SECONDS
from opusbridge.testing import CallResult, RunningModel, load_script, simulated_model
from opusbridge.testing.conduct import ScriptedTool, agent_for
from opusbridge.tools import ToolFailed, hang_up

CallScript = Callable[..., CallResult]

ASKED = """
[caller]
steps = [
    { wait_for_agent = true },
    { say = "where-is-my-order" },
    { wait_for_agent = true },
    { hang_up = true },
]

[[model.replies]]
voice = "front-desk"

[[model.replies]]
tool = "look_up"
arguments = { order = "42" }
"""

ORDER = f"""{ASKED}
[[model.replies]]
voice = "order-left"

[expect]
heard = ["left the warehouse"]
tools = [{{ name = "look_up", arguments = {{ order = "42" }} }}]
"""


@tool
async def look_up(order: str, call: CallContext) -> dict[str, str]:
    """Where an order is."""
    await asyncio.sleep(0)
    call.state["asked"] = order
    return {"status": f"order {order} of {call.caller} has left"}


@tool
def broken(order: str) -> str:
    """Never works."""
    raise RuntimeError("no")


FAILING = ORDER.replace("look_up", "broken")


def shop(*tools: object) -> Agent:
    return Agent(name="shop", instructions="Sell.", greeting="Say hello.", tools=tools)  # type: ignore[arg-type]  # tools


def outputs(call: CallResult) -> list[str]:
    return [item["text"] for item in call.transcript if item["speaker"] == "tool"]


OVER_THE_FIRST_WORDS = """
[caller]
steps = [
    { wait_for_agent = true },
    { say = "where-is-my-order" },
    { interrupt = { after_ms = 600, say = "one-more-thing" } },
    { wait_for_agent = true },
    { wait = 8.0 },
    { hang_up = true },
]

[model]
replies = [
    { voice = "front-desk" },
    { tool = "look_up", arguments = { order = "42" } },
    { voice = "let-me-check" },
    { voice = "what-is-it" },
    { voice = "order-left" },
]

[[tools]]
name = "look_up"
seconds = 6.0
"""


@pytest.mark.slow
def test_who_speaks_over_what_a_tool_says_first_is_answered_and_told_the_result_after_that(
    call_script: CallScript,
) -> None:
    @tool(say_first="Let me check.", timeout_seconds=30)
    def look_up(order: str) -> str:
        """Where an order is."""
        return "left"

    call = call_script(OVER_THE_FIRST_WORDS, agent=shop(look_up))

    assert call.ok, call.report
    said = [item for item in call.transcript if item["speaker"] == "agent"]
    statuses = ["completed", "interrupted", "completed", "completed"]
    assert [item["status"] for item in said] == statuses
    assert "what is it?" in said[2]["heard"]
    assert "left the warehouse" in said[3]["heard"]


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_an_agent_is_tested_in_three_lines(call_script: CallScript, telephony: str) -> None:
    call = call_script(ORDER, agent=shop(look_up), telephony=telephony)

    assert call.ok, call.report
    assert [(run.name, run.arguments) for run in call.tools] == [("look_up", {"order": "42"})]
    assert "has left" in outputs(call)[0]
    (run,) = call.tools
    assert run.output == {"status": "order 42 of +15550104477 has left"}
    assert [run.use] == outputs(call)
    assert call.ending == "caller-hung-up"
    assert call.heard.endswith("left the warehouse this morning.")


@pytest.mark.parametrize("fault", ["contentless", "written"])
def test_what_nobody_hears_is_no_answer_to_a_tool(call_script: CallScript, fault: str) -> None:
    befalls = f"[model]\nfaults = [{{ response = 3, kind = '{fault}' }}]\n"
    again = "[[model.replies]]\nvoice = 'order-left'\n"
    script = ORDER.replace("[[model", f"{befalls}\n[[model", 1).replace(
        "[expect]", f"{again}[expect]"
    )
    call = call_script(script, agent=shop(look_up))

    assert call.ok, call.report


def test_what_failed_is_in_the_report_with_its_line(call_script: CallScript) -> None:
    call = call_script(ORDER.replace('["left the warehouse"]', '["is lost"]'), agent=shop(look_up))

    assert not call.ok
    assert call.failures[0].startswith("<script>:21: never heard: is lost (at ")
    assert "Where is my order?" in call.report
    assert repr(call).startswith("<script over twilio: 1 wrong: <script>:21: never heard: is lost")


def test_what_has_no_known_time_is_told_without_one() -> None:
    item = {"speaker": "agent", "heard": "", "unheard": "Good morning.", "started_ms": None}
    seen = Evidence(1.0, [], [], transcript=[item, {**item, "started_ms": 40}])

    unknown, known = CallResult(scripts.load("greeting"), "twilio", seen).said

    assert unknown.split()[:2] == ["–", "agent:"]
    assert known.split()[:3] == ["0.04", "s", "agent:"]


def test_a_call_that_went_well_is_short_to_print(call_script: CallScript) -> None:
    assert repr(call_script("greeting")) == "<greeting over twilio: as expected>"


def test_a_tool_that_raises_is_a_short_error_and_the_call_goes_on(call_script: CallScript) -> None:
    call = call_script(FAILING, agent=shop(broken))

    assert '{"error":"broken failed"}' in outputs(call)[0].replace(": ", ":")
    assert "left the warehouse" in call.heard


def test_a_tool_that_raises_has_failed_the_test_in_its_own_words(call_script: CallScript) -> None:
    call = call_script(FAILING, agent=shop(broken))

    (told,) = call.failures
    assert told.startswith(f"the tool broken raised RuntimeError: no ({Path(__file__).name}:")
    assert told in call.report


@pytest.mark.parametrize(
    ("item", "meant"),
    [
        ('{ speaker = "tool", status = "failed" }', True),
        ('{ status = "failed", text = "broken failed" }', True),
        ("""{ status = "failed", text = '-> {"error": "broken failed"}' }""", True),
        ("""{ status = "failed", text = 'broken({"order": "42"}) -> {"error": ' }""", True),
        ('{ status = "failed", text = "look_up failed" }', False),
        ('{ speaker = "tool", text = "broken" }', False),
    ],
)
def test_a_tool_that_is_to_fail_may(call_script: CallScript, item: str, meant: bool) -> None:
    call = call_script(f"{FAILING}transcript = [{item}]\n", agent=shop(broken))

    assert any("the tool broken raised" in one for one in call.failures) is not meant
    assert call.ok is meant


@pytest.mark.parametrize("expected", [True, False])
def test_a_tool_that_takes_longer_than_it_may_has_failed_the_test(
    call_script: CallScript, expected: bool
) -> None:
    @tool(timeout_seconds=0.1)
    async def broken(order: str) -> str:
        """Never ends."""
        await asyncio.sleep(60)
        return order

    item = '{ speaker = "tool", status = "failed" }' if expected else ""
    call = call_script(f"{FAILING}transcript = [{item}]\n", agent=shop(broken))

    assert call.failures == ([] if expected else ["the tool broken took longer than its 0.1 s"])


def test_what_cannot_be_a_result_is_what_the_tool_raised(call_script: CallScript) -> None:
    @tool
    def broken(order: str) -> object:
        """Gives what is no JSON."""
        return {"order": {order}, "of": object()}

    call = call_script(FAILING, agent=shop(broken))

    (told,) = call.failures
    assert told.startswith("the tool broken raised ")


def test_a_tool_that_says_itself_why_it_failed_has_done_as_it_should(
    call_script: CallScript,
) -> None:
    @tool
    def broken(order: str) -> str:
        """Looks in vain."""
        try:
            raise LookupError(order)
        except LookupError as error:
            raise ToolFailed("there is no such order") from error

    call = call_script(FAILING, agent=shop(broken))

    assert call.ok, call.report
    assert "there is no such order" in outputs(call)[0]


def test_a_tool_that_nobody_has_is_told_so(call_script: CallScript) -> None:
    call = call_script(ORDER.replace("look_up", "hang_up"), agent=shop())

    assert "no such tool" in outputs(call)[0]
    assert call.ending == "caller-hung-up"


def test_the_agents_own_tools_act_on_the_call(call_script: CallScript) -> None:
    goodbye = ORDER.replace("look_up", "hang_up").replace('order = "42"', 'reason = "done"')
    goodbye = goodbye.replace("tool = ", 'voice = "thank-you-for-calling"\ntool = ')
    call = call_script(goodbye, agent=shop(hang_up))

    assert call.ending == "agent-hung-up"
    assert call.evidence is not None
    assert call.evidence.responses is not None
    # As on real sockets the wish comes before the tool's result: nobody answers that any more.
    assert call.evidence.responses["requested"] == 2


def test_a_tool_takes_as_long_as_the_script_declares(call_script: CallScript) -> None:
    began = time.perf_counter()
    slow = ORDER + '\n[[tools]]\nname = "look_up"\nseconds = 5.5\n'
    call = call_script(slow, agent=shop(look_up))

    assert call.ok, call.report
    assert call.evidence is not None
    assert call.evidence.silences[0].seconds > 5
    assert time.perf_counter() - began < 5, "nobody really waited"


PLAYED = '\n[[tools]]\nname = "look_up"\noutput = "left"\nseconds = %s\n'


def test_a_tool_that_the_script_plays_is_the_agents_own_in_all_but_what_it_gives() -> None:
    @tool(timeout_seconds=3, reply="if_silent", say_first="Let me look.", filler_after=1.0)
    def look_up(order: str) -> str:
        """Where an order is."""
        return order

    agent = shop(look_up)
    played = agent_for(load_script(ORDER + PLAYED % 1.0), agent)

    assert played.tool_definitions() == agent.tool_definitions()
    (one,) = played.tools
    assert isinstance(one, ScriptedTool)
    assert (one.manners, one.output) == (look_up.manners, "left")


@pytest.mark.parametrize("output", ['output = "left"\n', ""], ids=["played", "its own"])
def test_a_tool_that_takes_longer_than_it_may_has_failed_in_virtual_time_too(
    call_script: CallScript, output: str
) -> None:
    quick = tool(timeout_seconds=3)(look_up.function)
    slow = (ORDER + PLAYED % 5.0).replace('output = "left"\n', output)
    call = call_script(slow, agent=shop(quick))

    assert call.ok, call.report
    assert "look_up took longer than 3 s" in outputs(call)[0]
    assert call.evidence is not None
    assert 3 < call.evidence.silences[0].seconds < 5


async def test_the_agents_own_tool_takes_as_long_where_time_is_real() -> None:
    quick = tool(timeout_seconds=0.2)(look_up.function)
    asked = CallContext("a-call")

    async def played(seconds: float) -> tuple[str, float]:
        script = load_script(ORDER + f'[[tools]]\nname = "look_up"\nseconds = {seconds}\n')
        (one,) = agent_for(script, shop(quick)).tools
        began = asyncio.get_running_loop().time()
        output = await one.run('{"order": "42"}', asked)
        return output, asyncio.get_running_loop().time() - began

    output, took = await played(0.05)
    assert "order 42" in output
    assert took >= 0.05

    with pytest.raises(ToolFailed, match="took longer than"):
        await played(5.0)


@pytest.mark.parametrize("fails", [True, False])
async def test_where_time_is_real_only_the_rest_of_the_declared_is_waited_for(fails: bool) -> None:
    @tool(timeout_seconds=0.5)
    async def look_up(order: str) -> str:
        """Where an order is."""
        await asyncio.sleep(0.3)
        if fails:
            raise ToolFailed("nowhere")
        return order

    script = load_script(ORDER + '[[tools]]\nname = "look_up"\nseconds = 0.4\n')
    (one,) = agent_for(script, shop(look_up)).tools
    began = asyncio.get_running_loop().time()

    try:
        told = await one.run('{"order": "42"}', CallContext("a-call"))
    except ToolFailed as error:
        told = str(error)

    assert told == ("nowhere" if fails else "42")
    assert 0.39 < asyncio.get_running_loop().time() - began < 0.6


def test_a_tool_of_a_tenth_of_a_second_is_run_if_nothing_else_is_declared(
    call_script: CallScript,
) -> None:
    call = call_script(ORDER, agent=shop(tool(timeout_seconds=0.1)(look_up.function)))

    assert "has left" in outputs(call)[0]


async def test_on_sockets_it_fails_when_its_time_is_over() -> None:
    script = load_script(ORDER + PLAYED % 5.0)
    (played,) = agent_for(script, shop(tool(timeout_seconds=0.1)(look_up.function))).tools

    with pytest.raises(ToolFailed, match=r"look_up took longer than 0\.1 s"):
        await played.run("{}", CallContext("call"))


async def test_it_works_within_a_loop_too(call_script: CallScript) -> None:
    assert call_script(ORDER, agent=shop(look_up)).ok


def test_the_same_seed_gives_the_same_call(call_script: CallScript) -> None:
    one, other, third = (call_script("greeting", seed=seed).evidence for seed in (1, 1, 2))

    assert one == other
    assert one != third


def test_a_side_the_script_is_not_for_is_refused(call_script: CallScript) -> None:
    with pytest.raises(ConfigurationError, match="small-talk is for twilio, not for 'audiocodes'"):
        call_script("small-talk", telephony="audiocodes")


def test_a_script_may_be_a_file_a_name_or_a_text(tmp_path: Path) -> None:
    (tmp_path / "order.toml").write_text(ORDER)

    assert load_script(tmp_path / "order.toml").name == "order"
    assert load_script("greeting").name == "greeting"
    assert load_script(ORDER).file == "<script>"
    assert load_script(load_script(ORDER)) is not None


def test_replies_that_nobody_asked_for_are_told_and_fail_nothing(call_script: CallScript) -> None:
    call = call_script(ORDER + '[[model.replies]]\ntext = "Never."\n', agent=shop(look_up))

    assert (call.ok, call.not_checked) == (True, [])
    assert call.remarks == ["<script>:23: model.replies: 1 of 4 never used"]
    assert call.remarks[0] in call.report


def test_where_no_reply_was_left_it_stands_in_what_was_said(call_script: CallScript) -> None:
    call = call_script(ASKED, agent=shop(look_up))

    *written, helped_itself = [line for line in call.said if "agent:" in line]
    assert "agent: (no reply left) Thank you for calling." in helped_itself
    assert written
    assert not any("no reply left" in line for line in written)
    assert call.remarks == []


# --- On sockets -------------------------------------------------------------------------


async def test_any_client_may_use_the_simulated_model(simulated_model: RunningModel) -> None:
    url, key = f"{simulated_model.url}?model=gpt-realtime", {"Authorization": "Bearer any"}
    async with connect(url, additional_headers=key, proxy=None) as socket:
        first = orjson.loads(await socket.recv())
        await socket.send("nonsense")
        refused = orjson.loads(await socket.recv())

        assert (first["type"], refused["error"]["code"]) == ("session.created", "invalid_json")
        assert simulated_model.sessions == 1
    assert simulated_model.violations == []


async def test_the_simulated_model_takes_a_client_without_a_key(
    simulated_model: RunningModel,
) -> None:
    async with connect(f"{simulated_model.url}?model=gpt-realtime", proxy=None) as socket:
        assert orjson.loads(await socket.recv())["type"] == "session.created"


async def test_what_became_of_the_simulated_model_can_be_asked_afterwards() -> None:
    with simulated_model() as model:
        url = model.url
        key = {"Authorization": "Bearer any"}
        asked = f"{url}?model=gpt-realtime"
        async with connect(asked, additional_headers=key, proxy=None) as socket:
            await socket.recv()
            await socket.send("{}")
            await socket.recv()
            while_it_ran = model.violations

    assert (model.url, model.sessions) == (url, 1)
    assert model.violations == while_it_ran


@pytest.mark.slow
async def test_a_running_bridge_is_called_and_judged_by_ear(
    simulated_model: RunningModel, simulated_caller: CallScript, tmp_path: Path
) -> None:
    settings = calling.own_settings(simulated_model.url)
    short = """
[caller]
steps = [{ wait_for_agent = true }, { hang_up = true }]

[[tools]]
name = "x"
output = 1

[expect]
heard = ["Thank you for calling"]
longest_silence = 3.0
"""
    async with calling.own_bridge(settings, tmp_path, lambda *_: None) as url:
        call = await asyncio.to_thread(simulated_caller, url, short, settings=settings)

    assert call.ok, call.report
    assert call.heard == ""
    assert call.not_checked == [
        "<script>:5: not played: tools",
        "<script>:10: not checked: heard[0]",
    ]


def test_an_address_that_is_none_is_refused(simulated_caller: CallScript) -> None:
    settings = Settings.load(openai_api_key=Private("any"))
    with pytest.raises(ConfigurationError, match="must begin with ws://"):
        simulated_caller("http://127.0.0.1", "greeting", settings=settings)


@pytest.mark.parametrize("telephony", ["audiocodes", "Twilio"])
def test_nobody_calls_over_a_side_that_the_script_is_not_for(
    simulated_caller: CallScript, telephony: str
) -> None:
    settings = Settings.load(openai_api_key=Private("any"))
    with pytest.raises(ConfigurationError, match=f"for twilio, not for '{telephony}'"):
        simulated_caller("ws://127.0.0.1:1", "small-talk", telephony=telephony, settings=settings)


class Interrupted(BaseException):
    pass


def test_who_is_interrupted_does_not_wait_for_the_end_of_the_call(
    simulated_caller: CallScript,
) -> None:
    interrupted: list[float] = []

    def interrupt(number: int, frame: object) -> None:
        interrupted.append(time.perf_counter())
        raise Interrupted

    def interrupt_once_called() -> socket:
        called, _ = never_answers.accept()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)
        return called

    settings = Settings.load(openai_api_key=Private("any"))
    before = signal.signal(signal.SIGALRM, interrupt)
    with create_server(("127.0.0.1", 0)) as never_answers, ThreadPoolExecutor(1) as beside:
        never_answers.settimeout(30)
        url = f"ws://127.0.0.1:{never_answers.getsockname()[1]}"
        line = beside.submit(interrupt_once_called)
        try:
            with pytest.raises(Interrupted):
                simulated_caller(url, "greeting", telephony="audiocodes", settings=settings)
        finally:
            ended = time.perf_counter()
            signal.signal(signal.SIGALRM, before)
            line.result().close()

    (at,) = interrupted
    assert ended - at < OPEN_SECONDS / 2


@pytest.mark.parametrize("begun", [True, False])
def test_who_is_interrupted_while_the_call_is_begun_waits_for_nothing(
    simulated_caller: CallScript, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    class Interrupting(ThreadPoolExecutor):
        def submit(self, *work: Any, **more: Any) -> Any:
            if begun:
                super().submit(*work, **more)
            raise Interrupted

    monkeypatch.setattr("opusbridge.testing.playing.ThreadPoolExecutor", Interrupting)
    settings = Settings.load(openai_api_key=Private("any"))
    began = time.perf_counter()
    with create_server(("127.0.0.1", 0)) as never_answers:
        url = f"ws://127.0.0.1:{never_answers.getsockname()[1]}"
        with pytest.raises(Interrupted):
            simulated_caller(url, "greeting", telephony="audiocodes", settings=settings)

    assert time.perf_counter() - began < OPEN_SECONDS / 2


def test_the_shipped_scripts_are_there_for_everybody() -> None:
    assert "greeting" in scripts.shipped()


def callers_words(call: CallResult) -> list[str]:
    return [item["text"] for item in call.transcript if item["speaker"] == "caller"]


def test_a_fault_that_the_call_was_too_short_for_is_told(call_script: CallScript) -> None:
    steps = "[caller]\nsteps = [{ wait_for_agent = true }, { hang_up = true }]\n"
    of_model = "[[model.faults]]\nresponse = %d\nkind = 'failed'\n"
    of_network = "{ kind = 'stall', side = 'model', at = %s }"
    network = f"[faults]\nnetwork = [{of_network % 0.5}, {of_network % 500}]\n"
    faults = of_model % 1 + of_model % 9 + network
    call = call_script(steps + faults)

    assert call.not_checked == [
        "<script>:6: never befell: model.faults[1]",
        "<script>:10: never befell: faults.network[1]",
    ]


def test_a_turn_has_the_words_that_were_said_in_it(call_script: CallScript) -> None:
    first = '{ wait_for_agent = true }, { say = "yes-please" }, { say = "where-is-my-order" }'
    then = '{ wait_for_agent = true }, { say = "thank-you-goodbye" }, { wait_for_agent = true }'
    call = call_script(f"[caller]\nsteps = [{first}, {then}, {{ hang_up = true }}]")

    assert callers_words(call) == ["Yes please. Where is my order?", "Thank you, goodbye."]


def test_of_what_was_withheld_nothing_is_in_the_transcript(call_script: CallScript) -> None:
    """Without barge-in VoiceAI Connect sends no sound while the agent is heard."""
    over = '{ wait_for_sound = true }, { say = "yes-please" }, { wait_for_agent = true }'
    asks = '{ say = "where-is-my-order" }, { wait_for_agent = true }, { hang_up = true }'
    steps = f"[settings]\nbarge_in = 'false'\n[caller]\nsteps = [{over}, {asks}]\n"
    greeting = '[[model.replies]]\nvoice = "front-desk"\n'
    call = call_script(steps + greeting, telephony="audiocodes")

    assert callers_words(call) == ["Where is my order?"]


def test_what_is_said_on_hold_is_in_no_turn(call_script: CallScript) -> None:
    @tool(timeout_seconds=60)
    async def ask(call: CallContext) -> str:
        """Ask."""
        call.hold()
        return (await call.collect_digits(length=4)).value

    typed = '{ wait_for_agent = true }, { say = "yes-please" }, { wait = 3 }, { say = "mm-hm" }'
    then = '{ press = "4711" }, { wait_for_agent = true }, { say = "where-is-my-order" }'
    steps = (
        f"[caller]\nsteps = [{typed}, {then}, {{ wait_for_agent = true }}, {{ hang_up = true }}]\n"
    )
    replies = '[[model.replies]]\nvoice = "front-desk"\n[[model.replies]]\ntool = "ask"\n'
    call = call_script(steps + replies, agent=shop(ask))

    assert callers_words(call) == ["Yes please.", "Where is my order?", "Keypad: 4711"]


def test_what_the_network_holds_back_is_of_the_turn_it_arrives_in(call_script: CallScript) -> None:
    say = '{ wait_for_agent = true }, { say = "where-is-my-order" }'
    steps = f"[caller]\nsteps = [{say}, {{ wait_for_agent = true }}, {{ hang_up = true }}]\n"
    stall = "[faults]\nnetwork = [{ kind = 'stall', side = 'telephony', at = 4.5 }]\n"
    call = call_script(steps + stall)

    assert callers_words(call) == ["Where is", "my order?"]


def test_a_call_in_which_nobody_was_answered_is_not_fast(call_script: CallScript) -> None:
    steps = '[{ wait_for_agent = true }, { say = "opening-hours" }, { hang_up = true }]'
    call = call_script(f"[caller]\nsteps = {steps}\n[expect]\nlatency = 3.0")

    (told,) = call.failures
    assert "no turn was answered" in told


def test_a_greeting_that_goes_on_after_a_pause_answers_nobody(
    call_script: CallScript, tmp_path: Path
) -> None:
    sentence = tones.tone(300, 2400)
    sound = tmp_path / "hello.wav"
    sound.write_bytes(wav_bytes(sentence + tones.silence(500) + sentence, 24_000, 1))
    agent = Agent(
        name="shop", instructions="Sell.", greeting_audio=sound, greeting_words="Hello. Hello."
    )
    settings = '[settings]\nbarge_in = "false"\n'
    steps = '[{ wait = 0.6 }, { say = "yes-please" }, { wait = 20.0 }, { hang_up = true }]'
    reply = '[[model.replies]]\ntext = "The answer."\ndelay = 9.0\n'
    script = f"{settings}[caller]\nsteps = {steps}\n{reply}[expect]\nlatency = 2.0"
    call = call_script(script, agent=agent)

    (told,) = call.failures
    assert ": answered after 9." in told


def test_nobody_speaks_who_says_a_silence(call_script: CallScript) -> None:
    steps = "[{ wait_for_agent = true }, { silence = 6.0 }, { hang_up = true }]"
    expect = "[expect]\nlongest_silence = 4.0\nlatency = 0.5\n"
    call = call_script(f"[caller]\nsteps = {steps}\n{expect}")

    (told,) = call.failures
    assert " s of silence, at most 4 allowed" in told
    assert call.not_checked == ["<script>:5: not checked: latency"]


def test_who_is_cut_short_was_not_silent(call_script: CallScript) -> None:
    remark = "{ wait_for_agent = true }, { tone = { hz = 300, seconds = 12.0 } }"
    lost = '[faults]\nnetwork = [{ kind = "drop", side = "telephony", at = 9.0 }]'
    expect = '[expect]\nending = "telephony-lost"\nlongest_silence = 2.0'
    call = call_script(f"[caller]\nsteps = [{remark}]\n{lost}\n{expect}")

    assert call.ok, call.report
    assert call.evidence is not None
    assert call.evidence.ended_at == pytest.approx(9.0, abs=0.1)


#: Of every kind something that is not so of the call of ORDER.
NOT_SO = """
conflicts = 0
heard = ["is lost"]
heard_exactly = "Nothing."
not_heard = ["warehouse"]
tools = [{ name = "look_up", arguments = { order = "43" } }, { name = "erase" }]
transcript = [{ speaker = "caller", text = "bicycle" }, { speaker = "agent", unheard = "today" }]
keys = "1"
transfer = "+15550100300"
ending = "agent-hung-up"
longest_silence = 0.1
latency = 0.1
latencies = [0.1, 5.0]
responses = { requested = 9, created = 9, completed = 9, cancelled = 9, failed = 9, retries = 9 }
min_turns = 9
turns = 9
barge_ins = 9
"""


def test_every_kind_of_expectation_can_fail_of_a_real_call_and_points_at_its_line(
    call_script: CallScript,
) -> None:
    script = ORDER.partition("[expect]")[0] + "[expect]" + NOT_SO
    call = call_script(script, agent=shop(look_up))

    failed = {one.path[1] for one in call.findings if one.verdict is Verdict.FAILED}
    # A refused request is a conflict storm's: the library has it.
    assert failed == set(ExpectTable.model_fields) - {"conflicts"}
    lines = script.splitlines()
    for told in call.failures:
        line = int(told.split(":")[1])
        key = lines[line - 1].partition(" = ")[0]
        assert key in failed, told
        assert "s of the call)" in told, told


def test_what_befalls_a_response_befalls_it_once_over_all_sessions_of_the_call(
    call_script: CallScript,
) -> None:
    lost = "{ response = 2, kind = 'drop' }, { response = 3, kind = 'failed' }"
    script = ORDER.replace("[expect]", f"[model]\nfaults = [{lost}]\n[expect]")
    script = script.replace("{ wait_for_agent = true },\n    { hang_up", "{ wait = 20 }, { hang_up")
    call = call_script(script + "responses = { failed = 1 }", agent=shop(look_up))

    assert call.ok, call.report


HUNG_UP_ON = """
[caller]
steps = [
    { wait_for_agent = true },
    { say = "opening-hours" },
    { wait_for_agent = true },
    { say = "sundays-too" },
    { wait_for_agent = true },
    { hang_up = true },
]

[[model.replies]]
voice = "i-am-here"
tool = "hang_up"
arguments = { reason = "I have had enough" }

[expect]
heard = ["I am here"]
"""


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_a_call_that_ends_before_all_was_played_is_told_unless_its_ending_was_meant(
    call_script: CallScript, telephony: str
) -> None:
    call = call_script(HUNG_UP_ON, telephony=telephony)
    meant = call_script(HUNG_UP_ON + 'ending = "agent-hung-up"\n', telephony=telephony)

    (told,) = call.failures
    assert told == "the call ended before the caller had done all in the script, at step 1 of 6"
    assert meant.ok, meant.report


def test_pauses_that_are_left_over_cut_nobody_short(call_script: CallScript) -> None:
    line = "{ drop_line = true, back_after = 2 }, { wait_for_silence = 3 }, { hang_up = true }"
    script = f"[caller]\nsteps = [{{ wait_for_agent = true }}, {line}]"

    call = call_script(script, telephony="audiocodes")

    assert (call.ok, call.ending) == (True, "telephony-lost"), call.report


def test_a_moment_to_interrupt_that_never_comes_is_told(call_script: CallScript) -> None:
    # Written after a wait for the agent's end, it waits for speech that is over.
    steps = '{ interrupt = { after_ms = 500, say = "one-more-thing" } }'
    late = ORDER.replace('{ say = "where-is-my-order" }', steps).partition("[expect]")[0]

    call = call_script(late, agent=shop(look_up))

    assert any("waited in vain for the moment to interrupt" in one for one in call.failures)


UNANSWERED = "[agent]\nbarge_in = false\n" + ASKED.replace(
    "{ wait_for_agent = true },\n    { hang_up", "{ wait_for_agent = 3.0 },\n    { hang_up"
)


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_who_waits_in_vain_for_the_agent_is_told_also_where_he_may_not_cut_in(
    call_script: CallScript, telephony: str
) -> None:
    never = tool(reply="never")(look_up.function)
    call = call_script(UNANSWERED, telephony=telephony, agent=shop(never))

    assert call.failures == ["caller: step 3: waited in vain for the agent to speak"]


OVER_THE_GOODBYE = """
[agent]
farewell_interruptible = false

[caller]
steps = [
    { wait_for_agent = true },
    { say = "thank-you-goodbye" },
    { interrupt = { after_ms = 60, say = "mm-hm" } },
]

[[model.replies]]
voice = "front-desk"

[[model.replies]]
tool = "hang_up"
arguments = { reason = "the caller said goodbye" }

[[model.replies]]
text = "Thank you very much for calling us today, and have a pleasant rest of the week. Goodbye."

[expect]
heard = ["Thank you very much for calling us today, and have a pleasant rest of the week. Goodbye."]
ending = "agent-hung-up"
"""


@pytest.mark.parametrize("telephony", ["twilio", "audiocodes"])
def test_a_goodbye_that_is_heard_out_is_not_cut_by_the_model_itself(
    call_script: CallScript, telephony: str
) -> None:
    call = call_script(OVER_THE_GOODBYE, telephony=telephony, agent=shop(hang_up))

    assert call.ok, call.report
