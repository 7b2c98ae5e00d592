"""Published search spaces, one file each; import them as ``nas_tune.search_spaces``."""

from collections.abc import Mapping

from .amoebanet import AmoebaNet
from .attentive_nas import AttentiveNAS
from .darts import DARTS
from .enas import ENAS
from .evo_net import EvoNet
from .fair_nas import FairNAS
from .mobile_net import MobileNet
from .nas_bench_201 import NASBench201
from .nas_bench_macro import NASBenchMacro
from .nas_rl import NASRL
from .nasnet import NASNet
from .pnas import PNAS
from .published import PublishedSpace
from .resnet import ResNet
from .resnext import ResNeXtA, ResNeXtB
from .sequence import Sequence
from .spos import SPOS
from .vanilla import Vanilla

SPACES: Mapping[str, type[PublishedSpace]] = {
    "nas-bench-201": NASBench201,
    "darts": DARTS,
    "nasnet": NASNet,
    "amoebanet": AmoebaNet,
    "pnas": PNAS,
    "enas": ENAS,
    "nas-rl": NASRL,
    "mobile-net": MobileNet,
    "fair-nas": FairNAS,
    "spos": SPOS,
    "attentive-nas": AttentiveNAS,
    "nas-bench-macro": NASBenchMacro,
    "vanilla": Vanilla,
    "resnet": ResNet,
    "resnext-a": ResNeXtA,
    "resnext-b": ResNeXtB,
    "evo-net": EvoNet,
}
"""Every published space of networks by the name that the command line takes."""

__all__ = [
    "DARTS",
    "ENAS",
    "NASRL",
    "PNAS",
    "SPACES",
    "SPOS",
    "AmoebaNet",
    "AttentiveNAS",
    "EvoNet",
    "FairNAS",
    "MobileNet",
    "NASBench201",
    "NASBenchMacro",
    "NASNet",
    "PublishedSpace",
    "ResNeXtA",
    "ResNeXtB",
    "ResNet",
    "Sequence",
    "Vanilla",
]
