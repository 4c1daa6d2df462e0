"""Published settings of translators of images, and of label maps and layouts to images."""

from tests.models.published.checks import (
    Published,
    betas_are,
    config_has,
    decay_is,
    momentum_is,
    rate_is,
    run_has,
    weights_are,
)

PIX2PIX = "section 3.3"
CYCLEGAN = "section 4"
BICYCLEGAN = "junyanz/BicycleGAN, scripts/train_facades.sh"
STARGAN = "section 5, training"
INSTAGAN = "sangwoomo/instagan, README.md, jeans2skirt"
LOSTGAN, LOSTGAN_CODE = "2019, experiments", "WillSuen/LostGANs, train.py"
SRGAN, ESRGAN = "section 3.2", "ESRGAN, section 4.1"
DENOISING, RELIGHTING = "venkai/RBDN, training/denoising", "venkai/RBDN, training/relighting"
COLOURING, COLOUR_RATES = "venkai/RBDN, training/colorization", [3.16e-3, 3.16e-4, 3.16e-4, 3.16e-4, 3.16e-3]
SPADE, SPADE_CODE = "section 4", "NVlabs/SPADE, options/train_options.py"
SPADE_TERMS = {"gan": "hinge", "features": 10.0, "content": "vgg", "content_weight": 10.0, "kl": 0.05, "use_vae": False}
FIRST_RATES = [1e-7, 1e-8, 1e-8, 1e-8, 1e-7]  # weights, biases, the last layer's two, norms

TRANSLATION: dict[tuple[str, str], list[Published]] = {
    ("pix2pix", "paper"): [
        ("batch", "section 6.2, facades", run_has(batch=1, size=(256,))),
        ("length", "section 6.2: 200 epochs of 400 pairs", run_has(steps=80_000)),
        ("jitter", "section 6.2", run_has(flip=True, crop=True, native=False)),
        ("rate", "phillipi/pix2pix, train.lua", rate_is({0: 2e-4, 40_000: 2e-4, 79_999: 2e-4})),
        ("betas", PIX2PIX, betas_are(0.5, 0.999)),
        ("first weights", "section 6.2", weights_are("normal", 0.02, "generator discriminator")),
        ("loss", "section 6.2", config_has(weight=100.0, patch=70, objective="l1+cgan", dropout=True, norm="batch")),
    ],
    ("regression", "paper"): [
        ("as pix2pix", "section 6.2", run_has(batch=1, size=(256,), steps=80_000, flip=True, crop=True)),
        ("rate", "phillipi/pix2pix, train.lua", rate_is({0: 2e-4, 79_999: 2e-4})),
        ("betas", PIX2PIX, betas_are(0.5, 0.999)),
        ("first weights", "section 6.2", weights_are("normal", 0.02, "generator")),
    ],
    ("cyclegan", "paper"): [
        ("batch", CYCLEGAN, run_has(batch=1, size=(256,), flip=True, crop=True)),
        ("length", "section 7.1: 200 epochs of 1,334 images", run_has(steps=200 * 1_334)),
        ("rate", CYCLEGAN, rate_is({0: 2e-4, 133_400: 2e-4, 200_100: 1e-4})),
        ("betas", "junyanz/CycleGAN, options.lua", betas_are(0.5, 0.999)),
        ("first weights", "section 7.1", weights_are("normal", 0.02, "to_a to_b is_a is_b")),
        ("losses", CYCLEGAN, config_has(cycle_a=10.0, cycle_b=10.0, pool=50, gan="lsgan", patch=70, blocks=9)),
        ("identity", "junyanz/CycleGAN, options.lua: horse2zebra has none", config_has(identity=0.0)),
    ],
    ("bicyclegan", "paper"): [
        ("batch", BICYCLEGAN, run_has(batch=2, size=(256,))),
        ("length", f"{BICYCLEGAN}: 200 + 200 epochs of 400 pairs", run_has(steps=400 * 200)),
        ("no jitter", f"{BICYCLEGAN}: loaded at 256", run_has(flip=True, crop=False)),
        ("rate", "models/networks.py, get_scheduler", rate_is({0: 2e-4, 40_000: 2e-4, 60_000: 1e-4})),
        ("betas", "options/train_options.py", betas_are(0.5, 0.999)),
        ("first weights", "init_type xavier", weights_are("xavier", 0.02, "generator encoder discriminator")),
        ("losses", "section 4", config_has(latent=8, l1=10.0, code=0.5, kl=0.01, dropout=True)),
    ],
    ("stargan", "paper"): [
        ("batch", STARGAN, run_has(batch=16, size=(128,), flip=True)),
        ("length", "yunjey/stargan, main.py: 200,000 iterations, 5 a step", run_has(steps=200_000 // 5)),
        ("rate", STARGAN, rate_is({0: 1e-4, 20_000: 1e-4, 30_000: 5e-5})),
        ("betas", STARGAN, betas_are(0.5, 0.999)),
        ("losses", STARGAN, config_has(classify=1.0, reconstruct=10.0, penalty=10.0, critic_moves=5)),
    ],
    ("instagan", "paper"): [
        ("batch", INSTAGAN, run_has(batch=1, size=(300, 200), flip=True, crop=True)),
        ("length", f"{INSTAGAN}: 400 + 200 epochs of 1,000 images", run_has(steps=600_000)),
        ("rate", INSTAGAN, rate_is({0: 2e-4, 399_999: 2e-4, 500_000: 1e-4, 599_999: 1e-9})),
        ("betas", "options/train_options.py", betas_are(0.5, 0.999)),
        ("first weights", "models/networks.py", weights_are("normal", 0.02, "to_a to_b")),
        (
            "losses",
            "models/insta_gan_model.py",
            config_has(cycle_a=10.0, identity=1.0, context=1.0, pool=50, instances=4, together=2),
        ),
    ],
    ("lostgan", "paper"): [
        ("batch", LOSTGAN_CODE, run_has(batch=128, size=(128,), flip=True)),
        ("length", f"{LOSTGAN}: 200 epochs of 25,210 images and mirrors", run_has(steps=200 * (2 * 25_210 // 128))),
        ("rate", LOSTGAN_CODE, rate_is({0: 1e-4, 78_599: 1e-4})),
        ("betas", LOSTGAN_CODE, betas_are(0.0, 0.999)),
        ("weights of the scores", LOSTGAN_CODE, config_has(object_weight=1.0, image_weight=0.1)),
        ("content", LOSTGAN_CODE, config_has(pixel_weight=1.0, vgg_weight=1.0, content="vgg")),
        ("networks", "model/resnet_generator_v2.py", config_has(version=2, latent=128, embedding=180, width=64)),
        ("discriminator", "model/rcnn_discriminator.py", config_has(judge_width=64)),
        ("masks", "INSTALL.md: torch 1.0", config_has(align_corners=True, whole_image=False)),
    ],
    ("lostgan", "paper-vg"): [
        ("batch", LOSTGAN_CODE, run_has(batch=128, size=(128,), flip=True)),
        ("length", f"{LOSTGAN}: 200 epochs of 62,565 images and mirrors", run_has(steps=200 * (2 * 62_565 // 128))),
        ("rate", LOSTGAN_CODE, rate_is({0: 1e-4, 195_399: 1e-4})),
        ("betas", LOSTGAN_CODE, betas_are(0.0, 0.999)),
        ("the whole image is an object", "data/vg.py", config_has(whole_image=True)),
    ],
    ("srgan", "paper"): [
        ("batch", SRGAN, run_has(batch=16, size=(96,), native=True, crop=True)),
        ("length", f"{SRGAN}: 1e6, 1e5 and 1e5 updates", run_has(steps=1_200_000)),
        ("first stage", SRGAN, config_has(pretraining=1_000_000)),
        ("rate", SRGAN, rate_is({0: 1e-4, 999_999: 1e-4, 1_099_999: 1e-4, 1_100_000: 1e-5, 1_199_999: 1e-5})),
        ("betas", SRGAN, betas_are(0.9, 0.999)),
        ("D's loss", "equation 2", config_has(discriminator_weight=1.0, fool_weight=1e-3, vgg_weight=0.006)),
    ],
    ("srgan", "esrgan"): [
        ("batch", ESRGAN, run_has(batch=16, size=(128,))),
        ("length", ESRGAN, run_has(steps=1_400_000)),
        ("rate, first stage", ESRGAN, rate_is({k * 200_000: 2e-4 / 2**k for k in range(5)} | {999_999: 1.25e-5})),
        (
            "rate, second stage",
            ESRGAN,
            rate_is({1_000_000 + step: 1e-4 / 2**k for k, step in enumerate((0, 50_000, 100_000, 200_000, 300_000))}),
        ),
        ("losses", "xinntao/BasicSR", config_has(discriminator_weight=0.5, fool_weight=5e-3, relativistic=True)),
    ],
    ("rbdn", "paper"): [
        ("batch", f"{DENOISING}/train.prototxt", run_has(batch=64, size=(128,), channels=1)),
        ("mirror and native windows", f"{DENOISING}/train.prototxt", run_has(flip=True, crop=True, native=True)),
        ("length", f"{DENOISING}/solver.prototxt", run_has(steps=500_000)),
        ("rate", f"{DENOISING}/train.prototxt", rate_is({0: FIRST_RATES, 250_000: [r / 100 for r in FIRST_RATES]})),
        ("momentum", f"{DENOISING}/solver.prototxt", momentum_is({0: 0.9})),
        ("L2", f"{DENOISING}/train.prototxt, decay 1 everywhere", decay_is(5e-4)),
        ("first weights", f"{DENOISING}/train.prototxt", weights_are("normal", 1e-3, "generator")),
        ("branches", f"{DENOISING}/train.prototxt", config_has(branches=3, width=64, depth=9, white=255.0)),
    ],
    ("spade", "paper"): [
        ("batch", SPADE, run_has(batch=32, size=(256,))),
        ("length", f"{SPADE}: 100 epochs of COCO-Stuff's 118,287 images", run_has(steps=100 * (118_287 // 32))),
        ("jitter", "README.md: resize_and_crop from 286", run_has(flip=True, crop=True, native=False)),
        ("rates of G and D", SPADE, rate_is({0: [1e-4, 4e-4], 369_599: [1e-4, 4e-4]})),
        ("betas", SPADE_CODE, betas_are(0.0, 0.9)),
        ("losses", SPADE_CODE, config_has(**SPADE_TERMS)),
        (
            "networks",
            SPADE_CODE,
            config_has(width=64, hidden=128, judge_width=64, judge_layers=4, scales=2, latent=256),
        ),
        (
            "first weights of D",
            "models/networks/base_network.py",
            weights_are("xavier", 0.02, "discriminator.scales.0.0"),
        ),
    ],
    ("spade", "paper-ade"): [
        ("batch", SPADE, run_has(batch=32, size=(256,), flip=True, crop=True)),
        ("length", f"{SPADE}: 200 epochs of 20,210 images", run_has(steps=200 * (20_210 // 32))),
        ("rates of G and D", SPADE, rate_is({0: [1e-4, 4e-4], 63_100: [1e-4, 4e-4], 94_650: [5e-5, 2e-4]})),
        ("no instances", "README.md: --no_instance", config_has(boundaries=False)),
    ],
    ("spade", "paper-cityscapes"): [
        (
            "batch",
            "NVlabs/SPADE, data/cityscapes_dataset.py",
            run_has(batch=16, size=(256, 512), flip=True, crop=False),
        ),
        ("length", f"{SPADE}: 200 epochs of 2,975 images", run_has(steps=200 * (2_975 // 16))),
        ("rates of G and D", SPADE, rate_is({0: [1e-4, 4e-4], 27_750: [5e-5, 2e-4]})),
        ("doublings", "data/cityscapes_dataset.py", config_has(layers="more", boundaries=True)),
    ],
    ("rbdn", "relighting"): [
        ("batch", f"{RELIGHTING}: 32, iter_size 2", run_has(batch=64, accumulate=2, size=(224,))),
        ("mirror", f"{RELIGHTING}/train.prototxt", run_has(flip=True, crop=True)),
        ("length", f"{RELIGHTING}/solver.prototxt", run_has(steps=40_000)),
        ("rate", f"{RELIGHTING}/solver.prototxt", rate_is({0: FIRST_RATES, 12_000: [r / 10 for r in FIRST_RATES]})),
        ("L2", f"{RELIGHTING}/train.prototxt", decay_is(5e-4)),
    ],
    ("rbdn", "colouring"): [
        ("batch", f"{COLOURING}/train.prototxt", run_has(batch=128)),
        ("length", f"{COLOURING}/solver.prototxt", run_has(steps=184_000)),
        ("rate", f"{COLOURING}/solver.prototxt", rate_is({0: COLOUR_RATES, 45_000: [r * 0.316 for r in COLOUR_RATES]})),
        ("L2", f"{COLOURING}/solver.prototxt", decay_is(1e-3)),
        ("networks", f"{COLOURING}/train.prototxt", config_has(branches=4, width=64, depth=9, colours=True)),
    ],
}
