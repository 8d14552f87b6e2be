"""One run of all processes, from the first check until the last process has ended."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from deploy.local.backends import ADMIN_URL, Backends, Topology, locate, make_topology, prepare_backends
from deploy.local.commands import keep_settings
from deploy.local.data_dir import load_secrets, locate_folder, open_folder
from deploy.local.environment import make_environment, name_secrets
from deploy.local.ports import AssignedPorts, assign_ports
from deploy.local.processes.process import Display, Process
from deploy.local.processes.reload import read_all, reload_on_change
from deploy.local.processes.server_process import ServerProcess
from deploy.local.processes.service_process import ServiceProcess
from deploy.local.processes.welcome import write_welcome
from deploy.local.services import PROCESSES, Service, replicate, spread
from deploy.local.settings_files import read_environ
from deploy.local.template.template import Template
from deploy.unknown_settings import find_unknown_settings

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# A SIGTERM to the process group of `make run` arrives twice: make passes its own on.
SAME_SIGNAL_SECONDS = 0.5
HA_SECRETS = ("etcd",)  # besides those of the single servers


async def supervise(
    display: Display,
    services: Sequence[Service],
    replicas: int,
    *,
    reloading: bool = False,
    ha: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Runs until SIGINT, SIGTERM or SIGHUP; a second signal kills. Raises LocalError if it cannot continue.

    `replicas`: 0 for as many processes as the settings or the cores say."""
    environ = read_environ(environ)
    var = locate_folder(environ)
    processes = replicate(services, replicas) if replicas else spread(services, environ)
    with assign_ports(processes, environ) as ports, open_folder(var):
        run = Run(display, services, processes, environ, var, ports, ha)
        for text in find_unknown_settings(environ, name_settings(processes)):
            display.say(f"warning: {text}")
        await run.run(reloading)


class Run:
    def __init__(
        self,
        display: Display,
        services: Sequence[Service],
        processes: Sequence[Service],
        environ: Mapping[str, str],
        var: Path,
        ports: AssignedPorts,
        ha: bool,
    ) -> None:
        self._display = display
        self._services = services
        self._replicas = processes
        self._environ = environ
        self._var = var
        self._ports = ports
        self._ha = ha
        self._secrets = load_secrets(var, [*name_secrets(services), *(HA_SECRETS if ha else ())])
        self._servers: list[ServerProcess] = []
        self._processes: list[ServiceProcess] = []
        self._template: Template | None = None
        self._told_to_stop = asyncio.Event()
        self._told_at = 0.0

    async def run(self, reloading: bool) -> None:
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._handle_signal)
        work = asyncio.create_task(self._work(reloading))
        told = asyncio.create_task(self._told_to_stop.wait())
        await asyncio.wait({work, told}, return_when=asyncio.FIRST_COMPLETED)
        work.cancel()
        told.cancel()
        await asyncio.wait({work, told})
        await self._stop()
        if not work.cancelled() and (error := work.exception()):
            raise find_first(error)

    async def _work(self, reloading: bool) -> None:
        # Read before the processes read their code, so that no change in between goes unseen.
        sources = await asyncio.to_thread(read_all, self._replicas) if reloading else {}
        if not reloading and sys.platform == "linux" and any(service.forks for service in self._services):
            self._template = Template(self._var / "log" / "template.log")  # it would keep changed code of the kit
            self._template.start()
        async with asyncio.TaskGroup() as tasks:
            topology = self._make_topology()
            self._servers = [ServerProcess(server, self._display) for s in topology.servers.values() for server in s]
            start(tasks, self._servers)
            # PostgreSQL is the slowest to start; a service without a database does not wait for it.
            slow = topology.servers.get(ADMIN_URL, ())
            await all_ready(process for process in self._servers if process.server not in slow)
            self._start(
                [service for service in self._replicas if not service.database], tasks, locate(self._environ, topology)
            )
            await all_ready(self._servers)
            backends = await asyncio.to_thread(prepare_backends, self._services, self._environ, topology, self._secrets)
            self._start([service for service in self._replicas if service.database], tasks, backends)
            await all_ready(self._processes)
            self._display.say(write_welcome(self._processes, self._var))
            if reloading:
                await reload_on_change(self._processes, sources, self._display)

    def _make_topology(self) -> Topology:
        if self._ha:
            # It loads 2 MB, which a run that does without would keep.
            from deploy.local.ha.topology import make_ha_topology  # noqa: PLC0415

            return make_ha_topology(self._environ, self._var, self._secrets)
        return make_topology(self._services, self._environ, self._var, self._secrets)

    def _start(self, services: Iterable[Service], tasks: asyncio.TaskGroup, backends: Backends) -> None:
        processes = []
        for service in services:
            environment = make_environment(
                service, self._replicas, self._environ, self._var, self._secrets, backends, self._ports
            )
            keep_settings(self._var, service, environment)
            ports = [port for numbers in self._ports[service.label].values() for port in numbers]
            template = self._template if service.forks else None
            processes.append(ServiceProcess(service, ports, environment, self._var, self._display, template))
        self._processes += processes
        start(tasks, processes)

    async def _stop(self) -> None:
        """Stops each process before the ones that it needs."""
        processes: Sequence[Process]
        for processes in (self._processes, self._servers):
            for first in (True, False):
                await asyncio.gather(*(process.stop() for process in processes if process.stops_first is first))
        if self._template:
            self._template.stop()

    def _handle_signal(self) -> None:
        if self._told_to_stop.is_set():
            if time.monotonic() - self._told_at > SAME_SIGNAL_SECONDS:
                self._kill()
            return
        self._told_at = time.monotonic()
        self._told_to_stop.set()
        self._display.say("stopping; once more to kill")

    def _kill(self) -> NoReturn:
        for process in (*self._processes, *self._servers):
            process.kill()
        self._display.close()
        # Threads may still be waiting for servers. Whatever they start ends with this process.
        os._exit(1)


def name_settings(processes: Iterable[Service]) -> Iterator[str]:
    """Those that only the supervisor reads, and the stand-ins of tests."""
    yield PROCESSES
    for service in processes:
        yield from (service.processes_setting, *(ports.setting for ports in service.all_ports))


def start(tasks: asyncio.TaskGroup, processes: Iterable[Process]) -> None:
    for process in processes:
        tasks.create_task(process.keep())


async def all_ready(processes: Iterable[Process]) -> None:
    """Returns once every process has been healthy."""
    await asyncio.gather(*(process.ready.wait() for process in processes))


def find_first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
