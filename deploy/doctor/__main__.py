"""`python -m deploy.doctor` checks the servers and processes of a running hitok, and uses it as a client does.

It reads HITOK_* as the processes do; without them it uses the settings of `make run`. It exits with 1 if a check finds
a fault.
"""

import asyncio
import os
import sys
from typing import Annotated

import typer

from deploy.database_services import DATABASE_SERVICES
from deploy.deployment import Deployment, find_deployment, find_url
from deploy.doctor.checks import Check, CheckContext, Finding, State, run_checks
from deploy.doctor.journey import check_journey, exchange_message, upload_video
from deploy.doctor.machine import check_disk
from deploy.doctor.mail import check_mail
from deploy.doctor.processes import check_gateway, check_service
from deploy.doctor.pushes import check_pushes
from deploy.doctor.servers import check_backup, check_nats, check_postgres, check_store, check_valkey
from deploy.doctor.settings import check_settings
from deploy.local.errors import LocalError


def list_checks(url: str) -> list[Check]:
    databases = [Check(f"database {name}", check_postgres(name), 20, ["settings"]) for name in DATABASE_SERVICES]
    services = [Check(name, check_service(name), 10, ["settings"]) for name in DATABASE_SERVICES]
    users = [*DATABASE_SERVICES, "gateway"]
    return [
        Check("settings", check_settings, 10),
        *databases,
        Check("valkey", check_valkey, 10, ["settings"]),
        Check("nats", check_nats, 20, ["settings"]),
        Check("store", check_store, 30, ["settings"]),
        Check("disk", check_disk, 5, ["settings"]),
        Check("backup", check_backup, 10, ["database media"]),
        Check("mail", check_mail, 15, ["settings"]),
        Check("pushes", check_pushes, 15, ["database chat"]),
        *services,
        Check("gateway", check_gateway(url), 10),
        Check("a video", check_journey(url, upload_video), 90, users),
        Check("a message", check_journey(url, exchange_message), 30, users),
    ]


def main(
    url: Annotated[str, typer.Option(help="of the gateway; default: HITOK_PUBLIC_URL, else this machine")] = "",
) -> None:
    """Check settings, servers, processes, and what users do: upload a video and send a message."""
    try:
        deployment = find_deployment(os.environ)
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    findings = asyncio.run(run(deployment, url or find_url(deployment)))
    faults = sum(finding.state is State.FAULT for finding in findings)
    concerns = sum(finding.state is State.CONCERN for finding in findings)
    well = f"no fault, but {concerns} of {len(findings)} checks warn" if concerns else "all is well"
    print(f"\n{faults} of {len(findings)} checks found a fault" if faults else f"\n{well}")
    raise typer.Exit(1 if faults else 0)


async def run(deployment: Deployment, url: str) -> list[Finding]:
    """Prints each finding as soon as it is known."""
    findings = []
    async for finding in run_checks(CheckContext(deployment), list_checks(url)):
        print(f"{finding.state.value:<8}{finding.name:<17}{finding.text}", flush=True)
        findings.append(finding)
    return findings


if __name__ == "__main__":
    typer.run(main)
