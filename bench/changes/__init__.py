"""Measures whether the change that did it is named first, among others and where there is none."""
