"""The perceptual study of pix2pix (section 4.1): do people take the generated pictures for real ones?

    make(fakes, against=reals, out="facades.study")     the pictures, the plan of trials, no answer yet
    serve("facades.study")                              the web page, until it is stopped
    study_results("facades.study")                      the fooling rate with its interval

A study is one SQLite file: settings, pictures, participants, trials and answers.
"""

from ganforge.human_study.pictures import make as make
from ganforge.human_study.results import Results as Results
from ganforge.human_study.results import study_results as study_results
from ganforge.human_study.server import serve as serve
from ganforge.human_study.store import Settings as Settings
from ganforge.human_study.store import Study as Study
