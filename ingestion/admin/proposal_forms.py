"""The table of proposed mappings that a person corrects and confirms."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError

from devices.admin import skin
from devices.models import DataType, DecimalMark, Metric
from ingestion.verify import KnownMetric, Preview, Proposal, Unusable, data_type_of, preview

PREFIX = "proposal"
_TEXT = 255
_SAMPLES = 10
_SHOWN = 5
_BOXES = (
    "name", "label", "unit", "data_type", "decimal_mark", "scale", "offset", "minimum", "maximum",
)  # fmt: skip


class SamplesField(forms.CharField):
    """The last values as received, carried along as JSON so that nothing is asked twice."""

    widget = forms.HiddenInput

    def clean(self, value: Any) -> tuple[str, ...]:
        """A short tuple of short texts."""
        try:
            texts = json.loads(value or "[]")
        except ValueError as error:
            raise ValidationError("Press Verify again.") from error
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValidationError("Press Verify again.")
        return tuple(text[:_TEXT] for text in texts[:_SAMPLES])

    def prepare_value(self, value: Any) -> Any:
        """As JSON."""
        return value if isinstance(value, str) else json.dumps(list(value or ()))


class ProposalForm(forms.Form):
    """One field of the channel and the metric that it would feed."""

    field = forms.RegexField(r"^field[1-8]$", widget=forms.HiddenInput)
    remote_label = forms.CharField(required=False, max_length=_TEXT, widget=forms.HiddenInput)
    samples = SamplesField(required=False)
    mapped = forms.BooleanField(required=False, widget=forms.HiddenInput)
    use = forms.BooleanField(required=False, widget=skin.CheckboxInput())
    name = forms.CharField(
        label="metric",
        max_length=60,
        widget=skin.TextInput({"list": "known-metrics", "autocomplete": "off"}),
    )
    label = forms.CharField(label="label", max_length=60, widget=skin.TextInput())
    data_type = forms.ChoiceField(label="type", choices=DataType.choices, widget=skin.Select())
    unit = forms.CharField(required=False, max_length=20, widget=skin.TextInput())
    scale = forms.FloatField(label="scale ×", widget=skin.TextInput({"inputmode": "decimal"}))
    offset = forms.FloatField(label="offset +", widget=skin.TextInput({"inputmode": "decimal"}))
    decimal_mark = forms.ChoiceField(choices=DecimalMark.choices, widget=skin.Select())
    minimum = forms.FloatField(
        label="smallest valid", required=False, widget=skin.TextInput({"inputmode": "decimal"})
    )
    maximum = forms.FloatField(
        label="largest valid", required=False, widget=skin.TextInput({"inputmode": "decimal"})
    )

    def __init__(self, *args: Any, metrics: Mapping[str, KnownMetric], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._metrics = metrics

    @property
    def known(self) -> KnownMetric | None:
        """The metric of the entered name that the device has or its type proposes."""
        name = self["name"].value()
        return self._metrics.get(name.strip()) if isinstance(name, str) else None

    def clean(self) -> dict[str, Any]:
        """Refuse what could not be stored; a row that is not used may hold anything."""
        data: dict[str, Any] = super().clean() or {}
        if not data.get("use"):
            self._errors = self.errors.__class__()
            return data
        if self.errors:
            return data
        self._check_metric(data)
        try:
            preview(self.proposal(), self.known)
        except Unusable as error:
            self.add_error(None, str(error))
        return data

    def _check_metric(self, data: Mapping[str, Any]) -> None:
        """The metric's own validators speak here, before anything is stored."""
        metric = Metric(name=data["name"], label=data["label"], unit=data["unit"])
        try:
            metric.clean_fields(exclude=["device"])
        except ValidationError as error:
            self.add_error(None, ValidationError(error.messages))

    def proposal(self) -> Proposal:
        """What was entered. Only for valid forms."""
        data = self.cleaned_data
        names = ("field", "remote_label", "samples", "name", "label", "unit", "decimal_mark")
        numbers = ("scale", "offset", "minimum", "maximum", "use", "mapped")
        return Proposal(
            **{key: data[key] for key in (*names, *numbers)},
            data_type=data_type_of(data["data_type"]),
        )

    def preview(self) -> tuple[Preview | None, str]:
        """The preview for people, or why there is none."""
        if not self.is_bound:
            proposal = Proposal(**self.initial)
        elif self.is_valid() and "data_type" in self.cleaned_data and self._complete():
            proposal = self.proposal()
        else:
            return None, "; ".join(str(text) for texts in self.errors.values() for text in texts)
        try:
            return preview(proposal, self.known), ""
        except Unusable as error:
            return None, str(error)

    @property
    def shown_preview(self) -> dict[str, Any]:
        """The preview as the page and its script show it."""
        found, problem = self.preview()
        if found is None:
            return {"text": problem or "–", "note": "", "ok": False}
        return {"text": found.text, "note": found.note, "ok": not found.refused}

    @property
    def shown_samples(self) -> Sequence[str]:
        """The last few values as received."""
        value = self["samples"].value()
        if isinstance(value, str):
            try:
                value = SamplesField(required=False).clean(value)
            except ValidationError:
                return ()
        return tuple(text.strip() for text in value or ())[:_SHOWN]

    @property
    def boxes(self) -> list[forms.BoundField]:
        """The boxes that a person fills in, in their order."""
        return [self[name] for name in _BOXES]

    def _complete(self) -> bool:
        """Whether every box could be read, also in a row that is not used."""
        return all(name in self.cleaned_data for name in self.fields)


if TYPE_CHECKING:
    _FormSet = forms.BaseFormSet[ProposalForm]
else:
    _FormSet = forms.BaseFormSet


class BaseProposals(_FormSet):
    """All fields of a channel; no metric is fed twice."""

    def clean(self) -> None:
        """Refuse two fields that feed one metric."""
        names: set[str] = set()
        for form in self.forms:
            data = form.cleaned_data if form.is_valid() else {}
            if not data.get("use"):
                continue
            name = data["name"]
            if name in names:
                form.add_error("name", "Another field feeds this metric already.")
            names.add(name)

    def chosen(self) -> list[Proposal]:
        """The proposals that are to be stored. Only for a valid table."""
        return [form.proposal() for form in self.forms if form.cleaned_data.get("use")]


Proposals = forms.formset_factory(
    ProposalForm, formset=BaseProposals, extra=0, max_num=8, absolute_max=8
)


def table(
    metrics: Sequence[KnownMetric],
    *,
    proposals: Sequence[Proposal] | None = None,
    data: Any = None,
) -> BaseProposals:
    """The table: filled with proposals, or with what a person sent."""
    known = {metric.name: metric for metric in metrics}
    initial = None
    if proposals is not None:
        initial = [
            {name: _plain(getattr(one, name)) for name in Proposal.__slots__} for one in proposals
        ]
    formset = Proposals(data, initial=initial, prefix=PREFIX, form_kwargs={"metrics": known})
    assert isinstance(formset, BaseProposals)  # noqa: S101  # the factory's type is wider
    return formset


def _plain(value: Any) -> Any:
    """A whole number without its «.0», as people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def was_sent(data: Mapping[str, Any]) -> bool:
    """Whether a form that was sent holds the table."""
    return f"{PREFIX}-TOTAL_FORMS" in data
