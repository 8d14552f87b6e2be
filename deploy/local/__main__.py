"""`python -m deploy.local`: everything on this machine, until Ctrl-C; with arguments, a service's own command."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from deploy.local.commands import run_command
from deploy.local.errors import LocalError
from deploy.local.processes.display import open_display
from deploy.local.processes.supervisor import supervise
from deploy.local.services import SERVICES, Service

PRIVATE = 0o077  # of all that this process and its children write: databases, mails, uploads, logs


def main(services: Sequence[Service] = SERVICES, arguments: Sequence[str] = ()) -> int:
    options = parse(arguments)
    os.umask(PRIVATE)
    display = open_display()
    try:
        if options.command:
            run_command(options.command, services)
        replicas = options.replicas or (2 if options.ha else 0)
        asyncio.run(supervise(display, services, replicas, reloading=options.reload, ha=options.ha))
    except LocalError as error:
        display.close()
        print(f"error: {error}", file=sys.stderr)
        return error.code
    finally:
        display.close()
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    parser.add_argument("--replicas", type=int, choices=range(1, 5), help="of every service, on ports of their own")
    parser.add_argument(
        "--ha", action="store_true", help="several nodes of each server, so that any may die; two of every service"
    )
    parser.add_argument("--reload", action="store_true", help="restart each process whose source files change")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="service command", help="a service's own command")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(arguments=sys.argv[1:]))
