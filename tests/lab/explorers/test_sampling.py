"""TrajectoryExplorer: a control is set, the points are read."""

import stat

import numpy as np
import pytest
from PIL import Image

import diffviz as dv
from diffviz.lab.experiments import sampling as sampling_experiments
from diffviz.lab.explorers import sampling as sampling_explorer
from diffviz.lab.explorers.sampling import DATA, FRAMES, LAWS, SOLVERS, TrajectoryExplorer

pytestmark = pytest.mark.slow


@pytest.fixture
def explorer():
    return TrajectoryExplorer("gmm2d")


def line(explorer, panel, name):
    return next(one for one in explorer.panels[panel].lines if one.get_gid() == name).get_xydata()


def test_the_step_slider_moves_points_and_samples_nothing(explorer, monkeypatch):
    found = explorer.trajectory()
    monkeypatch.setattr(dv, "sample", None)  # any call would fail
    for step in (0, 5, 12):
        explorer.controls["step"].value = step
        assert np.allclose(line(explorer, 0, "points"), found.z[step])
        assert np.allclose(line(explorer, 1, "points"), found.x_hat[step])
        assert f"step {step} of 12" in explorer.text.value and "Error" not in explorer.text.value


def test_the_way_so_far_grows_with_the_step(explorer):
    explorer.controls["step"].value = 3
    so_far = line(explorer, 0, "so far").reshape(sampling_explorer.PATHS, 5, 2)
    assert np.allclose(
        so_far[:, :4], explorer.trajectory().z[:4, : sampling_explorer.PATHS].movedim(1, 0)
    )
    assert np.isnan(so_far[:, 4]).all()


def error(explorer):
    return float(explorer.text.value.split("rms error of the end ")[1].split("<")[0])


def test_the_error_printed_is_that_against_the_reference(explorer):
    toy, start, end = sampling_experiments.best("gmm2d", sampling_explorer.POINTS)
    grid = dv.grid(LAWS["FM, uniform t"], 12, *sampling_experiments.RANGE)
    wanted = (
        (dv.sample(toy, grid, solver="ddim", start=start).z[-1] - end).square().mean().sqrt().item()
    )
    assert error(explorer) == pytest.approx(wanted, rel=0.01)


def test_ddim_has_one_error_in_all_frames_and_euler_has_not(explorer):
    ddim, euler = [], []
    for frame in FRAMES:
        explorer.controls["frame"].value = frame
        explorer.controls["solver"].value = "DDIM"
        ddim.append(error(explorer))
        explorer.controls["solver"].value = "Euler in the frame"
        euler.append(error(explorer))
    assert (
        len(set(ddim)) == 1
        and euler[1] == ddim[0] == euler[2]
        and abs(euler[0] / ddim[0] - 1) > 0.2
    )


def test_the_frame_scales_the_points(explorer):
    found = explorer.trajectory()
    explorer.controls["frame"].value = "VE"
    y = found.z[6] * np.hypot(1, np.exp(-found.logsnr[6] / 2))
    assert np.allclose(line(explorer, 0, "points"), y)
    assert np.nanmax(np.abs(line(explorer, 0, "paths"))) < explorer.panels[0].get_xlim()[1]
    assert (
        explorer.panels[0].get_xscale() == "symlog" and explorer.panels[1].get_xscale() == "linear"
    )


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("frame", FRAMES)
def test_every_solver_runs_on_every_grid_in_every_frame(solver, frame, explorer):
    explorer.controls["frame"].value = frame
    explorer.controls["solver"].value = solver
    for grid in LAWS:
        explorer.controls["grid"].value = grid
        assert "rms error of the end" in explorer.text.value, explorer.text.value
    assert (explorer.controls["noise"].layout.display == "none") is (
        SOLVERS[solver].noise_option == ""
    )


def test_noise_makes_another_sample_of_the_same_data(explorer):
    before = explorer.trajectory()
    for solver in ("DDIM", "Euler in the frame", "Heun"):
        explorer.controls["solver"].value = solver
        explorer.controls["noise"].value = 0.8
        after = explorer.trajectory()
        assert "no error" in explorer.text.value and (after.z[-1] - before.z[-1]).abs().max() > 0.3
        explorer.controls["noise"].value = 0.0
        assert "rms error" in explorer.text.value


def test_more_steps_keep_the_place_on_the_way(explorer):
    explorer.controls["steps"].value = 48
    assert explorer.controls["step"].max == 48 and explorer.controls["step"].value == 24
    explorer.controls["steps"].value = 1
    assert explorer.controls["step"].max == 1 and explorer.trajectory().z.shape[0] == 2


@pytest.mark.parametrize("data", DATA)
def test_every_data_set_is_there(data, explorer):
    explorer.controls["data"].value = data
    assert "rms error" in explorer.text.value, explorer.text.value


def test_the_walk_is_saved_as_a_gif_of_all_steps(explorer, tmp_path):
    explorer.controls["step"].value = 2
    explorer.save(tmp_path / "WALK.GIF")
    assert (tmp_path / "WALK.GIF").read_bytes()[:4] == b"GIF8"
    explorer.controls["file"].value = str(tmp_path / "walk.gif")
    explorer.controls["save"].click()
    assert "saved" in explorer.text.value, explorer.text.value
    with Image.open(tmp_path / "walk.gif") as film:
        assert film.n_frames == 13 and film.size == (900, 440)
        film.seek(0)
        first = np.asarray(film.convert("RGB"), dtype=int)
        film.seek(12)
        assert np.abs(first - np.asarray(film.convert("RGB"), dtype=int)).max() > 100
    assert np.allclose(line(explorer, 0, "points"), explorer.trajectory().z[2])  # back where it was


def test_an_mp4_goes_through_ffmpeg_and_says_so_if_there_is_none(explorer, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="needs ffmpeg"):
        explorer.save(tmp_path / "walk.mp4")
    program = tmp_path / "ffmpeg"  # writes what it is given to its last argument
    program.write_text('#!/bin/sh\nfor last; do :; done\n/bin/cat > "$last"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert "saved" in explorer.save(tmp_path / "walk.mp4")
    assert (tmp_path / "walk.mp4").read_bytes().count(b"\x89PNG\r\n") == 13


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TrajectoryExplorer("ring9"), "'ring8'"),
        (lambda: TrajectoryExplorer(solver="ddmi"), "SOLVERS"),
        (lambda: TrajectoryExplorer(grid="karras"), "LAWS"),
        (lambda: TrajectoryExplorer().save("walk.avi"), ".gif"),
        (lambda: TrajectoryExplorer().save("walk.gif", seconds=0), "seconds must be"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_bad_file_name_is_told_under_the_picture(explorer):
    explorer.controls["file"].value = "walk.avi"
    explorer.controls["save"].click()
    assert "ValueError" in explorer.text.value
