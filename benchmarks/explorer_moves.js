// Moves the controls of the explorer on a page, and times each move from its event to the end of
// the last frame that it changed. `paints` is filled by a watch that the benchmark installs first.
async ({ steps, options, seconds }) => {
  const QUIET = 250; // ms without a paint after which a move is over
  const LATEST = 700; // ms after which a move that painted nothing is over
  const rest = (time) => new Promise((done) => setTimeout(done, time));
  const fire = (element, kind) => element.dispatchEvent(new Event(kind, { bubbles: true }));
  const isWaiting = () => document.querySelector(".dv-waiting") !== null;
  const rows = (kinds) =>
    [...document.querySelectorAll(kinds)].filter((one) => one.checkVisibility());

  const timed = async (act) => {
    paints.length = 0;
    const start = performance.now();
    act();
    const isOver = () => {
      const now = performance.now();
      if (isWaiting()) return false;
      return now - (paints.length ? paints.at(-1) + QUIET : start + LATEST) > 0;
    };
    while (!isOver()) await rest(20);
    return paints.length ? paints.at(-1) - start : null;
  };

  const slide = (range, step) => {
    const size = Math.max(1, Math.round(range.max / 40));
    const places = Math.max(1, Math.floor(range.max / size));
    range.value = size * (step % (places + 1));
    fire(range, "input");
  };

  const slidersOf = async () => {
    const times = {};
    for (const row of rows(".dv-control[data-kind=slider], .dv-player")) {
      const range = row.querySelector("input[type=range]");
      const first = range.value;
      const spent = [];
      for (let step = 0; step < steps; step++) spent.push(await timed(() => slide(range, 7 + step)));
      range.value = first;
      fire(range, "input");
      await rest(QUIET);
      times[row.dataset.name ?? "time"] = spent.filter((time) => time !== null);
    }
    return times;
  };

  const choicesOf = (row) => {
    const menu = row.querySelector("select");
    if (!menu) return [...row.querySelectorAll("input[type=radio]")].map((one) => () => one.click());
    const choose = (index) => () => {
      menu.selectedIndex = index;
      fire(menu, "change");
    };
    const first = menu.selectedIndex;
    const others = [...Array(menu.options.length).keys()].filter((index) => index !== first);
    return [...others.slice(0, options), first].map(choose);
  };

  const menusOf = async () => {
    const times = {};
    for (const row of rows(".dv-control[data-kind=menu]")) {
      const spent = [];
      const choices = choicesOf(row);
      for (const choose of [...choices.slice(1), choices[0]]) spent.push(await timed(choose));
      times[row.dataset.name] = spent.filter((time) => time !== null);
    }
    return times;
  };

  const referenceOf = async () => {
    const canvas = document.body.appendChild(document.createElement("canvas"));
    const draw = () => {
      const pen = canvas.getContext("2d");
      pen.clearRect(0, 0, canvas.width, canvas.height);
      for (let curve = 0; curve < 8; curve++) {
        pen.beginPath();
        for (let place = 0; place < 1001; place++) {
          pen.lineTo(place * 0.3, 75 + 60 * Math.tanh(place / 100 - curve));
        }
        pen.stroke();
      }
    };
    const spent = [];
    for (let step = 0; step < 2 * steps; step++) spent.push(await timed(draw));
    canvas.remove();
    return spent;
  };

  const rateOf = async () => {
    const range = rows(".dv-control[data-kind=slider]")[0]?.querySelector("input[type=range]");
    if (!range) return null;
    paints.length = 0;
    const start = performance.now();
    for (let step = 0; performance.now() - start < 1000 * seconds; step++) {
      slide(range, step);
      await new Promise(requestAnimationFrame);
    }
    const frames = new Set(paints.map((time) => Math.round(time / 4))); // paints of one frame are one
    return frames.size / ((performance.now() - start) / 1000);
  };

  const reference = await referenceOf();
  const sliders = await slidersOf();
  const rate = await rateOf();
  return { reference, sliders, rate, menus: await menusOf() };
};
