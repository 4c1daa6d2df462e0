"""The perceptual study of pix2pix (section 4.1): do people take the generated pictures for real ones?

    make(fakes, against=reals, out="facades.study")     the pictures, the plan of trials, no answer yet
    serve("facades.study")                              the web page, until it is stopped
    study_results("facades.study")                      the fooling rate with its interval

A study is one SQLite file: settings, pictures, participants, trials and answers.
"""

from ganforge.perception.pictures import make as make
from ganforge.perception.results import Results as Results
from ganforge.perception.results import study_results as study_results
from ganforge.perception.server import serve as serve
from ganforge.perception.store import Settings as Settings
from ganforge.perception.store import Study as Study
