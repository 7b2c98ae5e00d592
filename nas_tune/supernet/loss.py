"""The loss of a classifier, with that of its auxiliary head where it has one."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy


def classification_loss(
    output: Tensor | tuple[Tensor, Tensor], labels: Tensor, label_smoothing: float, auxiliary_weight: float
) -> Tensor:
    """Return the mean cross-entropy; of a pair, that of the first plus the weighted one of the second.

    Args:
        output: Logits `(N, classes)`, or a pair of them, the second of an auxiliary head.
        labels: Classes `(N,)`.
        label_smoothing: Share of the target spread over all classes.
        auxiliary_weight: Weight of the auxiliary head's loss; 0.4 in Szegedy et al. and DARTS, arXiv:1806.09055.
    """
    if isinstance(output, tuple):
        logits, auxiliary = output
        main = classification_loss(logits, labels, label_smoothing, auxiliary_weight)
        return main + auxiliary_weight * classification_loss(auxiliary, labels, label_smoothing, auxiliary_weight)
    return cross_entropy(output.float(), labels, label_smoothing=label_smoothing)
