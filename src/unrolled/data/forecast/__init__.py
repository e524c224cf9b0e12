"""Forecasts of series: what is seen of the past, yardsticks, a regression on lags, and what a network adds to it."""
