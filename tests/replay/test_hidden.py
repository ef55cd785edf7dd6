"""What is not in the file, and how the call goes again without it."""

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opusbridge import events
from opusbridge.call.transcript import Transcript
from opusbridge.effects import SessionConfig
from opusbridge.events import PlayRequested
from opusbridge.privacy import Private
from opusbridge.recording import redaction
from opusbridge.replay.regression import write_test
from opusbridge.replay.replaying import SECRET, UNHEARD
from opusbridge.sound import PCM_24K
from tests.replay.kept import Kept

ARGUMENTS = '{"user": "ada", "password": "hunter2"}'
OUTPUT = '{"token": "hunter2", "api_keys": ["hunter2"], "n": 1, "logins": "hunter2"}'


def told(call: Kept, kind: str) -> list[Any]:
    return [one["text"] for one in call.lines if kind in str(one.get("text"))]


def mcp_used(call: Kept, output: str, item_id: str = "mcp_1", **more: Any) -> None:
    item = {"id": item_id, "type": "mcp_call", "server_label": "crm", "name": "card"}
    done = {**item, "arguments": ARGUMENTS, "output": output, **more}
    call.model(type="conversation.item.done", item=done)


# --- Secrets of tools -------------------------------------------------------------------


def test_the_secrets_of_a_tool_are_not_written_and_the_call_goes_as_it_went(
    tmp_path: Path,
) -> None:
    call = Kept(tmp_path)
    call.tool_called("log_in", ARGUMENTS)
    call.shell(events.ToolFinished("call_1", Private(OUTPUT.replace('"hunter2"}', "5}"))))
    call.shell(events.ModelLost("model-lost"))
    call.dialled()  # and told everything again

    assert "hunter2" not in call.finish()
    (output, again) = (one["item"] for one in told(call, "function_call_output"))
    assert output["output"] == again["output"]
    assert '"n": 1, "logins": 5}' in output["output"]
    again = call.replayed()
    assert str(again.difference or again.stopped) == ""


def test_pieces_of_arguments_are_not_written(tmp_path: Path) -> None:
    call = Kept(tmp_path)
    call.tool_called("log_in", '{"password": "four words of it"}')
    kept = call.finish()

    assert "four" not in kept
    assert len(told(call, "arguments.delta")) == 2


def test_what_is_cut_by_its_length_is_not_reproducible_without_its_secret(tmp_path: Path) -> None:
    call = Kept(tmp_path)
    mcp_used(call, f'{{"password": "{"hunter2" * 9}", "words": "{"a" * 17_000}"}}')
    call.shell(events.ModelLost("model-lost"))
    call.dialled()

    assert "hunter2" not in call.finish()
    again = call.replayed()
    assert again.difference is None
    assert SECRET in again.stopped


def test_another_difference_is_one_though_there_was_a_secret(tmp_path: Path) -> None:
    call = Kept(tmp_path)
    call.tool_called("log_in", ARGUMENTS)
    call.shell(events.ToolFinished("call_1", Private(OUTPUT)))
    call.finish()
    lines = call.lines
    (last,) = (one for one in lines if "response.create'" in str(one.get("text")))
    last["sha"] = "0" * 16
    call.rewrite(lines)

    assert call.replayed().difference is not None


def test_a_file_from_before_texts_were_redacted_goes_as_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"client_secret": "hunter2", "prompt": ARGUMENTS}
    session = SessionConfig("Be kind.", PCM_24K, extra=extra)
    with monkeypatch.context() as before:
        before.setattr(redaction, "redacted_text", lambda text: text)
        call = Kept(tmp_path, session=session)
        call.tool_called("log_in", ARGUMENTS)
        call.shell(events.ToolFinished("call_1", Private(OUTPUT)))
        kept = call.finish()
    update, output = (
        next(one for one in call.lines if kind in str(one.get("text")))
        for kind in ("session.update", "function_call_output")
    )
    assert ("sha" in update, "sha" in output) == (False, True)
    assert "hunter2" in kept

    again = call.replayed()
    assert str(again.difference or again.stopped) == ""


# --- Words of a pause -------------------------------------------------------------------

PAUSE = events.RecordingPauseRequested("agent")
RESUME = events.RecordingResumeRequested("agent")


def as_it_went(call: Kept) -> None:
    """None of the words is in the file, and nobody misses them."""
    kept = call.finish()
    again = call.replayed()
    assert "hunter2" not in kept
    assert str(again.difference or again.stopped) == ""


@pytest.mark.parametrize(("reason", "summary"), [("hunter2", "Ada, hunter2."), ("hunter2", "")])
def test_what_a_transfer_asked_for_in_a_pause_is_for_is_not_kept_when_it_leaves_after_it(
    tmp_path: Path, reason: str, summary: str
) -> None:
    call = Kept(tmp_path, "audiocodes")
    asked = events.TransferRequested(Private("+15550100300"), Private(reason), Private(summary))
    call.shell(PAUSE)
    call.shell(asked)
    call.engine.happened(RESUME, call.now)
    call.until(call.now + 30.0)
    call.shell(events.TextInjected(Private("It goes on.")))

    as_it_went(call)
    (transfer,) = told(call, "transferTarget")
    params = transfer["activities"][0]["activityParams"]
    assert params["handoverReason"] == "<withheld>"
    assert ("transferSipHeaders" in params) is bool(summary)
    assert "It goes on." in call.path.read_text()


@pytest.mark.parametrize("error", [None, {"type": "http", "code": 5, "data": {"hunter2": 1}}])
def test_what_an_mcp_tool_gave_in_a_pause_is_not_kept_when_it_is_told_again(
    tmp_path: Path, error: dict[str, Any] | None
) -> None:
    call = Kept(tmp_path)
    call.shell(PAUSE)
    mcp_used(call, "hunter2", error=error)
    call.shell(RESUME)
    mcp_used(call, "four", "mcp_2")
    call.shell(events.ModelLost("model-lost"))
    call.dialled()

    as_it_went(call)
    assert "The tool card gave this result: four" in call.path.read_text()
    assert len(told(call, "mcp-1")) == 1


@pytest.mark.parametrize("asks", [True, False])
def test_an_mcp_tool_called_in_a_pause_is_withheld_though_it_answers_after_it(
    tmp_path: Path, asks: bool
) -> None:
    call = Kept(tmp_path)
    asked = {"id": "mcpr_1", "type": "mcp_approval_request", "server_label": "crm"}
    of = {"response_id": "resp_1", "output_index": 0}
    call.model(type="response.created", response={"id": "resp_1", "output": []})
    call.shell(PAUSE)
    if asks:
        item = {**asked, "name": "card", "arguments": ARGUMENTS}
        call.model(type="response.output_item.done", **of, item=item)
        call.shell(events.ApprovalDecided("mcpr_1", True))
    else:
        item = {"id": "mcp_1", "type": "mcp_call", "server_label": "crm", "name": "card"}
        call.model(type="response.output_item.added", **of, item=item)
    call.shell(RESUME)
    mcp_used(call, "hunter2 and more", approval_request_id="mcpr_1" if asks else None)
    call.shell(events.ModelLost("model-lost"))
    call.dialled()

    as_it_went(call)
    assert '"ada' not in call.path.read_text().replace("\\", "")
    assert "and more" not in call.path.read_text()
    assert len(told(call, "mcp-1")) == 1


def test_what_was_injected_in_a_pause_is_not_kept_when_it_is_told_after_it(
    tmp_path: Path,
) -> None:
    call = Kept(tmp_path)
    call.shell(events.ModelLost("model-lost"))
    call.shell(PAUSE)
    call.shell(events.TextInjected(Private("hunter2")))
    call.shell(RESUME)
    call.dialled()

    as_it_went(call)
    assert len(told(call, "text-1")) == 1


def test_a_call_that_changes_its_session_in_a_pause_goes_as_it_went(tmp_path: Path) -> None:
    call = Kept(tmp_path)
    call.shell(PAUSE)
    call.shell(events.ModelLost("model-lost"))
    call.dialled()
    call.shell(RESUME)
    call.shell(events.TextInjected(Private("It goes on.")))

    as_it_went(call)
    assert len(told(call, "It goes on.")) == 1


def test_an_output_of_a_pause_is_not_kept_when_it_is_put_otherwise(tmp_path: Path) -> None:
    call = Kept(tmp_path)
    call.tool_called("log_in", "{}")
    call.shell(PAUSE)
    call.shell(events.ToolFinished("call_1", Private("hunter2")))
    call.shell(RESUME)
    error = {"type": "invalid_request_error", "code": "x", "event_id": "item-output-1"}
    call.model(type="error", event_id="e", error=error)

    as_it_went(call)
    assert len(told(call, "text-1")) == 1


def test_a_file_from_before_these_were_withheld_goes_as_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(Transcript, "told_as", lambda *_: None)
        call = Kept(tmp_path)
        call.shell(events.TextInjected(Private("four")))
        call.shell(PAUSE)
        mcp_used(call, "hunter2")
        call.shell(RESUME)
        call.shell(events.ModelLost("model-lost"))
        call.dialled()
        assert "hunter2" in call.finish()

    again = call.replayed()
    assert again.difference is None
    assert "the words of a pause" in again.stopped


# --- Stored sound -----------------------------------------------------------------------

#: A second of what is in no file but a whole one.
TONE = PlayRequested(8000, bytes(range(250)) * 64, Private(""))


@pytest.mark.parametrize("line", ["twilio", "audiocodes"])
@pytest.mark.parametrize("whole", [True, False])
def test_what_a_tool_plays_is_played_again(tmp_path: Path, line: str, whole: bool) -> None:
    call = Kept(tmp_path, line, whole=whole)
    call.shell(TONE)
    call.until(9.0)

    assert ('"sound"' in call.finish()) is whole
    again = call.replayed()
    assert str(again.difference or again.stopped) == ""
    assert again.frames


@pytest.mark.parametrize("paused", [True, False])
def test_where_all_was_to_be_kept_and_was_not_the_rest_is_not_reproducible(
    tmp_path: Path, paused: bool
) -> None:
    call = Kept(tmp_path, whole=True)
    if paused:
        call.shell(PAUSE)
    call.shell(TONE)
    call.until(9.0)
    call.finish()
    lines = call.lines
    for one in lines:
        one.get("fields", {}).get("pcm", {}).pop("sound", None)  # as a file that is older
    assert paused is (lines == call.lines)
    call.rewrite(lines)

    again = call.replayed()
    assert again.difference is None
    assert ("the words of a pause" if paused else UNHEARD) in again.stopped


# --- To a test --------------------------------------------------------------------------


def test_a_test_of_a_call_with_a_pause_fails_where_the_call_goes_otherwise_after_it(
    tmp_path: Path,
) -> None:
    """What was withheld may be why, or a change of ours: nothing is proved any more."""
    call = Kept(tmp_path)
    call.shell(PAUSE)
    call.shell(events.TextInjected(Private("hunter2")))
    call.shell(RESUME)
    call.shell(events.TextInjected(Private("It goes on.")))
    call.finish()
    played = replace(call.replayed(), call_id="1")
    test = write_test(call.path, played, tmp_path / "calls")
    run = runpy.run_path(str(test))["test_call_1_goes_as_it_went"]
    run()

    lines = call.lines
    for one in lines:
        one |= {"sha": "0" * 16} if "It goes on." in str(one.get("text")) else {}
    call.rewrite(lines)
    test.with_name("call_1.flight.jsonl").write_bytes(call.path.read_bytes())
    assert call.replayed().exact
    with pytest.raises(AssertionError, match=f"of {played.messages} were proved.*of a pause"):
        run()
