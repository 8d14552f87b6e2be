"""`python -m tests.deploy.fakes.run web rpc`: the supervisor, with these stand-ins."""

import os
import sys

from deploy.local.__main__ import main
from deploy.local.services import Ports, Service


def web(name: str, *, stops_first: bool = False) -> Service:
    ports = Ports(f"HITOK_{name.upper()}_PORTS", "18888")
    code = (f"{os.environ.get('HITOK_TEST_CODE', '')}/{name}",)
    return Service(name, f"tests.deploy.fakes.{name}", (ports,), "http", stops_first=stops_first, code=code)


FAKES = {
    "web": web("web", stops_first=True),
    "stubborn": web("stubborn"),
    "wrong": web("wrong"),
    "other": web("other"),
    "failing": web("failing"),
    "rpc": Service(
        name="rpc",
        module="tests.deploy.fakes.rpc",
        ports=(
            Ports("HITOK_RPC_GRPC_PORT", "17051", any_free=True),
            Ports("HITOK_RPC_METRICS_PORT", "17151", any_free=True),
        ),
        health="grpc",
        database=True,
    ),
}

if __name__ == "__main__":
    options = [argument for argument in sys.argv[1:] if argument.startswith("--")]
    sys.exit(main([FAKES[name] for name in sys.argv[1:] if name in FAKES], options))
