"""Recordings of many kinds, made with the machine's FFmpeg: container by codec by oddity."""

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

FFMPEG = shutil.which("ffmpeg")
PICTURES = "testsrc2=s=160x90:r=30:d=1"
TONE = "sine=f=440:d=1"
ONE, W = 1 << 16, 1 << 30
LEVEL = struct.pack(">9i", ONE, 0, 0, 0, ONE, 0, 0, 0, W)
HDR = "zscale=tin=bt709:min=bt709:pin=bt709:rin=full:t={}:m=bt2020nc:p=bt2020:r=limited:npl=203,format=yuv420p10le"
BT2020 = "-color_primaries bt2020 -color_trc {} -colorspace bt2020nc"
X265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none"
X264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p"


class Kind(NamedTuple):
    extension: str
    options: str  # of FFmpeg, after its inputs
    pictures: str = PICTURES
    sound: str = TONE  # "" for none
    change: Callable[[bytes], bytes] = bytes
    alike: float = 0.98  # the least SSIM between what is made and FFmpeg's own decoding


def matrix(a: int, b: int, c: int, d: int) -> Callable[[bytes], bytes]:
    """The display matrix of the first track, as cameras write it for how they are held."""

    def change(data: bytes) -> bytes:
        at = data.index(LEVEL, data.index(b"tkhd"))
        return data[:at] + struct.pack(">9i", a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, W) + data[at + 36 :]

    return change


def without_type(data: bytes) -> bytes:
    """As QuickTime wrote files before there were types."""
    return data.replace(b"ftypqt  ", b"skipqt  ", 1)


def damaged(data: bytes) -> bytes:
    """A stretch of zeros, in the middle."""
    at = len(data) // 2
    return data[:at] + bytes(200) + data[at + 200 :]


KINDS = {
    "h264 that starts fast": Kind("mp4", f"{X264} -c:a aac -movflags +faststart"),
    "h264 with its index last": Kind("mp4", f"{X264} -c:a aac"),
    "h264 in fragments": Kind("mp4", f"{X264} -c:a aac -movflags +frag_keyframe+empty_moov"),
    "h264 in matroska": Kind("mkv", f"{X264} -bf 3 -c:a aac"),
    "h264 in a transport stream": Kind("ts", f"{X264} -c:a aac"),
    "h264 in m2ts": Kind("ts", f"{X264} -c:a ac3 -f mpegts -mpegts_m2ts_mode 1"),
    "h264 in flash": Kind("flv", f"{X264} -c:a aac -ar 44100"),
    "h264 with sound for studios": Kind("mov", f"{X264} -c:a pcm_s16le"),
    "h264 of 10 bits": Kind("mkv", f"{X264} -pix_fmt yuv420p10le -c:a flac"),
    "h264 of whole colours": Kind("mp4", f"{X264} -pix_fmt yuv444p"),
    "h264 from before file types": Kind("mov", f"{X264} -c:a aac", change=without_type),
    "h264 that begins within a group": Kind("mp4", f"{X264} -g 30 -c:a aac -ss 0.5 -t 1", "testsrc2=s=160x90:r=30:d=2"),
    "hevc as telephones write it": Kind("mov", f"{X265} -tag:v hvc1 -c:a aac"),
    "hevc of 10 bits": Kind("mkv", f"{X265} -pix_fmt yuv420p10le -c:a libopus"),
    "hevc turned by 90 degrees": Kind("mov", f"{X265} -tag:v hvc1", change=matrix(0, 1, -1, 0)),
    "hevc turned by 180 degrees": Kind("mov", f"{X265} -tag:v hvc1", change=matrix(-1, 0, 0, -1)),
    "hevc turned by 270 degrees": Kind("mov", f"{X265} -tag:v hvc1", change=matrix(0, -1, 1, 0)),
    "hevc mirrored": Kind("mov", f"{X265} -tag:v hvc1", change=matrix(-1, 0, 0, 1)),
    "h264 upside down": Kind("mp4", f"{X264}", change=matrix(1, 0, 0, -1)),
    "h264 mirrored and turned": Kind("mp4", f"{X264}", change=matrix(0, 1, 1, 0)),
    "hevc of full range": Kind("mp4", f"{X265} -pix_fmt yuvj420p -color_range pc"),
    "hevc of the colours of television": Kind("mp4", f"{X265} -colorspace smpte170m -color_primaries smpte170m"),
    "vp8 and vorbis": Kind("webm", "-c:v libvpx -b:v 1M -c:a libvorbis"),
    "vp9 and opus": Kind("webm", "-c:v libvpx-vp9 -b:v 0 -crf 20 -deadline realtime -c:a libopus"),
    "vp9 in matroska": Kind("mkv", "-c:v libvpx-vp9 -b:v 0 -crf 20 -deadline realtime -c:a libopus"),
    "av1": Kind("mkv", "-c:v libsvtav1 -preset 12 -crf 20 -c:a libopus"),
    "mpeg-4 part 2": Kind("avi", "-c:v mpeg4 -q:v 2 -bf 0 -c:a libmp3lame"),
    "motion jpeg": Kind("avi", "-c:v mjpeg -q:v 2 -c:a pcm_s16le"),
    "windows media": Kind("wmv", "-c:v wmv2 -q:v 2 -c:a wmav2"),
    "theora": Kind("ogv", "-c:v libtheora -q:v 10 -c:a libvorbis"),
    "prores": Kind("mov", "-c:v prores_ks -c:a pcm_s24le"),
    "animation": Kind("mov", "-c:v qtrle -c:a pcm_s16le"),
    "dv": Kind(
        "avi", "-c:v dvvideo -ar 48000 -ac 2 -c:a pcm_s16le", "testsrc2=s=720x576:r=25:d=0.4", "sine=d=0.4", alike=0.95
    ),
    "wide pixels": Kind("mkv", "-c:v mpeg2video -q:v 2", "testsrc2=s=144x116:r=25:d=1,setsar=64/45"),
    "narrow pixels": Kind("mp4", f"{X265}", "testsrc2=s=160x90:r=30:d=1,setsar=3/4"),
    "an odd size": Kind("mkv", "-c:v ffv1", "testsrc2=s=161x91:r=30:d=1"),
    "grey": Kind("mkv", f"{X264} -pix_fmt gray -c:a aac"),
    "interlaced": Kind(
        "ts",
        "-c:v mpeg2video -q:v 2 -flags +ildct+ilme -c:a mp2",
        "testsrc2=s=160x96:r=50:d=1,interlace,fieldorder=tff",
        alike=0.9,
    ),
    "hdr10": Kind("mp4", f"{X265} {BT2020.format('smpte2084')}", PICTURES + "," + HDR.format("smpte2084")),
    "hlg": Kind("mov", f"{X265} {BT2020.format('arib-std-b67')}", PICTURES + "," + HDR.format("arib-std-b67")),
    "from 30 to 24 a second": Kind(
        "mkv", f"{X265} -fps_mode vfr", "testsrc2=s=160x90:r=120:d=1,select='if(lt(t,0.5),not(mod(n,4)),not(mod(n,5)))'"
    ),
    "a pause": Kind(
        "mp4", f"{X265} -fps_mode vfr", "testsrc2=s=160x90:r=30:d=3,select='lt(t,1)+gt(t,2.5)'", "sine=d=3"
    ),
    "240 a second": Kind("mov", f"{X265} -tag:v hvc1", "testsrc2=s=160x90:r=240:d=0.5"),
    "sound that starts later": Kind("mkv", f"{X265} -af asetpts=PTS+0.4/TB -c:a libopus"),
    "sound that starts before": Kind("mkv", f"{X265} -vf setpts=PTS+0.4/TB -fps_mode passthrough -c:a libopus"),
    "sound all around": Kind("mkv", f"{X264} -af pan=5.1|FL=c0|FR=c0|FC=c0|LFE=c0|BL=c0|BR=c0 -c:a ac3"),
    "a damaged stretch": Kind("ts", "-c:v mpeg2video -q:v 2 -c:a mp2", change=damaged, alike=0.9),
    "a program stream": Kind("mpg", "-c:v mpeg2video -q:v 2 -bf 2 -c:a mp2"),
    "mxf": Kind("mxf", "-c:v mpeg2video -q:v 2 -ar 48000 -c:a pcm_s16le", "testsrc2=s=160x96:r=25:d=1"),
    "no sound": Kind("mkv", "-c:v mpeg4 -q:v 2", sound=""),
}


def make(kind: Kind, path: Path) -> None:
    """Raises CalledProcessError where this FFmpeg lacks an encoder."""
    sound = ["-f", "lavfi", "-i", kind.sound] if kind.sound else []
    command = [FFMPEG or "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", kind.pictures, *sound]
    subprocess.run([*command, *kind.options.split(), "-threads", "1", str(path)], check=True, timeout=60)
    path.write_bytes(kind.change(path.read_bytes()))
