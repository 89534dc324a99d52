"""Simulated chest radiographs: anatomy, physics, projection, and planted defects."""
