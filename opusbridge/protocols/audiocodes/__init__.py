"""AudioCodes Bot API in streaming mode: one socket of VoiceAI Connect or Live Hub."""

from opusbridge.protocols.audiocodes.protocol import AudioCodesProtocol

__all__ = ["AudioCodesProtocol"]
