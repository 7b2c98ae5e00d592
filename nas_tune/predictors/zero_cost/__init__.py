"""Zero-cost proxies: how good a network will be, guessed from one batch at its initial weights."""

from nas_tune.predictors.zero_cost.candidate_filter import CandidateFilter, ScoreFilter
from nas_tune.predictors.zero_cost.fisher import fisher
from nas_tune.predictors.zero_cost.grad_norm import grad_norm
from nas_tune.predictors.zero_cost.grasp import grasp
from nas_tune.predictors.zero_cost.jacob_cov import jacob_cov
from nas_tune.predictors.zero_cost.naswot import naswot
from nas_tune.predictors.zero_cost.proxies import PROXIES, Proxy
from nas_tune.predictors.zero_cost.size import macs, params
from nas_tune.predictors.zero_cost.snip import snip
from nas_tune.predictors.zero_cost.synflow import synflow
from nas_tune.predictors.zero_cost.vote import RankVote
from nas_tune.predictors.zero_cost.zero_cost import ZeroCost
from nas_tune.predictors.zero_cost.zero_cost_encoding import ZeroCostEncoding

__all__ = [
    "PROXIES",
    "CandidateFilter",
    "Proxy",
    "RankVote",
    "ScoreFilter",
    "ZeroCost",
    "ZeroCostEncoding",
    "fisher",
    "grad_norm",
    "grasp",
    "jacob_cov",
    "macs",
    "naswot",
    "params",
    "snip",
    "synflow",
]
