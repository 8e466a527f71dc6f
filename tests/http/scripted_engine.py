#!/usr/bin/python3
"""A stand-in for thaw-engine."""
import sys
if sys.argv[1:] == ["version"]:
    print('{"version": "scripted"}')
