"""The analytic costs of a space: its super-net is run once, on no data, and each piece priced by what decides it."""

from nas_tune.supernet.pricing.tracing import cost_model

__all__ = ["cost_model"]
