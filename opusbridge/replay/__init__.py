"""A flight recording, played again: the same engine, the same input, virtual time.

>>> from opusbridge.replay import assert_replays
>>> assert_replays(Path("flight.jsonl"))  # doctest: +SKIP
"""

from opusbridge.replay.replaying import Difference, Replay, assert_replays, replay

__all__ = ["Difference", "Replay", "assert_replays", "replay"]
