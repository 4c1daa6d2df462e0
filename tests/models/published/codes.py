"""Published settings of encoders of codes."""

from tests.models.published.checks import Published, config_has, rate_is, run_has

E4E = "omertov/encoder4editing, README and options/train_options.py"
HYPERSTYLE = "yuval-alaluf/hyperstyle, README and coach_hyperstyle.py"

CODES: dict[tuple[str, str], list[Published]] = {
    ("e4e", "paper"): [
        ("batch", E4E, run_has(batch=8, size=(1024,), flip=True, steps=200_000)),
        ("rates", E4E, rate_is({0: [1e-4, 2e-5], 199_999: [1e-4, 2e-5]})),
        ("networks", f"{E4E}, IR-SE50", config_has(widths=(64, 128, 256, 512), depths=(3, 4, 14, 3))),
        ("losses", E4E, config_has(mse_weight=1.0, perceptual_weight=0.8, identity_weight=0.5, side=256)),
        ("discriminator", E4E, config_has(adversarial=0.1, pool=50, gamma=10.0, r1_every=16)),
        ("deltas", E4E, config_has(space="w+", delta_weight=2e-4, wait=20_000, every=2_000, relative=True)),
    ],
    ("e4e", "psp"): [
        (
            "codes",
            "eladrich/pixel2style2pixel, README",
            config_has(relative=False, adversarial=0.0, identity_weight=0.1),
        ),
        ("rate", "eladrich/pixel2style2pixel, options", rate_is({0: 1e-4})),
    ],
    ("hyperstyle", "paper"): [
        ("batch", HYPERSTYLE, run_has(batch=8, size=(1024,), flip=True, steps=500_000)),
        ("rate", HYPERSTYLE, rate_is({0: 1e-4, 499_999: 1e-4})),
        ("iterations", "section 3.3", config_has(iterations=5, separable=False, layers=())),
        (
            "networks",
            f"{HYPERSTYLE}, ResNet34",
            config_has(widths=(64, 128, 256, 512), depths=(3, 4, 6, 3), vector=512),
        ),
        ("losses", HYPERSTYLE, config_has(mse_weight=1.0, perceptual_weight=0.8, identity_weight=0.1, side=256)),
    ],
}
