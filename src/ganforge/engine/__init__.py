"""The training loop: one engine for every paper."""

from ganforge.engine.ema import averaged_tensors as averaged_tensors
from ganforge.engine.ema import averaged_twin as averaged_twin
from ganforge.engine.engine import BatchLoader as BatchLoader
from ganforge.engine.engine import Callback as Callback
from ganforge.engine.engine import Engine as Engine
from ganforge.engine.engine import check_same_moves as check_same_moves
from ganforge.engine.engine import schedule as schedule
from ganforge.engine.loss_means import LossMeans as LossMeans
from ganforge.engine.loss_means import Row as Row
from ganforge.engine.memory_layout import prefer_speed as prefer_speed
