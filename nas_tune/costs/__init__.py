"""What a network costs: parameters, multiply-adds, activation memory."""

from nas_tune.costs.profiling import Cost, profile

__all__ = ["Cost", "profile"]
