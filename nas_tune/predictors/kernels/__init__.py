"""How alike two architectures are: maps from architectures to columns, whose distances a Gaussian process weighs."""

from nas_tune.predictors.kernels.counts import CountKernel
from nas_tune.predictors.kernels.distance import DistanceKernel
from nas_tune.predictors.kernels.hamming import HammingKernel
from nas_tune.predictors.kernels.kernel import Kernel
from nas_tune.predictors.kernels.product import ProductKernel, default_kernel
from nas_tune.predictors.kernels.weisfeiler_lehman import WeisfeilerLehmanKernel

__all__ = [
    "CountKernel",
    "DistanceKernel",
    "HammingKernel",
    "Kernel",
    "ProductKernel",
    "WeisfeilerLehmanKernel",
    "default_kernel",
]
