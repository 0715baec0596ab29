"""Files: the same bytes each time."""

import numpy as np
import pytest

import diffviz as dv
from diffviz import plots

GRID = np.linspace(-10, 10, 401)


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_a_saved_figure_has_the_same_bytes_each_time(tmp_path, ending):
    files = []
    for k in range(2):
        ax = plots.weighting_curves(GRID, {"sd3": dv.objective("sd3")})
        files.append(plots.save(ax.figure, tmp_path / f"{k}.{ending}").read_bytes())
    assert files[0] == files[1] and len(files[0]) > 1000


def test_saving_under_an_unknown_ending_names_the_endings(tmp_path):
    with pytest.raises(ValueError, match=r"\.svg, \.pdf, \.png"):
        plots.save(plots.axes()[0].figure, tmp_path / "a.gif")


def test_saving_axes_instead_of_a_figure_names_the_way_out(tmp_path):
    with pytest.raises(TypeError, match=r"such as ax\.figure"):
        plots.save(plots.axes()[0], tmp_path / "a.svg")


def test_saving_makes_folders_that_are_missing(tmp_path):
    file = plots.save(plots.axes()[0].figure, str(tmp_path / "new" / "a.svg"))
    assert file == tmp_path / "new" / "a.svg" and file.exists()


@pytest.mark.parametrize("path", [None, 3, ["a.svg"], {}])
def test_what_is_no_path_is_refused_by_name(path):
    with pytest.raises(TypeError, match="path must be text or a path"):
        plots.save(plots.axes()[0].figure, path)


@pytest.mark.parametrize("dpi", [0, np.nan, 1e9])
def test_an_impossible_resolution_is_refused(tmp_path, dpi):
    with pytest.raises(ValueError, match="dpi"):
        plots.save(plots.axes()[0].figure, tmp_path / "a.png", dpi)
    assert not list(tmp_path.iterdir())


def test_a_tilde_before_the_path_of_a_picture_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert plots.save(plots.axes()[0].figure, "~/new/a.svg") == tmp_path / "new" / "a.svg"
    assert (tmp_path / "new" / "a.svg").exists()
