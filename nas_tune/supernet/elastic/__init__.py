"""Elastic layers: widths, kernels, strides and groups that follow the selection. Plain sizes give plain modules."""

from nas_tune.supernet.elastic.joins import Concat, PaddedConcat, Resize, Sum
from nas_tune.supernet.elastic.layers import (
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticLinear,
    batch_norm2d,
    conv2d,
    linear,
)
from nas_tune.supernet.elastic.module import ElasticModule

__all__ = [
    "Concat",
    "ElasticBatchNorm2d",
    "ElasticConv2d",
    "ElasticLinear",
    "ElasticModule",
    "PaddedConcat",
    "Resize",
    "Sum",
    "batch_norm2d",
    "conv2d",
    "linear",
]
