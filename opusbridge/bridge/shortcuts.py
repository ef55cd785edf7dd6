"""What comes fifty times a second, and ten times: by the shortest way from socket to socket.

A caller's frame that goes on as it came, more of the agent's answer, a mark that comes back:
the engine tells which they are (:meth:`Engine.passes`, :meth:`Engine.flows`,
:meth:`Engine.echoes`), and nothing else is touched. Everything else takes the general way.
"""

from collections.abc import Callable

from opusbridge.bridge.line import TelephonyLine
from opusbridge.bridge.model import ModelLink
from opusbridge.call.engine import NOTHING, Engine, Outgoing
from opusbridge.protocols.realtime.protocol import append
from opusbridge.recording.recorder import CallRecorder


class ShortCuts:
    """Takes every text of both sockets, at once and in order."""

    def __init__(
        self,
        engine: Engine,
        recorder: CallRecorder | None,
        clock: Callable[[], float],
        otherwise: Callable[[str, str, float], None],
        perform: Callable[[Outgoing, float], None],
        broke: Callable[[Exception], None],
    ) -> None:
        """``otherwise`` takes what is not so simple: peer, text and time; ``perform`` what more
        came of it; ``broke`` a bug."""
        self._engine, self._recorder, self._clock = engine, recorder, clock
        self._otherwise, self._perform, self._broke = otherwise, perform, broke

    def lead_to(self, line: TelephonyLine, model: ModelLink) -> None:
        """Before the first text."""
        self._line, self._model = line, model

    def telephony_said(self, text: str) -> None:
        now = self._clock()
        try:
            frame = self._engine.passes(text, now)
            echoed = None if frame is not None else self._engine.echoes(text, now)
        except Exception as error:  # noqa: BLE001  # the outermost loop of the shell
            return self._broke(error)
        if frame is not None:
            # First, because of what comes of it if the model takes nothing any more.
            if (recorder := self._recorder) is not None:
                journal = recorder.journal
                journal.put((recorder, recorder.take_frame, frame, now))
                if now >= journal.due:
                    journal.sort(now)
            self._model.put_one(append(frame[0]))
        elif echoed is None:
            self._otherwise("telephony", text, now)
        else:
            if self._recorder is not None:
                self._recorder.echoed(text, now)
            if echoed is not NOTHING:
                self._perform(echoed, now)

    def model_said(self, text: str) -> None:
        now = self._clock()
        try:
            flowed = self._engine.flows(text, now)
        except Exception as error:  # noqa: BLE001  # the outermost loop of the shell
            return self._broke(error)
        if flowed is None:
            return self._otherwise("model", text, now)
        if self._recorder is None:
            pass
        elif flowed.sound is None:
            self._recorder.worded(text, now)
        else:
            self._recorder.streamed(flowed.sound, flowed.around, flowed.to_telephony, now)
        if flowed.to_telephony:
            self._line.put(flowed.to_telephony)
