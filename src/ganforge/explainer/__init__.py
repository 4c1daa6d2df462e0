"""Lessons about models: the problem, the players, steps and losses, the networks, the paper's result, troubleshooting.

Players, terms, networks and numbers are traced from the running code, so they cannot become outdated.  Texts that code
cannot give are in models/words/NAME.yaml, beside the models, and a test checks them against what is traced.
"""

from ganforge.explainer.explain import Lesson as Lesson
from ganforge.explainer.explain import explain as explain
