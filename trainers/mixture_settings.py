"""Settings of how several data sets are mixed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from sensia.trainers.setting_ranges import check_positive


@dataclass(kw_only=True)
class MixtureSettings:
    """Shares of several data sets; see each field's help."""

    data_weights: list[float] = field(
        default_factory=list,
        metadata={
            "help": "Share of each of several data sets, one positive number each. An epoch ends when all have been "
            "read to their end; the others are read again until then."
        },
    )
    data_temperature: float | None = field(
        default=None,
        metadata={
            "help": "Instead of weights: shares proportional to rows^(1/T). 1 keeps the proportions, more brings them "
            "together. Not for streams, whose rows are not known."
        },
    )

    def check_mixture(self, weights: Sequence[float | None], streaming: bool):
        """
        Args:
            weights (`Sequence`): the weight that each entry of `train_data` has by itself, if any.
            streaming (`bool`): whether the number of rows is unknown.

        Raises:
            ValueError: if shares are given twice, not for all data sets, or cannot be found.
        """
        if any(weights) and not all(weights):
            raise ValueError("`train_data`: give each entry a `weight`, or none of them.")
        if any(weights) and (self.data_weights or self.data_temperature is not None):
            raise ValueError("Give `weight` in `train_data`, `data_weights` or `data_temperature`, one of the three.")
        if self.data_weights and self.data_temperature is not None:
            raise ValueError("Give `data_weights` or `data_temperature`, not both.")
        if self.data_weights and (
            len(self.data_weights) != len(weights) or not all(0 < weight < inf for weight in self.data_weights)
        ):
            raise ValueError(
                f"`data_weights` must be one positive number for each of the {len(weights)} data sets of "
                f"`train_data`, got {self.data_weights}."
            )
        if self.data_temperature is None:
            return
        if streaming:
            raise ValueError(
                "`data_temperature` needs the number of rows, which a stream does not know: use `data_weights`."
            )
        check_positive(self, "data_temperature")
