"""Receptive fields of layers, from those of their inputs."""

from torch import Tensor, nn

from ganforge.explainer.layers import EVERYTHING, Layer, Network, pair


def see(made: Layer, layer: nn.Module, given: Tensor, network: Network) -> None:
    """Give a layer its receptive field and how far its results lie apart, from those of its inputs.

    A kernel of k pixels that lie `apart` pixels of the input from each other sees (k - 1) apart more; a stride takes
    its results farther apart, an enlargement nearer together.  What a norm learns of the whole picture does not count.
    """
    seeing = [origin(number, network) for number in made.inputs]
    seeing = [(field, apart) for field, apart in seeing if field is not None]
    if not seeing:
        return
    if len(made.shape) != 3 or given.ndim != 4 or any(EVERYTHING in field for field, _ in seeing):
        made.field = (EVERYTHING, EVERYTHING)
        return
    fields, aparts = [], []
    for side in (0, 1):
        field, apart = max(f[side] for f, _ in seeing), max(a[side] for _, a in seeing)
        seen, between = along(layer, side, given.shape[2 + side], made.shape[1 + side], field, apart)
        fields.append(seen)
        aparts.append(between)
    made.field, made.apart = (fields[0], fields[1]), (aparts[0], aparts[1])


def along(layer: nn.Module, side: int, before: int, after: int, field: float, apart: float) -> tuple[float, float]:
    """(receptive field, distance of neighbours) of a layer's results along one side, from those of its input."""
    taps, stride = pair(getattr(layer, "kernel_size", 1))[side], pair(getattr(layer, "stride", 1))[side]
    spread = pair(getattr(layer, "dilation", 1))[side]
    if taps >= before > 1 and after == 1:
        return EVERYTHING, apart * before  # one result, from all there is
    if after >= 2 * before:  # enlarged: neighbours are nearer, and the kernel lies on them or on what it enlarges
        near = apart / (after // before)
        if isinstance(layer, nn.ConvTranspose2d):  # every result meets ceil(k / stride) of its pixels
            return field + (-(-taps // stride) - 1) * apart, near
        return field + (taps - 1) * spread * near, near
    shrunk = stride if hasattr(layer, "stride") else max(1, round(before / after))
    return field + (taps - 1) * spread * apart, apart * shrunk


def origin(number: int, network: Network) -> tuple[tuple[float, float] | None, tuple[float, float]]:
    """(receptive field, distance of neighbours) of a layer's result, or of what the network is given."""
    if number >= 0:
        return network.layers[number].field, network.layers[number].apart
    shapes = [shape for _, shape in network.given]
    picture = -1 - number < len(shapes) and len(shapes[-1 - number]) == 3
    return (1, 1) if picture else None, (1.0, 1.0)
