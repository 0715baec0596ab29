"""What explorers in the browser are made of: a description of controls, and what a state shows.

An explorer derives from ``ViewExplorer``. It gives a ``Description`` of its controls, and one
function, ``compute``, from a state to a ``View`` of panels. The rest is the same for all: the
browser lays out the controls and draws the panels; a saved notebook and files get the picture from
Matplotlib; the state goes into links and code.

The state belongs to Python. The browser says which control a reader has moved, and only that: what
a control shows is never taken for what it means. While one answer is under way the browser keeps
the newest values of all controls and sends them together.
"""

import base64
import io
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path as File
from typing import Any

import anywidget
import numpy as np

from diffviz import checks, plots
from diffviz.lab.explorers.work import Work
from diffviz.plots.canvas import Drawing
from diffviz.plots.files import encoded
from diffviz.web import bundle, figures, page
from diffviz.web.description import (
    Action,
    Chips,
    Control,
    Description,
    Menu,
    Paste,
    Slider,
    State,
    Switch,
    Upload,
)
from diffviz.web.pictures import Packer, View, Working, columns_of

Changed = tuple[str, ...]  # names of the controls that were moved, in their order
NO_BREAK = "\N{NO-BREAK SPACE}"
MIME = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".csv": "text/csv",
}


def _checked_path(path: Any) -> File:
    """A path that a reader has passed."""
    named = checks.instance(path, "path", (str, File), "text or a path")
    checks.require("\0" not in str(named), f"path must hold no character 0, got {path!r}")
    checks.refuse_address(named)
    return File(named)


class ViewExplorer(anywidget.AnyWidget):
    """Controls, panels and a read-out, drawn in the browser.

    Args:
        description: The controls.
        state: Values of controls at the start; the others are those of the description.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A control is unknown, or a value is not allowed.
    """

    def __init__(self, description: Description, state: Mapping[str, Any] | None = None):
        checks.instance(description, "description", Description, "a Description of the controls")
        self.description = description
        self._state = description.checked(state or {})
        self._shown = self._state  # the last one that could be shown
        self._view: View | None = None
        self._error = ""
        self._working: Working | None = None
        self._browsers: set[str] = set()
        self._lock = threading.RLock()
        self._work = Work(self._take_step, self._end_work)
        self._esm = bundle.module("widget.js", description.local)
        self._css = bundle.style()
        super().__init__()
        self.on_msg(self._receive)

    # --- what an explorer says of itself

    def compute(self, state: State, changed: Changed) -> View | Iterator[View | Working]:
        """What a state shows.

        Long work returns an iterator, usually by calling a generator. It runs in a thread, and each
        ``Working`` or ``View`` that it yields is shown at once. New long work takes its place; an
        action named "stop" ends it. Views that are returned meanwhile leave it alone, so it reads
        ``self.state`` for what was chosen since it began.

        Args:
            state: A value for each control.
            changed: Names of the controls that were moved or pressed; empty at first.

        Returns:
            The view, or long work.
        """
        raise NotImplementedError

    def settled(self, state: State, changed: str) -> State:
        """The state after one control was moved, where that sets others; unchanged by default.

        Args:
            state: The state with the new value; it may be changed.
            changed: Name of the control, or of the button that was pressed.

        Returns:
            The state.
        """
        return state

    def uploaded(self, control: str, file: str, content: bytes) -> None:
        """Take a file that a reader has chosen; what is shown follows from it.

        Args:
            control: Name of the ``Upload``.
            file: Name of the file.
            content: Its bytes, neither none nor too many.

        Raises:
            ValueError: The file cannot be read.
        """
        raise NotImplementedError

    def local_data(self) -> Mapping[str, Any]:
        """What the module in the browser computes with: arrays and plain values by name."""
        return {}

    def page_data(self) -> Mapping[str, Any]:
        """What it needs besides on a page, where there is no kernel to ask."""
        return {}

    # --- what a reader does from Python

    @property
    def state(self) -> State:
        """A value for each control, as a copy."""
        return dict(self._state)

    @property
    def view(self) -> View:
        """What is on show."""
        if self._view is None:
            result = self.compute(self.state, ())
            if isinstance(result, View):
                self._view = result
            else:
                self._view = View(())
                self._work.start(result)
        return self._view

    @property
    def error(self) -> str:
        """What went wrong at the last change, in words; empty if nothing did."""
        return self._error

    @property
    def is_working(self) -> bool:
        """Whether long work is going on."""
        return self._work.is_running

    def set(self, name: str, value: Any) -> None:
        """Set a control, as if a reader had moved it.

        Args:
            name: Name of the control.
            value: Its value.

        Raises:
            TypeError: The value is of the wrong kind.
            ValueError: The control is unknown, or the value is not allowed.
        """
        checks.one_of(name, "control", self._state)
        self._update({name: self.description[name].checked(value)})

    def act(self, name: str) -> None:
        """Press a button.

        Args:
            name: Name of the ``Action``; "stop" ends long work.

        Raises:
            ValueError: There is no such button.
        """
        actions = [one.name for one in self.description.controls if isinstance(one, Action)]
        checks.one_of(name, "action", [*actions, "stop"])
        self._press(name)

    def upload(self, name: str, path: str | File) -> None:
        """Hand over a file, as if a reader had chosen it.

        Args:
            name: Name of the ``Upload``.
            path: The file.

        Raises:
            OSError: There is no such file.
            ValueError: There is no such control.
        """
        file = checks.place(_checked_path(path))
        self.description[name]  # refuses another, before the file is read
        self._take_file(name, file.name, file.read_bytes())

    def wait(self, seconds: float | None = None) -> None:
        """Wait until long work has ended.

        Args:
            seconds: How long at most; without end by default.
        """
        limit = None if seconds is None else checks.number(seconds, "seconds", low=0.0)
        self._work.wait(limit)

    def _arguments(self) -> list[str]:
        """The arguments that reproduce what is on show, as code."""
        changes = self.description.changes(self._state)
        return [f"{name}={value!r}" for name, value in changes.items()]

    def code(self) -> str:
        """The cell that reproduces what is on show."""
        return f"from diffviz.lab.explorers import {type(self).__name__}\n\n{self!r}"

    def link(self) -> str:
        """The part of a link that brings the state back; "#" stands at its front."""
        return f"#{self.description.to_query(self._state)}"

    @classmethod
    def from_link(cls, link: str) -> "ViewExplorer":
        """The explorer in the state of a link.

        Args:
            link: The link, or its part from "#".

        Returns:
            The explorer.

        Raises:
            ValueError: The link holds a control that is unknown, or a value that is broken.
        """
        checks.text(link, "link")
        explorer = cls()  # type: ignore[call-arg]  # every explorer can be made without arguments
        explorer._state = explorer.description.from_query(link)
        explorer._shown = explorer._state
        explorer._view = None
        return explorer

    def figure(self) -> Drawing:
        """What is on show as a Matplotlib figure."""
        return figures.figure(self.view)

    @property
    def png(self) -> bytes:
        """The picture that a saved notebook keeps, as a PNG; a line above it says what is set."""
        picture, _ = self._still()
        return picture

    def save(self, path: str | File) -> File:
        """Write the picture, the curves or a page to a file.

        Args:
            path: Where to write: .svg, .pdf or .png for the picture, .csv for the curves, .html
                for a page that needs no kernel.

        Returns:
            The path of the file.

        Raises:
            ValueError: The path has another ending, or the explorer needs a kernel and has no page.
        """
        file = _checked_path(path)
        if file.suffix == ".html":
            return page.write(self, file)
        if file.suffix != ".csv":
            return plots.save(self.figure(), file)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.table(), encoding="utf-8")
        return file

    def save_opening(self, path: str | File) -> None:
        """Write what a page without a kernel begins with; ``page.js`` reads it.

        Args:
            path: Where to write; ".json" is added for the message, ".bin" for its buffers.
        """
        _checked_path(path)
        text, buffers = page.opening(self)
        File(f"{path}.json").write_text(text, encoding="utf-8")
        File(f"{path}.bin").write_bytes(buffers)

    def table(self) -> str:
        """The curves on show as text: a row of names, then one row for each place, with commas."""
        columns = columns_of(self.view)
        rows = np.column_stack(list(columns.values())) if columns else np.empty((0, 0))
        text = io.StringIO()
        np.savetxt(text, rows, "%.17g", ",", header=",".join(columns), comments="")
        return text.getvalue()

    def close(self) -> None:
        """Stop the work, and let go of the browser's views."""
        work = getattr(self, "_work", None)  # missing where construction has failed
        if work is not None:
            work.stop()
            self.layout.close()  # a widget of its own, which would be kept
        super().close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._arguments())})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, and its picture for a reader without a kernel."""
        bundle_of_widget = super()._repr_mimebundle_(**kwargs)
        content, metadata = bundle_of_widget if bundle_of_widget is not None else ({}, {})
        picture, size = self._still()
        content = content | {"image/png": base64.b64encode(picture).decode()}
        return content, metadata | {"image/png": size}

    def _still(self) -> tuple[bytes, dict[str, int]]:
        """The picture for a reader without a kernel, with what the controls say above it."""
        return figures.figure(self.view, heading=self._settings())._repr_png_()

    def _settings(self) -> str:
        """What the controls in sight say, for a picture that has none."""
        state = self._shown if self._error else self._state
        shown = set(self.description.shown(state))
        in_sight = [one for one in self.description.valued if one.name in shown and not one.rare]
        said = [(one, said_of(one, state[one.name])) for one in in_sight]
        parts = [f"{one.label}: {words}" for one, words in said if words]
        whole = [part.replace(" ", NO_BREAK) for part in (self.description.title, *parts)]
        return f"{NO_BREAK * 2}·  ".join(whole)

    # --- changes

    def _take(self, values: Mapping[str, Any]) -> None:
        """Put values that are checked into the state, in their order."""
        for name, value in values.items():
            self._state = self.settled(self._state | {name: value}, name)

    def _update(self, values: Mapping[str, Any], serial: int = 0) -> None:
        """Take values that are checked, in their order, compute and show."""
        before = self._state
        self._take(values)
        self._show_new(tuple(values), serial)
        is_pasted = {name: isinstance(self.description[name], Paste) for name in values}
        if self._error and any(is_pasted.values()):
            # a text that cannot be read is dropped, with what it has set; it stands in its box
            kept = {name: self._state[name] for name in values if not is_pasted[name]}
            self._state = before | kept

    def _press(self, name: str, serial: int = 0) -> None:
        """Do what a button says."""
        if name == "stop":
            self._work.stop()
            self._working = None
        self._state = self.settled(self.state, name)
        self._show_new((name,), serial)

    def _take_file(self, name: str, file: str, content: bytes, serial: int = 0) -> None:
        """Take a file and show what follows; the controls may be others afterwards."""
        control = self.description[name]
        if not isinstance(control, Upload):
            raise ValueError(f"{name} takes no file")
        with self._lock:
            self._error = ""
            try:
                self.uploaded(name, file, control.checked_file(file, content))
            except Exception as error:  # in a callback it would end in a log that nobody opens
                self._error = in_words(error)
                self._send_view(serial, with_panels=False)
                return
            self._view = None
            if self._browsers:
                message, buffers = self.opening()
                self.send(message, buffers)

    def _show_new(self, changed: Changed, serial: int) -> None:
        """Compute what the state shows, and send it; what goes wrong is shown in words."""
        with self._lock:
            self._error = ""
            try:
                result = self.compute(self.state, changed)
                if isinstance(result, View):
                    self._view = result
                    self._shown = self._state
                else:
                    self._working = Working(0.0)
                    self._work.start(result)
            except Exception as error:  # in a callback it would end in a log that nobody opens
                self._error = in_words(error)
            self._send_view(serial)

    def _take_step(self, step: View | Working) -> None:
        """Show what long work has yielded."""
        with self._lock:
            if isinstance(step, Working):
                self._working = step
            else:
                self._view = step
            self._send_view(0, with_panels=isinstance(step, View))

    def _end_work(self, error: Exception | None) -> None:
        """Show that long work has ended."""
        with self._lock:
            self._working = None
            if error is not None:
                self._error = in_words(error)
            self._send_view(0, with_panels=False)

    # --- messages

    def opening(self, *, on_page: bool = False) -> tuple[dict[str, Any], list[bytes]]:
        """All that a browser needs to begin: controls, state, data, and the first view.

        Args:
            on_page: Whether it is for a page without a kernel.

        Returns:
            Plain data for JSON, and the buffers of its arrays.
        """
        packer = Packer()
        view = self._first_view()
        more = self.page_data() if on_page else {}
        message = {
            "kind": "opened",
            "description": self.description.record() | {"code": type(self).__name__},
            "data": packer.data({**self.local_data(), **more}),
            **self._status(),
            **packer.view(view),
        }
        return message, packer.buffers

    def _first_view(self) -> View:
        """What a browser opens with; an empty view and words where it cannot be computed."""
        try:
            return self.view
        except Exception as error:  # controls that a reader can mend it with must appear
            self._error = in_words(error)
            return View(())

    def _status(self) -> dict[str, Any]:
        """The state, the error and the progress, as plain data."""
        working = self._working
        progress = working and {"progress": working.progress, "text": working.text}
        return {"state": self._state, "error": self._error, "working": progress}

    def _send_view(self, serial: int, *, with_panels: bool = True) -> None:
        """Send what is on show to the browser, if there is one."""
        if not self._browsers:
            return
        packer = Packer()
        message = {"kind": "view", "serial": serial, **self._status()}
        if with_panels and not self._error and self._view is not None:
            message |= packer.view(self._view)
        self.send(message, packer.buffers)

    def _receive(self, _: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        """Answer a message of the browser."""
        answers = {
            "open": self._open,
            "closed": self._closed,
            "set": self._set,
            "tell": self._tell,
            "act": self._act,
            "file": self._file,
            "text": self._text,
        }
        try:
            if content["kind"] == "upload":
                self._upload(content, bytes(buffers[0]))
            else:
                answers[content["kind"]](content)
        except Exception as error:  # in a callback it would end in a log that nobody opens
            self._error = in_words(error)
            self._send_view(content.get("serial", 0), with_panels=False)

    def _open(self, content: dict[str, Any]) -> None:
        """A browser shows the explorer."""
        self._browsers.add(content["browser"])
        message, buffers = self.opening()
        self.send(message | {"browser": content["browser"]}, buffers)

    def _closed(self, content: dict[str, Any]) -> None:
        """A browser has closed the explorer; nobody sees the work of one that all have closed."""
        self._browsers.discard(content["browser"])
        if not self._browsers:
            self._work.stop()

    def _checked(self, content: dict[str, Any]) -> State:
        """The values of a message."""
        values = content["values"]
        return {name: self.description[name].checked(value) for name, value in values.items()}

    def _set(self, content: dict[str, Any]) -> None:
        """A reader has moved controls."""
        self._update(self._checked(content), content["serial"])

    def _tell(self, content: dict[str, Any]) -> None:
        """A reader has moved controls, and the browser has computed the view itself."""
        self._take(self._checked(content))
        self._view = None
        self._error = ""

    def _act(self, content: dict[str, Any]) -> None:
        """A reader has pressed a button."""
        self._press(content["name"], content["serial"])

    def _upload(self, content: dict[str, Any], read: bytes) -> None:
        """A reader has chosen a file."""
        self._take_file(content["name"], content["file"], read, content["serial"])

    def _file(self, content: dict[str, Any]) -> None:
        """A reader wants the picture or the curves as a file."""
        ending = checks.one_of(content["ending"], "ending", MIME)
        name = f"{type(self).__name__}{ending}"
        is_table = ending == ".csv"
        written = self.table().encode() if is_table else encoded(self.figure(), ending)
        self.send({"kind": "file", "name": name, "mime": MIME[ending]}, [written])

    def _text(self, content: dict[str, Any]) -> None:
        """A reader wants the code or the link."""
        text = {"code": self.code, "link": self.link}[content["what"]]()
        self.send({"kind": "text", "what": content["what"], "text": text})


def said_of(control: Control, value: Any) -> str:
    """What a control shows of its value, in words.

    Args:
        control: The control.
        value: Its value.

    Returns:
        The words; empty for a control whose value is a text, points or a film's time, for a switch
        that is off, and where nothing is chosen.
    """
    if isinstance(control, Slider):
        # a place between the steps of a slider, such as that of a schedule's end, is no exact one
        number = f"{value:g}" if float(value).is_integer() else f"{value:.4g}"
        return f"{number} {control.unit}".rstrip().replace("-", "−")
    if isinstance(control, Menu):
        return str(value)
    if isinstance(control, Chips):
        return ", ".join(value)
    return "on" if isinstance(control, Switch) and value else ""


def in_words(error: Exception) -> str:
    """An error as a reader sees it: its kind, then its message.

    Args:
        error: The error.

    Returns:
        The words.
    """
    return f"{type(error).__name__}: {error}"
