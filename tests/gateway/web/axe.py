"""axe-core (MPL-2.0) in a page: faults that keep people from reading or using it. npm brings it, for tests alone."""

import json

from tests.support.browser import Tab
from tests.support.npm import file_of

PACKAGE = "axe-core@4.11.0"
RUN = """document.getAnimations()
    .filter(({effect}) => Number.isFinite(effect.getComputedTiming().endTime))
    .forEach((animation) => animation.finish());  // what fades in has no contrast yet
axe.run(document, {resultTypes: ["violations"], ...%s}).then(({violations}) => violations
    .filter(({impact}) => impact === "serious" || impact === "critical")
    .map(({id, nodes}) => `${id}: ${nodes.map(({html, failureSummary}) => html + failureSummary).join("; ")}`))"""


async def serious_faults(tab: Tab, *rules: str) -> list[str]:
    """Serious and critical ones of what the page shows now; by all rules, or by these."""
    if not await tab.run("'axe' in window"):
        await tab.ask("Runtime.evaluate", expression=file_of(PACKAGE, "axe.min.js"))
    found: list[str] = await tab.run(RUN % json.dumps({"runOnly": list(rules)} if rules else {}))
    return found


async def set_colours(tab: Tab, scheme: str) -> None:
    """`scheme`: light or dark."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    await tab.ask("Emulation.setEmulatedMedia", features=features)
