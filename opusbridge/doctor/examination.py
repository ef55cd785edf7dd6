"""All checks in the order in which a call needs what they look at."""

from collections.abc import AsyncIterator

from opusbridge.config import Settings
from opusbridge.doctor.address import check_address
from opusbridge.doctor.findings import Finding, State, failed, skipped
from opusbridge.doctor.here import check_agent, check_disk, check_doors, check_settings
from opusbridge.doctor.met import check_endings, check_refusals
from opusbridge.doctor.model_session import check_model
from opusbridge.doctor.outside import check_public_url
from opusbridge.doctor.twilio_account import check_twilio
from opusbridge.errors import ConfigurationError


async def examine(host: str, port: int, **overrides: str) -> AsyncIterator[Finding]:
    """One finding after the other, as they come; ``overrides`` are settings by field name, and
    ``agent`` among them is the command's option."""
    try:
        settings = Settings.load(**overrides)
    except ConfigurationError as error:
        yield failed("settings", str(error), "set it right in the environment or in .env")
        return
    ready = check_settings(settings, host, port)
    yield ready
    yield await check_address(host, port)
    found, agent = check_agent(settings, "--agent" if "agent" in overrides else "OPUSBRIDGE_AGENT")
    for one in found:
        yield one
    for one in check_doors(settings, host, port, agent):
        yield one
    yield check_disk(settings)
    if agent is None or ready.state is State.FAILED:
        yield skipped("model", "not asked: settings and agent must be right first")
    else:
        yield await check_model(settings, agent)
    # What was counted before we knock: the knocking without a signature is refused as well.
    met = await check_refusals(settings, host, port)
    for one in await check_public_url(settings):
        yield one
    for one in await check_twilio(settings):
        yield one
    for one in met:
        yield one
    for one in check_endings(settings):
        yield one
