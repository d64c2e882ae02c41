"""The LSTM surrogate: a small network that reads a curve as a sequence and forecasts later scores.

After Lee et al. 2025 (PLOS One, doi 10.1371/journal.pone.0339064), who let a uni-directional LSTM read scores along
growing shares of the data and predict the final score. Only `network` and `training` import torch, and they are
imported when a curve is forecast; everything else runs on numpy.
"""
