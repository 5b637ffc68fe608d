"""Networks as notebooks show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from pellucid.errors import PellucidError

if TYPE_CHECKING:
    from pellucid.nn.module import Module


class InNotebooks:
    """What a notebook draws of a network."""

    def _repr_html_(self) -> str | None:
        """The table of its layers, where the sizes of its input are known; else its words are shown."""
        try:
            shown: Any = cast("Module", self).summary()
        except PellucidError:
            return None
        return shown._repr_html_()
