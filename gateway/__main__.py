"""`python -m gateway`: serves HTTP and WebSockets until SIGTERM or SIGINT."""

import asyncio

import structlog
import uvloop

from gateway.app import build_asgi, build_server
from gateway.config import SERVICE, GatewaySettings
from gateway.container import open_container
from gateway.files.exports import preparing_exports
from gateway.http.forwarding import missing_for
from gateway.http.server import listen
from services.kit import background, log, telemetry
from services.kit.config import ConfigError, load, refuse
from services.kit.overload.admission import HERE
from services.kit.process import gc_tuning
from services.kit.process.loop_lag import watch_loop
from services.kit.process.signals import stop_signal


def main() -> None:
    try:
        settings = load(GatewaySettings, SERVICE)
        log.configure(settings, SERVICE)
        telemetry.start(settings, SERVICE, settings.metrics_port or None)
        uvloop.run(serve(settings))
    except ConfigError as error:
        refuse(error)
    finally:
        telemetry.stop()
    if background.gave_up():
        raise SystemExit(1)


async def serve(settings: GatewaySettings) -> None:
    """Serves until the signal; then reports that it is not ready, ends connections and sockets, and returns.

    Raises ConfigError.
    """
    own, host = settings.own_port, settings.http_host
    listeners = [listen(host, port, shared=own > 0) for port in settings.http_ports]
    listeners += [listen(host, own)] if own else []
    stopping = stop_signal()
    watch_loop()
    HERE.start(settings.queue_seconds)
    async with open_container(settings) as container, preparing_exports(container):
        server = build_server(build_asgi(container), settings)
        gc_tuning.freeze()
        serving = asyncio.create_task(server.serve(listeners))
        log_of_gateway = structlog.get_logger("gateway")
        log_of_gateway.info("serving", ports=settings.http_ports)
        if missing := missing_for(settings):
            log_of_gateway.warning(missing)
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        container.draining = True
        server.config.encoded_headers.append((b"connection", b"close"))  # no client sends another request meanwhile
        if not serving.done():
            await asyncio.gather(asyncio.sleep(settings.drain_seconds), container.sockets.drain(settings.drain_seconds))
        server.end()
        stopped.cancel()
        await serving


if __name__ == "__main__":
    main()
