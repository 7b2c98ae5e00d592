"""Policies over the architectures of a space, and how they learn from rewards; pure functions of their weights."""

from nas_tune.samplers.controllers.agent import Agent
from nas_tune.samplers.controllers.learning import Learning, default, published

__all__ = ["Agent", "Learning", "default", "published"]
