"""Which files are images, by their suffixes; and the limits against bombs, which the owner of the data can lift."""

import os
import re
from importlib.util import find_spec

from PIL import features

from ganforge.errors import DataError

HEIF = "pip install 'ganforge[heic]' reads them"


def has_heif() -> bool:
    """Whether pillow-heif is installed, which reads the photographs of iPhones.  It is not imported."""
    return find_spec("pillow_heif") is not None


def readable_extensions() -> tuple[str, ...]:
    """Suffixes of the images that are read here, without the dot."""
    avif = ("avif",) if features.check("avif") else ()
    heif = ("heic", "heif") if has_heif() else ()
    common = ("jpg", "jpeg", "jfif", "png", "webp", "tif", "tiff", "gif", "bmp", "ppm", "pgm", "tga")
    return (*common, *avif, *heif, "npy")


EXTENSIONS = readable_extensions()  # of files in folders
OTHERS = (
    "apng jpe jif dib jp2 j2k jpf jpx jxl pbm pnm pfm pcx ico icns psd xcf svg exr hdr qoi dds sgi rgb ras xbm xpm eps "
    "dng cr2 cr3 nef arw raf orf rw2 pef srw raw dcm dicom nii mha nrrd mrc fits svs ndpi czi lif nd2"
)
CONVERT = "convert them to PNG or TIFF"
OTHER_IMAGES = {
    "avif": "pip install --upgrade pillow reads them",
    "heic": HEIF,
    "heif": HEIF,
    **dict.fromkeys(re.findall(r"\w+", OTHERS), CONVERT),
}
"""{suffix of images that are not read: what to do}."""


def looks_like_image(start: bytes) -> bool:
    """Whether the first 16 bytes of a file are those of an image."""
    known = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*", b"\x93NUMPY", b"BM")
    is_riff, is_iso = start[:4] == b"RIFF" and start[8:12] == b"WEBP", start[4:8] == b"ftyp"
    return start.startswith(known) or is_riff or (is_iso and start[8:12] in (b"heic", b"heix", b"mif1", b"avif"))


def limit(name: str, default: int) -> int:
    """A limit against bombs: the environment variable `name`, where the owner of the data has set it.

    Raises:
        DataError: it is not a whole number above 0.
    """
    given = os.environ.get(name, "").replace(",", "").replace("_", "")
    if not given:
        return default
    if not given.isdecimal() or int(given) < 1:
        raise DataError(f"{name} is {os.environ[name]!r}, and must be a whole number above 0")
    return int(given)
