"""More kinds of recordings than the suite has time for: every codec in every container that holds it, and oddities.

`make corpus` adds them to those of corpus.py.
"""

from collections.abc import Iterator

from tests.media.processing.corpus import PICTURES, TONE, X264, X265, Kind, matrix

CODECS = {
    "h264": X264,
    "hevc": X265,
    "hevc of 10 bits": f"{X265} -pix_fmt yuv420p10le",
    "vp8": "-c:v libvpx -b:v 1M",
    "vp9": "-c:v libvpx-vp9 -b:v 0 -crf 20 -deadline realtime",
    "av1": "-c:v libsvtav1 -preset 12 -crf 20",
    "mpeg-4": "-c:v mpeg4 -q:v 2",
    "mpeg-2": "-c:v mpeg2video -q:v 2",
    "mpeg-1": "-c:v mpeg1video -q:v 2 -r 25",
    "motion jpeg": "-c:v mjpeg -q:v 2",
    "prores": "-c:v prores_ks",
    "ffv1": "-c:v ffv1",
    "theora": "-c:v libtheora -q:v 10",
}
SOUNDS = {
    "aac": "-c:a aac",
    "mp3": "-c:a libmp3lame",
    "opus": "-c:a libopus",
    "vorbis": "-c:a libvorbis",
    "ac3": "-c:a ac3",
    "eac3": "-c:a eac3",
    "flac": "-c:a flac",
    "pcm": "-c:a pcm_s16le",
    "alac": "-c:a alac",
    "mp2": "-c:a mp2",
}
CONTAINERS = {
    "mp4": (
        ("h264", "hevc", "hevc of 10 bits", "vp9", "av1", "mpeg-4", "mpeg-2"),
        ("aac", "mp3", "opus", "ac3", "flac"),
    ),
    "mov": (("h264", "hevc", "mpeg-4", "motion jpeg", "prores"), ("aac", "pcm", "alac", "ac3")),
    "mkv": (tuple(CODECS), ("aac", "mp3", "opus", "vorbis", "ac3", "eac3", "flac", "pcm", "alac", "mp2")),
    "webm": (("vp8", "vp9", "av1"), ("opus", "vorbis")),
    "avi": (("h264", "mpeg-4", "motion jpeg"), ("mp3", "pcm", "ac3")),
    "ts": (("h264", "hevc", "mpeg-2"), ("aac", "mp3", "ac3", "mp2")),
    "ogv": (("theora",), ("vorbis", "flac", "opus")),
    "flv": (("h264",), ("aac", "mp3")),
    "mpg": (("mpeg-2", "mpeg-1"), ("mp2", "ac3", "mp3")),
    "nut": (("h264", "hevc", "vp9"), ("aac", "opus")),
    "wtv": (("mpeg-2",), ("mp2",)),
}
ODDITIES = {
    "of 25 a second": Kind("", "", "testsrc2=s=160x90:r=25:d=1"),
    "of 23.976 a second": Kind("", "", "testsrc2=s=160x90:r=24000/1001:d=1"),
    "of 60 a second": Kind("", "", "testsrc2=s=160x90:r=60:d=1"),
    "of 15 a second": Kind("", "", "testsrc2=s=160x90:r=15:d=1"),
    "upright": Kind("", "", "testsrc2=s=90x160:r=30:d=1"),
    "square": Kind("", "", "testsrc2=s=120x120:r=30:d=1"),
    "very wide": Kind("", "", "testsrc2=s=480x64:r=30:d=1"),
    "silent": Kind("", "", sound=""),
    "of one picture": Kind("", "-frames:v 1", "testsrc2=s=160x90:r=30:d=1", "", alike=0.97),
    "with long groups": Kind("", "-g 300", "testsrc2=s=160x90:r=30:d=2", "sine=f=440:d=2"),
    "with sound of 22 kHz": Kind("", "-ar 22050"),
    "with stereo": Kind("", "-ac 2"),
}


def kinds() -> Iterator[tuple[str, Kind]]:
    for extension, (codecs, sounds) in CONTAINERS.items():
        for number, codec in enumerate(codecs):
            sound = sounds[number % len(sounds)]
            yield f"{codec} and {sound} in {extension}", _kind(extension, codec, sound)
        for number, sound in enumerate(sounds):
            codec = codecs[(number + 1) % len(codecs)]
            yield f"{codec} and {sound} in {extension}", _kind(extension, codec, sound)
    for codec, extension in (("h264", "mkv"), ("hevc", "mp4"), ("mpeg-2", "ts"), ("vp9", "webm")):
        sound = "opus" if extension == "webm" else "mp2" if extension == "ts" else "aac"
        for oddity, odd in ODDITIES.items():
            if "22 kHz" in oddity and sound == "opus":
                continue
            options = (
                f"{CODECS[codec]} {SOUNDS[sound]} {odd.options}" if odd.sound else f"{CODECS[codec]} {odd.options}"
            )
            if codec == "mpeg-2" and "15" in oddity:
                continue
            yield f"{codec} {oddity} in {extension}", odd._replace(extension=extension, options=options)
    for turn, numbers in {"90": (0, 1, -1, 0), "180": (-1, 0, 0, -1), "270": (0, -1, 1, 0)}.items():
        yield f"h264 turned by {turn} in mov", Kind("mov", X264, change=matrix(*numbers))


def _of_studios() -> Iterator[tuple[str, Kind]]:
    """Formats of cameras, studios and old telephones, each with the sizes and rates that it allows."""
    pal, tone, small = "testsrc2=s=720x576:r=25:d=0.4", "sine=d=0.4", "testsrc2=s=176x144:r=25:d=1"
    studio = "-ar 48000 -c:a pcm_s16le"
    yield "dv of a camera", Kind("dv", "-target pal-dv", pal, tone, alike=0.95)
    yield "dv of another", Kind("dv", "-target ntsc-dv", "testsrc2=s=720x480:r=30000/1001:d=0.4", tone, alike=0.9)
    yield "a dvd", Kind("mpg", "-target pal-dvd", pal, tone, alike=0.95)
    yield "a video cd", Kind("mpg", "-target pal-vcd", "testsrc2=s=352x288:r=25:d=1", alike=0.9)
    yield (
        "dnxhd in mxf",
        Kind("mxf", f"-c:v dnxhd -profile:v dnxhr_sq -pix_fmt yuv422p {studio}", pal, tone, alike=0.95),
    )
    yield "h264 in mxf", Kind("mxf", f"{X264} {studio}", "testsrc2=s=160x90:r=25:d=1")
    yield "jpeg 2000 in mxf", Kind("mxf", f"-c:v jpeg2000 {studio}", "testsrc2=s=160x96:r=25:d=1")
    yield "vp8 in ivf", Kind("ivf", "-c:v libvpx -b:v 1M", sound="")
    yield "mpeg-2 alone", Kind("m2v", "-c:v mpeg2video -q:v 2", sound="")
    yield "realvideo", Kind("rm", "-c:v rv20 -q:v 2 -c:a ac3", "testsrc2=s=176x144:r=25:d=1")
    yield (
        "h263 of a telephone",
        Kind("mp4", "-f 3gp -c:v h263 -q:v 2 -c:a aac", small, alike=0.95),
    )
    yield "mpeg-4 of a telephone", Kind("mp4", "-f 3g2 -c:v mpeg4 -q:v 2 -c:a aac")


def _kind(extension: str, codec: str, sound: str) -> Kind:
    tag = " -tag:v hvc1" if codec.startswith("hevc") and extension in ("mp4", "mov") else ""
    strict = " -strict -2" if extension == "mp4" else ""
    return Kind(extension, f"{CODECS[codec]}{tag} {SOUNDS[sound]}{strict}", PICTURES, TONE)


MATRIX = dict(kinds()) | dict(_of_studios())
