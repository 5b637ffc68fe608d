"""Every run of the tests looks at the same examples, unless `--hypothesis-profile` says otherwise."""

from __future__ import annotations

from hypothesis import settings

import search  # noqa: F401  registers the profiles

settings.load_profile("ci")
