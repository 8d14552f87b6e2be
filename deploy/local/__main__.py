"""`python -m deploy.local`: everything on this machine, until Ctrl-C."""

import asyncio
import sys
from collections.abc import Sequence

from deploy.local.display import open_display
from deploy.local.errors import LocalError
from deploy.local.services import SERVICES, Service
from deploy.local.supervisor import supervise


def main(services: Sequence[Service] = SERVICES) -> int:
    display = open_display()
    try:
        asyncio.run(supervise(display, services))
    except LocalError as error:
        display.close()
        print(f"error: {error}", file=sys.stderr)
        return error.code
    finally:
        display.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
