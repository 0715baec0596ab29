// What a page of the site does: it opens explorers, sorts and searches tables. Nothing is loaded
// that the page does not show.

/** The places whose explorer was opened: a place may be reported in sight twice. */
const opened = new Set();

/** @param {string} root path to the root of the site */
function addStyles(root) {
  for (const name of ["vendor/uPlot.css", "style.css"]) {
    const href = `${root}views/${name}`;
    if (document.querySelector(`link[href="${href}"]`)) continue;
    const link = document.createElement("link");
    Object.assign(link, { rel: "stylesheet", href });
    document.head.append(link);
  }
}

/** @param {HTMLElement} host */
async function openExplorer(host) {
  if (opened.has(host)) return;
  opened.add(host);
  const { root, explorer } = host.dataset;
  addStyles(root);
  try {
    const { open } = await import(new URL(`${root}views/page.js`, location.href).href);
    await open(host, new URL(`${root}openings/${explorer}`, location.href).href);
    new MutationObserver(letKeysScrollSoon).observe(host, { childList: true, subtree: true });
  } catch (error) {
    const note = document.createElement("p");
    note.className = "explorer-error";
    note.textContent = `The explorer could not be opened: ${error.message}. `
      + "A browser loads it from a web server only, such as python -m http.server.";
    host.append(note);
  }
}

/** Open each explorer at once, or when it comes into sight. */
function openExplorers() {
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      openExplorer(/** @type {HTMLElement} */ (target));
    }
  });
  for (const host of document.querySelectorAll(".explorer")) {
    if ("now" in host.dataset) openExplorer(host);
    else seen.observe(host);
  }
}

/** @param {HTMLTableCellElement} cell */
function valueOf(cell) {
  const text = cell?.textContent.trim() ?? "";
  const number = Number.parseFloat(text.replace("−", "-").replace(",", ""));
  return { text: text.toLowerCase(), number };
}

/** Numbers by size, texts by the alphabet, numbers before texts. */
function order(a, b) {
  const [left, right] = [Number.isNaN(a.number), Number.isNaN(b.number)];
  if (!left && !right && a.number !== b.number) return a.number - b.number;
  if (left !== right) return left ? 1 : -1;
  return a.text.localeCompare(b.text, "en");
}

/** @param {HTMLTableElement} table */
function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const falls = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => ({ row, value: valueOf(row.cells[column]) }));
      rows.sort((a, b) => (falls ? -1 : 1) * order(a.value, b.value));
      body.append(...rows.map(({ row }) => row));
    });
  });
}

/** @param {HTMLTableElement} table */
function makeSearchable(table) {
  const field = document.createElement("div");
  field.className = "search-field";
  const label = document.createElement("label");
  label.textContent = "Search";
  const input = document.createElement("input");
  Object.assign(input, { type: "search", id: "table-search", placeholder: table.dataset.search });
  label.htmlFor = input.id;
  const count = document.createElement("span");
  count.setAttribute("role", "status");
  field.append(label, input, count);
  const rows = [...table.tBodies[0].rows];
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      left += Number(!row.hidden);
    }
    count.textContent = `${left} of ${rows.length}`;
    const address = new URL(location.href);
    if (input.value) address.searchParams.set("search", input.value);
    else address.searchParams.delete("search");
    history.replaceState(history.state, "", address);
  };
  input.value = new URL(location.href).searchParams.get("search") ?? "";
  input.addEventListener("input", show);
  table.parentElement.before(field);
  show();
}

/** What scrolls sideways can be scrolled by keys. */
function letKeysScroll() {
  for (const box of document.querySelectorAll("pre, div.math, .dv-texts, .table-wrapper")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
}

let settled = 0;

/** The same once a page has come to rest: to look at sizes costs a layout of all of it. */
function letKeysScrollSoon() {
  clearTimeout(settled);
  settled = setTimeout(letKeysScroll, 200);
}

for (const table of document.querySelectorAll("table.sortable")) {
  makeSortable(table);
  if (table.dataset.search) makeSearchable(table);
}
openExplorers();
letKeysScroll();
addEventListener("resize", letKeysScrollSoon);
