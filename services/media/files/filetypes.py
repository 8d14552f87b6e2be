"""The types of files that can be uploaded, recognized by their first bytes; the client's file name does not count."""

import re
from typing import NamedTuple

IMAGE, VIDEO, AUDIO, DOCUMENT, TEXT = "image", "video", "audio", "document", "text"
CONTROLS = bytes(set(range(32)) - set(b"\t\r\n\f"))
MARKUP = (b"<script", b"<html", b"<!doctype", b"<iframe", b"<?php", b"<body", b"<svg", b"<?xml")
IS_MARKUP = re.compile(b"|".join(map(re.escape, MARKUP)), re.IGNORECASE)


class FileType(NamedTuple):
    extension: str
    kind: str
    media_type: str
    format: str  # as Pillow or FFmpeg name it


TYPES = {
    type.extension: type
    for type in (
        FileType("jpg", IMAGE, "image/jpeg", "JPEG"),
        FileType("png", IMAGE, "image/png", "PNG"),
        FileType("gif", IMAGE, "image/gif", "GIF"),
        FileType("webp", IMAGE, "image/webp", "WEBP"),
        FileType("avif", IMAGE, "image/avif", "AVIF"),
        FileType("heic", IMAGE, "image/heic", "HEIF"),  # these six become others before they are stored
        FileType("jxl", IMAGE, "image/jxl", "JXL"),
        FileType("tiff", IMAGE, "image/tiff", "TIFF"),
        FileType("bmp", IMAGE, "image/bmp", "BMP"),
        FileType("jp2", IMAGE, "image/jp2", "JPEG2000"),
        FileType("ico", IMAGE, "image/vnd.microsoft.icon", "ICO"),
        FileType("mp4", VIDEO, "video/mp4", "mp4"),
        FileType("mov", VIDEO, "video/quicktime", "mov"),
        FileType("webm", VIDEO, "video/webm", "matroska"),
        FileType("mkv", VIDEO, "video/x-matroska", "matroska"),
        FileType("avi", VIDEO, "video/x-msvideo", "avi"),
        FileType("ts", VIDEO, "video/mp2t", "mpegts"),
        FileType("flv", VIDEO, "video/x-flv", "flv"),
        FileType("wmv", VIDEO, "video/x-ms-wmv", "asf"),
        FileType("ogv", VIDEO, "video/ogg", "ogg"),
        FileType("mpg", VIDEO, "video/mpeg", "mpeg"),
        FileType("rm", VIDEO, "application/vnd.rn-realmedia", "rm"),
        FileType("mxf", VIDEO, "application/mxf", "mxf"),  # these seven become QuickTime before they are stored
        FileType("gxf", VIDEO, "application/gxf", "gxf"),
        FileType("dv", VIDEO, "video/x-dv", "dv"),
        FileType("wtv", VIDEO, "video/x-ms-wtv", "wtv"),
        FileType("m2v", VIDEO, "video/mpeg", "mpegvideo"),
        FileType("nut", VIDEO, "video/x-nut", "nut"),
        FileType("ivf", VIDEO, "video/x-ivf", "ivf"),
        FileType("m3u8", VIDEO, "application/vnd.apple.mpegurl", "hls"),  # only made by processing, never uploaded
        FileType("vtt", TEXT, "text/vtt; charset=utf-8", "vtt"),  # likewise: captions
        FileType("tiles", TEXT, "text/vtt; charset=utf-8", "vtt"),  # likewise: the index of a storyboard
        FileType("m4a", AUDIO, "audio/mp4", "mp4"),
        FileType("weba", AUDIO, "audio/webm", "matroska"),
        FileType("mka", AUDIO, "audio/x-matroska", "matroska"),
        FileType("mp3", AUDIO, "audio/mpeg", "mp3"),
        FileType("aac", AUDIO, "audio/aac", "aac"),
        FileType("wma", AUDIO, "audio/x-ms-wma", "asf"),
        FileType("ogg", AUDIO, "audio/ogg", "ogg"),
        FileType("opus", AUDIO, "audio/ogg", "ogg"),
        FileType("wav", AUDIO, "audio/wav", "wav"),
        FileType("flac", AUDIO, "audio/flac", "flac"),
        FileType("pdf", DOCUMENT, "application/pdf", "pdf"),
        FileType("txt", DOCUMENT, "text/plain; charset=utf-8", "txt"),
        FileType("zip", DOCUMENT, "application/zip", "zip"),
        FileType("docx", DOCUMENT, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "zip"),
        FileType("xlsx", DOCUMENT, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "zip"),
        FileType("pptx", DOCUMENT, "application/vnd.openxmlformats-officedocument.presentationml.presentation", "zip"),
    )
}
SIGNATURES = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"FLV\x01", "flv"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),  # without a container
    (b"\0\0\1\0", "ico"),
    (b"\0\0\1\xba", "mpg"),
    (b"\0\0\1\xb3", "m2v"),
    (b".RMF", "rm"),
    (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02", "mxf"),
    (b"\0\0\0\0\1\xbc", "gxf"),
    (b"\x1f\x07\0\x3f", "dv"),  # of 60 fields a second
    (b"\x1f\x07\0\xbf", "dv"),  # of 50
    (b"\xb7\xd8\0\x20\x37\x49\xda\x11\xa6\x4e\0\x07\xe9\x5e\xad\x8d", "wtv"),
    (b"nut/multimedia container\0", "nut"),
    (b"DKIF", "ivf"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", "wmv"),
)
RIFF = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}
BRANDS = {b"avif": "avif", b"avis": "avif", b"M4A ": "m4a", b"M4B ": "m4a", b"qt  ": "mov"}
STILL_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
OLD_QUICKTIME = (b"moov", b"mdat", b"wide", b"pnot", b"skip")  # how files begin that are older than `ftyp`
BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # bytes
SOUND_ONLY = {"mp4": "m4a", "mov": "m4a", "webm": "weba", "mkv": "mka", "wmv": "wma", "ogv": "ogg"}
TS_PACKET = 188


def sniff(head: bytes) -> FileType | None:
    """`head`: the first 4 KiB, or the whole file. Returns None for a type that cannot be uploaded."""
    extension = next((extension for magic, extension in SIGNATURES if head.startswith(magic)), None)
    extension = extension or _container(head) or _sound(head) or ("txt" if is_text(head, cut=True) else None)
    return TYPES[extension] if extension else None


def _container(head: bytes) -> str | None:
    if head[:4] == b"RIFF":
        return RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _brand(head)
    if head[4:8] in OLD_QUICKTIME:
        return "mov"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "webm" if b"webm" in head[:64] else "mkv" if b"matroska" in head[:64] else None
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in BITMAP_HEADERS:
        return "bmp"
    return "ts" if _is_transport_stream(head) else None


def _brand(head: bytes) -> str:
    brand = head[8:12]
    if brand in STILL_BRANDS:
        return "avif" if b"avif" in head[12:64] else "heic"
    return BRANDS.get(brand, "mp4")


def _is_transport_stream(head: bytes) -> bool:
    """Packets of 188 bytes, or 192 with a time before each, as cameras write them (M2TS)."""
    return any(
        len(head) >= start + 5 * size and all(head[start + size * number] == 0x47 for number in range(5))
        for start, size in ((0, TS_PACKET), (4, TS_PACKET + 4))
    )


def _sound(head: bytes) -> str | None:
    if head[:4] == b"OggS":
        return "ogv" if b"theora" in head[:256] else "opus" if b"OpusHead" in head[:128] else "ogg"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # MPEG audio's sync word
        return "aac" if head[1] & 0xF6 == 0xF0 else "mp3" if head[1] & 0x06 == 0x02 else None
    return None


def is_text(data: bytes, cut: bool = False) -> bool:
    """Whether it is UTF-8 without control characters, and neither markup nor a playlist.

    `cut`: the data may end within a character.
    """
    if len(data.translate(None, CONTROLS)) < len(data):
        return False
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n\f")[:8].lower()
    if not data or IS_MARKUP.search(data) or start.startswith((b"<", b"#extm3u")):
        return False
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return cut and error.start >= len(data) - 3
    return True
