"""Changing the rate of speech while it streams: 8, 16 and 24 kHz, any to any.

A linear-phase low-pass filter, taken apart by phase. Rules:

1. Sample ``m`` of the output is the sound at the instant ``m / to_hz``: the filter adds no
   shift. It needs to see a little of the future, so the output is held back by 2 ms, or by
   1 ms between 16 and 24 kHz, and one cycle of 1/8 ms.
2. ``n`` samples in give, in the end, exactly ``ceil(n * to_hz / from_hz)`` out.
3. How the input is cut changes no bit of the output. Coefficients are whole multiples of
   ``2**-COEFFICIENT_BITS`` and samples are whole numbers, so every product and every sum is
   exact in a double and no order of adding can round differently.
4. What is too loud for 16 bits is clipped, never wrapped.

The filter is half down at half of the lower rate and at least 78 dB down from 1.16 times
that; it is flat, within 0.01 dB, up to 0.84 times that. From 24 to 8 kHz: flat to 3.36 kHz,
silent from 4.64 kHz.
"""

from functools import cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

RATES_HZ = {8_000, 16_000, 24_000}

#: Zero crossings of the filter on each side, which is its reach in samples of the lower rate.
#: Sixteen make the transition as narrow as the gap between speech (3.4 kHz) and its image.
REACH = 16
#: Kaiser's shape parameter: 80 dB of rejection, of which ripple leaves 78.
KAISER_BETA = 7.86
#: Far finer than the 16 bits of a sample, and 16 + 22 bits and a few sums fit a double's 53.
COEFFICIENT_BITS = 22
#: Cycles filtered by one row of the matrix product: with fewer, copying the overlap of the
#: rows dominates; with more, multiplying by the zeros of the kernel does.
BLOCK_CYCLES = 16
#: So many products are one task for numpy's library: for more it wakes threads of its own, which
#: spin in front of a processor that other calls need, and gain nothing at these sizes.
MOST_PRODUCTS = 131_072


class Resampler:
    """One direction of one stream of PCM; has a state, so never share one."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        assert {from_hz, to_hz} <= RATES_HZ
        common = gcd(from_hz, to_hz)
        # A cycle is the shortest stretch that is whole in both rates.
        self._cycle_in, self._cycle_out = from_hz // common, to_hz // common
        self._reach = REACH * from_hz // min(from_hz, to_hz)
        self._kernel = None if from_hz == to_hz else kernel(self._cycle_in, self._cycle_out)
        # From `reach` samples before the next one to be said: silence, at the beginning.
        self._held: Samples = np.zeros(self._reach)

    def convert(self, pcm: bytes) -> bytes:
        """Whole samples, as many as there are; gives what can be said of them already."""
        assert len(pcm) % 2 == 0, "half a sample"
        if self._kernel is None:
            return pcm
        held = np.concatenate((self._held, np.frombuffer(pcm, "<i2")))
        cycles = max(0, (len(held) - 2 * self._reach) // self._cycle_in)
        # A copy, for a view would keep all of a long input alive.
        self._held = held[cycles * self._cycle_in :].copy()
        return self._filtered(held, cycles * self._cycle_out)

    def flush(self) -> bytes:
        """The rest of the output, as if silence followed; then begins anew."""
        if self._kernel is None:
            return b""
        samples = len(self._held) - self._reach
        rest = self._filtered(self._held, -(-samples * self._cycle_out // self._cycle_in))
        self.reset()
        return rest

    def reset(self) -> None:
        """Begin anew: what was held back is forgotten."""
        self._held = np.zeros(self._reach)

    def _filtered(self, held: Samples, samples: int) -> bytes:
        assert self._kernel is not None
        width, block_out = self._kernel.shape
        blocks = -(-samples // block_out)
        step = BLOCK_CYCLES * self._cycle_in
        padded = np.zeros(blocks * step + width)
        present = min(len(held), len(padded))
        padded[:present] = held[:present]
        # Row by row the same sound, further on by one block.
        item = padded.itemsize
        rows = np.ndarray((blocks, width), np.float64, padded, strides=(step * item, item))
        sound = np.empty((blocks, block_out))
        at_once = MOST_PRODUCTS // self._kernel.size
        for start in range(0, blocks, at_once):
            some = slice(start, start + at_once)
            np.matmul(np.ascontiguousarray(rows[some]), self._kernel, out=sound[some])
        np.rint(sound, out=sound)
        np.clip(sound, -32768, 32767, out=sound)
        return sound.astype("<i2").tobytes()[: 2 * samples]


@cache
def kernel(cycle_in: int, cycle_out: int) -> Samples:
    """What turns a stretch of input into one block of output, by one matrix product.

    Rows: the input, from ``reach`` samples before the block to ``reach`` after it. Columns:
    the output of the block.
    """
    reach = REACH * cycle_in // min(cycle_in, cycle_out)
    block_in, block_out = BLOCK_CYCLES * cycle_in, BLOCK_CYCLES * cycle_out
    kernel = np.zeros((block_in + 2 * reach, block_out))
    for column in range(block_out):
        # Where this output sample lies among the input samples.
        whole, part = divmod(column * cycle_in, cycle_out)
        distance = np.arange(-reach, reach + 1, dtype=np.float64) - part / cycle_out
        taps = _taps(distance * min(1.0, cycle_out / cycle_in))
        kernel[whole : whole + 2 * reach + 1, column] = taps
    return kernel


def _taps(distance: Samples) -> Samples:
    """The weights of input samples by their distance, in samples of the lower rate.

    They add up to one, so that a steady level stays steady.
    """
    edge = np.clip(1 - (distance / REACH) ** 2, 0, None)
    window = np.i0(KAISER_BETA * np.sqrt(edge)) * (edge > 0)
    shape = np.sinc(distance) * window
    unity = 2.0**COEFFICIENT_BITS
    taps: Samples = np.rint(shape / shape.sum() * unity) / unity
    return taps
