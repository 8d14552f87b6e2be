"""`python -m deploy.doctor`: looks at a running hitok from below and from outside, and says what is wrong with it.

It reads HITOK_* as the processes do, or, without them, what `make run` was given. Ends with 1 if anything is wrong.
"""

import asyncio
import os
import sys
from typing import Annotated

import typer

from deploy.database_services import OWNERS
from deploy.deployment import Deployment, find_deployment
from deploy.doctor.examination import Check, Finding, Patient, State, examine
from deploy.doctor.journey import check_journey, exchange_message, show_film
from deploy.doctor.mail import check_mail
from deploy.doctor.processes import check_gateway, check_service
from deploy.doctor.servers import check_nats, check_postgres, check_store, check_valkey
from deploy.doctor.settings import check_settings
from deploy.local.errors import LocalError


def list_checks(url: str) -> list[Check]:
    databases = [Check(f"database {name}", check_postgres(name), 20, ["settings"]) for name in OWNERS]
    services = [Check(name, check_service(name), 10, ["settings"]) for name in OWNERS]
    users = [*OWNERS, "gateway"]
    return [
        Check("settings", check_settings, 10),
        *databases,
        Check("valkey", check_valkey, 10, ["settings"]),
        Check("nats", check_nats, 20, ["settings"]),
        Check("store", check_store, 30, ["settings"]),
        Check("mail", check_mail, 15, ["settings"]),
        *services,
        Check("gateway", check_gateway(url), 10),
        Check("a film", check_journey(url, show_film), 90, users),
        Check("a message", check_journey(url, exchange_message), 30, users),
    ]


def main(
    url: Annotated[str, typer.Option(help="of the gateway; else HITOK_PUBLIC_URL, else this machine")] = "",
) -> None:
    """Check settings, servers, processes, and what users do."""
    try:
        deployment = find_deployment(os.environ)
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    findings = asyncio.run(run(deployment, url or find_url(deployment)))
    faults = sum(finding.state is State.FAULT for finding in findings)
    print(f"\n{faults} of {len(findings)} checks found a fault" if faults else "\nall is well")
    raise typer.Exit(1 if faults else 0)


async def run(deployment: Deployment, url: str) -> list[Finding]:
    """Each finding is printed as it comes."""
    findings = []
    async for finding in examine(Patient(deployment), list_checks(url)):
        print(f"{finding.state.value:<8}{finding.name:<17}{finding.text}", flush=True)
        findings.append(finding)
    return findings


def find_url(deployment: Deployment) -> str:
    environ = deployment.environs["gateway"]
    port = environ.get("HITOK_HTTP_PORTS", "8888").partition(",")[0]
    return environ.get("HITOK_PUBLIC_URL") or f"http://127.0.0.1:{port}"


if __name__ == "__main__":
    typer.run(main)
