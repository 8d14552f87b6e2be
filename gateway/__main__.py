"""`python -m gateway`: serves."""

import uvloop

from gateway.config import SERVICE, GatewaySettings
from gateway.http.server import serve
from services.kit import background, log, telemetry
from services.kit.config import ConfigError, load, refuse


def main() -> None:
    try:
        settings = load(GatewaySettings, SERVICE)
        log.configure(settings, SERVICE)
        telemetry.start(settings, SERVICE, metrics_port=None)
        uvloop.run(serve(settings))
    except ConfigError as error:
        refuse(error)
    finally:
        telemetry.stop()
    if background.gave_up():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
