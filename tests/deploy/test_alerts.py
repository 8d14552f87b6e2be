"""Each alert fires when its metrics say so, and goes quiet after: judged by promtool, Prometheus' own.

tests/e2e/test_*alerts.py break their causes for real.
"""

import subprocess
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.deploy.observability import FOLDER, ROOT, RULE_FILES, alerts
from tests.support.prometheus import find_program

HTTP = 'hitok_http_seconds_count{route="%s",method="POST",status="%s"}'
FAST = 'hitok_http_seconds_bucket{route="%s",method="POST",status="200",le="%s"}'
LOOP = 'hitok_loop_lag_seconds_bucket{job="chat",instance="a",le="%s"}'
RPC = 'hitok_rpc_served_seconds_count{job="media",method="%s",status="%s"}'
UPLOAD = "/hitok.media.v1.Objects/Upload"


class Case(NamedTuple):
    """Series by the minute, in promtool's notation: broken from the start, then mended. Times are minutes."""

    series: dict[str, str]
    fires: int
    quiet: int


def gauge(name: str, broken: object, fine: object, fires: int = 10) -> Case:
    return Case({name: f"{broken}x{fires + 5} {fine}x100"}, fires, fires + 20)


def total(bad: str, good: str, fires: int = 10, quiet: int = 40) -> Case:
    """Half of what is counted is bad for a while, then nothing."""
    return Case({bad: f"0+30x{fires + 5} {30 * (fires + 5)}+0x200", good: "0+30x200"}, fires, quiet)


SLOW = {FAST % ("/api/videos", "0.25"): "0+1x60 60+60x100", HTTP % ("/api/videos", "200"): "0+60x160"}
UP = {f'up{{job="{job}",instance="{job}"}}': "1x200" for job in ("gateway", "user", "social", "media")}
CASES = {
    "LatencyBudgetBurnsFast": Case(SLOW, 50, 130),
    "LatencyBudgetBurnsSlowly": Case(SLOW, 50, 130),
    "RequestsFail": total(HTTP % ("/api/videos", "500"), HTTP % ("/api/videos", "200")),
    "RouteFails": total(HTTP % ("/api/login/send-code", "503"), HTTP % ("/api/login/send-code", "200")),
    "RouteSlow": Case(
        {FAST % ("/api/chat/send", "2.5"): "0+1x30 30+60x200", HTTP % ("/api/chat/send", "200"): "0+60x200"}, 20, 60
    ),
    "CallsFail": total(RPC % ("/a/B", "INTERNAL"), RPC % ("/a/B", "OK")),
    "ProcessDown": gauge('up{job="chat",instance="a"}', 0, 1),
    "ServiceGone": Case(UP | {'up{job="chat",instance="chat"}': "0x15 1x100"}, 10, 30),
    "EventLoopLate": Case(
        {LOOP % "0.1": "0+1x30 30+60x100", LOOP % "0.5": "0+60x130", LOOP % "+Inf": "0+60x130"}, 20, 60
    ),
    "FileDescriptorsShort": Case({"process_open_fds": "900x15 100x100", "process_max_fds": "1000x115"}, 10, 30),
    "VersionsDiffer": Case(
        {'hitok_build_info{version="1"}': "1x90 _x100", 'hitok_build_info{version="2"}': "1x190"}, 80, 120
    ),
    "BackgroundTaskFails": Case(
        {'hitok_background_restarts_total{job="chat",task="relay"}': "0+1x30 30+0x100"}, 20, 60
    ),
    "BackgroundTaskStalled": Case(
        {'hitok_background_due_timestamp_seconds{job="chat",task="relay"}': "120x30 3000+60x200"}, 20, 60
    ),
    "CertificateEnds": gauge('hitok_certificate_expires_timestamp_seconds{job="chat"}', 13 * 86400, 90 * 86400),
    "PostgresAway": Case(
        {'hitok_postgres_seen_timestamp_seconds{job="chat",instance="a"}': "60x20 1200+60x200"}, 10, 40
    ),
    "DatabasePoolExhausted": gauge("hitok_pool_waiting", 3, 0),
    "NatsAway": gauge("hitok_nats_connected", 0, 1),
    "ValkeyAway": gauge("hitok_rate_limits_alone", 1, 0),
    "OutboxOld": gauge("hitok_outbox_oldest_seconds", 90, 1),
    "EventsNotStored": Case({'hitok_publish_failures_total{job="chat"}': "0+20x10 200+0x100"}, 8, 20),
    "RequestsShed": Case({'hitok_shed_total{job="gateway",rank="read"}': "0+600x20 12000+0x100"}, 15, 40),
    "ConsumerBehind": gauge('hitok_consumer_pending{consumer="chat"}', 2000, 3),
    "DeadLetters": gauge('hitok_dead_letters{job="chat",consumer="chat"}', 1, 0),
    "CountersDrift": Case({'hitok_counter_drift_total{counter="likes"}': "0+1x20 20+0x200"}, 10, 120),
    "BackupOld": Case({"hitok_backup_timestamp_seconds": "-100000x80 4800x100"}, 70, 90),
    "SocketsResync": Case(
        {'hitok_socket_resyncs_total{reason="slow"}': "0+60x30 1800+0x100", "hitok_sockets_open": "100x130"}, 20, 60
    ),
    "SocketRequestsFail": total(
        'hitok_socket_request_seconds_count{type="send",outcome="unavailable"}',
        'hitok_socket_request_seconds_count{type="send",outcome="ack"}',
    ),
    "DiskFull": Case({"hitok_media_disk_free_bytes": "5x15 50x100", "hitok_media_disk_size_bytes": "100x115"}, 10, 30),
    "UploadsFail": total(RPC % (UPLOAD, "UNAVAILABLE"), RPC % (UPLOAD, "OK")),
    "JobsWait": gauge("hitok_media_job_wait_seconds", 400, 2),
    "JobsFail": total(
        'hitok_media_jobs_total{profile="h264",outcome="failed"}',
        'hitok_media_jobs_total{profile="h264",outcome="done"}',
        fires=25,
        quiet=100,
    ),
    "FilesMissing": gauge("hitok_media_missing_objects", 2, 0),
    "MailFails": total('hitok_mails_total{outcome="failed"}', 'hitok_mails_total{outcome="sent"}'),
    "SmsFails": total('hitok_sms_total{outcome="failed"}', 'hitok_sms_total{outcome="sent"}'),
    "PushesFail": total(
        'hitok_chat_away_pushes_total{kind="webpush",outcome="failed"}',
        'hitok_chat_away_pushes_total{kind="webpush",outcome="sent"}',
        fires=20,
        quiet=60,
    ),
    "LoginsRefused": Case(
        {
            'hitok_logins_total{outcome="refused"}': "0+300x40 12000+0x200",
            'hitok_logins_total{outcome="done"}': "0+60x240",
        },
        30,
        90,
    ),
    "PostgresDown": gauge("pg_up", 0, 1),
    "PostgresConnectionsShort": Case(
        {'pg_stat_database_numbackends{datname="a"}': "95x15 10x100", "pg_settings_max_connections": "100x115"}, 10, 30
    ),
    "PostgresReplicaBehind": gauge("pg_replication_lag_seconds", 90, 0),
    "ServerDiskFull": Case(
        {
            'node_filesystem_avail_bytes{fstype="ext4",mountpoint="/"}': "5x15 50x100",
            'node_filesystem_size_bytes{fstype="ext4",mountpoint="/"}': "100x115",
            'node_filesystem_avail_bytes{fstype="tmpfs",mountpoint="/run"}': "0x115",
            'node_filesystem_size_bytes{fstype="tmpfs",mountpoint="/run"}': "100x115",
        },
        10,
        30,
    ),
    "VolumeFull": Case(
        {
            'kubelet_volume_stats_available_bytes{persistentvolumeclaim="x"}': "5x15 50x100",
            'kubelet_volume_stats_capacity_bytes{persistentvolumeclaim="x"}': "100x115",
        },
        10,
        30,
    ),
    "JetStreamFull": Case(
        {"jetstream_server_total_message_bytes": "90x15 10x100", "jetstream_server_max_storage": "100x115"}, 10, 30
    ),
    "ValkeyDown": gauge("redis_up", 0, 1),
    "PublicCertificateEnds": gauge("probe_ssl_earliest_cert_expiry", 13 * 86400, 90 * 86400),
}


def test_the_cause_of_each_alert_is_broken_for_real() -> None:
    broken = "".join(file.read_text() for file in (ROOT / "tests/e2e").glob("test_*alerts.py"))
    assert not [alert["alert"] for alert in alerts() if f'"{alert["alert"]}"' not in broken]


def test_each_alert_fires_and_goes_quiet(tmp_path: Path) -> None:
    assert list(CASES) == [alert["alert"] for alert in alerts()]
    file = tmp_path / "tests.yml"
    tests = {
        "rule_files": [str(FOLDER / name) for name in RULE_FILES],
        "evaluation_interval": "1m",
        "tests": [as_promtool(alert, case) for alert, case in CASES.items()],
    }
    file.write_text(yaml.safe_dump(tests))
    done = subprocess.run([find_program("promtool"), "test", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def as_promtool(alert: str, case: Case) -> dict[str, object]:
    query = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    fires = {"expr": query, "eval_time": f"{case.fires}m", "exp_samples": [{"labels": "{}", "value": 1}]}
    return {
        "name": alert,
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [fires, {"expr": query, "eval_time": f"{case.quiet}m", "exp_samples": []}],
    }


def test_a_rule_that_is_broken_is_found() -> None:
    for name in (*RULE_FILES, "prometheus.yml"):
        kind = "config" if name == "prometheus.yml" else "rules"
        done = subprocess.run([find_program("promtool"), "check", kind, FOLDER / name], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
