"""Path strategies: which architectures a training step of the super-net runs."""

from nas_tune.supernet.paths.path import LearningPaths, Path, Paths, Step
from nas_tune.supernet.paths.uniform import UniformPaths

__all__ = ["LearningPaths", "Path", "Paths", "Step", "UniformPaths"]
