"""The perceptual study of pix2pix (section 4.1): do people take generated images for real ones?

    make(fakes, against=reals, out="facades.study")     a study file with its images, no answers yet
    serve("facades.study")                              serve the web page until Ctrl-C
    study_results("facades.study")                      the fooling rate with its interval

A study is one SQLite file: settings, images, participants, trials and answers.
"""

from ganforge.human_study.pictures import make as make
from ganforge.human_study.results import Results as Results
from ganforge.human_study.results import study_results as study_results
from ganforge.human_study.server import serve as serve
from ganforge.human_study.store import Settings as Settings
from ganforge.human_study.store import Study as Study
