"""What the simulated parties say: short lines, spoken once by ``scripts/make-speech``.

The words are here so that whoever plays a line also knows its transcript.
"""

from importlib.resources import files

from opusbridge.audio.wav import read_wav

CALLER_LINES: dict[str, str] = {
    "opening-hours": "Hello, what are your opening hours?",
    "sundays-too": "Do you also open on Sundays?",
    "one-more-thing": "Wait, one more thing.",
    "yes-please": "Yes please.",
    "put-me-through": "Can you put me through to billing?",
    "thank-you-goodbye": "Thank you, goodbye.",
    "where-is-my-order": "Where is my order?",
    "mm-hm": "Mm-hm.",
    "are-you-still-there": "Hello? Are you still there?",
    "how-are-you": "How are you today?",
}

MODEL_LINES: dict[str, str] = {
    "front-desk": "Hello, this is the front desk. How can I help you?",
    # Long on purpose: it is there to be interrupted.
    "hours-of-the-week": (
        "From Monday to Friday we are open from nine to six, on Saturdays from ten to five, "
        "and on Sundays from ten to four."
    ),
    "open-on-sundays": "Yes, on Sundays we are open from ten to four.",
    "what-is-it": "Of course, what is it?",
    "let-me-check": "One moment, let me check that for you.",
    "order-left": "Your order left the warehouse this morning.",
    "putting-through": "I will put you through now.",
    "thank-you-for-calling": "Thank you for calling. Goodbye.",
    "i-am-here": "I am here.",
}

#: Slug to words, of both parties.
LINES: dict[str, str] = CALLER_LINES | MODEL_LINES


def load(slug: str) -> tuple[int, bytes]:
    """Samples a second, and 16-bit mono PCM, of one of :data:`LINES`."""
    assert slug in LINES
    wav = read_wav((files("opusbridge.sim") / "voices" / f"{slug}.wav").read_bytes())
    return wav.rate_hz, wav.pcm
