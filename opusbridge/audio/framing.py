"""Cutting a stream of bytes where it may be cut: between samples, between frames.

Peers cut where they like. What is left over after the last whole sample or frame is kept
and put before whatever comes next, so nothing is lost and nothing moves.
"""


class SampleAligner:
    """Gives out whole samples only."""

    def __init__(self, sample_bytes: int) -> None:
        assert sample_bytes > 0
        self._sample_bytes = sample_bytes
        self._rest = b""

    def push(self, raw: bytes) -> bytes:
        """All whole samples so far not given out; half a sample waits for its other half."""
        if self._rest:
            raw = self._rest + raw
        over = len(raw) % self._sample_bytes
        if not over:
            self._rest = b""
            return raw
        self._rest = raw[-over:]
        return raw[:-over]

    def clear(self) -> None:
        """Forget a half sample that waits."""
        self._rest = b""


class Framer:
    """Gives out whole frames only, as many as there are, in one piece."""

    def __init__(self, frame_bytes: int) -> None:
        assert frame_bytes > 0
        self._frame_bytes = frame_bytes
        # Always less than one frame.
        self._rest = bytearray()

    @property
    def pending(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._rest)

    def push(self, raw: bytes) -> bytes:
        """The longest whole multiple of a frame there is now; empty when that is none."""
        self._rest += raw
        whole = len(self._rest) - len(self._rest) % self._frame_bytes
        frames = bytes(self._rest[:whole])
        del self._rest[:whole]
        return frames

    def flush(self, pad: bytes) -> bytes:
        """The rest, filled up to a whole frame; empty when there is no rest.

        ``pad`` is one sample of silence, repeated as often as needed.
        """
        if not self._rest:
            return b""
        missing = self._frame_bytes - len(self._rest)
        assert missing % len(pad) == 0, "the rest or the frame holds a broken sample"
        frame = bytes(self._rest) + pad * (missing // len(pad))
        self._rest.clear()
        return frame

    def clear(self) -> None:
        """Forget the rest."""
        self._rest.clear()
