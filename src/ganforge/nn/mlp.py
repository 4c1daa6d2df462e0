"""Multi-layer perceptrons, for toy data and for comparison (Arjovsky et al. 2017, section 4.3)."""

from torch import nn


class Perceptron(nn.Sequential):
    """(N, inputs) -> (N, outputs) through three hidden layers of ReLUs."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__(
            nn.Linear(inputs, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, outputs),
        )


class PerceptronGenerator(nn.Sequential):
    """z (N, latent) -> images (N, C, H, W), not bounded."""

    def __init__(self, latent: int, width: int, image_shape: tuple[int, int, int]) -> None:
        channels, height, side = image_shape
        super().__init__(Perceptron(latent, width, channels * height * side), nn.Unflatten(1, image_shape))


class PerceptronCritic(nn.Sequential):
    """images (N, C, H, W) -> scores (N,), higher for real."""

    def __init__(self, width: int, image_shape: tuple[int, int, int]) -> None:
        channels, height, side = image_shape
        super().__init__(nn.Flatten(), Perceptron(channels * height * side, width, 1), nn.Flatten(0))
