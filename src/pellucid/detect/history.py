"""The lecture's chart of detection: six systems on PASCAL VOC 2010, with what their papers say of the numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pellucid.pictures import Answer, Chart, Grid, Page, Series


@dataclass(frozen=True)
class DetectionSystem:
    """A system: name, date and mean average precision (per cent) as the lecture has them, how it works, its paper, and a `remark` on the number."""

    name: str
    date: str
    precision: float
    words: str
    paper: str
    remark: str = ""
    published: float | None = None
    """What the paper says where it is another number, or None."""
    system: str = ""
    """What it is called where it is trained."""


SYSTEMS = (
    DetectionSystem(
        "DPM",
        "2010",
        33.4,
        "A filter for the whole object and eight for its parts, over histograms of gradients; the parts may move, at a price. "
        "No network: what is looked at was designed by hand.",
        "Felzenszwalb, Girshick, McAllester and Ramanan, PAMI 2010",
        "The number is that of the authors' release 5, of 2012.",
        system="dpm",
    ),
    DetectionSystem(
        "segDPM",
        "2014",
        40.4,
        "DPM that also sees segments: a region that was segmented as its class, lying well in the box, raises the score.",
        "Fidler, Mottaghi, Yuille and Urtasun, CVPR 2013",
        "The lecture says 2014; it was published in 2013.",
        system="segdpm",
    ),
    DetectionSystem(
        "R-CNN",
        "2014",
        53.7,
        "2,000 regions that may be objects are cut out and scaled to one size; a convolutional network turns each into 4,096 numbers, and a "
        "linear classifier for each class looks at these. Features are learned now.",
        "Girshick, Donahue, Darrell and Malik, CVPR 2014",
        "With boxes that are corrected by regression; without, 50.2.",
        system="rcnn",
    ),
    DetectionSystem(
        "R-CNN*",
        "October 2014",
        62.9,
        "The same with a deeper network of 16 layers instead of 8.",
        "Girshick, Donahue, Darrell and Malik, version of October 2014, with the network of Simonyan and Zisserman",
        system="rcnn-star",
    ),
    DetectionSystem(
        "segDeepM",
        "January 2015",
        67.2,
        "R-CNN* that also sees segments and context: a network looks at the region and around it, and segments vote for boxes.",
        "Zhu, Urtasun, Salakhutdinov and Fidler, CVPR 2015",
        "The slide calls it segRCNN.",
        system="segdeepm",
    ),
    DetectionSystem(
        "Fast R-CNN",
        "June 2015",
        70.8,
        "The network sees the picture once; each region is pooled from its last maps, and class and box come from one network, trained as a "
        "whole. It takes a fraction of R-CNN's time.",
        "Girshick, ICCV 2015",
        "70.8 is the lecture's number; the paper has 66.1, trained on VOC 2012, and 68.8, trained on VOC 2007 as well.",
        68.8,
        system="fast-rcnn",
    ),
)
"""In the order of the lecture's chart."""

ABOUT = (
    "Mean average precision, in per cent, over the 20 classes of PASCAL VOC 2010's test pictures, as the lecture's slides have it. The boxes of "
    "these pictures were never published, so nobody can measure these numbers again without the organizers' server; a measurement of one's own "
    "names its own pictures."
)


@dataclass(frozen=True)
class DetectionHistory(Answer):
    """The systems of the lecture's chart."""

    systems: tuple[DetectionSystem, ...] = SYSTEMS

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `published` is only there where the paper says another number."""
        told = [{name: value for name, value in asdict(one).items() if value is not None} for one in self.systems]
        return {"about": ABOUT, "data": "PASCAL VOC 2010 test", "measure": "mAP, per cent", "systems": told}

    def chart(self) -> Chart:
        """A bar for each system, in the order of time."""
        bars = tuple(
            Series(f"{one.name} ({one.date})", [number], [one.precision], "bars")
            for number, one in enumerate(self.systems, 1)
        )
        return Chart(
            "Detection on PASCAL VOC 2010",
            "system, in the order of time",
            "mAP, per cent",
            bars,
            "The lecture's numbers.",
        )

    def grid(self) -> Grid:
        """Name, date, number and remark."""
        rows = [[one.name, one.date, f"{one.precision:.1f}", one.paper, one.remark] for one in self.systems]
        return Grid(["system", "lecture's date", "mAP", "published", "remark"], rows, "llrll")

    def picture(self) -> Page:
        """The chart and the table."""
        return Page("Six systems that find objects", (ABOUT, self.chart(), self.grid()))

    def __str__(self) -> str:
        rows = [[one.name, one.date, f"{one.precision:.1f}"] for one in self.systems]
        remarks = [f"{one.name}: {one.remark}" for one in self.systems if one.remark]
        return "\n\n".join([str(Grid(["system", "lecture's date", "mAP, %"], rows, "llr")), *remarks, ABOUT])


def detection_history() -> DetectionHistory:
    """Six systems that find objects, from DPM to Fast R-CNN, with the mean average precision that the lecture's chart gives each."""
    return DetectionHistory()
