"""Choose the embedded data set of a model that is trained without --data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ganforge.data.synthetic import captions, places
from ganforge.data.synthetic.domains import DOMAINS

if TYPE_CHECKING:
    from ganforge.game import Game


def choose_embedded(game: "type[Game[Any, Any]]", needed: Sequence[str] = ()) -> str:
    """The name of the embedded data set that a model trains on without --data: its own, or the one of its columns.

    `needed` are the columns that its Config asks for, where it is known.
    """
    return game.embedded or choose_synthetic_data(needed or game.batch_type.columns())


def choose_synthetic_data(needed: Sequence[str]) -> str:
    """The name of the synthetic data set with these columns; `shapes` if no other set is needed for them."""
    if {*needed} <= {"images", "condition"}:
        return "shapes"
    sets = {**{name: tuple(columns) for name, columns in DOMAINS.items()}, **places.VARIANTS, **captions.VARIANTS}
    return next((name for name, columns in sets.items() if {*needed} <= {*columns}), "shapes")
