"""Stored speech in a conversation: the bridge's own, and what is said in the agent's name."""

from opusbridge import effects
from opusbridge.call.conversation import Conversation
from opusbridge.call.pending import Cause, Why
from opusbridge.call.policy import Clip
from opusbridge.effects import Effect
from opusbridge.privacy import Private


def say_stored(talk: Conversation, names: tuple[str, ...], now: float) -> list[Effect]:
    """The clips of these names, one after the other; one that is missing is left out.

    The model learns nothing of them.
    """
    found: list[Effect] = []
    for name in names:
        clip, words = talk.policy.clips.get(name), talk.policy.clip_words.get(name, "")
        found += [] if clip is None else talk.voice.say(name, clip, words, now)
    return found


def say_as_agent(
    talk: Conversation, clip: Clip, words: str, now: float
) -> tuple[str, list[Effect]]:
    """In the agent's name: the model is told that it said so. The item's id goes first."""
    item_id, found = talk.voice.say_as_agent(clip, words, now)
    talk.model.history.said_for_it(item_id)
    return item_id, found + talk.tell(effects.AddText(item_id, "assistant", Private(words)))


def greet(talk: Conversation, now: float) -> list[Effect]:
    """As the agent greets, if it does: with a clip of its own, or in the model's words.

    Then what was to be said while the phone rang.
    """
    if not talk.policy.greet:
        return talk.response.settle(now)
    clip = talk.policy.clips.get("greeting")
    if clip is None:
        return talk.response.user_input(Cause(Why.GREETING, "greeting"), now)
    # The caller hears it at once, while the model may still be dialled.
    words = talk.policy.clip_words.get("greeting", "")
    talk.barge_in.greeting, found = say_as_agent(talk, clip, words, now)
    return found + talk.response.settle(now)
