"""G.711, both laws, to and from signed 16-bit little-endian PCM at the same rate.

The work is done in C by ``audioop``: the standard library's up to Python 3.12, the package
``audioop-lts``, under the same name, after that. This is the one place that imports it.
"""

import sys
import warnings

with warnings.catch_warnings():
    # Python 3.11 and 3.12 announce the module's removal; audioop-lts takes over then.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

# ``audioop`` works in the machine's own byte order.
assert sys.byteorder == "little"


def pcmu_decode(pcmu: bytes) -> bytes:
    """Mu-law to PCM: two bytes for each byte."""
    return audioop.ulaw2lin(pcmu, 2)


def pcmu_encode(pcm: bytes) -> bytes:
    """PCM, whole samples only, to mu-law: one byte for each two."""
    return audioop.lin2ulaw(pcm, 2)


def pcma_decode(pcma: bytes) -> bytes:
    """A-law to PCM: two bytes for each byte."""
    return audioop.alaw2lin(pcma, 2)


def pcma_encode(pcm: bytes) -> bytes:
    """PCM, whole samples only, to A-law: one byte for each two."""
    return audioop.lin2alaw(pcm, 2)
