"""The closed set of things one can draw: what the command line, notebooks, reports and pages show are these."""

from __future__ import annotations

from pellucid.pictures.answer import Answer
from pellucid.pictures.chart import Chart, Series
from pellucid.pictures.heat_map import HeatMap
from pellucid.pictures.overlay import Box, Overlay
from pellucid.pictures.page import Grid, Page
from pellucid.pictures.picture import Picture, PictureError
from pellucid.pictures.tiles import Tile, Tiles, map_tiles

__all__ = [
    "Answer",
    "Box",
    "Chart",
    "Grid",
    "HeatMap",
    "Overlay",
    "Page",
    "Picture",
    "PictureError",
    "Series",
    "Tile",
    "Tiles",
    "map_tiles",
]
