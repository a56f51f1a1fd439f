"""Inlab's balance and Last.fm's balance.fm, played by fairlead's engine."""
