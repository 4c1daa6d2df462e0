"""Published settings of the generators of images from noise, and of what is strange to them."""

from tests.models.published.checks import (
    Published,
    betas_are,
    config_has,
    decay_is,
    follows_images,
    has_parameters,
    momentum_is,
    noise_is,
    rate_is,
    run_has,
    weights_are,
)

MNIST_YAML = "goodfeli/adversarial, mnist.yaml"
CGAN = "section 4.1"
DCGAN, DCGAN_CODE = "section 4", "Newmu/dcgan_code, faces/train_uncond_dcgan.py"
PYTORCH = "pytorch/examples, dcgan/main.py"
INFOGAN = "openai/InfoGAN, launchers/run_mnist_exp.py"
INFOGAN_OPS = "openai/InfoGAN, infogan/misc/custom_ops.py"
R3GAN = "brownvc/R3GAN, train.py"
STYLEGAN2 = "NVlabs/stylegan2-ada-pytorch, train.py"

GENERATION: dict[tuple[str, str], list[Published]] = {
    ("gan", "paper"): [
        ("batch", MNIST_YAML, run_has(batch=100, size=(28,), channels=1)),
        ("rate", MNIST_YAML, rate_is({0: 0.1, 1: 0.1 / 1.000004, 250_000: 0.1 / 1.000004**250_000})),
        ("momentum", MNIST_YAML, momentum_is({0: 0.5, 1: 0.5, 250: 0.7, 500: 0.7})),
        ("noise", "goodfeli/adversarial, __init__.py, get_noise", noise_is("uniform", -(3**0.5), 3**0.5)),
        ("first weights of G", MNIST_YAML, weights_are("uniform", 0.05, "generator")),
        ("first weights of D", MNIST_YAML, weights_are("uniform", 0.005, "discriminator")),
        ("D's cost", "goodfeli/adversarial, AdversaryCost2", config_has(discriminator_weight=0.5)),
        ("networks", MNIST_YAML, config_has(latent=100, width=1200, units=240, pieces=5, output="sigmoid")),
        ("output bias", "init_sigmoid_bias_from_marginals of 50,000 images", config_has(marginals=500)),
        ("length", "open: a departure", run_has(steps=300_000)),
    ],
    ("cgan", "paper"): [
        ("batch", CGAN, run_has(batch=100, size=(28,), channels=1)),
        ("rate", CGAN, rate_is({0: 0.1, 10_000: 0.1 / 1.00004**10_000, 299_999: 1e-6})),
        ("momentum", CGAN, momentum_is({0: 0.5, 250: 0.7})),
        ("noise", CGAN, noise_is("uniform", 0.0, 1.0)),
        ("networks", CGAN, config_has(latent=100, networks="perceptrons")),
    ],
    ("dcgan", "paper"): [
        ("batch", DCGAN, run_has(batch=128, size=(64,))),
        ("rate", DCGAN, rate_is({0: 2e-4, 100_000: 2e-4})),
        ("betas", DCGAN, betas_are(0.5, 0.999)),
        ("first weights", DCGAN, weights_are("normal", 0.02, "generator discriminator")),
        ("noise", f"figure 1, {DCGAN_CODE}", noise_is("uniform", -1.0, 1.0)),
        ("L2", DCGAN_CODE, decay_is(1e-5)),
        ("networks", "figure 1", config_has(latent=100, width=128, kernel=5)),
        ("length", "figure 3: 5 epochs of 3,033,042 bedrooms", run_has(steps=118_500)),
        # 100 to 1,024 x 4 x 4, then kernels of 5 x 5 to 512, 256, 128 and 3 maps, and four norms
        ("parameters", "figure 1", has_parameters(generator=18_855_040)),
    ],
    ("dcgan", "pytorch"): [
        ("batch", PYTORCH, run_has(batch=64, size=(64,))),
        ("rate", PYTORCH, rate_is({0: 2e-4, 99_999: 2e-4})),
        ("betas", PYTORCH, betas_are(0.5, 0.999)),
        ("first weights", PYTORCH, weights_are("normal", 0.02, "generator discriminator")),
        ("noise", PYTORCH, noise_is("normal", 1.0)),
        ("L2", PYTORCH, decay_is(0.0)),
        ("parameters", PYTORCH, has_parameters(generator=3_576_704, discriminator=2_765_568)),
    ],
    ("lsgan", "paper"): [
        ("batch", "section 4", run_has(batch=64, size=(112,))),
        ("rate", "section 4, scenes", rate_is({0: 1e-3, 299_999: 1e-3})),
        ("betas", "section 4", betas_are(0.5, 0.999)),
        ("noise", "figure 2", config_has(latent=1024)),
    ],
    ("wgan", "paper"): [
        ("batch", "algorithm 1", run_has(batch=64, size=(64,))),
        ("rate", "algorithm 1", rate_is({0: 5e-5, 99_999: 5e-5})),
        ("critic", "algorithm 1", config_has(limit=0.01, critic_moves=5, optimiser="rmsprop", clip="after")),
        (
            "critic at first",
            "martinarjovsky/WassersteinGAN, main.py",
            config_has(thorough_moves=100, thorough_start=25),
        ),
        ("noise", "martinarjovsky/WassersteinGAN, main.py", noise_is("normal", 1.0)),
        ("first weights", "martinarjovsky/WassersteinGAN", weights_are("normal", 0.02, "generator critic")),
    ],
    ("wgan_gp", "paper"): [
        ("batch", "algorithm 1", run_has(batch=64)),
        ("length", "igul222/improved_wgan_training, gan_64x64.py", run_has(steps=200_000)),
        ("rate", "algorithm 1", rate_is({0: 1e-4})),
        ("betas", "algorithm 1", betas_are(0.0, 0.9)),
        ("penalty", "algorithm 1", config_has(penalty=10.0, critic_moves=5)),
        ("noise", "igul222/improved_wgan_training, gan_64x64.py", noise_is("normal", 1.0)),
    ],
    ("f_anogan", "paper"): [
        ("batch", "tSchlegl/f-AnoGAN, z_encoding_izif.py", run_has(batch=64, size=(64,), channels=1)),
        ("length", "tSchlegl/f-AnoGAN, z_encoding_izif.py", run_has(steps=50_000)),
        ("rate", "tSchlegl/f-AnoGAN, z_encoding_izif.py", rate_is({0: 5e-5, 49_999: 5e-5})),
        ("losses", "section 2.2", config_has(training="izi_f", feature_weight=1.0)),
        ("codes", "tSchlegl/f-AnoGAN, z_reg_type tanh_fc", config_has(bound="tanh", reach=1.0)),
        ("networks", "tSchlegl/f-AnoGAN, wgangp_64x64.py", config_has(width=64)),
    ],
    ("anogan", "paper"): [
        ("descent", "section 3", config_has(steps=500, feature_weight=0.1)),
        ("patches", "section 3: 64 x 64, grey", run_has(size=(64,), channels=1)),
    ],
    ("autoencoder", "paper"): [
        ("as f_anogan", "tSchlegl/f-AnoGAN, z_encoding_izif.py", run_has(batch=64, size=(64,), steps=50_000)),
        ("code", "f_anogan's", config_has(latent=128, width=64)),
        ("rate", "departure 3", rate_is({0: 1e-4, 49_999: 1e-4})),
    ],
    ("infogan", "paper"): [
        ("batch", INFOGAN, run_has(batch=128, size=(28,), channels=1)),
        ("length", INFOGAN, run_has(steps=100 * 50)),
        ("rates of D and G", INFOGAN, rate_is({0: [2e-4, 1e-3], 4_999: [2e-4, 1e-3]})),
        ("betas", "infogan/algos/infogan_trainer.py", betas_are(0.5, 0.999)),
        ("noise", INFOGAN, noise_is("uniform", -1.0, 1.0)),
        ("codes", INFOGAN, config_has(latent=62, categories=(10,), continuous=2, deviation="fixed")),
        ("lambda", INFOGAN, config_has(categorical_weight=1.0, continuous_weight=1.0)),
        ("leak", INFOGAN_OPS, config_has(leak=0.01)),
        ("first weights", INFOGAN_OPS, weights_are("normal", 0.02, "generator discriminator")),
    ],
    ("r3gan", "paper"): [
        ("batch", "README.md", run_has(batch=256, size=(256,), flip=True)),
        (
            "rate and beta2",
            R3GAN,
            follows_images({0: (2e-4, 0.9), 10_000_000: (1.25e-4, 0.945), 20_000_000: (5e-5, 0.99)}),
        ),
        ("gamma", f"{R3GAN}, FFHQ-256", config_has(gamma=150.0, final_gamma=15.0, decay=20_000_000)),
        ("averages", f"{R3GAN}, FFHQ-256", config_has(final_half_life=500_000.0)),
        ("no ramp-up", "training/training_loop.py", run_has(ema_rampup=None)),
        ("augmentation", f"{R3GAN}, FFHQ-256", config_has(final_augment_p=0.3)),
        ("its schedule", R3GAN, run_has(augment="ada", augment_p="game")),
        ("networks", f"{R3GAN}, FFHQ-256", config_has(latent=64, width=768, full=32, group=16, blocks=2, expansion=2)),
        ("length", "open: a departure", run_has(steps=78_125)),
    ],
    ("r3gan", "cifar"): [
        ("batch", "README.md", run_has(batch=512, size=(32,), flip=True)),
        ("gamma", f"{R3GAN}, CIFAR10", config_has(gamma=0.05, final_gamma=0.005)),
        ("averages", f"{R3GAN}, CIFAR10", config_has(final_half_life=5e6, decay=20_000_000)),
        ("augmentation", f"{R3GAN}, CIFAR10", config_has(final_augment_p=0.55)),
        ("classes", "README.md: --cond=1", config_has(conditional=True)),
    ],
    ("r3gan", "ffhq64"): [
        ("batch", "README.md", run_has(batch=256, size=(64,), flip=True)),
        ("gamma", f"{R3GAN}, FFHQ-64", config_has(gamma=2.0, final_gamma=0.2, final_augment_p=0.3)),
    ],
    ("r3gan", "imagenet32"): [
        ("batch", "README.md", run_has(batch=4096, size=(32,), flip=True)),
        ("gamma", f"{R3GAN}, ImageNet-32", config_has(gamma=0.5, final_gamma=0.05, final_augment_p=0.5)),
        ("averages", f"{R3GAN}, ImageNet-32", config_has(final_half_life=5e7, decay=200_000_000)),
        ("networks", f"{R3GAN}, ImageNet-32", config_has(width=1536, group=32, conditional=True)),
    ],
    ("r3gan", "imagenet64"): [
        ("batch", "README.md", run_has(batch=4096, size=(64,), flip=True)),
        ("gamma", f"{R3GAN}, ImageNet-64", config_has(gamma=1.0, final_gamma=0.1, final_augment_p=0.4)),
    ],
    ("stylegan2", "paper"): [
        ("batch", f"{STYLEGAN2}, stylegan2", run_has(batch=32, size=(1024,), augment="none", ema_rampup=None)),
        ("length", "section 5: 25 million images", run_has(steps=25_000_000 // 32)),
        ("rates", f"{STYLEGAN2}, lazy ratios 4/5 and 16/17", rate_is({0: [0.002 * 4 / 5, 0.002 * 16 / 17]})),
        ("mapping", STYLEGAN2, config_has(latent=512, style=512, mapping_layers=8, capacity=32_768, most=512)),
        ("R1 and path length", STYLEGAN2, config_has(gamma=10.0, r1_every=16, path_weight=2.0, path_every=4)),
        ("mixing and batch deviation", STYLEGAN2, config_has(mixing=0.9, group=4, half_life=10_000.0)),
        ("forms", "figure 7", config_has(generator_form="skip", discriminator_form="resnet")),
    ],
    ("stylegan2", "paper256"): [
        ("batch", f"{STYLEGAN2}, paper256", run_has(batch=64, size=(256,), augment="ada", steps=25_000_000 // 64)),
        ("rates", STYLEGAN2, rate_is({0: [0.0025 * 4 / 5, 0.0025 * 16 / 17]})),
        ("column", STYLEGAN2, config_has(group=8, capacity=16_384, gamma=1.0, half_life=20_000.0, mapping_layers=8)),
    ],
    ("stylegan2", "paper512"): [
        ("batch", f"{STYLEGAN2}, paper512", run_has(batch=64, size=(512,), augment="ada", steps=25_000_000 // 64)),
        ("rates", STYLEGAN2, rate_is({0: [0.0025 * 4 / 5, 0.0025 * 16 / 17]})),
        ("column", STYLEGAN2, config_has(group=8, capacity=32_768, gamma=0.5, half_life=20_000.0, mapping_layers=8)),
    ],
    ("stylegan2", "paper1024"): [
        ("batch", f"{STYLEGAN2}, paper1024", run_has(batch=32, size=(1024,), augment="ada", steps=25_000_000 // 32)),
        ("rates", STYLEGAN2, rate_is({0: [0.002 * 4 / 5, 0.002 * 16 / 17]})),
        ("column", STYLEGAN2, config_has(group=4, capacity=32_768, gamma=2.0, half_life=10_000.0, mapping_layers=8)),
    ],
    ("stylegan2", "cifar"): [
        ("batch", f"{STYLEGAN2}, cifar", run_has(batch=64, size=(32,), augment="ada", ema_rampup=0.05)),
        ("length", STYLEGAN2, run_has(steps=100_000_000 // 64)),
        ("rates", STYLEGAN2, rate_is({0: [0.0025 * 4 / 5, 0.0025 * 16 / 17]})),
        ("column", STYLEGAN2, config_has(group=32, capacity=32_768, gamma=0.01, half_life=500_000.0, mapping_layers=2)),
        ("what is left out", STYLEGAN2, config_has(path_weight=0.0, mixing=0.0, discriminator_form="orig")),
    ],
}
