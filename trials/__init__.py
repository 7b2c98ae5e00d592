"""What one trial does: tasks, recipe, training, scoring; import as ``nas_tune.trials``."""

from nas_tune.device import resolve_device

from . import tasks
from .fit import check_fit
from .from_scratch import FinalResult, FromScratch
from .history import EpochResult, TrainingResult
from .joint import split as split_joint
from .pruning import report_to
from .recipe import Recipe
from .shared_weights import ScoresArchitectures, SharedWeights
from .task import Split, Task
from .training import evaluate, train

__all__ = [
    "EpochResult",
    "FinalResult",
    "FromScratch",
    "Recipe",
    "ScoresArchitectures",
    "SharedWeights",
    "Split",
    "Task",
    "TrainingResult",
    "check_fit",
    "evaluate",
    "report_to",
    "resolve_device",
    "split_joint",
    "tasks",
    "train",
]
