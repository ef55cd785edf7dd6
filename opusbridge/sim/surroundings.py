"""What surrounds an engine in virtual time, but for its two peers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How long things take around the engine, in seconds, least and most; and what fails."""

    slowest_telephony: float = 0.12
    slowest_model: float = 0.12
    tool_seconds: tuple[float, float] = (0.02, 1.5)
    rest_seconds: tuple[float, float] = (0.05, 0.4)
    dial_seconds: tuple[float, float] = (0.1, 0.6)
    pong_seconds: float | None = 0.0
    """How long the telephony side takes to answer a ping; ``None``: it never does."""
    transfer_fails: str | None = None
    """Twilio: why REST does not try a transfer, as in ``TransferFailed``; ``None``: it does."""
    transfers_return: bool = False
    """Twilio: a caller whom nobody took comes back, and what came of a transfer is told."""
