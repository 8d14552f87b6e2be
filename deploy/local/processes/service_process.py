"""A process of hitok's own (`python -m services.user`), as a process of a run."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.child import Child
from deploy.local.data_dir import ROOT
from deploy.local.errors import CONFIGURATION_ERROR, LocalError, explain_os_errors
from deploy.local.processes.process import Display, Process, describe, wait_for_exit
from deploy.local.servers.server import PROBE_SECONDS
from deploy.local.services import Service
from deploy.local.template.template import ForkedChild, Template
from services.probe import is_ready

STOP_SECONDS = 28  # a process promises to end within 25 s


class ServiceProcess(Process):
    def __init__(
        self,
        service: Service,
        ports: Sequence[int],
        environment: Mapping[str, str],
        var: Path,
        display: Display,
        template: Template | None = None,
    ) -> None:
        """With a template, the process is forked from it."""
        log = var / "log" / f"{service.label}.log"
        super().__init__(service.label, ports, log, display, stops_first=service.stops_first)
        self.service = service
        self._environment, self._template = environment, template
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self._child.exit_code is None else None

    @property
    def exit_code(self) -> int | None:
        return self._child.exit_code if self._child else None

    async def launch(self) -> None:
        with explain_os_errors(self.log):
            if self._template:
                self._child = await asyncio.to_thread(self._fork, self._template)
            else:
                command = [sys.executable, "-m", *self.service.arguments]
                self._child = Child(command, log=self.log, environment=self._environment, folder=ROOT)

    def _fork(self, template: Template) -> Child:
        return ForkedChild(template, self.service.arguments, log=self.log, environment=self._environment)

    async def is_healthy(self) -> bool:
        service = self.service
        return await asyncio.to_thread(is_ready, service.health, service.name, self.ports[0], self._environment)

    async def name_missing(self) -> str:
        if self.service.health == "http":
            return await asyncio.to_thread(ask_what_is_missing, self.ports[0])
        waiting = [line for line in self._read_log() if "waiting for " in line]
        return waiting[-1].partition("waiting for ")[2].split()[0] if waiting else ""

    def _read_log(self) -> list[str]:
        return self._child.read_log_tail().splitlines() if self._child else []

    def explain_exit(self) -> str:
        assert self._child
        ended = f"{self.name} ended ({describe(self.exit_code)}); its log is {self.log}"
        if self.ready.is_set():
            return ended
        failure = explain_failure(self._child, ended)
        if self.exit_code == CONFIGURATION_ERROR:
            raise failure
        return ended if self.restarts else str(failure)

    async def stop(self) -> None:
        if self._child and self._child.exit_code is None:
            self.change("stopping")
            self._child.ask_to_stop()
            await wait_for_exit(self._child, STOP_SECONDS)
            self._child.kill()
        self.change("stopped")

    def kill(self) -> None:
        if self._child:
            self._child.kill()


def ask_what_is_missing(port: int) -> str:
    """The services that the gateway has not reached yet, as its readiness reports."""
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415 - 2 MB, for a slow start alone

    connection = HTTPConnection("127.0.0.1", port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        answer = json.load(connection.getresponse())
        return ", ".join(answer.get("waiting_for", ()))
    except (OSError, HTTPException, ValueError):
        return ""
    finally:
        connection.close()


def explain_failure(child: Child, what: str) -> LocalError:
    """The last line of the log, where a process names a wrong setting; else `what` with the end of the log."""
    if child.exit_code == CONFIGURATION_ERROR and (said := child.read_log_tail(1)):
        return LocalError(f"{said.removeprefix('error: ')}", code=CONFIGURATION_ERROR)
    return LocalError(what, details=child.read_log_tail())
