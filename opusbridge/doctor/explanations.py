"""What the codes and slugs mean that people meet, and what helps.

Twilio shows its stream errors in its console only, never on the socket; ours are in the log,
in ``/metrics`` and in ``call.json``.
"""

from dataclasses import dataclass

_ERRORS = "https://www.twilio.com/docs/api/errors/"


@dataclass(frozen=True, slots=True)
class Explanation:
    meaning: str
    cure: str
    source: str = ""


def _twilio(code: int, meaning: str, cure: str) -> tuple[str, Explanation]:
    return str(code), Explanation(meaning, cure, f"{_ERRORS}{code}")


#: Twilio's error codes that a voice bridge meets.
TWILIO = dict(
    (
        _twilio(
            10004,
            "too many calls at once for this account",
            "a trial or unapproved account has a low limit: upgrade it or ask Twilio to raise it",
        ),
        _twilio(
            11200,
            "the webhook gave no usable answer",
            "is serve running and PUBLIC_URL reachable? 403: the Auth Token is another account's",
        ),
        _twilio(
            11205,
            "the webhook could not be connected to",
            "check OPUSBRIDGE_PUBLIC_URL, its certificate and the tunnel or proxy behind it",
        ),
        _twilio(
            12100,
            "the webhook's answer is not XML",
            "something in front of serve answers with a page of its own: look at its log",
        ),
        _twilio(
            12200,
            "the TwiML does not fit its schema",
            "something in front of serve changes the answer: let it pass unchanged",
        ),
        _twilio(
            13224,
            "the number to dial is not valid",
            "check the agent's destinations: E.164 numbers as +DIGITS",
        ),
        _twilio(
            20003,
            "the account or its token is refused",
            "copy Account SID and Auth Token from the console again, both of one account",
        ),
        _twilio(20404, "there is no such call any more", "nothing: it ended before we asked"),
        _twilio(
            21219,
            "a trial account may call verified numbers only",
            "verify the number in the console, or upgrade the account",
        ),
        _twilio(
            31901,
            "no answer to the stream's connection request",
            "is serve running, and does the tunnel or firewall let Twilio through?",
        ),
        _twilio(31902, "the stream's connection was refused", "nothing listens there: start serve"),
        _twilio(
            31903,
            "the stream's connection broke",
            "the process or a proxy ended it: look at both logs at that moment",
        ),
        _twilio(
            31910,
            "TLS failed",
            "OPUSBRIDGE_PUBLIC_URL needs a valid certificate: a plain TCP tunnel has none",
        ),
        _twilio(
            31920,
            "the stream's upgrade was not answered with 101",
            "a proxy without WebSocket support, or our own refusal: look for `refused` in the log",
        ),
        _twilio(
            31921,
            "the socket was closed from our side",
            "expected when the agent hangs up without REST; otherwise see call.json's ending",
        ),
        _twilio(31922, "the stream's URL is not wss", "OPUSBRIDGE_PUBLIC_URL must be https://…"),
        _twilio(31923, "the stream's URL is malformed", "check OPUSBRIDGE_PUBLIC_URL for blanks"),
        _twilio(
            31924,
            "a malformed WebSocket frame",
            "something between Twilio and serve changes frames: take compression and buffering out",
        ),
        _twilio(
            31930,
            "Twilio threw caller audio away, because it was not read in time",
            "the machine is overloaded: lower OPUSBRIDGE_MAX_CALLS",
        ),
        _twilio(
            31931,
            "more than ten minutes of audio waited to be heard",
            "the agent's answers are far too long: shorten them in its instructions",
        ),
        _twilio(31941, "the stream's track is invalid", "use the TwiML of /twilio/voice as it is"),
        _twilio(
            31950,
            "Twilio got a binary or unreadable message",
            "something between changes messages; opusbridge sends text frames only",
        ),
        _twilio(
            31951,
            "Twilio got a message outside its schema",
            "report it with the call's flight.jsonl: opusbridge should never send one",
        ),
    )
)

#: Why we turned somebody away (``opusbridge_rejected_total``); before the colon, the endpoint
#: at which it means something of its own.
REFUSALS = {
    "closed": Explanation(
        "the endpoint has no secret, and so is closed; or it is Twilio's, and there is no public "
        "URL, or turn detection is none",
        "set its secret: OPUSBRIDGE_AUDIOCODES_TOKEN, OPUSBRIDGE_TWILIO_AUTH_TOKEN (with "
        "OPUSBRIDGE_PUBLIC_URL) or OPUSBRIDGE_ADMIN_TOKEN; for Twilio turn detection is needed",
    ),
    "no-token": Explanation(
        "no bearer token came",
        "AudioCodes: put the token into the bot connection; API: send Authorization: Bearer …",
    ),
    "bad-token": Explanation(
        "the bearer token is another one",
        "AudioCodes: put the value of OPUSBRIDGE_AUDIOCODES_TOKEN into the bot connection; API: "
        "send that of OPUSBRIDGE_ADMIN_TOKEN",
    ),
    "bad-signature": Explanation(
        "Twilio's signature does not fit",
        "OPUSBRIDGE_PUBLIC_URL must be the address in Twilio's console without /twilio/voice, and "
        "the Auth Token that of the account (or subaccount) that owns the number; where a process "
        "has an OPUSBRIDGE_OWN_URL, it must lead to that very process",
    ),
    "other-account": Explanation(
        "the call is of another account than OPUSBRIDGE_TWILIO_ACCOUNT_SID",
        "name the account that owns the number",
    ),
    "already-streaming": Explanation(
        "a second stream came for a call that has one",
        "nothing if the call went on; otherwise look for two <Stream>s in your own TwiML",
    ),
    "unknown-conversation": Explanation(
        "AudioCodes wanted to resume a call that is not here",
        "the process was restarted, or the balancer sent it to another one",
    ),
    "full": Explanation(
        "as many calls were going on as OPUSBRIDGE_MAX_CALLS or OPUSBRIDGE_CAPACITY_FILE allow, or "
        "a hundred that Twilio had announced waited for their streams; for an order, those that "
        "still ring count as well",
        "raise the limit, or add another process",
    ),
    "draining": Explanation("the process was stopping", "nothing: a balancer asks the next one"),
    "twilio-media:bad-token": Explanation(
        "a stream came without the one-use token of a call announced here, or after its minute",
        "where several processes stand behind the public URL, give each its OPUSBRIDGE_OWN_URL, so "
        "that the stream comes to the one that was asked; scanners get this, too",
    ),
    "no-call-sid": Explanation(
        "the webhook was asked without a CallSid", "not Twilio: a scanner, or a test by hand"
    ),
    "too-many-waiting": Explanation(
        "more sockets were open that had not begun a call than any telephone needs",
        "somebody opens sockets and says nothing: look at the addresses in the proxy's log",
    ),
    "no-start": Explanation(
        "a socket opened and no call began on it, within five seconds at Twilio's door and ten at "
        "AudioCodes'",
        "not a telephone: a scanner, or a proxy that holds messages back",
    ),
    "gone-before-start": Explanation(
        "a socket went before a call began on it",
        "a caller who hung up at once; if there are many, a health check that opens sockets",
    ),
    "unintelligible": Explanation(
        "what came before a call began was nothing we could use",
        "is the right provider connected to the right path?",
    ),
    "slow-request": Explanation(
        "a request took longer to arrive than any of ours should, or its answer to be read",
        "nothing, if seldom; often: somebody holds connections open, so put a proxy in front",
    ),
    "too-large": Explanation("a request's body was too large", "not one of ours: see who sends it"),
    "bad-form": Explanation(
        "a webhook's form could not be read", "not Twilio, or something between changes it"
    ),
    "unknown-call": Explanation(
        "there is no call of that id, neither live nor among the last 200",
        "look in GET /api/calls; with several processes, of the one that has the call",
    ),
    "call-ended": Explanation("the call was over", "nothing: it ended before it was asked for"),
    "not-yet-answered": Explanation(
        "a call we placed still rang, and only Twilio's can be hung up then, once it has an id",
        "ask again when it was answered, or stop it at the provider's",
    ),
    "not-hung-up": Explanation(
        "Twilio did not hang up a call that still rang, or did not answer",
        "ask again; the log's line `hang-up by REST failed` says why",
    ),
    "transfer-refused": Explanation(
        "the call could not be handed over now, or not there",
        "the answer's `detail` says why; where to is the agent's `destinations`",
    ),
    **{
        slug: Explanation(
            f"an order for a call was refused: {why}", "whoever placed it was answered so"
        )
        for slug, why in (
            ("bad-body", "its JSON has not what it must have"),
            ("unknown-agent", "there is no such agent"),
            ("no-from", "no number to call from"),
            ("not-set-up", "the provider's settings are missing, or its calls are closed"),
            ("key-used-for-another-call", "its idempotency_key was used for another"),
            ("too-many-calls-today", "OPUSBRIDGE_OUTBOUND_PER_DAY"),
            ("too-many-calls-to-this-number", "OPUSBRIDGE_OUTBOUND_PER_NUMBER"),
            ("cannot-be-written-down", "the disk is full or not ours, and no call goes unwritten"),
        )
    },
}

#: Endings of calls (``call.json``) that speak of something to mend.
ENDINGS = {
    "no-common-format": Explanation(
        "AudioCodes offered no audio format that we speak",
        "let the bot connection offer raw/lpcm16_24, raw/mulaw, raw/lpcm16 or raw/lpcm16_8",
    ),
    "text-mode": Explanation(
        "AudioCodes has voice streaming off for this bot",
        "switch direct speech (voice streaming) on in the bot connection",
    ),
    "no-start": Explanation(
        "AudioCodes opened a session and did not start the call within three minutes, or a call "
        "that was placed was answered and over before its stream came",
        "is it a bot connection of another kind? For a placed call see Twilio's debugger",
    ),
    "telephony-unintelligible": Explanation(
        "the telephony side sent over 100 messages we could not use",
        "is the right provider connected to the right path? See flight.jsonl",
    ),
    "model-refused-us": Explanation(
        "the model refused the key, the account or the session",
        "the log's line `the model refused us` has the status or code, and the key it is about; "
        "opusbridge doctor opens a session and says what to do",
    ),
    "model-unreachable": Explanation(
        "the model could not be reached", "check the network and OPUSBRIDGE_REALTIME_URL"
    ),
    "model-silent": Explanation(
        "the model answered nothing at all", "its status page; OPUSBRIDGE_RESUME_GRACE bridges more"
    ),
    "model-failed": Explanation(
        "the model failed, and asking again did not help",
        "its status page and the account's rate limits",
    ),
    "model-lost": Explanation(
        "the model's socket ended in mid-call, and no other could take its place in time",
        "the network or the model's status page; OPUSBRIDGE_RESUME_GRACE bridges more",
    ),
    "model-too-slow": Explanation(
        "the model did not take what we sent, a thousand messages long",
        "the network to the model is too slow or broken: look at its loss and its firewall",
    ),
    "model-unintelligible": Explanation(
        "the model sent over 100 messages we could not use",
        "is there a Realtime API, and nothing else, at OPUSBRIDGE_REALTIME_URL?",
    ),
    "session-expired": Explanation(
        "the model's session was over, and another could not be had",
        "the model's limits for sessions; OPUSBRIDGE_MAX_CALL_SECONDS can end calls before",
    ),
    "telephony-error": Explanation(
        "the telephony side said that something went wrong, or could not place the call",
        "its own log says what: Twilio's debugger, or Live Hub's call log",
    ),
    "telephony-too-slow": Explanation(
        "the telephony side did not take what we sent, a thousand messages long",
        "something between holds the stream back: a proxy that buffers, or a line too slow",
    ),
    "stream-replaced": Explanation(
        "another stream took the call over", "nothing, unless your own TwiML has two <Stream>s"
    ),
    "cancelled": Explanation(
        "the process was ended at once, in the middle of the call",
        "end it by SIGTERM, and give it OPUSBRIDGE_DRAIN_SECONDS",
    ),
    "unknown": Explanation(
        "the telephony side gave a reason nobody has heard of", "see the end of flight.jsonl"
    ),
    "internal-error": Explanation(
        "our own code failed", "report it with the log's lines of that call_id"
    ),
}

#: Endings that are as they should be, or that nobody could mend: told if they are asked for.
ORDINARY = {
    "agent-hung-up": Explanation(
        "the agent ended the call, and its goodbye was heard",
        "nothing; if it was too early, the agent's instructions say when to hang up",
    ),
    "caller-hung-up": Explanation(
        "the caller ended the call, or Twilio said that it is over",
        "nothing; if callers leave early, listen to recording.wav",
    ),
    "transferred": Explanation("the caller was handed over to another party", "nothing"),
    "hung-up-by-operator": Explanation(
        "somebody ended the call by POST /api/calls/CALL_ID/hangup", "nothing: it was asked for"
    ),
    "drained": Explanation(
        "the process was to end before the call did: the caller heard a goodbye",
        "OPUSBRIDGE_DRAIN_SECONDS is how long calls may go on; Ctrl-C leaves them a few seconds",
    ),
    "too-long": Explanation(
        "the call was as long as one may be: the caller heard a goodbye",
        "OPUSBRIDGE_MAX_CALL_SECONDS, or the agent's max_seconds, allow more",
    ),
    "no-input": Explanation(
        "the caller said nothing, and was told goodbye",
        "the agent's no_input says after how long; if callers did speak, listen to recording.wav",
    ),
    "telephony-lost": Explanation(
        "the telephony socket ended without a word",
        "nothing, if seldom; often: a proxy between that ends long connections, or the network",
    ),
    "machine-detected": Explanation(
        "an answering machine answered", "nothing: whoever was called was not there"
    ),
    "not-answered": Explanation(
        "whoever was called did not answer, was busy or declined", "nothing: call again later"
    ),
}


def explained(word: str) -> dict[str, Explanation]:
    """What a code, a refusal and an ending mean, however the word was copied, by what it then is;
    empty: it is none of them."""
    word = word.strip().strip("`'\"").lower()
    found = {"a code of Twilio's": TWILIO.get(word)}
    found["an ending"] = ENDINGS.get(word) or ORDINARY.get(word)
    for slug, refusal in REFUSALS.items():
        endpoint, _, reason = slug.rpartition(":")
        if word in (slug, reason):
            found[f"a refusal at {endpoint}" if endpoint else "a refusal"] = refusal
    return {what: one for what, one in found.items() if one is not None}
