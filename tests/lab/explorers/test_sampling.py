"""TrajectoryExplorer: a control is set, the points are read."""

import stat

import numpy as np
import pytest
from PIL import Image

import diffviz as dv
from diffviz.lab.experiments import sampling as sampling_experiments
from diffviz.lab.experiments import walks
from diffviz.lab.explorers import sampling as sampling_explorer
from diffviz.lab.explorers.sampling import DATA, FRAMES, LAWS, SOLVERS, TrajectoryExplorer

pytestmark = pytest.mark.slow

LONGEST = 60.0  # s that a test waits for a thread


@pytest.fixture
def explorer():
    return TrajectoryExplorer("gmm2d")


def clouds(explorer):
    return explorer.view.panels[:2]


def artist(explorer, panel, name):
    """An artist of the static picture."""
    found = explorer.figure().axes[panel].collections
    return next(one for one in found if one.get_gid() == name)


def test_the_clock_moves_points_and_samples_nothing(explorer, monkeypatch):
    found = explorer.trajectory()
    monkeypatch.setattr(dv, "sample", None)  # any call would fail
    for step in (0, 5, 12):
        explorer.set("time", step / 12)
        assert explorer.error == ""
        for panel, points in enumerate((found.z, found.x_hat)):
            shown = artist(explorer, panel, "samples").get_offsets()
            np.testing.assert_allclose(shown, points[step])
        assert f"step {step} of 12" in explorer.figure().axes[0].get_title()
        assert clouds(explorer)[0].captions[step].startswith(f"step {step} of 12: λ = ")


def test_the_clock_samples_nothing_when_the_browser_tells_of_it(explorer, monkeypatch):
    assert explorer.view.panels[0].present == 0.5
    monkeypatch.setattr(dv, "sample", None)
    explorer._receive(None, {"kind": "tell", "values": {"time": 0.25}}, [])
    assert explorer.state["time"] == 0.25 and explorer.view.panels[0].present == 0.25


def test_the_way_so_far_grows_with_the_step(explorer):
    explorer.set("time", 3 / 12)
    so_far = np.array(artist(explorer, 0, "samples:so far").get_segments())
    assert so_far.shape == (sampling_explorer.PATHS, 4, 2)
    expected = explorer.trajectory().z[:4, : sampling_explorer.PATHS].movedim(1, 0)
    np.testing.assert_allclose(so_far, expected)
    whole = np.array(artist(explorer, 0, "samples:paths").get_segments())
    assert whole.shape == (sampling_explorer.PATHS, 13, 2)


def error(explorer):
    return float(explorer.view.text.split("rms error of the end ")[1])


def test_the_error_printed_is_that_against_the_reference(explorer):
    toy, start, end = sampling_experiments.best("gmm2d", walks.POINTS)
    grid = dv.grid(LAWS["FM, uniform t"], 12, *sampling_experiments.RANGE)
    ends = dv.sample(toy, grid, solver="ddim", start=start).z[-1]
    expected = (ends - end).square().mean().sqrt().item()
    assert error(explorer) == pytest.approx(expected, rel=0.01)


def test_ddim_has_one_error_in_all_frames_and_euler_has_not(explorer):
    ddim, euler = {}, {}
    for frame in FRAMES:
        explorer.set("frame", frame)
        explorer.set("solver", "DDIM")
        ddim[frame] = error(explorer)
        explorer.set("solver", "Euler in the frame")
        euler[frame] = error(explorer)
    assert len(set(ddim.values())) == 1
    assert euler["linear"] == ddim["VP"] == euler["VE"]
    assert abs(euler["VP"] / ddim["VP"] - 1) > 0.2


def test_the_frame_scales_the_points_on_straight_axes(explorer):
    found = explorer.trajectory()
    explorer.set("frame", "VE")
    explorer.set("time", 0.5)
    y = found.z[6] * np.hypot(1, np.exp(-found.logsnr[6] / 2))
    np.testing.assert_allclose(artist(explorer, 0, "samples").get_offsets(), y)
    left, right = explorer.figure().axes[:2]
    assert left.get_xscale() == right.get_xscale() == "linear"
    for step, points in enumerate(clouds(explorer)[0].paths["samples"]):
        reach = clouds(explorer)[0].reach[step]
        assert np.abs(points).max() < reach < 3 * np.abs(points).max()
    assert left.get_xlim()[1] == pytest.approx(clouds(explorer)[0].reach[6])


@pytest.mark.parametrize(("place", "frame"), [(0.0, "linear"), (1.0, "VP"), (2.0, "VE")])
def test_the_slide_goes_through_all_frames(explorer, place, frame):
    explorer.set("frame", walks.BETWEEN)
    explorer.set("place", place)
    slid = clouds(explorer)[0].paths["samples"]
    explorer.set("frame", frame)
    np.testing.assert_allclose(clouds(explorer)[0].paths["samples"], slid, rtol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("frame", [*FRAMES, walks.BETWEEN])
def test_every_solver_runs_on_every_grid_in_every_frame(solver, frame, explorer):
    explorer.set("frame", frame)
    explorer.set("solver", solver)
    for grid in LAWS:
        explorer.set("grid", grid)
        assert "rms error of the end" in explorer.view.text and explorer.error == ""
    is_shown = solver in explorer.description["noise"].when["solver"]
    assert is_shown is (SOLVERS[solver].noise_option != "")


def test_noise_makes_another_sample_of_the_same_data(explorer):
    before = explorer.trajectory()
    for solver in ("DDIM", "Euler in the frame", "Heun"):
        explorer.set("solver", solver)
        explorer.set("noise", 0.8)
        after = explorer.trajectory()
        assert "no error" in explorer.view.text
        assert (after.z[-1] - before.z[-1]).abs().max() > 0.3
        explorer.set("noise", 0.0)
        assert "rms error" in explorer.view.text


def test_more_steps_keep_the_place_on_the_way(explorer):
    explorer.set("steps", 48)
    assert "step 24 of 48" in explorer.figure().axes[0].get_title()
    explorer.set("steps", 1)
    assert len(clouds(explorer)[0].captions) == 2 and explorer.trajectory().z.shape[0] == 2


@pytest.mark.parametrize("data", DATA)
def test_every_data_set_is_there(data, explorer):
    explorer.set("data", data)
    assert "rms error" in explorer.view.text and explorer.error == ""
    assert len(clouds(explorer)[1].points["data"]) == walks.SHOWN


def test_a_drawing_is_data_whose_denoiser_is_that_of_its_kernel_density(explorer):
    points = ((-1.5, 0.0), (1.5, 0.0), (0.0, 1.0))
    explorer.set("drawing", points)
    assert explorer.state["data"] == "drawn"
    own = dv.dataset(np.array(points), bandwidth=0.1, unit=False)
    found = explorer.trajectory()
    expected = own.denoise(found.z[6], float(found.logsnr[6]))
    np.testing.assert_allclose(found.x_hat[6], expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(clouds(explorer)[1].points["data"], points)
    before = error(explorer)
    explorer.set("width", 0.4)
    assert error(explorer) != before


def test_a_drawing_over_other_data_does_not_begin_with_the_example(explorer):
    example = explorer.state["drawing"]
    own = ((0.5, 0.5), (-1.0, 0.0))
    explorer.set("data", "drawn")
    assert "rms error" in explorer.view.text
    explorer.set("drawing", (*example, *own))
    assert explorer.state["drawing"] == (*example, *own)
    explorer.set("data", "ring8")
    explorer.set("drawing", example)
    assert explorer.state["data"] == "ring8"
    explorer.set("drawing", (*example, *own))
    assert explorer.state["drawing"] == own and explorer.state["data"] == "drawn"


def test_without_a_drawing_it_says_how_to_draw(explorer):
    for drawing in ((), ((0.5, 0.5),)):
        explorer.set("drawing", drawing)
        explorer.set("data", "drawn")
        assert explorer.error == "" and "Draw the data" in explorer.view.text
    explorer.set("drawing", ((0.5, 0.5), (-1.0, 0.0)))
    assert "rms error" in explorer.view.text
    assert "Draw the data" in TrajectoryExplorer("drawn", drawing=()).view.text


def test_another_solver_stands_beside_on_the_same_steps(explorer):
    explorer.set("beside", "Heun")
    assert explorer.error == ""
    shown = clouds(explorer)[0].paths["Heun"]
    notes = explorer.view.text.splitlines()
    explorer.set("solver", "Heun")
    heun = clouds(explorer)[0].paths
    np.testing.assert_array_equal(shown, heun["samples"][:, : sampling_explorer.PATHS])
    assert list(heun) == ["samples"]  # not beside itself
    assert notes[0].startswith("DDIM: 12 calls") and notes[1].startswith("Heun: 24 calls")
    assert notes[1] == explorer.view.text


@pytest.mark.parametrize("frame", [*FRAMES, walks.BETWEEN])
def test_a_click_starts_a_trajectory_at_its_place_in_the_frame(explorer, frame):
    explorer.set("frame", frame)
    reach = clouds(explorer)[0].reach[0]
    place = (0.3 * reach, -0.4 * reach)
    explorer.set("starts", (place,))
    left, right = clouds(explorer)
    np.testing.assert_allclose(left.paths["your starts"][0], [place])
    assert left.paths["your starts"].shape == right.paths["your starts"].shape == (13, 1, 2)
    in_frame = walks.walk(sampling_explorer.setting_of(explorer.state)).in_frame
    explorer.set("starts", in_frame(explorer.trajectory())[0, :1])
    np.testing.assert_allclose(  # a start where the first point starts goes where that goes
        clouds(explorer)[0].paths["your starts"], clouds(explorer)[0].paths["samples"][:, :1]
    )


def test_points_keep_the_colour_of_where_they_end(explorer):
    ends = explorer.trajectory().samples.numpy()
    for cloud in clouds(explorer):
        np.testing.assert_allclose(cloud.colours["samples"], walks.end_colours(ends))


@pytest.mark.parametrize("frame", [*FRAMES, walks.BETWEEN])
def test_arrows_point_where_a_short_step_goes(explorer, frame):
    explorer.set("frame", frame)
    explorer.set("field", True)
    walked = walks.walk(sampling_explorer.setting_of(explorer.state))
    arrows = clouds(explorer)[0].arrows
    assert arrows.shape == (13, walks.ARROWS**2, 4)
    path = walked.setting.path
    for step in (3, 6, 9):
        level = walked.trajectory.logsnr[step]
        start = arrows[step, :, :2] / walked.scales[step]
        toy = sampling_experiments.exact("gmm2d")
        moved = dv.sample(toy, [level, level + 1e-5], solver="ddim", start=start).on(path)[1]
        expected = (moved[1] - moved[0]).numpy()
        fast = np.hypot(*expected.T) > 1e-2 * np.hypot(*expected.T).max()
        shown = arrows[step, fast, 2:]
        cosine = (shown * expected[fast]).sum(1) / np.hypot(*shown.T) / np.hypot(*expected[fast].T)
        np.testing.assert_allclose(cosine, 1, atol=1e-4)


def test_the_walk_is_saved_as_a_gif_of_all_steps(explorer, tmp_path):
    explorer.set("steps", 2)
    explorer.save(tmp_path / "WALK.GIF")
    assert (tmp_path / "WALK.GIF").read_bytes()[:4] == b"GIF8"
    explorer.set("steps", 12)
    explorer.set("time", 2 / 12)
    explorer.set("file", str(tmp_path / "walk.gif"))
    explorer.act("save")
    explorer.wait(LONGEST)
    assert explorer.error == "" and f"saved {tmp_path / 'walk.gif'}" in explorer.view.text
    with Image.open(tmp_path / "walk.gif") as film:
        assert film.n_frames == 13 and film.size == (900, 440)
        film.seek(0)
        first = np.asarray(film.convert("RGB"), dtype=int)
        film.seek(12)
        assert np.abs(first - np.asarray(film.convert("RGB"), dtype=int)).max() > 100
    offsets = artist(explorer, 0, "samples").get_offsets()
    np.testing.assert_allclose(offsets, explorer.trajectory().z[2])  # back where it was


def test_an_mp4_goes_through_ffmpeg_and_says_so_if_there_is_none(explorer, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="needs ffmpeg"):
        explorer.save(tmp_path / "walk.mp4")
    program = tmp_path / "ffmpeg"  # writes what it is given to its last argument
    program.write_text('#!/bin/sh\nfor last; do :; done\n/bin/cat > "$last"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert explorer.save(tmp_path / "walk.mp4") == tmp_path / "walk.mp4"
    assert (tmp_path / "walk.mp4").read_bytes().count(b"\x89PNG\r\n") == 13


def test_the_picture_is_saved_too(explorer, tmp_path):
    assert explorer.save(tmp_path / "walk.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TrajectoryExplorer("ring9"), "'ring8'"),
        (lambda: TrajectoryExplorer(solver="ddmi"), "SOLVERS"),
        (lambda: TrajectoryExplorer(grid="karras"), "LAWS"),
        (lambda: TrajectoryExplorer().save("walk.avi"), ".gif"),
        (lambda: TrajectoryExplorer().save("walk.gif", seconds=0), "seconds must be"),
        (lambda: TrajectoryExplorer(steps=0), "steps must lie in"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_bad_file_name_is_told_in_words(explorer):
    explorer.set("file", "walk.avi")
    explorer.act("save")
    assert explorer.error.startswith("ValueError: cannot write 'walk.avi'")


def test_the_state_comes_back_from_code_and_link(explorer):
    explorer.set("drawing", ((0.5, 0.5), (-1.0, 0.0)))
    explorer.set("time", 0.25)
    assert TrajectoryExplorer.from_link(explorer.link()).state == explorer.state
    again = eval(repr(explorer), {"TrajectoryExplorer": TrajectoryExplorer})
    assert again.state == explorer.state


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (0.0, "in the linear frame"),
        (0.25, "0.25 of the way from linear to VP"),
        (1.0, "in the VP frame"),
        (1.5, "0.50 of the way from VP to VE"),
        (2.0, "in the VE frame"),
    ],
)
def test_the_title_says_in_which_frame_the_points_are(place, said):
    explorer = TrajectoryExplorer(frame=walks.BETWEEN, place=place, steps=4)
    assert clouds(explorer)[0].title == f"noisy points z {said}"
    explorer.set("frame", "VP")
    assert clouds(explorer)[0].title == "noisy points z in the VP frame"
