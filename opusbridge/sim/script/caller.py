"""The caller's part of a script: steps, one after the other."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from opusbridge.sim.callers.person import (
    DropLine,
    HangUp,
    Interrupt,
    Press,
    Say,
    Step,
    Wait,
    WaitForAgent,
    WaitForSilence,
    WaitForSound,
)
from opusbridge.sim.script.mistakes import Misplaced
from opusbridge.sim.script.sounds import SOUNDS, Seconds, SoundTable
from opusbridge.sim.script.table import Table, only_one_of

#: Seconds a person waits for the agent where the script does not say.
PATIENCE = 30.0


_WORDS_OF = {"words": ["wav"]}


def _no_number(value: object) -> object:
    """``1 == True``, but one second is not "however long"."""
    if value is not True:
        raise ValueError("Input should be true")
    return value


Yes = Annotated[Literal[True], BeforeValidator(_no_number)]


class InterruptTable(SoundTable):
    model_config = only_one_of(*SOUNDS, **_WORDS_OF)

    after_ms: Annotated[int, Field(strict=True, ge=0)]
    """Of the agent's speech, as heard."""

    @model_validator(mode="after")
    def _one_sound(self) -> "InterruptTable":
        if sum(getattr(self, name) is not None for name in SOUNDS) != 1:
            raise ValueError(f"an interruption has exactly one of {', '.join(SOUNDS)}")
        if self.words is not None and self.wav is None:
            raise ValueError("words belongs to a wav")
        return self


#: What a step may be: exactly one of these.
STEPS = (
    *SOUNDS,
    *("wait", "wait_for_agent", "wait_for_sound", "wait_for_silence"),
    *("interrupt", "press", "drop_line", "hang_up"),
)


class StepTable(SoundTable):
    """One step: exactly one of these (``words`` belongs to ``wav``, ``back_after`` to
    ``drop_line``)."""

    model_config = only_one_of(*STEPS, **_WORDS_OF, back_after=["drop_line"])

    wait: Seconds | None = None
    """Seconds."""
    wait_for_agent: Yes | Seconds | None = None
    """Until the agent has spoken since the last own words, and is silent again; a number: for
    so many seconds at most. Two in a row are met by the same sentence."""
    wait_for_sound: Yes | Seconds | None = None
    """Until the agent has been heard since the last own words: at once, if that was before this
    step; likewise."""
    wait_for_silence: Seconds | None = None
    """Until the agent has not been heard for so many seconds."""
    interrupt: InterruptTable | None = None
    """Speak over the agent."""
    press: Annotated[str, Field(pattern=r"^[0-9*#A-D]+$")] | None = None
    """Keys."""
    drop_line: Yes | None = None
    """The provider's socket is lost without a goodbye."""
    back_after: Seconds | None = None
    """So long after it was lost AudioCodes dials again, and is declined: the call is over. Twilio
    never does."""
    hang_up: Yes | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> "StepTable":
        if sum(getattr(self, name) is not None for name in STEPS) != 1:
            raise ValueError(f"a step is exactly one of {', '.join(STEPS)}")
        if self.words is not None and self.wav is None:
            raise ValueError("words belongs to a wav")
        if self.back_after is not None and not self.drop_line:
            raise ValueError("back_after belongs to drop_line")
        return self

    def step(self) -> Step:
        """What the person does."""
        match self:
            case StepTable(wait=float(seconds)):
                return Wait(seconds)
            case StepTable(wait_for_agent=bool() | float() as patience):
                return WaitForAgent(_seconds(patience))
            case StepTable(wait_for_sound=bool() | float() as patience):
                return WaitForSound(_seconds(patience))
            case StepTable(wait_for_silence=float(seconds)):
                return WaitForSilence(seconds)
            case StepTable(interrupt=InterruptTable() as interrupt):
                return Interrupt(interrupt.after_ms, interrupt.sound)
            case StepTable(press=str(digits)):
                return Press(digits)
            case StepTable(drop_line=True):
                return DropLine(self.back_after)
            case StepTable(hang_up=True):
                return HangUp()
            case _:
                return self.sound


class CallerTable(Table):
    steps: tuple[StepTable, ...]
    repeat: Annotated[int, Field(strict=True, ge=1, le=1000)] = 1
    """The steps so many times over, but for a last ``hang_up``."""
    patience: Seconds = PATIENCE
    """After the last step the person stays on the line for so many seconds of silence."""

    @model_validator(mode="after")
    def _something_to_repeat(self) -> "CallerTable":
        if self.repeat > 1 and not self.steps:
            raise Misplaced(("repeat",), "there are no steps to repeat")
        return self

    def taken(self) -> list[Step]:
        """All steps, repetitions included."""
        steps = [table.step() for table in self.steps]
        last = [steps.pop()] if self.repeat > 1 and isinstance(steps[-1], HangUp) else []
        return steps * self.repeat + last

    def words(self) -> list[str]:
        """What is said, one entry for each turn, as far as can be known before the call; nobody
        makes a turn of digital silence."""
        said = [step.say if isinstance(step, Interrupt) else step for step in self.taken()]
        return [one.text for one in said if isinstance(one, Say) and not one.silent]


def _seconds(patience: bool | float) -> float:
    return PATIENCE if patience is True else float(patience)
