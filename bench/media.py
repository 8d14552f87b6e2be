"""What does the processing of videos cost, and how fast are uploads? Aims: the ladder at most 1.15 of FFmpeg's CPU time
for the same outputs; a 15 s clip of HEVC plays after at most 3 times its length; a child takes at most 600 MB at 4K;
uploads at least at 0.5 of the rate of a handler that drops the bytes.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from bench.files import FILE, MIB, noise
from bench.report import row, title
from bench.servers.stack import register, running_bare, running_stack
from services.media.processing.sandbox import encoding
from services.media.processing.sandbox.hls import rungs

HEVC = "-c:v libx265 -preset ultrafast -x265-params log-level=none -tag:v hvc1"
HLG = "-pix_fmt yuv420p10le -color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc"
SECONDS = 15
ROUNDS = 3
READY_SECONDS = 600.0


async def measure() -> None:
    with tempfile.TemporaryDirectory(prefix="hitok-bench-") as name:
        folder = Path(name)
        await asyncio.to_thread(measure_ladder, folder)
        await asyncio.to_thread(measure_memory, folder)
        clip = make(folder / "clip.mov", f"{HEVC} -pix_fmt yuv420p -b:v 8M", "1920x1080", SECONDS)
        with running_bare() as bare, running_stack() as (base, data):
            _, token = register(base, data)
            await asyncio.to_thread(measure_first_rung, base, token, clip)
            await asyncio.to_thread(measure_uploads, base, token, bare.replace("/hello", "/take"))


def make(path: Path, options: str, size: str, seconds: int) -> Path:
    inputs = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=30:d={seconds}", "-f", "lavfi", "-i", f"sine=d={seconds}"]
    run(["ffmpeg", "-v", "error", "-y", *inputs, *options.split(), "-c:a", "aac", str(path)])
    return path


def run(command: list[str]) -> tuple[float, int]:
    """Its seconds of CPU, and the most memory that it had, in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def convert(source: Path) -> tuple[float, int]:
    request: dict[str, Any] = {
        "profile": "ladder",
        "source": str(source),
        "extension": source.suffix[1:],
        "target": str(source.with_name("whole")),
        "cuts": str(source.with_name("cuts")),
        "frugal": False,
        "options": {},
        "cpu_seconds": 3_600,
        "memory_megabytes": 2_048,
        "file_megabytes": 4_096,
    }
    return run([sys.executable, "-m", "services.media.processing.sandbox.conversion", json.dumps(request)])


def measure_ladder(folder: Path) -> None:
    title("CPU time of the ladder of 10 s of 1080p, and of FFmpeg for the same outputs")
    source = make(folder / "source.mp4", "-c:v libx264 -preset veryfast -pix_fmt yuv420p", "1920x1080", 10)
    shares = []
    for _ in range(ROUNDS):
        ours, _ = convert(source)
        floor, _ = run(ffmpeg_ladder(source))
        row("FFmpeg", f"{floor:.1f} s")
        row("ladder", f"{ours:.1f} s")
        shares.append(ours / floor)
    row("share of FFmpeg's", f"{statistics.median(shares):.2f}", "aim: at most 1.15")


def ffmpeg_ladder(source: Path) -> list[str]:
    """One decoding, the same sizes, qualities and key frames."""
    sides = rungs.SIDES
    graph = f"[0:v]split={len(sides)}{''.join(f'[s{side}]' for side in sides)}"
    graph += "".join(f";[s{side}]scale=-2:{side}[v{side}]" for side in sides)
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-filter_complex", graph]
    for side in sides:
        crf, bits = next((crf, bits) for most, crf, bits in encoding.QUALITIES if side <= most)
        video = f"-map [v{side}] -map 0:a -c:v libx264 -preset veryfast -sc_threshold 0 -crf {crf} -maxrate {bits}k"
        rest = f"-bufsize {bits}k -threads 2 -force_key_frames expr:gte(t,n_forced*4) -c:a aac -b:a 128k"
        command += [*video.split(), *rest.split(), str(source.with_name(f"floor-{side}.mp4"))]
    return command


def measure_memory(folder: Path) -> None:
    title("Memory of the child that makes the ladder of 4K HEVC of 10 bits, HLG")
    _, most = convert(make(folder / "large.mov", f"{HEVC} {HLG}", "3840x2160", 3))
    row("most", f"{most / 1_000_000:.0f} MB", "aim: at most 600")


def measure_first_rung(base: str, token: str, clip: Path) -> None:
    title(f"From the upload of {SECONDS} s of 1080p HEVC until it plays")
    began = time.perf_counter()
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=READY_SECONDS) as http:
        file = http.post("/api/file/upload", files={"file": clip.read_bytes()}).raise_for_status().json()["data"]
        while time.perf_counter() - began < READY_SECONDS:
            state = http.get("/api/file/status", params={"id": file["id"]}).json()["data"]["status"]
            if state != "processing":
                break
            time.sleep(0.05)
    took = time.perf_counter() - began
    row(state, f"{took:.1f} s")
    row("times its length", f"{took / SECONDS:.2f}", "aim: at most 3")


def measure_uploads(base: str, token: str, bare: str) -> None:
    title(f"Uploads of {FILE // MIB} MiB, one at a time")
    shares = []
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=READY_SECONDS) as http:
        for _ in range(ROUNDS):
            content = noise()
            floor = rate(http, bare, {"content": content})
            ours = rate(http, f"{base}/api/file/upload", {"files": {"file": ("noise.wav", content)}})
            row("dropped", f"{floor:.0f} MiB/s")
            row("stored", f"{ours:.0f} MiB/s")
            shares.append(ours / floor)
    row("share of the floor", f"{statistics.median(shares):.2f}", "aim: at least 0.5")


def rate(http: httpx.Client, url: str, body: dict[str, Any]) -> float:
    """MiB per second."""
    began = time.perf_counter()
    http.post(url, **body).raise_for_status()
    return FILE / MIB / (time.perf_counter() - began)
