"""The closed set of things one can draw: what the command line, notebooks, reports and pages show are these."""

from __future__ import annotations

from pellucid.pictures.answer import Answer, Drawn
from pellucid.pictures.arranging import arranged
from pellucid.pictures.chart import Chart, Series
from pellucid.pictures.diagram import Diagram, DiagramBox, DiagramEdge
from pellucid.pictures.folding import folded
from pellucid.pictures.heat_map import HeatMap
from pellucid.pictures.maps import Maps, map_tiles
from pellucid.pictures.overlay import Box, Overlay
from pellucid.pictures.page import Grid, Page
from pellucid.pictures.picture import Picture, PictureError
from pellucid.pictures.reading import KINDS, from_dict, from_json
from pellucid.pictures.tiles import Tile, Tiles

__all__ = [
    "KINDS",
    "Answer",
    "Box",
    "Chart",
    "Diagram",
    "DiagramBox",
    "DiagramEdge",
    "Drawn",
    "Grid",
    "HeatMap",
    "Maps",
    "Overlay",
    "Page",
    "Picture",
    "PictureError",
    "Series",
    "Tile",
    "Tiles",
    "arranged",
    "folded",
    "from_dict",
    "from_json",
    "map_tiles",
]
