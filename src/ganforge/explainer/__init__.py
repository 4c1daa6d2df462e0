"""What a model teaches: its problem, its players, turns and losses, its networks, its result, its cures.

Everything that code can tell is found by playing rounds and following tensors, so it cannot drift; the words that code
cannot give lie beside the models, in models/words/NAME.yaml, and a test holds them to what is played.
"""

from ganforge.explainer.explain import Lesson as Lesson
from ganforge.explainer.explain import explain as explain
