"""`python -m tests.deploy.fakes.start FOLDER`: the three servers, until killed; prints their pids."""

import signal
import sys
from pathlib import Path

from deploy.local.servers.nats import start_nats
from deploy.local.servers.postgres import start_postgres
from deploy.local.servers.valkey import start_valkey

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    servers = [
        start(folder / start.__name__, "secret", durable=False) for start in (start_postgres, start_valkey, start_nats)
    ]
    print(*(server.pid for server in servers), flush=True)
    signal.pause()
