"""Fast R-CNN (Girshick 2015): a network looks at a picture once, and every proposal is pooled from its maps."""
