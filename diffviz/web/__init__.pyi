from . import bundle, description, figures, pictures
from .description import (
    Action,
    Chip,
    Chips,
    Clock,
    Control,
    Description,
    Menu,
    Paste,
    Points,
    Slider,
    Switch,
    Text,
)
from .figures import figure
from .pictures import Chart, Cloud, Images, Note, Table, View, Working

__all__ = [
    "Action",
    "Chart",
    "Chip",
    "Chips",
    "Clock",
    "Cloud",
    "Control",
    "Description",
    "Images",
    "Menu",
    "Note",
    "Paste",
    "Points",
    "Slider",
    "Switch",
    "Table",
    "Text",
    "View",
    "Working",
    "bundle",
    "description",
    "figure",
    "figures",
    "pictures",
]
