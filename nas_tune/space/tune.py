"""Parameters as Ray Tune domains; Ray is imported only when one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas_tune.space.parameters import Float, Integer, Parameter

if TYPE_CHECKING:
    from ray.tune.search.sample import Domain


def domain(parameter: Parameter) -> Domain:
    """Return the Ray Tune domain with the values of `parameter`."""
    from ray import tune

    found: Domain = tune.choice(list(parameter.values))
    if isinstance(parameter, Integer) and parameter.step == 1:
        bounds = int(parameter.low), int(parameter.high) + 1
        found = tune.lograndint(*bounds) if parameter.log else tune.randint(*bounds)
    elif isinstance(parameter, Float) and parameter.step is None:
        found = (tune.loguniform if parameter.log else tune.uniform)(parameter.low, parameter.high)
    return found
