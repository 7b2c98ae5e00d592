"""Every published space in a size that builds and runs in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nas_tune.search_spaces import (
    DARTS,
    ENAS,
    NASRL,
    PNAS,
    SPOS,
    AmoebaNet,
    AttentiveNAS,
    EvoNet,
    FairNAS,
    MobileNet,
    NASBench201,
    NASBenchMacro,
    NASNet,
    PublishedSpace,
    ResNet,
    ResNeXtA,
    ResNeXtB,
    Vanilla,
)
from nas_tune.search_spaces.attentive_stage import Stage

CLASSES = 4

STAGES = (
    Stage("mb1", (8, 16), (1, 2), expansions=(1,)),
    Stage("mb2", (16, 24), (1, 2, 3), (3, 5, 7), (2, 3), stride=2),
    Stage("mb3", (24, 32), (2, 3), (3, 5), (2, 4), stride=2, squeeze_excitation=True),
)

SMALL: Mapping[str, Callable[[], PublishedSpace]] = {
    "nas-bench-201": lambda: NASBench201(channels=4, cells_per_stage=1, num_classes=CLASSES),
    "darts": lambda: DARTS(channels=4, cells=3, num_classes=CLASSES),
    "nasnet": lambda: NASNet(channels=4, cells=3, nodes=3, num_classes=CLASSES),
    "amoebanet": lambda: AmoebaNet(channels=4, cells=3, nodes=3, num_classes=CLASSES),
    "pnas": lambda: PNAS(channels=4, cells=3, nodes=3, num_classes=CLASSES),
    "enas": lambda: ENAS(channels=4, cells=3, nodes=4, num_classes=CLASSES),
    "nas-rl": lambda: NASRL(layers=5, kernels=(1, 3), filters=(4, 6), strides=(1, 2), num_classes=CLASSES),
    "mobile-net": lambda: MobileNet(width_multiplier=0.1, stages=(2, 2, 2), stem="cifar", num_classes=CLASSES),
    "fair-nas": lambda: FairNAS(width_multiplier=0.1, stages=(2, 2, 2), stem="cifar", num_classes=CLASSES),
    "spos": lambda: SPOS(width_multiplier=0.1, stages=(2, 2, 2), stem="cifar", num_classes=CLASSES),
    "attentive-nas": lambda: AttentiveNAS(
        stages=STAGES, resolutions=(8, 16), first=(4, 8), last=(16, 24), num_classes=CLASSES
    ),
    "nas-bench-macro": lambda: NASBenchMacro(channels=4, last_channels=16, num_classes=CLASSES),
    "vanilla": lambda: Vanilla(depths=(1, 2, 4), widths=(4, 8, 12), stem_width=4, num_classes=CLASSES),
    "resnet": lambda: ResNet(depths=(1, 2, 4), widths=(4, 8, 12), stem_width=4, num_classes=CLASSES),
    "resnext-a": lambda: ResNeXtA(depths=(1, 2), widths=(8, 16), stem_width=4, num_classes=CLASSES),
    "resnext-b": lambda: ResNeXtB(depths=(1, 2), widths=(16, 32), stem_width=4, num_classes=CLASSES),
    "evo-net": lambda: EvoNet(max_actions=8, max_layers=5, channels=8, max_channels=32, num_classes=CLASSES),
}
