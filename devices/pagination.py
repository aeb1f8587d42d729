"""Pages of API lists."""

from __future__ import annotations

from rest_framework.pagination import PageNumberPagination


class Pages(PageNumberPagination):
    """Numbered pages; the caller may choose their size up to 500."""

    page_size_query_param = "page_size"
    max_page_size = 500
