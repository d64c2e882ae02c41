"""Forecast how many annotated cases a segmentation model needs."""

__version__ = "0.1.0"
