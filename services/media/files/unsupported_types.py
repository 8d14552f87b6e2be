"""Sound and pictures of kinds that we know and do not take: whoever uploads one is told what it is."""

from services.kit.errors import HitokError
from services.media.errors import FilePictureUnsupported, FileSoundUnsupported, FileTypeRefused

SOUNDS = (
    *(b"caff", b"#!AMR", b".snd", b".ra\xfd", b"RF64", b"riff\x2e\x91\xcf\x11", b"MThd", b"wvpk", b"MAC ", b"TTA1"),
    *(b"MPCK", b"MP+", b"DSD ", b"FRM8", b"\x0b\x77", b"\x7f\xfe\x80\x01", b"OFR ", b"Creative Voice File"),
)
PICTURES = (
    *(b"8BPS", b"\x76\x2f\x31\x01", b"DDS ", b"qoif", b"icns", b"AT&TFORM", b"gimp xcf", b"\0\0\2\0", b"#?RADIANCE"),
    *(b"II\xbc\x01", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FUJIFILMCCD-RAW", b"\xd7\xcd\xc6\x9a", b"\x0a\x05\x01"),
    *(b"FLIF", b"BPG\xfb", b"SIMPLE  =", b"%!PS", b"\xc5\xd0\xd3\xc6", b"MM\0+", b"II+\0"),
)
FORMS: dict[bytes, type[HitokError]] = {b"AIFF": FileSoundUnsupported, b"AIFC": FileSoundUnsupported}  # of IFF
FORMS |= {b"8SVX": FileSoundUnsupported, b"ILBM": FilePictureUnsupported, b"PBM ": FilePictureUnsupported}
PORTABLE = b"123456f"  # what follows the P of a portable anymap


def refusal_of(head: bytes) -> HitokError:
    """Why a file that filetypes.sniff does not know is refused. `head`: its first 4 KiB, or all of it."""
    if head.startswith(SOUNDS) or _is_mpeg_sound(head):
        return FileSoundUnsupported()
    if head.startswith(PICTURES) or _is_portable(head) or _is_vector(head):
        return FilePictureUnsupported()
    if head[:4] == b"FORM":
        return FORMS.get(head[8:12], FileTypeRefused)()
    return FileTypeRefused()


def _is_mpeg_sound(head: bytes) -> bool:
    """Layers 1 and 2, as broadcasters use them."""
    return len(head) > 3 and head[0] == 0xFF and head[1] & 0xE6 in (0xE4, 0xE6) and head[2] < 0xF0


def _is_portable(head: bytes) -> bool:
    return len(head) > 2 and head[:1] == b"P" and head[1] in PORTABLE and head[2:3].isspace()


def _is_vector(head: bytes) -> bool:
    """SVG: an XML document of that root."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text)
