"""Every interleaving of a call's events, tried on the real response lifecycle."""

from opusbridge.sim.explorer.scene import Budget
from opusbridge.sim.explorer.search import Exploration, Explorer, Limits

__all__ = ["Budget", "Exploration", "Explorer", "Limits"]
