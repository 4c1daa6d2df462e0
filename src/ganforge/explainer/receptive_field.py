"""Receptive fields of layers, computed from those of their inputs."""

from torch import Tensor, nn

from ganforge.explainer.layers import WHOLE_IMAGE, Layer, Network, as_pair


def set_receptive_field(layer: Layer, module: nn.Module, given: Tensor, network: Network) -> None:
    """Set a layer's receptive field and jump from those of its inputs; `given` is the tensor that it takes.

    A kernel of k pixels whose inputs lie `jump` input pixels apart enlarges the field by (k - 1) jumps; a stride
    multiplies the jump, upsampling divides it.  The statistics that a norm takes over the whole image do not count.
    """
    inputs = [field_and_jump(number, network) for number in layer.inputs]
    inputs = [(field, jump) for field, jump in inputs if field is not None]
    if not inputs:
        return
    if len(layer.shape) != 3 or given.ndim != 4 or any(WHOLE_IMAGE in field for field, _ in inputs):
        layer.receptive_field = (WHOLE_IMAGE, WHOLE_IMAGE)
        return
    fields, jumps = [], []
    for side in (0, 1):
        field, jump = max(f[side] for f, _ in inputs), max(j[side] for _, j in inputs)
        field, jump = propagate(module, side, given.shape[2 + side], layer.shape[1 + side], field, jump)
        fields.append(field)
        jumps.append(jump)
    layer.receptive_field, layer.jump = (fields[0], fields[1]), (jumps[0], jumps[1])


def propagate(module: nn.Module, side: int, before: int, after: int, field: float, jump: float) -> tuple[float, float]:
    """(receptive field, jump) of a layer's output along one side, from those of its input."""
    kernel, stride = as_pair(getattr(module, "kernel_size", 1))[side], as_pair(getattr(module, "stride", 1))[side]
    dilation = as_pair(getattr(module, "dilation", 1))[side]
    if kernel >= before > 1 and after == 1:
        return WHOLE_IMAGE, jump * before  # one output, from all pixels
    if after >= 2 * before:  # upsampled: the jump shrinks, and the kernel lies on the output pixels or on the input's
        smaller = jump / (after // before)
        if isinstance(module, nn.ConvTranspose2d):  # every output depends on ceil(kernel / stride) input pixels
            return field + (-(-kernel // stride) - 1) * jump, smaller
        return field + (kernel - 1) * dilation * smaller, smaller
    factor = stride if hasattr(module, "stride") else max(1, round(before / after))
    return field + (kernel - 1) * dilation * jump, jump * factor


def field_and_jump(number: int, network: Network) -> tuple[tuple[float, float] | None, tuple[float, float]]:
    """(receptive field, jump) of a layer's output; for a negative number, of an input of the network."""
    if number >= 0:
        return network.layers[number].receptive_field, network.layers[number].jump
    shapes = [shape for _, shape in network.inputs]
    is_image = -1 - number < len(shapes) and len(shapes[-1 - number]) == 3
    return (1, 1) if is_image else None, (1.0, 1.0)
