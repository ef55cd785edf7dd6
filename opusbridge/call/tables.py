"""The two tables of the response lifecycle: every input in every state, as data.

Permission is data: nothing falls to an ``else``. What only a broken peer could cause is in
the tables too, as a report. The diagrams of the documentation are drawn from them.
"""

from enum import Enum, auto


class Request(Enum):
    """What we asked for."""

    NONE = auto()
    SENT = auto()  # neither accepted nor refused yet
    ABANDONED = auto()  # the same, but the caller has interrupted since


class Response(Enum):
    """What the model is really producing, whoever asked for it."""

    NONE = auto()
    ACTIVE = auto()
    CANCELLING = auto()  # we said stop; the model has not yet said that it has


class RequestInput(Enum):
    ASKED = auto()
    ACCEPTED = auto()
    REFUSED = auto()
    INTERRUPTED = auto()
    TIMED_OUT = auto()
    LOST = auto()


class ResponseInput(Enum):
    CREATED = auto()
    DONE = auto()
    INTERRUPTED = auto()
    TIMED_OUT = auto()
    LOST = auto()


class Action(Enum):
    NOTHING = auto()
    REPORT = auto()  # a peer or we ourselves did what the protocol forbids
    CANCEL_IT = auto()  # by id: nobody wants it any more
    DISOWN = auto()  # whatever may still accept this request is cancelled when it shows
    FREE = auto()  # the slot is declared free although nobody said so
    REPLACE = auto()  # one at a time is the server's law: the old one must be over


REQUEST_TABLE: dict[tuple[Request, RequestInput], tuple[Request, Action]] = {
    (Request.NONE, RequestInput.ASKED): (Request.SENT, Action.NOTHING),
    (Request.NONE, RequestInput.ACCEPTED): (Request.NONE, Action.REPORT),
    (Request.NONE, RequestInput.REFUSED): (Request.NONE, Action.NOTHING),
    (Request.NONE, RequestInput.INTERRUPTED): (Request.NONE, Action.NOTHING),
    (Request.NONE, RequestInput.TIMED_OUT): (Request.NONE, Action.NOTHING),
    (Request.NONE, RequestInput.LOST): (Request.NONE, Action.NOTHING),
    #
    (Request.SENT, RequestInput.ASKED): (Request.SENT, Action.REPORT),
    (Request.SENT, RequestInput.ACCEPTED): (Request.NONE, Action.NOTHING),
    (Request.SENT, RequestInput.REFUSED): (Request.NONE, Action.NOTHING),
    (Request.SENT, RequestInput.INTERRUPTED): (Request.ABANDONED, Action.NOTHING),
    (Request.SENT, RequestInput.TIMED_OUT): (Request.NONE, Action.DISOWN),
    (Request.SENT, RequestInput.LOST): (Request.NONE, Action.NOTHING),
    #
    (Request.ABANDONED, RequestInput.ASKED): (Request.ABANDONED, Action.REPORT),
    (Request.ABANDONED, RequestInput.ACCEPTED): (Request.NONE, Action.CANCEL_IT),
    (Request.ABANDONED, RequestInput.REFUSED): (Request.NONE, Action.NOTHING),
    (Request.ABANDONED, RequestInput.INTERRUPTED): (Request.ABANDONED, Action.NOTHING),
    (Request.ABANDONED, RequestInput.TIMED_OUT): (Request.NONE, Action.DISOWN),
    (Request.ABANDONED, RequestInput.LOST): (Request.NONE, Action.NOTHING),
}

RESPONSE_TABLE: dict[tuple[Response, ResponseInput], tuple[Response, Action]] = {
    (Response.NONE, ResponseInput.CREATED): (Response.ACTIVE, Action.NOTHING),
    (Response.NONE, ResponseInput.DONE): (Response.NONE, Action.REPORT),
    (Response.NONE, ResponseInput.INTERRUPTED): (Response.NONE, Action.NOTHING),
    (Response.NONE, ResponseInput.TIMED_OUT): (Response.NONE, Action.NOTHING),
    (Response.NONE, ResponseInput.LOST): (Response.NONE, Action.NOTHING),
    #
    (Response.ACTIVE, ResponseInput.CREATED): (Response.ACTIVE, Action.REPLACE),
    (Response.ACTIVE, ResponseInput.DONE): (Response.NONE, Action.NOTHING),
    (Response.ACTIVE, ResponseInput.INTERRUPTED): (Response.CANCELLING, Action.CANCEL_IT),
    (Response.ACTIVE, ResponseInput.TIMED_OUT): (Response.CANCELLING, Action.CANCEL_IT),
    (Response.ACTIVE, ResponseInput.LOST): (Response.NONE, Action.NOTHING),
    #
    (Response.CANCELLING, ResponseInput.CREATED): (Response.ACTIVE, Action.REPLACE),
    (Response.CANCELLING, ResponseInput.DONE): (Response.NONE, Action.NOTHING),
    (Response.CANCELLING, ResponseInput.INTERRUPTED): (Response.CANCELLING, Action.NOTHING),
    (Response.CANCELLING, ResponseInput.TIMED_OUT): (Response.NONE, Action.FREE),
    (Response.CANCELLING, ResponseInput.LOST): (Response.NONE, Action.NOTHING),
}
