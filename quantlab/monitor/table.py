"""The statistics by the name that a config calls them. A new one is a file and a line here."""

from collections.abc import Mapping

from quantlab.monitor.activation_distribution import ActivationDistributionConfig
from quantlab.monitor.batch_norm_factors import BatchNormFactorsConfig
from quantlab.monitor.clipping_share import ClippingShareConfig
from quantlab.monitor.gradient_distribution import GradientDistributionConfig
from quantlab.monitor.levels_used import LevelsUsedConfig
from quantlab.monitor.scale import ScaleConfig
from quantlab.monitor.sign_flips import SignFlipsConfig
from quantlab.monitor.sqnr import SqnrConfig
from quantlab.monitor.statistic import StatisticConfig
from quantlab.monitor.update_ratio import UpdateRatioConfig
from quantlab.monitor.weight_norm import WeightNormConfig

STATISTICS: Mapping[str, type[StatisticConfig]] = {
    "weight_norm": WeightNormConfig,
    "update_ratio": UpdateRatioConfig,
    "sign_flips": SignFlipsConfig,
    "activation_distribution": ActivationDistributionConfig,
    "gradient_distribution": GradientDistributionConfig,
    "batch_norm_factors": BatchNormFactorsConfig,
    "sqnr": SqnrConfig,
    "clipping_share": ClippingShareConfig,
    "levels_used": LevelsUsedConfig,
    "scale": ScaleConfig,
}
