"""Twilio Media Streams: the socket, the signature of its requests, and the TwiML before it."""

from opusbridge.protocols.twilio.protocol import TwilioProtocol

__all__ = ["TwilioProtocol"]
