"""Read, convert and write images: arrays (H, W, C) of uint8, uint16 or float32, as they were stored."""

from ganforge.images.convert import Depth as Depth
from ganforge.images.convert import as_image as as_image
from ganforge.images.convert import enlarge as enlarge
from ganforge.images.convert import fit as fit
from ganforge.images.convert import grid as grid
from ganforge.images.convert import is_wide as is_wide
from ganforge.images.convert import narrow_integers as narrow_integers
from ganforge.images.convert import recolour as recolour
from ganforge.images.convert import to_depth as to_depth
from ganforge.images.convert import to_uint8 as to_uint8
from ganforge.images.convert import to_uint16 as to_uint16
from ganforge.images.convert import visible_channels as visible_channels
from ganforge.images.convert import white_value as white_value
from ganforge.images.reading import EXTENSIONS as EXTENSIONS
from ganforge.images.reading import ImageHeader as ImageHeader
from ganforge.images.reading import header_of as header_of
from ganforge.images.reading import read as read
from ganforge.images.reading import read_header as read_header
from ganforge.images.writing import can_write as can_write
from ganforge.images.writing import encode_png as encode_png
from ganforge.images.writing import lossless_suffix as lossless_suffix
from ganforge.images.writing import write as write
from ganforge.images.writing import write_gif as write_gif
