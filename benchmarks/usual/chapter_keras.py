"""The chapter's program in Keras 3 on TensorFlow, repaired.

As books print it, the discriminator is frozen once before the joint model is compiled.  Keras 3 looks at that
flag when a model first trains, so D would never learn: here the flag is set before each of the two trainings.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from keras import layers

from benchmarks.program import Program, pictures


def generator(latent: int) -> keras.Model:
    """z (N, latent) -> images (N, 28, 28, 1)."""
    return keras.Sequential(
        [
            layers.Input((latent,)),
            layers.Dense(128 * 7 * 7, activation="relu"),
            layers.Reshape((7, 7, 128)),
            layers.UpSampling2D(),
            layers.Conv2D(128, 3, padding="same"),
            layers.BatchNormalization(momentum=0.8),
            layers.Activation("relu"),
            layers.UpSampling2D(),
            layers.Conv2D(64, 3, padding="same"),
            layers.BatchNormalization(momentum=0.8),
            layers.Activation("relu"),
            layers.Conv2D(1, 3, padding="same"),
            layers.Activation("tanh"),
        ]
    )


def discriminator() -> keras.Model:
    """images (N, 28, 28, 1) -> probabilities (N, 1)."""

    def ending(norm: bool = True) -> list[layers.Layer]:
        norms = [layers.BatchNormalization(momentum=0.8)] if norm else []
        return [*norms, layers.LeakyReLU(negative_slope=0.2), layers.Dropout(0.25)]

    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, strides=2, padding="same"),
            *ending(norm=False),
            layers.Conv2D(64, 3, strides=2, padding="same"),
            layers.ZeroPadding2D(((0, 1), (0, 1))),
            *ending(),
            layers.Conv2D(128, 3, strides=2, padding="same"),
            *ending(),
            layers.Conv2D(256, 3, padding="same"),
            *ending(),
            layers.Flatten(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def loop(batch: int = 32, latent: int = 100) -> Program:
    """Predict, train D on real, train D on fake, train G through D.  Raises RuntimeError if D does not learn."""
    images = pictures(28, 1).astype(np.float32) / 127.5 - 1
    net_g, net_d = generator(latent), discriminator()
    parameters = sum(int(np.prod(v.shape)) for net in (net_g, net_d) for v in net.trainable_variables)
    noise = keras.Input((latent,))
    joint = keras.Model(noise, net_d(net_g(noise)))
    for model in (net_d, joint):
        model.compile(loss="binary_crossentropy", optimizer=keras.optimizers.Adam(2e-4, 0.5))
    ones, zeros = np.ones((batch, 1), np.float32), np.zeros((batch, 1), np.float32)
    draw = np.random.default_rng(0)

    def play(steps: int) -> None:
        for _ in range(steps):
            real = images[draw.integers(0, len(images), batch)]
            fake = net_g.predict(draw.standard_normal((batch, latent), np.float32), verbose=0)
            net_d.trainable = True
            net_d.train_on_batch(real, ones)
            net_d.train_on_batch(fake, zeros)
            net_d.trainable = False
            joint.train_on_batch(draw.standard_normal((batch, latent), np.float32), ones)

    play(1)
    before = [net.get_weights()[0].copy() for net in (net_g, net_d)]
    play(1)
    if any(np.array_equal(a, net.get_weights()[0]) for a, net in zip(before, (net_g, net_d), strict=True)):
        raise RuntimeError("A network of the Keras program does not learn: the comparison would be worthless.")
    return Program(play, batch, parameters)
