"""Faster R-CNN (Ren, He, Girshick and Sun 2015): Fast R-CNN whose network proposes the regions itself, from the same maps."""
