"""What every published space has beside its parameters and network: reference, notation, known architectures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from nas_tune.errors import SpaceError, unknown_name
from nas_tune.space import Architecture, ModelSpace, Value
from nas_tune.space.node import whole


class PublishedSpace(ModelSpace):
    """A model space from the literature.

    Attributes:
        reference: Where it is from, such as ``"arXiv:1806.09055"``.
        image_size: Height and width of the images that the publication uses.
        architectures: Published architectures by name, each in the notation that `from_string` reads.
        num_classes: Classes of the task.
        in_channels: Channels of the images.
    """

    reference: ClassVar[str]
    image_size: ClassVar[int] = 32
    architectures: ClassVar[Mapping[str, str]] = {}
    num_classes: int
    in_channels: int

    def named(self, name: str) -> Architecture:
        """Return a published architecture.

        Raises:
            UnknownNameError: None of `architectures` has this name.
        """
        if name not in self.architectures:
            raise unknown_name(f"architecture of {type(self).__name__}", name, self.architectures)
        return self.from_string(self.architectures[name])

    @abstractmethod
    def to_string(self, architecture: Mapping[str, Value]) -> str:
        """Return the architecture in the published notation, or the nearest to one."""

    @abstractmethod
    def from_string(self, text: str) -> Architecture:
        """Read what `to_string` writes.

        Raises:
            ArchitectureError: The text has another form, or names something unknown.
        """


def size_of(owner: str, argument: str, value: int) -> int:
    """Return a size of a network as an `int`.

    Raises:
        SpaceError: It is no whole number of at least 1; the message names `owner` and `argument`.
    """
    size = whole(owner, argument, value)
    if size < 1:
        raise SpaceError(f"{owner}: `{argument}` is {value}; it is at least 1.")
    return size
