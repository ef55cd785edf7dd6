"""Words to sound with the program espeak-ng, for lines that are not among the stored ones.

The same espeak-ng makes the same bytes. What it says is brought to a telephone's level and
rid of silence that a turn detection would take for the end of the turn.
"""

import subprocess
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from shutil import which

import numpy as np
from numpy.typing import NDArray

from opusbridge.audio.wav import read_wav
from opusbridge.errors import ConfigurationError

PROGRAM = "espeak-ng"

CURE = "install espeak-ng (Debian and Ubuntu: apt-get install espeak-ng; macOS: brew install it)"

#: Nobody's sentence takes this long to make; a program that hangs is no program.
MOST_SECONDS = 20.0

Sound = NDArray[np.float64]

#: -3 dBFS: loud enough for a turn detection that goes by energy, short of clipping.
PEAK = 10 ** (-3 / 20)
#: 10 ms whose RMS is below this are silence; a detection by energy will think so too.
SILENT = 10 ** (-45 / 20)
#: Left before and after the words, fading in and out so that nothing clicks.
MARGIN_SECONDS = 0.015
#: A longer pause between words would end the turn for a detection of 500 ms or less.
LONGEST_PAUSE_SECONDS = 0.22


@dataclass(frozen=True, slots=True)
class Speaker:
    voice: str
    rate_hz: int
    words_a_minute: int


#: The simulated parties are heard over a telephone.
CALLER = Speaker("en-us+f3", 8_000, 165)
MODEL = Speaker("en-us+m3", 8_000, 175)


def installed() -> bool:
    return which(PROGRAM) is not None


@lru_cache(maxsize=256)
def spoken(words: str, speaker: Speaker = CALLER) -> tuple[bytes, int]:
    """The line as signed 16-bit mono PCM, and its samples a second.

    :raises ConfigurationError: espeak-ng is missing, or makes no sound of these words.
    """
    command = [PROGRAM, "-v", speaker.voice, "-s", str(speaker.words_a_minute), "--stdout", "--"]
    try:
        made = subprocess.run(
            [*command, words], capture_output=True, check=True, timeout=MOST_SECONDS
        ).stdout
    except FileNotFoundError:
        raise ConfigurationError(f"to speak a line of your own, {CURE}") from None
    except (OSError, subprocess.SubprocessError):
        raise ConfigurationError("espeak-ng failed to speak a line") from None
    wav = read_wav(made)
    sound = np.frombuffer(wav.pcm, "<i2").astype(np.float64)
    if not sound.any():
        raise ConfigurationError("espeak-ng makes no sound of a line: it has no words")
    sound = _at_rate(sound, wav.rate_hz, speaker.rate_hz)
    sound *= PEAK / np.abs(sound).max()
    sound = _without_long_silence(sound, speaker.rate_hz)
    return np.rint(sound * 32767).astype("<i2").tobytes(), speaker.rate_hz


def at_rate(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Signed 16-bit PCM of any rate at another."""
    sound = _at_rate(np.frombuffer(pcm, "<i2").astype(np.float64), from_hz, to_hz)
    return np.clip(np.rint(sound), -32768, 32767).astype("<i2").tobytes()


def _at_rate(sound: Sound, from_hz: int, to_hz: int) -> Sound:
    """By way of the spectrum: exact, and slow enough that a call may not do it."""
    samples = round(len(sound) * to_hz / from_hz)
    spectrum = np.fft.rfft(sound)[: samples // 2 + 1]
    spectrum *= samples / len(sound)
    return np.fft.irfft(spectrum, samples)


def _without_long_silence(sound: Sound, rate_hz: int) -> Sound:
    """None but the margin at both ends, and no long pause inside."""
    margin, longest = round(MARGIN_SECONDS * rate_hz), round(LONGEST_PAUSE_SECONDS * rate_hz)
    window = rate_hz // 100
    energy = np.convolve(sound**2, np.full(window, 1 / window), "same")
    loud = np.flatnonzero(energy > SILENT**2)
    first, last = max(0, loud[0] - margin), loud[-1] + margin
    keep = np.zeros(len(sound), bool)
    keep[first:last] = True
    for before, after in pairwise(loud):
        if after - before > longest:
            # Taken from the middle of the pause, where there is nothing to hear.
            keep[before + longest // 2 : after - longest // 2] = False
    sound[first : first + margin] *= np.linspace(0, 1, margin)
    sound[last - margin : last] *= np.linspace(1, 0, margin)
    return sound[keep]
