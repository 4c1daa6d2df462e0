"""A game names its Config and its batches in brackets; what does not is told how."""

import pytest

from ganforge.batches import Images, Labelled
from ganforge.errors import ContractError
from ganforge.game import Game
from tests.support.toys import Config, Toy


class Mixin:
    """Something in front of Game."""


def test_a_game_without_brackets_is_told_how_to_write_them():
    with pytest.raises(ContractError, match=r"Bare does not name .*`class Bare\(Game\[Config, Images\]\)`"):

        class Bare(Game):  # pyright: ignore
            pass


def test_a_mixin_in_front_is_told_its_place():
    with pytest.raises(ContractError, match=r"`class Mixed\(Game\[Config, Images\], Mixin\)`, with Game .* first"):

        class Mixed(Mixin, Game[Config, Images]):  # pyright: ignore
            pass


def test_a_mixin_without_brackets_is_told_both():
    with pytest.raises(ContractError, match=r"`class Mixed\(Game\[Config, Images\], Mixin\)`"):

        class Mixed(Mixin, Game):  # pyright: ignore
            pass


def test_config_and_batches_in_the_wrong_order_are_named():
    with pytest.raises(ContractError, match=r"Swapped names Config as its type of batches"):

        class Swapped(Game[Images, Config]):  # pyright: ignore
            pass


def test_a_mixin_behind_and_a_subclass_of_a_game_are_as_before():
    class Behind(Game[Config, Labelled], Mixin):  # pyright: ignore
        pass

    class Heir(Toy):
        pass

    assert (Behind.Config, Behind.batch_type) == (Config, Labelled)
    assert (Heir.Config, Heir.batch_type) == (Config, Images)
