from collections.abc import Iterator

import pytest

from opusbridge.recording.writer import Writer


@pytest.fixture
def writer() -> Iterator[Writer]:
    writer = Writer()
    yield writer
    assert writer.close()
    assert writer.broken == 0
