"""Small malformed and odd-but-valid inputs from a seed, and what must hold when the command meets them.

    python -m tests.fuzz KIND SEED      one case, with everything that was said
    python -m tests.fuzz KIND           many of one kind, and what fails
    python -m tests.fuzz                the kinds

Each kind is a function in one of the modules here: it writes files below a folder of its own and returns a Case, the
words of the command and what must hold.  `pool` carries cases out in children of one warm process, `oracle` judges.
"""
