"""Stored speech: which file is heard, in which language, and which files are refused."""

from pathlib import Path

import pytest

from opusbridge.audio.wav import wav_header
from opusbridge.bridge.speech import NAMES, stored_speech
from opusbridge.call.policy import Clip
from opusbridge.errors import ConfigurationError
from opusbridge.speech import CLIPS, load_clip


def put(file: Path, rate_hz: int = 8_000, channels: int = 1, pcm: bytes = b"\x01\x02" * 80) -> Clip:
    """A file of so much sound; how it sounds as a clip."""
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(wav_header(rate_hz, channels, len(pcm)) + pcm)
    return Clip(rate_hz, pcm)


@pytest.mark.parametrize("language", [None, "en", "de"])
def test_without_a_folder_everything_is_said_in_english(language: str | None) -> None:
    spoken = stored_speech(language, None)

    assert {name: spoken.clips[name] for name in NAMES} == {
        name: Clip(*load_clip(name)) for name in NAMES
    }
    assert spoken.words == {name: CLIPS["en"][name] for name in NAMES}


def test_what_the_folder_has_is_heard_and_the_rest_is_english(tmp_path: Path) -> None:
    own = put(tmp_path / "de" / "sorry.wav", 16_000)

    spoken = stored_speech("de", tmp_path)

    assert (spoken.clips["sorry"], spoken.words["sorry"]) == (own, "[sorry]")
    assert spoken.clips["goodbye"] == Clip(*load_clip("goodbye"))
    assert spoken.words["goodbye"] == CLIPS["en"]["goodbye"]


def test_a_region_has_its_own_files_and_else_those_of_the_language(tmp_path: Path) -> None:
    general = put(tmp_path / "pt" / "goodbye.wav", 24_000)
    put(tmp_path / "pt" / "sorry.wav", pcm=b"\x05\x05")
    regional = put(tmp_path / "pt-BR" / "sorry.wav", pcm=b"\x03\x04")

    spoken = stored_speech("pt-BR", tmp_path)

    assert (spoken.clips["sorry"], spoken.clips["goodbye"]) == (regional, general)


def test_languages_and_folders_may_be_written_in_any_case(tmp_path: Path) -> None:
    german = put(tmp_path / "de" / "sorry.wav")
    brazilian = put(tmp_path / "PT-br" / "sorry.wav", pcm=b"\x03\x04")
    (tmp_path / "README").touch()

    assert stored_speech("DE", tmp_path).clips["sorry"] == german
    assert stored_speech("pt-BR", tmp_path).clips["sorry"] == brazilian


def test_another_voice_in_english_is_found_under_english(tmp_path: Path) -> None:
    own = put(tmp_path / "en" / "one-moment.wav")

    assert stored_speech(None, tmp_path).clips["one-moment"] == own


@pytest.mark.parametrize(
    ("rate_hz", "channels", "pcm"),
    [(44_100, 1, b"12"), (8_000, 2, b"1234"), (8_000, 1, b"")],
    ids=["rate", "stereo", "empty"],
)
def test_sound_that_cannot_be_played_is_refused_by_the_name_of_its_file(
    tmp_path: Path, rate_hz: int, channels: int, pcm: bytes
) -> None:
    put(tmp_path / "de" / "sorry.wav", rate_hz, channels, pcm)

    with pytest.raises(ConfigurationError, match=r"SPEECH_DIR: de/sorry.wav: must be sound"):
        stored_speech("de", tmp_path)


def test_what_is_no_sound_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "sorry.wav").write_bytes(b"MZ")

    with pytest.raises(ConfigurationError, match=r"de/sorry.wav: this is not a WAV file"):
        stored_speech("de", tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        stored_speech("de", tmp_path / "elsewhere")
