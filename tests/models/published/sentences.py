"""Published settings of models of sentences."""

from tests.models.published.checks import (
    Published,
    betas_are,
    config_has,
    epoch_rate_is,
    noise_is,
    rate_halves,
    run_has,
    text_weights_are_uniform,
    weights_are,
)

TEXT = "reedscot/cvpr2016, train_sje_hybrid.lua"
GAN_CLS, GAN_CLS_CODE = "2016, section 5", "reedscot/icml2016, main_cls.lua"
STACKGAN, STACKGAN_CODE = "2017, section 4.2", "hanzhanggit/StackGAN-Pytorch"
GIGAGAN = "arXiv 2303.05511"

SENTENCES: dict[tuple[str, str], list[Published]] = {
    ("gan_cls", "paper"): [
        ("batch", GAN_CLS, run_has(batch=64, size=(64,), flip=True, crop=True)),
        ("length", f"{GAN_CLS}: 600 epochs of 8,855 birds", run_has(steps=83_000)),
        ("rate", GAN_CLS, rate_halves(2e-4, 100)),
        ("betas", GAN_CLS, betas_are(0.5, 0.999)),
        ("noise", GAN_CLS, noise_is("normal", 1.0)),
        ("text", "2016, section 4.1", config_has(projected=128, text_norm=False, joint=True)),
        ("interpolation", "2016, section 4.3", config_has(beta=0.5, variant="int-cls")),
        ("half a batch of interpolated texts", GAN_CLS_CODE, config_has(between_weight=0.5)),
        ("networks", GAN_CLS_CODE, config_has(width=128, judge_width=64, residual=1, latent=100)),
        (
            "first weights",
            GAN_CLS_CODE,
            weights_are("normal", 0.02, "generator.body discriminator.features discriminator.judge"),
        ),
    ],
    **{
        ("stackgan", preset): [
            ("batch", STACKGAN, run_has(batch=64, size=size, flip=True, crop=True)),
            ("length", f"{STACKGAN}: 600 epochs of 8,855 birds", run_has(steps=83_000)),
            ("rate", STACKGAN, rate_halves(2e-4, 100)),
            ("betas", STACKGAN_CODE, betas_are(0.5, 0.999)),
            ("networks", STACKGAN_CODE, config_has(stage=stage, width=128, judge_width=64, blocks=4)),
            ("condition", STACKGAN, config_has(condition=128, latent=100, objective="released")),
            ("first weights", STACKGAN_CODE, weights_are("normal", 0.02, "generator discriminator")),
        ]
        for preset, stage, size in (("paper", 1, (64,)), ("paper-stage-2", 2, (256,)))
    },
    ("text_encoder", "paper"): [
        ("batch", TEXT, run_has(batch=40)),
        (
            "rate",
            f"{TEXT}, train_flowers_hybrid.sh: 0.98 of it after every epoch",
            epoch_rate_is({0: 7e-4, 2: 7e-4 * 0.98**2}),
        ),
        ("first weights", TEXT, text_weights_are_uniform(0.08)),
        ("loss", f"equation 5; {TEXT}", config_has(symmetric=True)),
        (
            "networks",
            "reedscot/icml2016, HybridCNNLong.lua",
            config_has(filters=(384, 512, 512), width=1024, average=True),
        ),
    ],
    ("gigagan", "paper"): [
        ("size", f"{GIGAGAN}: a base of 64 pixels", run_has(size=(64,))),
        ("text", f"{GIGAGAN}, section 3.1", config_has(networks="base", reading="paper", texts=True)),
        ("attention", f"{GIGAGAN}, section 3.2: by distances", config_has(distance=True, judge_distance=True)),
        ("pyramid", f"{GIGAGAN}, section 3.3: five sizes, 64 to 4", config_has(enter=(64, 32, 16, 8, 4))),
        ("nothing of others", GIGAGAN, config_has(decoders=(), skips=0, judge_skips=0, shuffle=False)),
    ],
    ("gigagan", "paper-upsampler"): [
        ("size", f"{GIGAGAN}, section 3.4: 64 to 512", run_has(size=(512,))),
        ("scale", f"{GIGAGAN}, section 3.4", config_has(networks="upsampler", scale=8, reading="paper")),
    ],
}
