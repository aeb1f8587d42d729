"""Exported readings brought back in, through the API: checked only, or imported by a job."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from devices.models import Device
from devices.readings.api.base import ReadingsView
from devices.readings.imports import uploads, working
from devices.readings.imports.choices import Choices, NoChoice, columns_of
from devices.readings.imports.files import LARGEST, too_large
from devices.readings.imports.state import described
from devices.readings.imports.text import ENCODINGS, UnreadableFile
from devices.readings.models import ReadingImport


class ImportRequestSerializer(serializers.Serializer[Any]):
    """The parts of an upload."""

    file = serializers.FileField(help_text="CSV, XLSX, JSON lines or Parquet, as exported.")
    # No BooleanField: one that is left out would be false, and the file imported.
    dry_run = serializers.ChoiceField(
        choices=["true", "false"], help_text="true: store nothing, say what an import would do."
    )
    replace = serializers.BooleanField(
        default=False, help_text="Overwrite readings that are stored with another value."
    )
    encoding = serializers.ChoiceField(
        choices=ENCODINGS, default="", help_text="Of a CSV; left out: as the file says, else UTF-8."
    )
    column = serializers.ListField(
        child=serializers.CharField(),
        default=list,
        help_text="What a column is: TITLE=metric_name; TITLE= leaves it out. May be repeated.",
    )

    def validate_file(self, file: Any) -> Any:
        """Refuse what is larger than any import."""
        if (file.size or 0) > LARGEST:
            raise serializers.ValidationError(too_large())
        return file

    def validate_column(self, said: list[str]) -> dict[str, str]:
        """Metric by title."""
        try:
            return columns_of(said)
        except NoChoice as error:
            raise serializers.ValidationError(str(error)) from error

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        """Refuse what nobody knows."""
        unknown = sorted(set(self.initial_data) - set(self.fields) - {"csrfmiddlewaretoken"})
        if unknown:
            known = ", ".join(self.fields)
            text = f"There is no such part here. Known: {known}."
            raise serializers.ValidationError(dict.fromkeys(unknown, text))
        return given


class ImportJobSerializer(serializers.Serializer[Any]):
    """The long work behind an import."""

    id = serializers.IntegerField()
    state = serializers.CharField(help_text="waiting, running, done, failed or cancelled")
    percent = serializers.IntegerField(allow_null=True)
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)
    unit = serializers.CharField(help_text="What is counted: bytes or rows.")
    message = serializers.CharField()
    report = serializers.DictField(help_text="What was done so far, in words and numbers.")


class ImportCheckSerializer(serializers.Serializer[Any]):
    """What a dry run found."""

    report = serializers.DictField(help_text="What an import would do, in words and numbers.")
    columns = serializers.ListField(child=serializers.DictField())
    to_know = serializers.ListField(child=serializers.CharField())
    differences = serializers.ListField(child=serializers.CharField())
    preview = serializers.ListField(child=serializers.DictField())


class ImportSerializer(serializers.Serializer[Any]):
    """An import: checked, or carried out."""

    id = serializers.IntegerField()
    device = serializers.UUIDField()
    file_name = serializers.CharField()
    state = serializers.CharField(
        help_text="checking, checked, waiting, running, done, failed or cancelled"
    )
    check = ImportCheckSerializer(allow_null=True)
    job = ImportJobSerializer(allow_null=True)


class DeviceImportView(ReadingsView):
    """A file of readings for a device."""

    queryset = Device.objects.all()
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="device_import_create",
        request=ImportRequestSerializer,
        responses={200: ImportSerializer, 202: ImportSerializer},
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        """Check the file (dry_run) or import it. 202: a job goes on; ask for it under its id."""
        device = self._device(request, uuid)
        parts = ImportRequestSerializer(data=request.data)
        parts.is_valid(raise_exception=True)
        given = parts.validated_data
        choices = Choices(given["column"], given["replace"], given["encoding"])
        imported = self._take(request, device, given, choices)
        done = imported.job is None and bool(imported.findings)
        return Response(described(imported, timezone.now()), status=200 if done else 202)

    def _device(self, request: Request, uuid: UUID) -> Device:
        """A device that the caller operates; others' do not exist. Raises PermissionDenied."""
        seen = Device.objects.visible_to(request.user).select_related("community")
        device = get_object_or_404(seen, uuid=uuid)
        if not Device.objects.operable_by(request.user).filter(pk=device.pk).exists():
            raise PermissionDenied("Only those who operate the device's community may import.")
        return device

    def _take(
        self, request: Request, device: Device, given: dict[str, Any], choices: Choices
    ) -> ReadingImport:
        file, now = given["file"], timezone.now()
        try:
            imported = uploads.keep(device, file.name, file.chunks(), request.user, now)
            try:
                if given["dry_run"] == "true":
                    uploads.check(imported, choices, request.user, now)
                else:
                    working.start_import(imported, choices, request.user)
            except UnreadableFile:
                imported.delete()
                raise
        except UnreadableFile as error:
            raise ValidationError({"file": str(error)}) from error
        return imported


class ImportView(ReadingsView):
    """An import of the caller's communities."""

    queryset = ReadingImport.objects.all()
    serializer_class = ImportSerializer

    def get_queryset(self) -> QuerySet[ReadingImport]:
        """Those that the caller may see."""
        rows = ReadingImport.objects.visible_to(self.request.user)
        return rows.select_related("device", "job", "check_job")

    @extend_schema(operation_id="reading_import_retrieve")
    def get(self, request: Request, pk: int) -> Response:
        """How far it is, and what came of it."""
        return Response(described(self.get_object(), timezone.now()))
