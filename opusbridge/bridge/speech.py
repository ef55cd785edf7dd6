"""The stored speech of a call: what the bridge says itself, in the caller's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from opusbridge.call.policy import Clip
from opusbridge.errors import ConfigurationError
from opusbridge.speech import CLIPS, load_clip, read_clip

#: What a call may say: see :class:`~opusbridge.call.policy.CallPolicy`.
NAMES = ("one-moment", "sorry", "goodbye")

DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class StoredSpeech:
    clips: Mapping[str, Clip]
    words: Mapping[str, str]
    """For the transcript; a clip of the operator's own is named in brackets."""


@cache
def stored_speech(language: str | None, folder: Path | None) -> StoredSpeech:
    """For ``language`` (``de``, ``pt-BR``), from ``folder/LANGUAGE/NAME.wav`` where there is one.

    ``pt-BR`` falls back to ``pt``, in capitals or not; what is missing is spoken in English. Raises
    :class:`ConfigurationError` for a folder that is none and a file that cannot be used.
    """
    if folder is not None and not folder.is_dir():
        raise ConfigurationError("OPUSBRIDGE_SPEECH_DIR: there is no such folder")
    clips: dict[str, Clip] = {}
    words: dict[str, str] = {}
    for name in NAMES:
        own = _own(name, language or DEFAULT_LANGUAGE, folder)
        if own is not None:
            clips[name], words[name] = own, f"[{name}]"
        else:
            clips[name] = Clip(*load_clip(name))
            words[name] = CLIPS[DEFAULT_LANGUAGE][name]
    return StoredSpeech(clips, words)


def _own(name: str, language: str, folder: Path | None) -> Clip | None:
    if folder is None:
        return None
    for spoken in dict.fromkeys((language, language.partition("-")[0])):
        for place in _places(spoken, folder):
            path = place / f"{name}.wav"
            if path.exists():
                return _read(path, f"{place.name}/{name}.wav")
    return None


def _places(language: str, folder: Path) -> list[Path]:
    """Its folders; names of languages mean the same in capitals and in small letters."""
    there = sorted(one for one in folder.iterdir() if one.name.lower() == language.lower())
    return sorted(there, key=lambda one: one.name != language)


def _read(path: Path, shown: str) -> Clip:
    try:
        return Clip(*read_clip(path))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"OPUSBRIDGE_SPEECH_DIR: {shown}: {error}") from None


@lru_cache(maxsize=64)
def own_clip(path: Path) -> Clip:
    """An agent's own sound: a part of it, read once. Raises ``OSError`` and ``ValueError``."""
    return Clip(*read_clip(path))
