"""Event files of TensorBoard, read as arrays: the same as TensorBoard's own reader says."""

from struct import pack

import numpy as np
import pytest

import diffviz as dv
from diffviz.learning.logs import frames, scalars

CASTAGNOLI = 0xE3069283  # of "123456789": the check value of CRC-32C in RFC 3720's catalogue
EDGES = np.arange(-4.0, 5.0)


def masked(value):
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(*contents):
    """Records as TFRecord frames them."""
    parts = []
    for content in contents:
        length = pack("<Q", len(content))
        for part in (length, content):
            row = np.frombuffer(part, dtype=np.uint8)[None]
            parts += [part, pack("<I", int(frames.checksums(row)[0]))]
    return b"".join(parts)


def test_the_checksum_is_crc_32c_with_its_mask():
    rows = np.frombuffer(b"123456789", dtype=np.uint8)[None]
    assert frames.checksums(np.repeat(rows, 2, 0)).tolist() == [masked(CASTAGNOLI)] * 2
    assert frames.checksums(np.empty((1, 0), dtype=np.uint8)).tolist() == [masked(0)]


CONTENTS = [b"one", b"", b"three", b"two", b"x" * 300]


def test_records_are_found_and_a_file_that_is_cut_is_read_up_to_there(tmp_path):
    file = tmp_path / "events.out.tfevents.1.host"
    whole = framed(*CONTENTS)
    file.write_bytes(whole)
    records = frames.read_records(file)
    assert [records.record(place) for place in range(5)] == CONTENTS
    assert records.remarks == ()
    for cut in (1, 4, 5, 304, 311):
        file.write_bytes(whole[:-cut])
        records = frames.read_records(file)
        assert [records.record(place) for place in range(len(records.start))] == CONTENTS[:4]
        assert "is cut or broken behind record 4" in records.remarks[0]


@pytest.mark.parametrize("flipped", [0, 9, 13])  # in a length, its checksum, the bytes
def test_a_record_whose_checksum_is_wrong_ends_the_file(tmp_path, flipped):
    file = tmp_path / "events.out.tfevents.1.host"
    content = bytearray(framed(*CONTENTS))
    content[len(framed(*CONTENTS[:2])) + flipped] ^= 1
    file.write_bytes(content)
    assert len(frames.read_records(file).start) == 2


# --- beside TensorBoard's own reader --------------------------------------------------------------


def slow(folder):
    """Step, tag and value of each scalar as TensorBoard's own reader finds them."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    return [
        (value.tag, event.step, scalars.number_of(value))
        for file in sorted(folder.glob("*tfevents*"))
        for event in LegacyEventFileLoader(str(file)).Load()
        for value in event.summary.value
        if scalars.number_of(value) is not None
    ]


def fast(folder):
    found = []
    for file in sorted(folder.glob("*tfevents*")):
        read = scalars.scalars_of(frames.read_records(file))
        tags = [read.tags[number] for number in read.tag]
        found += zip(tags, read.step.tolist(), read.value.tolist(), strict=True)
    return found


STEPS = [*range(40), *range(120, 140), *range(16380, 16400), 2**40]  # of 1, 2 and 3 digits


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra 'logs' is not installed")
    from torch.utils.tensorboard import SummaryWriter

    rng = np.random.default_rng(0)
    with SummaryWriter(tmp_path) as writer:
        writer.add_text("settings", "x" * 40, 0)
        for step in STEPS:
            for _ in range(2):
                writer.add_scalar("loss", rng.random(), step)
                writer.add_scalar("logsnr", rng.uniform(-4, 4), step)
            writer.add_scalar("lr", 0.0, step)
            writer.add_scalar("much/longer/name", float("nan" if step == 3 else step), step)
        writer.add_scalar("loss64", 0.1, 3, new_style=True, double_precision=True)
        for step in range(20):
            writer.add_scalar("tensor", 0.5 * step, step, new_style=True)
        writer.add_histogram("weights", rng.random(9), 5)
    return tmp_path


def test_the_scalars_are_those_of_the_reader_of_tensorboard(folder):
    expected = slow(folder)
    assert len(expected) == len(STEPS) * 6 + 21
    for ours, theirs in zip(fast(folder), expected, strict=True):
        assert ours[:2] == theirs[:2]
        np.testing.assert_array_equal(ours[2], theirs[2])


def test_a_file_without_scalars_gives_none(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra 'logs' is not installed")
    file = tmp_path / "events.out.tfevents.1.host"
    file.write_bytes(framed(b"", b""))  # two events that hold nothing
    read = scalars.scalars_of(frames.read_records(file))
    assert read.tags == ()
    assert [len(part) for part in (read.tag, read.step, read.value)] == [0, 0, 0]


def test_most_records_are_read_together(folder, monkeypatch):
    (file,) = folder.glob("*tfevents*")
    alone = []
    monkeypatch.setattr(scalars.Gatherer, "decode", lambda self, places: alone.extend(places))
    read = scalars.scalars_of(frames.read_records(file))
    # beside the scalars there are a version, a text and a histogram
    assert len(read.tag) + len(alone) == len(STEPS) * 6 + 21 + 3
    assert len(read.tag) > 200


@pytest.mark.parametrize("first", [1, 128, 300, 16384])
def test_records_are_read_together_whatever_the_first_step(tmp_path, first, monkeypatch):
    pytest.importorskip("tensorboard", reason="the extra 'logs' is not installed")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        for step in range(first, first + 100):
            writer.add_scalar("loss", 0.5, step)
    alone = []
    monkeypatch.setattr(scalars.Gatherer, "decode", lambda self, places: alone.extend(places))
    (file,) = tmp_path.glob("*tfevents*")
    read = scalars.scalars_of(frames.read_records(file))
    assert read.step.tolist() == list(range(first, first + 100))
    assert len(alone) == 1  # the version of the format


def test_an_event_file_that_is_cut_is_read_and_named(folder):
    (file,) = folder.glob("*tfevents*")
    file.write_bytes(file.read_bytes()[:-30])
    log = dv.read_log(folder, edges=EDGES, last=1.0)
    assert log.count.sum() == 2 * len(STEPS)
    assert "is cut or broken behind record" in log.text()
