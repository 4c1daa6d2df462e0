"""The perceptual study: storage, results, creation."""

import sqlite3
import threading
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

import ganforge
from ganforge.errors import DataError, GANForgeError, OptionError, RunError
from ganforge.human_study.pictures import make
from ganforge.human_study.results import bootstrap, write_csv
from ganforge.human_study.results import study_results as results
from ganforge.human_study.store import Settings, StaleStateError, Study
from tests.support.studies import SHORT, answer_all, five, folder, level, png


@pytest.fixture
def study(tmp_path) -> Study:
    return five(tmp_path / "a.study")


# -- the store ------------------------------------------------------------------------------------


def test_a_session_is_practice_with_feedback_and_then_scored_trials_without(study):
    one = study.join("ko")
    feedback = []
    for trial in range(5):
        state = study.state(one)
        assert (state.trial, state.seen) == (trial, False)
        assert (state.phase, state.number, state.of) == (
            ("practice", trial + 1, 2) if trial < 2 else ("scored", trial - 1, 3)
        )
        assert {level(study.picture(state.left)) < 100, level(study.picture(state.right)) < 100} == {True, False}
        study.show(one, trial)
        feedback.append(study.answer(one, trial, "left"))
    assert all(side in ("left", "right") for side in feedback[:2])
    assert feedback[2:] == [None] * 3
    assert study.state(one).phase == "done"


def test_no_image_is_shown_twice_in_a_session_and_sides_are_random(study):
    for _ in range(8):
        answer_all(study, study.join(), [False] * 5)
    trials = study.trials()
    for one in {trial.participant for trial in trials}:
        own = [trial for trial in trials if trial.participant == one]
        assert len({trial.fake for trial in own}) == len({trial.real for trial in own}) == 5
    assert {trial.fake_side for trial in trials} == {"left", "right"}  # fails with probability 2 ** -39


def test_same_input_pairs_fake_k_with_real_k(study, tmp_path):
    fakes = [(f"{k}", png(k)) for k in range(6)]
    reals = [(f"{k}", png(200 + k)) for k in range(6)]
    paired = Study.create(tmp_path / "b.study", Settings(2, 3, same_input=True), fakes, reals)
    answer_all(paired, paired.join(), [False] * 5)
    assert all(trial.fake == trial.real for trial in paired.trials())
    with pytest.raises(OptionError, match="6 fakes do not match 5"):
        Study.create(tmp_path / "c.study", Settings(2, 3, same_input=True), fakes, reals[:5])


def test_images_are_served_only_before_they_are_shown(study):
    one = study.join()
    with sqlite3.connect(study.path) as base:
        later = base.execute("SELECT left_token FROM trials WHERE number = 1").fetchone()[0]
    base.close()
    state = study.state(one)
    assert study.picture(state.left)
    assert study.picture(later) is None, "a later trial's image is not served before its turn"
    study.show(one, 0)
    assert study.picture(state.left) is None
    again = study.state(one)
    assert (again.trial, again.seen, again.left, again.right) == (0, True, "", "")
    with pytest.raises(StaleStateError):
        study.show(one, 0)


def test_image_tokens_differ_between_participants(study):
    tokens = [token for _ in range(4) for s in [study.state(study.join())] for token in (s.left, s.right)]
    assert len(set(tokens)) == 8


def test_answers_are_final_and_in_order(study):
    one = study.join()
    with pytest.raises(StaleStateError):
        study.answer(one, 0, "left")  # not shown yet
    study.show(one, 0)
    first = study.answer(one, 0, "left")
    assert study.answer(one, 0, "right") == first  # sent again: acknowledged but ignored
    assert [trial.called_fake for trial in study.trials()] == ["left"]
    for trial in (2, -1, 99):
        with pytest.raises(StaleStateError):
            study.answer(one, trial, "left")
    with pytest.raises(StaleStateError):
        study.state("nobody")


def test_a_study_can_be_reopened(study):
    one = study.join()
    answer_all(study, one, [True, False, True])
    again = Study(study.path)
    assert again.settings == SHORT
    assert again.token == study.token
    assert (again.state(one).phase, again.state(one).number) == ("scored", 2)


def test_concurrent_answers(study):
    ids = [study.join() for _ in range(6)]
    threads = [threading.Thread(target=answer_all, args=(Study(study.path), one, [True] * 5)) for one in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(study.trials()) == 30


def test_other_files_are_refused(tmp_path, study):
    with pytest.raises(RunError, match="There is no study"):
        Study(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(RunError, match="is not a study"):
        Study(tmp_path / "text")
    with sqlite3.connect(tmp_path / "other") as base:
        base.execute("CREATE TABLE facts (a INTEGER)")
    base.close()
    with pytest.raises(RunError, match="is not a study"):
        Study(tmp_path / "other")
    with pytest.raises(RunError, match="exists already"):
        Study.create(study.path, SHORT, [("", png(0))] * 5, [("", png(0))] * 5)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (Settings(trials=0), "at least one scored trial"),
        (Settings(seconds=0), "0 seconds"),
        (Settings(practice=3, trials=3), "there are 5 and 5"),
    ],
)
def test_invalid_settings_are_refused(tmp_path, settings, message):
    with pytest.raises(OptionError, match=message):
        Study.create(tmp_path / "x", settings, [("", png(0))] * 5, [("", png(0))] * 5)


# -- the results ----------------------------------------------------------------------------------


def test_the_fooling_rate_counts_scored_trials_of_those_who_finished(study):
    with pytest.raises(RunError, match="Nobody has finished"):
        results(study.path)
    answer_all(study, study.join(), [True, True, True, False, False])  # both practice answers wrong, 1 of 3 fooled
    answer_all(study, study.join(), [False, True, True, True, False], exposure=1100)  # 2 of 3 fooled
    answer_all(study, study.join(), [False, False, True])  # not finished: 1 of 1 fooled
    study.join()  # has not answered
    found = results(study.path)
    assert found.rate == pytest.approx(3 / 6)
    assert (found.participants, found.trials, found.left_out) == (2, 6, 2)
    assert found.practice_right == pytest.approx(1 / 4)
    assert (found.exposure_ms, found.exposure_worst_ms) == (1050, 1100)
    assert found.low == pytest.approx(1 / 3)
    assert found.high == pytest.approx(2 / 3)
    assert "50.0 %" in str(found)
    assert "2 unfinished, left out" in str(found)
    assert results(study.path, unfinished=True).rate == pytest.approx(4 / 7)


def test_one_participant_has_no_interval(study):
    answer_all(study, study.join(), [False] * 5)
    found = results(study.path)
    assert (found.rate, found.low, found.high) == (0, None, None)
    assert "two participants" in str(found)


def test_the_bootstrap_is_over_participants_not_trials():
    # Twenty people, each fooled always or never: the error is that of 20 answers, not of 800.
    _, low, high, error = bootstrap([40] * 10 + [0] * 10, [40] * 20, resamples=40_000)
    assert error == pytest.approx((0.25 / 20) ** 0.5, rel=0.02)
    assert low == pytest.approx(0.30, abs=0.051)  # the binomial's steps are 0.05
    assert high == pytest.approx(0.70, abs=0.051)
    assert bootstrap([4] * 5, [40] * 5) == (0.1, 0.1, 0.1, pytest.approx(0, abs=1e-12))
    assert bootstrap([1, 5], [40, 40], seed=3) == bootstrap([1, 5], [40, 40], seed=3)


def test_its_interval_has_the_nominal_coverage():
    chance, held = np.random.default_rng(0), 0
    for k in range(200):
        fooled = chance.binomial(40, chance.beta(6, 14, 40))  # 40 people with individual rates around 0.3
        _, low, high, _ = bootstrap([*fooled], [40] * 40, seed=k, resamples=1000)
        held += low <= 0.3 <= high
    assert 180 <= held <= 200


def test_every_trial_is_written_as_csv(study, tmp_path):
    answer_all(study, study.join(), [True, False])
    write_csv(study.path, tmp_path / "trials.csv")
    head, *rows = (tmp_path / "trials.csv").read_text().splitlines()
    assert head.startswith("participant,number,practice,fake,real,")
    assert [row.rpartition(",")[2] for row in rows] == ["True", "False"]


# -- the two sides --------------------------------------------------------------------------------


def test_folders_and_arrays_are_converted_to_one_size_and_depth(tmp_path):
    np.savez(tmp_path / "fakes.npz", images=np.zeros((7, 8, 8), np.uint8))
    reals = folder(tmp_path / "reals", 6, 16, 100)
    made = make(
        tmp_path / "fakes.npz", reals, tmp_path / "a.study", practice=1, trials=4, pictures=5, data_home=tmp_path
    )
    with sqlite3.connect(made.path) as base:
        rows = base.execute("SELECT fake, png FROM pictures").fetchall()
    base.close()
    assert [fake for fake, _ in rows] == [1] * 5 + [0] * 5
    for _, content in rows:
        with Image.open(BytesIO(content)) as image:
            assert (image.size, image.mode) == ((8, 8), "L")
    assert (made.settings.height, made.settings.width, made.settings.reals) == (8, 8, str(reals))


def test_a_run_samples_its_own_fakes(tmp_path):
    trained = ganforge.train("dcgan", preset="tiny", steps=0, outdir=tmp_path, tensorboard=False, doctor=False)
    with pytest.raises(OptionError, match="exists already"):
        make(trained.path, "shapes", trained.path)
    made = make(trained.path, "shapes", tmp_path / "s", practice=0, trials=3, pictures=3)
    state = made.state(made.join())
    assert {len(made.picture(token) or b"") > 60 for token in (state.left, state.right)} == {True}
    assert (made.settings.height, made.settings.width) == (16, 16)
    with pytest.raises(OptionError, match="leave --same-input out"):
        make(trained.path, "shapes", tmp_path / "t", practice=0, trials=3, pictures=3, same_input=True)


def test_a_translator_gets_the_sources_and_is_compared_with_the_targets(tmp_path):
    trained = ganforge.train("regression", preset="tiny", steps=0, outdir=tmp_path, tensorboard=False, doctor=False)
    made = make(trained.path, None, tmp_path / "s", practice=1, trials=2, pictures=3, same_input=True)
    answer = made.join()
    made.show(answer, 0)
    made.answer(answer, 0, "left")
    (trial,) = made.trials()
    assert trial.fake == trial.real
    assert (made.settings.same_input, made.settings.reals) == (True, "its own data")


def test_incompatible_sides_are_refused(tmp_path):
    fakes = folder(tmp_path / "fakes", 6, 8, 0)
    options: dict[str, Any] = {"practice": 0, "trials": 4, "data_home": tmp_path}
    with pytest.raises(OptionError, match="--pictures 3 are fewer"):
        make(fakes, fakes, tmp_path / "x", pictures=3, **options)
    with pytest.raises(OptionError, match="there are 6 and 3"):
        make(fakes, folder(tmp_path / "few", 3, 8, 9), tmp_path / "x", **options)
    with pytest.raises(OptionError, match="6 fakes do not match 3"):
        make(fakes, tmp_path / "few", tmp_path / "x", same_input=True, **options)
    with pytest.raises(DataError, match="There is no data"):
        make(fakes, "nowhere", tmp_path / "x", **options)
    assert not (tmp_path / "x").exists()


def test_errors_are_ganforge_errors():
    assert issubclass(StaleStateError, GANForgeError)
