"""Deformable part models (Felzenszwalb, Girshick, McAllester and Ramanan, PAMI 2010; the authors' release 5)."""
