"""Read, convert and write images: arrays (H, W, C) of uint8, uint16 or float32, as they were stored."""

from ganforge.images.convert import Depth as Depth
from ganforge.images.convert import as_picture as as_picture
from ganforge.images.convert import fit as fit
from ganforge.images.convert import grid as grid
from ganforge.images.convert import recolour as recolour
from ganforge.images.convert import stored as stored
from ganforge.images.convert import to_uint8 as to_uint8
from ganforge.images.convert import to_uint16 as to_uint16
from ganforge.images.convert import visible as visible
from ganforge.images.convert import white as white
from ganforge.images.reading import EXTENSIONS as EXTENSIONS
from ganforge.images.reading import ImageHeader as ImageHeader
from ganforge.images.reading import look as look
from ganforge.images.reading import look_at as look_at
from ganforge.images.reading import read as read
from ganforge.images.writing import holds as holds
from ganforge.images.writing import lossless as lossless
from ganforge.images.writing import write as write
from ganforge.images.writing import write_gif as write_gif
