"""Trainers' settings: what a command line or a file of options trains on."""
