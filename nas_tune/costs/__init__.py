"""What a network costs: parameters, multiply-adds, activation memory, latency; measured, or added up from tables."""

from nas_tune.costs.hardware import HardwareTable, devices, hardware_latency, hardware_table
from nas_tune.costs.latency import Latency, latency
from nas_tune.costs.latency_table import LatencyTable
from nas_tune.costs.machine import Machine
from nas_tune.costs.model import CostModel
from nas_tune.costs.operation import Operation
from nas_tune.costs.profiling import Cost, profile

__all__ = [
    "Cost",
    "CostModel",
    "HardwareTable",
    "Latency",
    "LatencyTable",
    "Machine",
    "Operation",
    "devices",
    "hardware_latency",
    "hardware_table",
    "latency",
    "profile",
]
