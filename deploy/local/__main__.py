"""`python -m deploy.local`: everything on this machine, until Ctrl-C; with arguments, a service's own command."""

import asyncio
import sys
from collections.abc import Sequence

from deploy.local.commands import run_command
from deploy.local.display import open_display
from deploy.local.errors import LocalError
from deploy.local.services import SERVICES, Service
from deploy.local.supervisor import supervise


def main(services: Sequence[Service] = SERVICES, arguments: Sequence[str] = ()) -> int:
    display = open_display()
    try:
        if arguments:
            run_command(arguments, services)
        asyncio.run(supervise(display, services))
    except LocalError as error:
        display.close()
        print(f"error: {error}", file=sys.stderr)
        return error.code
    finally:
        display.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(arguments=sys.argv[1:]))
