"""The outline of a recording, to be drawn."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opusbridge.audio.wav import read_wav

#: Points of an outline; more than a wide screen has pixels, few enough for a light page.
MOST_POINTS = 12_000


@dataclass(frozen=True, slots=True)
class Outline:
    """The extremes of each of the stretches a voice is cut into, as parts of full scale."""

    seconds: float
    lows: list[float]
    highs: list[float]


def outlines(wav: bytes, points: int) -> tuple[Outline, Outline]:
    """Of the caller and the agent. Raises ``ValueError`` if this is no stereo recording."""
    sound = read_wav(wav)
    if sound.channels != 2:
        raise ValueError("a call's recording has two channels")
    frames = np.frombuffer(sound.pcm, dtype="<i2").reshape(-1, 2)
    seconds = len(frames) / sound.rate_hz
    points = max(min(points, MOST_POINTS, len(frames)), 1)
    return _outline(frames[:, 0], seconds, points), _outline(frames[:, 1], seconds, points)


def svg_path(outline: Outline, height: float, higher: float = 1.0) -> str:
    """The ``d`` of a closed path, one unit wide for each stretch; ``higher`` magnifies it."""
    middle, reach = height / 2, height / 2 * higher
    # Silence is a line, not nothing.
    highs = [middle - max(high * reach, 0.4) for high in outline.highs]
    lows = [middle - min(low * reach, -0.4) for low in outline.lows]
    there = (f"{x} {y:.1f}" for x, y in enumerate(highs))
    back = (f"{x} {y:.1f}" for x, y in reversed(list(enumerate(lows))))
    return "M" + "L".join([*there, *back]) + "Z"


def _outline(voice: NDArray[np.int16], seconds: float, points: int) -> Outline:
    if not len(voice):
        return Outline(0.0, [0.0], [0.0])
    starts = np.arange(points) * len(voice) // points
    lows = np.minimum.reduceat(voice, starts) / 32768
    highs = np.maximum.reduceat(voice, starts) / 32768
    return Outline(seconds, lows.tolist(), highs.tolist())
