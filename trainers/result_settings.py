"""Settings that name the model that comes out, and say its licence."""

from dataclasses import dataclass, field

from sensia.corpora.licences import find_licence


@dataclass(kw_only=True)
class ResultSettings:
    """Name and licence of the result; see each field's help."""

    model_name: str | None = field(default=None, metadata={"help": "Name of the result."})
    model_license: str | None = field(
        default=None,
        metadata={
            "help": "Licence of the result: one that the Hub knows, in any usual spelling (apache-2.0, CC BY-SA 4.0, "
            "GPLv3), or other, with a name or link."
        },
    )
    model_license_name: str | None = field(default=None, metadata={"help": "Name of the licence, where it is other."})
    model_license_link: str | None = field(
        default=None, metadata={"help": "Where the licence stands, where it is other: an address."}
    )

    def check_licence(self):
        """
        Spells the licence as the Hub does.

        Raises:
            ValueError: if it is unknown, or a name or link goes with another licence than `other`.
        """
        if self.model_license is not None:
            self.model_license = find_licence(self.model_license, "model_license")
        given = [name for name in ("model_license_name", "model_license_link") if getattr(self, name)]
        if self.model_license == "other" and not given:
            raise ValueError(
                "`model_license` other says nothing by itself: give `model_license_name` or `model_license_link` too."
            )
        if given and self.model_license != "other":
            raise ValueError(f"`{given[0]}` is for `model_license` other, got {self.model_license}: leave one out.")
