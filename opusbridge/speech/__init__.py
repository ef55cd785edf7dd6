"""What the bridge itself says to a caller when the model cannot: stored, never synthesised.

A folder for each language; ``scripts/make-speech`` makes the files.
"""

from importlib.resources import files
from pathlib import Path

from opusbridge.audio.resampling import RATES_HZ
from opusbridge.audio.wav import read_wav

#: Language to clip to words.
CLIPS: dict[str, dict[str, str]] = {
    "en": {
        "one-moment": "One moment please.",
        "sorry": "Sorry, something went wrong.",
        "goodbye": "Thank you for calling. Goodbye.",
        "busy": "Sorry, all our lines are busy. Please call again later.",
    },
}


def read_clip(path: Path) -> tuple[int, bytes]:
    """Samples a second, and 16-bit mono PCM, of a file of the operator's own.

    Raises ``OSError``, and ``ValueError`` for what cannot be used, saying why.
    """
    wav = read_wav(path.read_bytes())
    if wav.channels != 1 or wav.rate_hz not in RATES_HZ or not wav.pcm:
        raise ValueError("must be sound in one channel at 8, 16 or 24 kHz")
    return wav.rate_hz, wav.pcm


def load_clip(name: str, language: str = "en") -> tuple[int, bytes]:
    """Samples a second, and 16-bit mono PCM, of one of :data:`CLIPS`."""
    assert name in CLIPS[language]
    wav = read_wav((files("opusbridge.speech") / language / f"{name}.wav").read_bytes())
    return wav.rate_hz, wav.pcm
