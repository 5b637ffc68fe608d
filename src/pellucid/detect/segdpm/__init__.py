"""segDPM (Fidler, Mottaghi, Yuille and Urtasun, CVPR 2013): models of parts that also see segments."""
