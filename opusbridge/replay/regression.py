"""A test from a flight recording: the call must go on going as it went."""

import re
from pathlib import Path

from opusbridge.recording.files import open_private, write_all
from opusbridge.replay.replaying import Replay

_TEST = '''"""A call that was recorded; written by ``opusbridge replay --to-test``.

The recording beside this file holds what was said and who called: treat it as such.
"""

from pathlib import Path

from opusbridge.testing import assert_replays


def test_call_{name}_goes_as_it_went() -> None:
    flight = Path(__file__).with_name("{flight}")
    assert_replays(flight, messages={messages}, ended={ended})
'''


def write_test(flight: Path, played: Replay, folder: Path) -> Path:
    """A file for pytest, and a copy of the flight beside it, for this user only.

    It asks for as much as was ``played``. Returns where the test is. Raises ``FileExistsError``
    rather than write over a test, and ``OSError``.
    """
    name = re.sub(r"\W+", "_", played.call_id, flags=re.ASCII).strip("_").lower() or "unknown"
    test, copy = folder / f"test_call_{name}.py", folder / f"call_{name}.flight.jsonl"
    content = flight.read_bytes()
    folder.mkdir(parents=True, exist_ok=True)
    for path in (test, copy):
        if path.exists():
            raise FileExistsError(f"{path} is there already")
    with open_private(copy) as file:
        write_all(file, content)
    how_far = {"messages": played.messages, "ended": not played.stopped and played.exact}
    test.write_text(_TEST.format(name=name, flight=copy.name, **how_far), "utf-8")
    return test
