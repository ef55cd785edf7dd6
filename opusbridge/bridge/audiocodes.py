"""AudioCodes VoiceAI Connect (Bot API, streaming mode) carried to the Realtime API."""

from opusbridge import effects, events
from opusbridge.bridge.base import RealtimeBridge
from opusbridge.call.engine import TelephonyProtocol
from opusbridge.call.policy import AUDIOCODES
from opusbridge.privacy import Private
from opusbridge.protocols.audiocodes.protocol import AudioCodesProtocol


class TelephonyRealtimeBridge(RealtimeBridge):
    """A call from AudioCodes: its socket's first message is ``session.initiate``.

    Hang-up and transfer are activities on the same socket, so nothing else is needed.
    """

    traits = AUDIOCODES

    def socket_lost(self) -> None:
        """VoiceAI Connect asks to go on over another socket: ours is dead, and may not know it."""
        self._asked(events.TelephonyLost())

    def _protocol(self) -> TelephonyProtocol:
        return AudioCodesProtocol()

    async def _control(self, effect: effects.ByOtherMeans) -> None:
        raise AssertionError("this wire carries everything")

    def _may_transfer(self, target: Private[str]) -> None:
        """Always: VoiceAI Connect makes the transfer, and reports if it fails."""

    def _may_send_keys(self) -> None:
        """Always: there is an activity for it."""
