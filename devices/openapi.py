"""How the API document describes refused requests."""

from __future__ import annotations

from drf_standardized_errors.openapi import AutoSchema
from drf_standardized_errors.openapi_serializers import ValidationErrorResponseSerializer


class Schema(AutoSchema):
    """One schema for every 400: any parameter may be refused, also one that nobody knows."""

    def _get_serializer_for_validation_error_response(
        self,
    ) -> type[ValidationErrorResponseSerializer]:
        return ValidationErrorResponseSerializer
