"""What looks like a secret by its key goes, in objects and in texts that hold JSON."""

import json
from time import perf_counter
from typing import Any

import pytest

from opusbridge.recording.redaction import is_open, of_a_tool, redacted, redacted_policy

GONE = "<redacted>"


@pytest.mark.parametrize("value", ["x", "", ["x", 1], {"value": "x", "expires_at": 5}, 4711, -4.5])
def test_whatever_stands_under_a_secret_key_goes(value: Any) -> None:
    told = {"client_secret": value, "apiKeys": value, "Password": value, "x-token": value}

    assert redacted(told) == dict.fromkeys(told, GONE)
    assert redacted([{"a": told}]) == [{"a": dict.fromkeys(told, GONE)}]


@pytest.mark.parametrize("value", [True, False, None])
def test_yes_no_and_nothing_are_no_secret(value: bool | None) -> None:
    told = {"secret": value, "inner": json.dumps({"secret": value})}

    assert redacted(told) == told


@pytest.mark.parametrize(
    "told",
    [
        {"usage": {"total_tokens": 12, "input_token_details": {"text_tokens": 3}}},
        {"max_output_tokens": "inf", "token_limits": {"post_instructions": 800}},
        {"metadata": {"bridge_req": "request-1"}, "authorized": "yes"},
        '{"total_tokens": 12, "input_token_details": {"text_tokens": 3}}',
        'He said: "my secret", and: "the password": never.',
        "secret: 4711",
        '{"password": null, "secret": true, "token": maybe}',
    ],
)
def test_what_only_resembles_a_secret_stays(told: Any) -> None:
    assert redacted(told) == told


def test_what_a_tool_takes_is_no_secret_because_of_its_name() -> None:
    schema = {"type": "object", "properties": {"password": {"type": "string"}, "n": {}}}
    tools = {"tools": [{"type": "function", "name": "log_in", "parameters": schema}]}

    assert redacted(tools) == tools
    given = {"type": "object", "properties": {"password": "x", "api_key": ["x"], "n": "x"}}
    assert redacted(given)["properties"] == {"password": GONE, "api_key": GONE, "n": "x"}
    assert redacted({"type": "object", "properties": "x"}) == {"type": "object", "properties": "x"}
    assert redacted({"properties": {"password": {"value": "x"}}}) == {
        "properties": {"password": GONE}
    }


def test_of_a_policy_what_the_author_named_stays_and_is_looked_through() -> None:
    policy = {
        "tools": {"reset_password": {"reply": "always", "say_first": '"token": "x"'}},
        "clips": {"filler:reset_password": {"rate_hz": 8000}},
        "clip_words": {"filler:reset_password": "One moment please."},
        "session": {"tools": [{"authorization": "x"}], "extra": {"secret": {"a": 1}}},
        "keys": {},
    }

    assert redacted_policy(policy) == {
        **policy,
        "tools": {"reset_password": {"reply": "always", "say_first": f'"token": "{GONE}"'}},
        "session": {"tools": [{"authorization": GONE}], "extra": {"secret": GONE}},
    }
    assert redacted_policy(None) is None


@pytest.mark.parametrize(
    "value",
    [
        '"hunter2"',
        r'"a \" b"',
        r'"a \\"',
        r'"\\\" \u0041"',
        "4711",
        "-1.5e3",
        '["a", {"b": "]"}]',
        r'{"a": "}\"}", "b": [[1], {}]}',
        "[]",
        '""',
    ],
)
@pytest.mark.parametrize(
    "key", ["password", "clientSecret", "access_token", "api-keys", "secret_ü"]
)
@pytest.mark.parametrize("levels", range(4))
@pytest.mark.parametrize("escaped", [False, True])
def test_a_secret_goes_out_of_a_text_however_deep_that_is_quoted(
    value: str, key: str, levels: int, escaped: bool
) -> None:
    spelled = f'"{"".join(map(escape, key))}"' if escaped else json.dumps(key)
    whole = f'{{"a": 1, {spelled} : {value}, "b": "c"}}'
    left = f'{{"a": 1, {spelled} : "{GONE}", "b": "c"}}'
    for _ in range(levels):
        whole, left = json.dumps({"body": whole}), json.dumps({"body": left})
    assert json.loads(whole)

    assert redacted(whole) == left
    assert redacted(left) == left
    assert redacted({"output": f"It gave: {whole}."}) == {"output": f"It gave: {left}."}


def escape(letter: str) -> str:
    return f"\\u{ord(letter):04x}"


@pytest.mark.parametrize(
    "told",
    [
        r'{"pa\u0073sword": "hunter2", "b": 1}',
        r'{"PAS\u0053WORD": "hunter2", "b": 1}',
        r'{"api\u002Dkey": "hunter2", "b": 1}',
        r'{"my_toke\u006E": "hunter2", "b": 1}',
        r'{"\u0073ecret\u0073": "hunter2", "b": 1}',
    ],
)
def test_a_letter_that_is_escaped_hides_no_secret(told: str) -> None:
    assert json.loads(redacted(told)) == {**json.loads(told), next(iter(json.loads(told))): GONE}


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        ('{"password": "hunt', f'{{"password": "{GONE}'),
        ('{"password": "hunt\\', f'{{"password": "{GONE}'),
        ('{"password": ["hunt", "er', f'{{"password": "{GONE}"'),
        (
            r'{"a": "{\"password\": \"hunt", "b": 1}',
            rf'{{"a": "{{\"password\": \"{GONE}", "b": 1}}',
        ),
        (r'{"a": "{\"api_key\": [5", "b": 1}', rf'{{"a": "{{\"api_key\": \"{GONE}\"", "b": 1}}'),
        ('{"password": ', '{"password": '),
    ],
)
def test_a_secret_that_is_cut_off_goes_to_its_end(cut: str, left: str) -> None:
    assert redacted(cut) == left
    assert redacted(left) == left


def test_what_stands_behind_a_secret_is_looked_at_as_well() -> None:
    told = '{"password": {"secret": "a"}, "secret": "b", "x": "secret", "token": 1}'

    assert json.loads(redacted(told)) == {
        **dict.fromkeys(("password", "secret", "token"), GONE),
        "x": "secret",
    }


@pytest.mark.parametrize("kind", ["function_call_arguments", "mcp_call_arguments"])
def test_pieces_of_arguments_are_cut_anywhere_and_go(kind: str) -> None:
    piece = {"type": f"response.{kind}.delta", "item_id": "item_1", "delta": 'ord":"hunter2"}'}

    assert redacted(piece) == {**piece, "delta": GONE}
    assert not is_open(json.dumps({**piece, "delta": "ord"}))
    assert redacted({"type": piece["type"]}) == {"type": piece["type"]}


def test_it_is_told_whether_a_tools_words_are_not_all_there() -> None:
    assert of_a_tool([None, {"item": {"arguments": f'{{"token":"{GONE}"}}'}}])
    assert of_a_tool({"output": f'{{"token":"{GONE}"}}', "failed": False})
    assert not of_a_tool({"session": {"tools": [{"authorization": GONE}]}, "output": ["x"]})


@pytest.mark.parametrize(
    "hostile",
    [
        '{"password": "' + "\\" * 200_000,
        '"secret' + " " * 200_000,
        '"' + "secret" * 10_000 + '"',
        '"secret":[' * 20_000,
        '"token' + "\\" * 200_000,
        '"secret"' + "\\" * 200_000,
        '"secret' + "\\u0041" * 30_000,
        '"' + "\\u0073" * 30_000,
        '"' + "\\u0073ecret" * 10_000 + '"',
        '"\\u0073ecre' + "\\" * 200_000,
    ],
)
def test_no_text_takes_long(hostile: str) -> None:
    before = perf_counter()
    redacted(hostile)

    assert perf_counter() - before < 2.0
