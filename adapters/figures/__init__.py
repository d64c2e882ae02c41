"""Figures by matplotlib, which is imported only when one is drawn.

Every `plot_...` takes axes and returns them; without axes it makes a figure by pyplot, so that a notebook shows it.
What `dicecast` writes comes from the same functions, on figures that pyplot does not know.

    canvas   colours, figures, legends, files        curve, posterior, cost       one forecast
    write    every figure of a study's round         stability, campaign          round after round
    comparison, equal     arms against each other    volumes, distribution        scores case by case
    agreement             every figure of a run      simulation                   campaigns on paper
"""
