"""A stand-in for a service: migrates its real database, and answers the gRPC health check."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor


def migrate() -> None:
    import psycopg  # noqa: PLC0415 - for a quick start

    with psycopg.connect(os.environ["HITOK_RPC_POSTGRES_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS visits (id int GENERATED ALWAYS AS IDENTITY)")
        connection.execute("INSERT INTO visits DEFAULT VALUES")


def serve() -> None:
    import grpc  # noqa: PLC0415 - for a quick start
    from grpc_health.v1 import health, health_pb2_grpc  # noqa: PLC0415 - for a quick start

    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    server.add_insecure_port(f"127.0.0.1:{os.environ['HITOK_RPC_GRPC_PORT']}")
    server.start()
    signal.sigwait([signal.SIGTERM])
    server.stop(0)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if "--migrate" in sys.argv:
        migrate()
    serve()
