"""The language of search spaces: architectures as hyperparameters. Pure Python, no torch."""

from nas_tune.space.architecture import Architecture
from nas_tune.space.constraint import Condition
from nas_tune.space.measure import Measure
from nas_tune.space.model_space import Chooser, ModelSpace
from nas_tune.space.node import Node, Value
from nas_tune.space.nodes import Repeat, Subset, Switch
from nas_tune.space.parameters import Categorical, Float, Integer, Parameter
from nas_tune.space.search_space import SearchSpace
from nas_tune.space.signature import differences

__all__ = [
    "Architecture",
    "Categorical",
    "Chooser",
    "Condition",
    "Float",
    "Integer",
    "Measure",
    "ModelSpace",
    "Node",
    "Parameter",
    "Repeat",
    "SearchSpace",
    "Subset",
    "Switch",
    "Value",
    "differences",
]
