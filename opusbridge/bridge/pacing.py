"""How fast a telephony peer is read.

A call needs some fifty messages a second, and after a hole in the network a few hundred come at
once. A peer that sends thousands, each of them legal, would take the processor from the other
calls: what is too much waits in its own buffers, and nothing of it is lost.
"""

#: Read at once: twenty seconds of a caller's frames at least, and twice that at most.
AT_ONCE = 1_000
#: And of those behind them so many a second, which catches up with five calls.
A_SECOND = 250
#: Of a peer that has used up both nothing is read until it may say what was read too much; but
#: so often somebody has to see whether it is still there.
LONGEST_SECONDS = 5.0

#: The kind under which it is counted, once for a socket.
TOO_FAST = "too-fast"


class Pace:
    """A token bucket; whoever reads takes one from ``spare`` for each message.

    It is filled when it is found empty, so that a message costs no more than that.
    """

    __slots__ = ("_at", "_told", "spare")

    def __init__(self, spare: float = AT_ONCE) -> None:
        """``inf``: no limit."""
        self.spare = spare
        self._at = 0.0
        self._told = False

    def pause(self, now: float) -> float:
        """To be asked when ``spare`` is below zero: how long to read nothing; 0: read on.

        Everything is in seconds, ``now`` on any clock.
        """
        # What was read too much at once, in a long piece of bytes, is owed and not forgiven.
        self.spare += min((now - self._at) * A_SECOND, AT_ONCE)
        self._at = now
        return min(max(0.0, -self.spare / A_SECOND), LONGEST_SECONDS)

    def is_news(self) -> bool:
        """Whether this is the first pause; to be asked once for each."""
        told, self._told = self._told, True
        return not told
