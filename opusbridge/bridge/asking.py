"""What whoever holds a bridge may ask of its call: an operator, a page, a program of one's own."""

from abc import ABC, abstractmethod
from pathlib import Path

from opusbridge import events
from opusbridge.bridge.control import Control, in_words
from opusbridge.call.call import Call
from opusbridge.call.pending import PendingUserInput
from opusbridge.logs import Log, of_call
from opusbridge.tools.context import KEY_SECONDS, CallContext, Digits

log = Log("opusbridge.bridge")


class Asking(ABC):
    """Every method may be called at any time, from the event loop that runs the call only; after
    the end nothing comes of it."""

    call_id: str
    control: Control

    @abstractmethod
    def _asked(self, event: events.FromShell | events.FromTelephony) -> None:
        """From outside the call's tasks."""

    @property
    @abstractmethod
    def _call(self) -> Call | None:
        """``None`` before it began."""

    @property
    def response_active(self) -> bool:
        """True from a response's ``response.created`` to its ``response.done``."""
        talk = self._call.conversation if self._call else None
        return talk is not None and talk.response.response_active

    @property
    def response_id(self) -> str | None:
        """The model's id of the response that is active; ``None`` without one."""
        talk = self._call.conversation if self._call else None
        return talk.response.response_id if talk else None

    @property
    def pending_user_input(self) -> PendingUserInput | None:
        """What waits for the next response, since when, and why."""
        talk = self._call.conversation if self._call else None
        return talk.response.pending_user_input if talk else None

    @property
    def recording_paused(self) -> bool:
        """Nothing of what is said now is kept."""
        return self._call is not None and self._call.transcript.paused

    def pause_recording(self, by: str = "operator") -> None:
        """Keep nothing of what is said from now on: neither sound nor words.

        Files show a silence of the right length and ``[withheld]``. The recording goes on when
        everybody who paused it (``by``, a slug) has called :meth:`resume_recording`.
        """
        self._asked(events.RecordingPauseRequested(by))

    def resume_recording(self, by: str = "operator") -> None:
        """Keep what is said from now on, if nobody else wants it withheld."""
        self._asked(events.RecordingResumeRequested(by))

    def hang_up(self, reason: str = "") -> None:
        """End the call once the caller has heard what is being said, or a transfer has failed; one
        that still rings, at once.

        The call's ending is ``hung-up-by-operator``, whatever the ``reason``: that is for whoever
        reads the code, and kept nowhere, because it may name somebody.
        """
        with of_call(self.call_id):
            log.info("operator hangs up")
        self._asked(events.HangUpRequested("hung-up-by-operator"))

    def say_goodbye(self, reason: str, *, aloud: bool = True) -> None:
        """Stop the agent, play the stored goodbye, hang up; ``reason`` of errors.REASONS.

        Not ``aloud``: hang up when what is being said was heard.
        """
        self._asked(events.HangUpRequested(reason, goodbye=aloud))

    def transfer(self, destination: str, reason: str = "", summary: str = "") -> None:
        """To one of the agent's destinations, by name; raises :class:`TransferRefused`."""
        self.control.transfer(destination, reason, summary)

    def say(self, text: str) -> None:
        """Put a text before the model and ask for a response, through the one door."""
        self._asked(events.TextInjected(in_words("text", text)))

    def send_dtmf(self, digits: str) -> None:
        """Press keys (``0-9 * #``, at most 20) for the other end to hear, at once.

        Raises ``ValueError`` for other keys and :class:`WishRefused` where the line cannot.
        """
        self.control.send_dtmf(digits)

    def play(self, path: str | Path, words: str = "") -> None:
        """A WAV file for the caller to hear, as :meth:`CallContext.play` takes it; it is read here
        and now. Raises :class:`WishRefused` for one that cannot be used."""
        self.control.play(Path(path), words)

    def hold(self) -> None:
        """Put the caller on hold, or for longer: until :meth:`unhold`, at most for five minutes."""
        self.control.hold(True)

    def unhold(self) -> None:
        """Take the caller back; the model is told, and goes on."""
        self.control.hold(False)

    async def collect_digits(
        self,
        length: int | None = None,
        terminator: str = "#",
        timeout: float = KEY_SECONDS,  # noqa: ASYNC109  # of a pause between keys
        secret: bool = False,
    ) -> Digits:
        """What the caller types from now on, as :meth:`CallContext.collect_digits` has it;
        nothing, and incomplete, where the call ends first."""
        control = self.control if self._call is not None else None
        call = CallContext(self.call_id, control=control)
        return await call.collect_digits(length, terminator, timeout, secret)
