"""The lines that scripts/make-speech spoke, and the script."""

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from shutil import which

import numpy as np
import pytest

from opusbridge.audio.formats import level_dbfs
from opusbridge.sim.voices import CALLER_LINES, LINES, MODEL_LINES, load
from opusbridge.speech import CLIPS, load_clip
from tests.audio.signals import samples_of

CHECKOUT = Path(__file__).resolve().parents[2]
MAKE_SPEECH = CHECKOUT / "scripts" / "make-speech"

STORED = {slug: load(slug) for slug in LINES} | {
    f"{language}/{name}": load_clip(name, language)
    for language, clips in CLIPS.items()
    for name in clips
}
EVERY_LINE = pytest.mark.parametrize("name", STORED)


def levels(pcm: bytes, rate_hz: int) -> list[float]:
    """For each whole 10 ms."""
    size = 2 * rate_hz // 100
    return [level_dbfs(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size)]


def test_every_line_belongs_to_one_party() -> None:
    assert len(LINES) == len(CALLER_LINES) + len(MODEL_LINES)


def test_every_file_has_its_words_and_every_text_its_file() -> None:
    voices = {path.name for path in (files("opusbridge.sim") / "voices").iterdir()}
    clips = {path.name for path in (files("opusbridge.speech") / "en").iterdir()}

    assert voices == {f"{slug}.wav" for slug in LINES}
    assert clips == {f"{name}.wav" for name in CLIPS["en"]}


def test_all_speech_together_is_under_a_megabyte() -> None:
    assert sum(len(pcm) + 44 for _, pcm in STORED.values()) < 1_000_000


@EVERY_LINE
def test_a_line_is_loud_and_not_clipped(name: str) -> None:
    _, pcm = STORED[name]

    peak_dbfs = 20 * np.log10(np.abs(samples_of(pcm)).max() / 32768)
    assert peak_dbfs == pytest.approx(-3, abs=0.1)
    assert level_dbfs(pcm) > -25


@EVERY_LINE
def test_a_line_begins_and_ends_with_its_words(name: str) -> None:
    rate_hz, pcm = STORED[name]
    spoken = [at for at, level in enumerate(levels(pcm, rate_hz)) if level > -45]

    assert 10 * spoken[0] <= 30
    assert len(pcm) / 2 / rate_hz * 1000 - 10 * (spoken[-1] + 1) <= 30


@EVERY_LINE
def test_no_pause_in_a_line_looks_like_its_end(name: str) -> None:
    rate_hz, pcm = STORED[name]
    spoken = [at for at, level in enumerate(levels(pcm, rate_hz)) if level > -45]

    assert 10 * max(np.diff(spoken)) < 300


def test_a_line_is_as_long_as_its_words() -> None:
    for slug, words in LINES.items():
        rate_hz, pcm = STORED[slug]
        assert 6 < len(words) / (len(pcm) / 2 / rate_hz) < 25, slug


def test_one_line_is_long_enough_to_be_interrupted() -> None:
    rate_hz, pcm = load("hours-of-the-week")

    assert 6 <= len(pcm) / 2 / rate_hz <= 7.5


def test_a_line_that_nobody_speaks_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        load("no-such-line")
    with pytest.raises(AssertionError):
        load_clip("no-such-clip")


@pytest.mark.slow
def test_without_espeak_the_script_says_how_to_get_it(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, MAKE_SPEECH, tmp_path],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 2
    assert "apt-get install espeak-ng" in ran.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(which("espeak-ng") is None, reason="needs the program espeak-ng")
def test_the_script_makes_every_stored_line(tmp_path: Path) -> None:
    stored = [
        path.relative_to(CHECKOUT)
        for folder in ("opusbridge", "docs/examples")
        for path in (CHECKOUT / folder).rglob("*.wav")
    ]

    subprocess.run([sys.executable, MAKE_SPEECH, tmp_path], stdout=subprocess.PIPE, check=True)

    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.wav")]
    assert sorted(made) == sorted(stored)
    # Another espeak-ng may speak a little faster.
    for path in made:
        size = (CHECKOUT / path).stat().st_size
        assert (tmp_path / path).stat().st_size == pytest.approx(size, rel=0.1), path
