"""Prints the addresses once all processes are healthy."""

from collections.abc import Sequence
from pathlib import Path

from deploy.local.processes.service_process import ServiceProcess

WELCOME = """
everything is healthy

  web app   {base}
  API       {bases}
  API page  {base}/docs
  metrics   {metrics}
  mails     {var}/mail (one file each)
  logs      {var}/log

try it:

  curl -X POST {base}/api/login/send-code -H 'content-type: application/json' \\
    -d '{{"email":"you@example.com"}}'

Ctrl-C stops everything; the data stays in {var}
"""


def write_welcome(processes: Sequence[ServiceProcess], var: Path) -> str:
    http = [process for process in processes if process.service.health == "http"]
    # Processes that share their ports have one of their own before these.
    ports = (port for process in http for port in process.ports[1 if process.service.beside else 0 :])
    bases = [f"http://127.0.0.1:{port}" for port in dict.fromkeys(ports)]
    metrics = [
        f"http://127.0.0.1:{process.ports[0 if process in http else 1]}/metrics ({process.name})"
        for process in processes
    ]
    return WELCOME.format(base=bases[0], bases="  ".join(bases), metrics="\n            ".join(metrics), var=var)
