"""The yardstick of anomaly detection today, which is not a GAN: the distance to the nearest features of sound images.

Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler, "Towards total recall in industrial anomaly detection" (PatchCore), 2022.
https://arxiv.org/abs/2106.08265

Nothing is trained.  The features of all places of the sound images are kept, thinned out to those that are far from
each other; a place is as strange as its features are far from the nearest kept ones, an image as its strangest place.
The paper's features are those of a network trained on ImageNet; here they are any network's (`network_maps`), or the
data's own small windows of pixels (`pixel_maps`), which need no weights.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import DataError

Maps = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [-1, 1] -> features of every place (N, D, h, w)."""


def pixel_maps(images: Tensor, window: int = 5, stride: int = 2) -> Tensor:
    """The pixels of windows around every `stride`-th place, (N, C * window^2, h, w); borders are mirrored."""
    padded = F.pad(images, (window // 2,) * 4, mode="reflect")
    h, w = ((side - 1) // stride + 1 for side in images.shape[2:])
    return F.unfold(padded, window, stride=stride).unflatten(2, (h, w))


def network_maps(network: nn.Module, layers: Sequence[str]) -> Maps:
    """Outputs of named layers of a network, each the mean of 3 x 3 places, at the size of the first (section 3.1)."""
    modules = dict(network.named_modules())
    if missing := [name for name in layers if name not in modules]:
        raise DataError(
            f"{type(network).__name__} has no layer {missing[0]!r}: name some of {', '.join(modules)[:300]}."
        )

    def maps(images: Tensor) -> Tensor:
        found: dict[str, Tensor] = {}
        hooks = [
            modules[name].register_forward_hook(lambda _net, _in, out, name=name: found.update({name: out}))
            for name in layers
        ]
        try:
            network(images)
        finally:
            for hook in hooks:
                hook.remove()
        smooth = [F.avg_pool2d(found[name], 3, 1, 1) for name in layers]
        return torch.cat([F.interpolate(one, smooth[0].shape[2:], mode="bilinear") for one in smooth], 1)

    return maps


class NearestFeatures:
    """Scores images by the distance of their features to the nearest ones of sound images."""

    def __init__(self, maps: Maps = pixel_maps, kept: int = 2_000, seed: int = 0) -> None:
        """`kept` features of all sound images are kept."""
        self.maps, self.kept, self.seed = maps, kept, seed
        self.bank = torch.empty(0, 0)

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> "NearestFeatures":
        """Keep features of sound images, batches of (N, C, H, W); returns itself.  Raises DataError without images."""
        rows = [self.maps(images).permute(0, 2, 3, 1).flatten(0, 2) for images in batches]
        if not rows:
            raise DataError("There are no sound images to keep features of.")
        self.bank = spread_out(torch.cat(rows), self.kept, self.seed)
        return self

    @torch.no_grad()
    def judge(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(scores (N,), maps (N, 1, H, W)) of images (N, C, H, W), higher for stranger; DataError before `fit`."""
        if not len(self.bank):
            raise DataError("No features of sound images are kept yet: call fit first.")
        found = self.maps(images)
        places = found.permute(0, 2, 3, 1).flatten(0, 2)
        near = torch.cat([torch.cdist(part, self.bank).amin(1) for part in places.split(4_096)])
        heat = near.view(len(images), 1, *found.shape[2:])
        return heat.flatten(1).amax(1), F.interpolate(heat, images.shape[2:], mode="bilinear")


def spread_out(rows: Tensor, count: int, seed: int = 0, within: int = 20_000) -> Tensor:
    """`count` of the rows (N, D), each the farthest from those chosen before it (section 3.2), of `within` at random.

    Distances are measured in 128 random directions, as in the paper.
    """
    source = torch.Generator().manual_seed(seed)
    rows = rows[torch.randperm(len(rows), generator=source)[:within].to(rows.device)]
    if len(rows) <= count:
        return rows
    short = rows
    if rows.shape[1] > 128:
        short = rows @ (torch.randn(rows.shape[1], 128, generator=source) / 128**0.5).to(rows)
    chosen = [0]
    far = (short - short[0]).square().sum(1)
    for _ in range(count - 1):
        chosen.append(int(far.argmax()))
        far = torch.minimum(far, (short - short[chosen[-1]]).square().sum(1))
    return rows[chosen]
