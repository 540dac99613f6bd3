"""Reads every frame of every scenario: does it contradict itself, and how late is it?"""
