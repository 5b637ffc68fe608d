"""What the training room begins with, and what it takes where a link says a part of that."""

from __future__ import annotations

from pellucid.lab.answers import Query

TOY = (("data", "circles"), ("network", "Linear 4, Tanh, Linear 2, Tanh"), ("seed", "0"))
"""What the training room begins with: points of a plane and a small network."""
OF_PICTURES = "Conv2d 8 3 padding=1, ReLU, MaxPool2d 2, Flatten, Linear 32, ReLU"
"""The network that it begins with for pictures."""


def whole(own: Query) -> Query:
    """The data, the network and the seed that a link says, and else those that the room begins with."""
    from pellucid.data.points import PAINTED, SETS
    from pellucid.lab.uploads import SENT

    given = {key: value for key, value in own if key in dict(TOY)}
    name = given.get("data", "circles").partition(" ")[0]
    usual = dict(TOY) if name in (*SETS, PAINTED) or SENT.fullmatch(name) else {**dict(TOY), "network": OF_PICTURES}
    return tuple({**usual, **given}.items())
