"""Static files: hashed names, also inside ES modules."""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class ModuleManifestStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Rewrites `import './x.js'` too; Django's own storage leaves modules stale after an update."""

    support_js_module_import_aggregation = True
    manifest_strict = True
