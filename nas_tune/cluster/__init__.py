"""Ray: a super-net that many processes share, and the trainings that a cluster runs at once."""

from nas_tune.cluster.session import ray_session
from nas_tune.cluster.shared_supernet import SharedSuperNet
from nas_tune.cluster.state import Progress, State

__all__ = ["Progress", "SharedSuperNet", "State", "ray_session"]
