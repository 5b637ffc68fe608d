"""segDeepM: R-CNN that also looks around a region and lets segments vote for it."""
