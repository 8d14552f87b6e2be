"""Files that somebody made to do harm: fuzzed recordings and pictures, bombs, and files that are two things at once.

The same seed makes the same files. Nothing is kept: each is made when it is asked for.
"""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import pillow_heif
from PIL import Image

from tests.support.media import recording, video

Change = Callable[[random.Random, bytes], bytes]


def pictures(format: str, frames: int = 1, size: tuple[int, int] = (96, 64), **options: object) -> bytes:
    buffer = io.BytesIO()
    parts = ((-2 + number / 10, -1, 1, 1) for number in range(frames))
    made = [Image.effect_mandelbrot(size, part, 60).convert("RGB") for part in parts]
    more = {"save_all": True, "append_images": made[1:], "duration": 40} if frames > 1 else {}
    made[0].save(buffer, format, **more, **options)
    return buffer.getvalue()


def heic() -> bytes:
    pillow_heif.register_heif_opener()
    return pictures("HEIF")


BASES: dict[str, Callable[[], bytes]] = {
    "mp4": lambda: video(seconds=1, sound="aac"),
    "mov": lambda: video("mov", "mpeg4", 1),
    "mkv": lambda: video("matroska", "mpeg4", 1, sound="libmp3lame"),
    "webm": lambda: video("webm", "libvpx", 1),
    "avi": lambda: video("avi", "mpeg4", 1),
    "ts": lambda: video("mpegts", "mpeg2video", 1),
    "flv": lambda: video("flv", "flv", 1),
    "gif": lambda: pictures("GIF", 12),
    "webp": lambda: pictures("WEBP", 12),
    "png": lambda: pictures("PNG", 4),
    "jpg": lambda: pictures("JPEG", progressive=True),
    "avif": lambda: pictures("AVIF"),
    "heic": heic,
    "tiff": lambda: pictures("TIFF", compression="tiff_lzw"),
    "mp3": lambda: recording("mp3", "libmp3lame"),
    "flac": lambda: recording("flac", "flac"),
    "ogg": lambda: recording("ogg", "libopus"),
    "m4a": lambda: recording("mp4", "aac"),
}


def flip_bits(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 40)):
        changed[chance.randrange(8, len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwrite(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(8, len(data))
    piece = chance.choice([bytes(64), b"\xff" * 64, chance.randbytes(chance.randint(1, 2_000))])
    return data[:at] + piece + data[at + len(piece) :]


def enlarge_a_number(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(8, max(len(data) // 2, 9))
    number = chance.choice(
        [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\xff\xff\xff", b"\xff\xff\xff\x7f"]
    )
    return data[:at] + number + data[at + 4 :]


def cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(min(64, len(data) - 1), len(data))]


def repeat(chance: random.Random, data: bytes) -> bytes:
    start = chance.randrange(8, len(data))
    piece = data[start : start + chance.randint(1, 4_000)]
    return data[:start] + piece * chance.randint(2, 60) + data[start:]


def exchange(chance: random.Random, data: bytes) -> bytes:
    one, other = sorted((chance.randrange(8, len(data)), chance.randrange(8, len(data))))
    return data[:one] + data[other:] + data[one:other]


def mix(chance: random.Random, data: bytes) -> bytes:
    """The beginning of one file, the rest of another."""
    other = BASES[chance.choice(list(BASES))]()
    return data[: chance.randrange(16, len(data))] + other[chance.randrange(len(other)) :]


CHANGES: tuple[Change, ...] = (flip_bits, overwrite, enlarge_a_number, cut, repeat, exchange, mix)


def fuzzed(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Names and files: every kind in turn, changed once to three times."""
    chance, kinds = random.Random(seed), list(BASES)
    made = {kind: BASES[kind]() for kind in kinds[:count]}
    for number in range(count):
        kind = kinds[number % len(kinds)]
        data, names = made[kind], [kind]
        for change in chance.choices(CHANGES, k=chance.randint(1, 3)):
            data = change(chance, data) if len(data) > 100 else data
            names.append(change.__name__)
        yield f"{number}: {', '.join(names)}", data


def _chunk(tag: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def png_of_nothing(width: int, height: int) -> bytes:
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(width * 3 + 1)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def png_of_text() -> bytes:
    data = png_of_nothing(8, 8)
    text = b"".join(_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 20), 9)) for _ in range(200))
    return data[:33] + text + data[33:]


def gif_of_frames(width: int, height: int, frames: int) -> bytes:
    """Each frame is the whole picture, and few bytes long."""
    buffer = io.BytesIO()
    Image.new("P", (width, height)).save(buffer, "GIF")
    data = buffer.getvalue()
    start = data.index(b"\x2c", 13 + 3 * (2 << (data[10] & 7)) * (data[10] >> 7))
    head, frame = data[:start], data[start:-1]
    return head + (b"\x21\xf9\x04\x04\x04\0\0\0" + frame) * frames + b";"


def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes many times."""
    data = pictures("JPEG", size=(64, 64), progressive=True, quality=20)
    last = data.rindex(b"\xff\xda")
    size = data.index(b"\xff\xc2") + 5
    scan = data[last:-2]
    return data[:size] + struct.pack(">HH", side, side) + data[size + 4 : last] + scan * scans + b"\xff\xd9"


def webp_of_frames(side: int, frames: int) -> bytes:
    buffer = io.BytesIO()
    made = [Image.new("RGB", (side, side), (n % 255, 0, 0)) for n in range(frames)]
    made[0].save(buffer, "WEBP", save_all=True, append_images=made[1:], lossless=True, minimize_size=False)
    return buffer.getvalue()


def boxes_in_boxes(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = struct.pack(">I4s", len(data) + 8, b"moov") + data
    return struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom") + data


def many_boxes(count: int) -> bytes:
    inner = struct.pack(">I4s", 8, b"free") * count
    return struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom") + struct.pack(">I4s", 8, b"free") + inner


def table_of_samples(count: int) -> bytes:
    """An MP4 whose table of times tells of many samples."""
    data = video(seconds=1)
    at = data.index(b"stts")
    return data[: at + 8] + struct.pack(">III", 1, count, 1) + data[at + 20 :]


def elements_in_elements(depth: int) -> bytes:
    """Matroska whose elements, of unknown size, hold each other."""
    data = video("matroska", "mpeg4", 1)
    at = data.index(b"\x18\x53\x80\x67")
    return data[:at] + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * depth + data[at:]


def archive_bomb(mebibytes: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("zeros", bytes(mebibytes << 20))
    return buffer.getvalue()


def archive_of_names(count: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}", b"")
    return buffer.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    "png of 50 million pixels": lambda: png_of_nothing(10_000, 5_000),
    "png of 3.6 billion pixels": lambda: png_of_nothing(60_000, 1)[:16] + struct.pack(">I", 60_000) * 2 + bytes(200),
    "png of much text": png_of_text,
    "gif of large frames": lambda: gif_of_frames(1_600, 1_200, 1_000),
    "gif of huge frames": lambda: gif_of_frames(7_000, 7_000, 35),
    "gif of many frames": lambda: gif_of_frames(32, 32, 1_999),
    "gif of too many frames": lambda: gif_of_frames(8, 8, 9_000),
    "jpeg of many scans": lambda: jpeg_of_scans(1_000, 2_000),
    "large jpeg of many scans": lambda: jpeg_of_scans(7_000, 500),
    "webp of frames": lambda: webp_of_frames(1_500, 40),
    "boxes in boxes": lambda: boxes_in_boxes(5_000),
    "many boxes": lambda: many_boxes(300_000),
    "a table of samples": lambda: table_of_samples(0x7FFFFFFF),
    "elements in elements": lambda: elements_in_elements(3_000),
    "an archive of zeros": lambda: archive_bomb(300),
    "an archive of names": lambda: archive_of_names(20_000),
    "an mp3 of a tag": lambda: b"ID3\x04\0\0\x0f\x7f\x7f\x7f" + bytes(3 << 20),
    "text of spaces": lambda: b" " * (4 << 20),
}
PAGE = b"<!doctype html><script>alert(1)</script>"
TWICE: dict[str, Callable[[], bytes]] = {
    "gif and archive": lambda: pictures("GIF") + archive_of_names(3),
    "jpeg and archive": lambda: pictures("JPEG") + archive_of_names(3),
    "mp4 and archive": lambda: video(seconds=1) + archive_of_names(3),
    "gif and script": lambda: b"GIF89a" + PAGE + pictures("GIF")[6:],
    "jpeg and page": lambda: pictures("JPEG")[:2] + b"\xff\xfe\x00\x2a" + PAGE + pictures("JPEG")[2:],
    "png and page": lambda: pictures("PNG") + PAGE,
    "mp4 and page": lambda: struct.pack(">I4s", len(PAGE) + 8, b"free") + PAGE + video(seconds=1),
    "pdf and archive": lambda: b"%PDF-1.4\n" + archive_of_names(3) + b"\n%%EOF",
    "png and pdf": lambda: pictures("PNG")[:33] + _chunk(b"tEXt", b"x\0%PDF-1.4 ") + pictures("PNG")[33:],
    "text and playlist": lambda: b"\n#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "picture that is a page": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "mp3 and page": lambda: b"ID3\x04\0\0\0\0\0\x28" + PAGE + recording("mp3", "libmp3lame"),
}


def hostile(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Bombs and double files first, the rest fuzzed."""
    made = [*BOMBS.items(), *TWICE.items()][:count]
    yield from ((name, make()) for name, make in made)
    yield from fuzzed(seed, count - len(made))
