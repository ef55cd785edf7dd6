"""Call scripts: what a caller does, what the model says, what must come of it; in TOML.

::

    [caller]
    steps = [
        { wait_for_agent = true },
        { say = "opening-hours" },
        { interrupt = { after_ms = 2000, say = "one-more-thing" } },
        { press = "12#" },
        { wait = 1.5 },
        { hang_up = true },
    ]

    [[model.replies]]
    voice = "thank-you-for-calling"
    tool = "hang_up"
    arguments = { reason = "caller said goodbye" }

    [expect]
    heard = ["thank you for calling"]
    ending = "agent-hung-up"

``caller``, ``model`` and ``expect`` are the parts of a script, ``files`` reads them, ``places``
knows the lines of their keys, ``sounds`` what is said.
"""

from opusbridge.sim.script.expect import ExpectTable
from opusbridge.sim.script.files import BOTH, CallScript, load, load_all, parse, schema, shipped
from opusbridge.sim.script.sounds import spoken

__all__ = [
    "BOTH",
    "CallScript",
    "ExpectTable",
    "load",
    "load_all",
    "parse",
    "schema",
    "shipped",
    "spoken",
]
