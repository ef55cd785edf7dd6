"""What a caller's or the model's line sounds like: stored, spoken by espeak-ng, or from a file.

A stored line is named by its slug or by its words and needs no program. Any other words are
spoken by espeak-ng, which must be there when the script is read, not in the middle of a call.
"""

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo, model_validator

from opusbridge.audio.wav import read_wav
from opusbridge.sim import espeak, tones, voices
from opusbridge.sim.callers.person import Say
from opusbridge.sim.callers.sounds import resampled
from opusbridge.sim.script.table import Table

_WORDS = {text.casefold(): slug for slug, text in voices.LINES.items()}

_LIKE_A_NAME = re.compile(r"[\w-]+")

#: A WAV is kept in memory whole.
LONGEST_WAV_BYTES = 20 * 2**20

#: What a line may carry without being resampled twice.
RATES_HZ = (8_000, 16_000, 24_000)


def _line(text: str) -> str:
    """The slug of a stored line, or the words that espeak-ng will speak."""
    slug = text if text in voices.LINES else _WORDS.get(text.casefold())
    if slug is not None:
        return slug
    if not any(letter.isalnum() for letter in text):
        raise ValueError("there is nothing to say in it")
    if not espeak.installed():
        stored, near = ", ".join(sorted(voices.LINES)), meant(text)
        which = f"; did you mean {near}?" if near else ""
        raise ValueError(
            f"not one of the stored lines ({stored}){which}; to speak it, {espeak.CURE}"
        )
    return text


def meant(line: str) -> str | None:
    """The stored line that was probably meant by something that looks like its name."""
    if line in voices.LINES or not _LIKE_A_NAME.fullmatch(line):
        return None
    near = get_close_matches(line.casefold().replace("_", "-"), voices.LINES, n=1, cutoff=0.8)
    return near[0] if near else None


def _wav(text: str, info: ValidationInfo) -> str:
    """The path, from the script's own folder; the file is read now, so that it is known good."""
    folder: Path = (info.context or {}).get("folder", Path())
    path = folder / text
    try:
        if path.stat().st_size > LONGEST_WAV_BYTES:
            raise ValueError(f"{text} is larger than {LONGEST_WAV_BYTES // 2**20} MiB")
        wav = read_wav(path.read_bytes())
    except OSError:
        raise ValueError(f"there is no WAV file {text} beside the script") from None
    except ValueError as error:
        raise ValueError(f"{text} is no WAV we can use: {error}") from None
    if wav.channels != 1 or not wav.pcm:
        raise ValueError(f"{text} must have one channel, and sound in it")
    return str(path)


Line = Annotated[str, AfterValidator(_line)]
WavFile = Annotated[str, AfterValidator(_wav)]
Seconds = Annotated[float, Field(strict=True, gt=0, le=3600)]


class ToneTable(Table):
    """A sine at the level of speech."""

    hz: Annotated[float, Field(strict=True, ge=20, le=3400)]
    seconds: Seconds


class SoundTable(Table):
    """What is said: one of ``say``, ``wav``, ``tone``, ``silence``."""

    say: Line | None = None
    """A stored line by name, or any words (with espeak-ng)."""
    wav: WavFile | None = None
    """A file beside the script: one channel, 16-bit or G.711."""
    words: str | None = None
    """What is said in the ``wav``, for the transcript."""
    tone: ToneTable | None = None
    silence: Seconds | None = None
    """Seconds of digital silence, as if it were said."""

    _from_wav: Say | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _keep(self) -> "SoundTable":
        """What is in the file now: it may be another's by the time it is played."""
        if self.wav is not None:
            self._from_wav = _from_file(self.wav, self.words or "")
        return self

    @property
    def sound(self) -> Say:
        if self.say is not None:
            return spoken(self.say)
        if self._from_wav is not None:
            return self._from_wav
        if self.tone is not None:
            return _tone(self.tone.hz, self.tone.seconds)
        assert self.silence is not None
        return _silence(self.silence)


SOUNDS = ("say", "wav", "tone", "silence")


@cache
def spoken(line: str) -> Say:
    """A line, for a person to say. The same object every time: its frames are kept."""
    if line in voices.LINES:
        rate_hz, pcm = voices.load(line)
        return Say(pcm, rate_hz, voices.LINES[line])
    pcm, rate_hz = espeak.spoken(line)
    return Say(pcm, rate_hz, line)


@cache
def for_model(line: str) -> tuple[str, bytes]:
    """The words of a line, and its sound as the model makes it: PCM at 24 kHz."""
    if line in voices.LINES:
        rate_hz, pcm = voices.load(line)
        return voices.LINES[line], resampled(pcm, rate_hz, 24_000)
    pcm, rate_hz = espeak.spoken(line, espeak.MODEL)
    return line, resampled(pcm, rate_hz, 24_000)


def _from_file(path: str, words: str) -> Say:
    wav = read_wav(Path(path).read_bytes())
    if wav.rate_hz in RATES_HZ:
        return Say(wav.pcm, wav.rate_hz, words)
    return Say(espeak.at_rate(wav.pcm, wav.rate_hz, 8_000), 8_000, words)


@cache
def _tone(hz: float, seconds: float) -> Say:
    return Say(tones.tone(hz, round(seconds * 1000), 8_000), 8_000, "")


@cache
def _silence(seconds: float) -> Say:
    return Say(tones.silence(round(seconds * 1000), 8_000), 8_000, "")
