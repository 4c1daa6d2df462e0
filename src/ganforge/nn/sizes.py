"""Sides that networks can make."""

from ganforge.errors import ModelError


def halved(height: int, width: int) -> tuple[tuple[int, int], int]:
    """((h, w), halvings) so that the short side of h x w has 4 to 7 pixels.

    Raises ModelError, naming the nearest sides, where halving both sides does not lead there.
    """
    for halvings in range(1, 12):
        h, w = height >> halvings, width >> halvings
        if 4 <= min(h, w) <= 7 and (h << halvings, w << halvings) == (height, width):
            return (h, w), halvings
    can = sorted(n << k for n in (4, 5, 6, 7) for k in range(1, 9))
    near = sorted(sorted(can, key=lambda side: abs(side - min(height, width)))[:4])
    raise ModelError(
        f"Networks of strided convolutions cannot make pictures of {height} x {width}: sides must be 4 to 7 pixels "
        f"doubled some times, both as often. Near are --size {', '.join(map(str, near))}; usual are 28, 32, 64 and 128."
    )
