/**
 * A table of any number of rows of which only those are made that can be seen. A row's cells are changed in place, so a
 * thousand rows that change cost as much as the thirty on the screen.
 */

import { draw, undraw } from "./drawing.js";
import { el, say } from "./element.js";

const SPARE = 8;

export class Rows {
  #columns;
  #idOf;
  #hrefOf;
  #list = [];
  #made = new Map();
  #chosen = null;
  #above = el("tr", { class: "spacer", "aria-hidden": "true" }, el("td"));
  #below = el("tr", { class: "spacer", "aria-hidden": "true" }, el("td"));
  #body = el("tbody", { role: "rowgroup" }, this.#above, this.#below);
  #frame = false;
  #onScroll = () => this.#soon();
  #paint = () => this.paint();

  /**
   * `columns`: `{name, kind, text(row, now)}`, or instead of `text`: `{mark(row), node(row)}`, made anew when the mark
   * changes. The column with `link: true` holds the link of the row, made by `hrefOf(row)`.
   */
  constructor({ columns, idOf, hrefOf, name, atEnd = null }) {
    this.#columns = columns;
    this.#idOf = idOf;
    this.#hrefOf = hrefOf;
    this.atEnd = atEnd;
    const heads = columns.map((column) =>
      el("th", { role: "columnheader", scope: "col", class: column.kind }, column.name),
    );
    this.node = el(
      "table",
      { role: "table", class: "rows", "aria-label": name },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads)),
      this.#body,
    );
    addEventListener("scroll", this.#onScroll, { passive: true });
    addEventListener("resize", this.#onScroll, { passive: true });
  }

  /** Show these rows. Where the page was scrolled down, what is being read stays where it is. */
  set(list) {
    const height = this.#height();
    const first = Math.floor((this.#edge() - this.#body.getBoundingClientRect().top) / height);
    const held = first > 0 ? this.#list[Math.min(first, this.#list.length - 1)] : null;
    this.#list = list;
    this.node.setAttribute("aria-rowcount", list.length + 1);
    if (held) {
      const now = list.findIndex((row) => this.#idOf(row) === this.#idOf(held));
      if (now > first) {
        this.#space(height);
        scrollBy(0, (now - first) * height);
      }
    }
    draw(this.#paint);
  }

  /** Draw again what changes with time or has changed in place. */
  refresh() {
    draw(this.#paint);
  }

  close() {
    undraw(this.#paint);
    removeEventListener("scroll", this.#onScroll);
    removeEventListener("resize", this.#onScroll);
  }

  /** Move the choice by `step` rows and give that row's link the focus. */
  move(step) {
    if (this.#list.length === 0) return;
    const now = this.#list.findIndex((row) => this.#idOf(row) === this.#chosen);
    const next = now < 0 ? (step > 0 ? 0 : this.#list.length - 1) : now + step;
    const index = Math.max(0, Math.min(this.#list.length - 1, next));
    this.choose(this.#idOf(this.#list[index]));
    const height = this.#height();
    const top = this.#body.getBoundingClientRect().top + index * height;
    const low = innerHeight - this.#footer();
    if (top < this.#edge() + height) scrollBy(0, top - this.#edge() - height);
    else if (top + height > low) scrollBy(0, top + height - low);
    this.paint();
    this.#made.get(this.#chosen)?.link.focus({ preventScroll: true });
  }

  /** The row of this id is the one that was looked at last. */
  choose(id) {
    this.#chosen = id;
  }

  /** The link of the chosen row, for Enter. */
  chosenLink() {
    return this.#made.get(this.#chosen)?.link ?? null;
  }

  #soon() {
    if (this.#frame) return;
    this.#frame = true;
    requestAnimationFrame(() => {
      this.#frame = false;
      this.paint();
    });
  }

  #height() {
    return parseFloat(getComputedStyle(this.node).getPropertyValue("--row")) || 40;
  }

  /** Where the rows vanish behind what sticks to the top. */
  #edge() {
    return document.querySelector("header.bar")?.getBoundingClientRect().bottom ?? 0;
  }

  #footer() {
    return parseFloat(getComputedStyle(this.node).getPropertyValue("--foot")) || 0;
  }

  #space(height, first = 0, end = this.#list.length) {
    this.#above.firstChild.style.height = `${first * height}px`;
    this.#below.firstChild.style.height = `${(this.#list.length - end) * height}px`;
  }

  paint() {
    if (!this.node.isConnected) return;
    const height = this.#height();
    const top = this.#body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / height) - SPARE);
    const end = Math.min(this.#list.length, Math.ceil((innerHeight - top) / height) + SPARE);
    const wanted = this.#list.slice(first, Math.max(first, end));
    const ids = new Set(wanted.map(this.#idOf));
    for (const [id, made] of this.#made) {
      if (ids.has(id)) continue;
      made.line.remove();
      this.#made.delete(id);
    }
    const now = Date.now();
    let place = this.#above.nextSibling;
    wanted.forEach((row, at) => {
      const made = this.#made.get(this.#idOf(row)) ?? this.#make(row);
      if (made.line === place) place = place.nextSibling;
      else this.#body.insertBefore(made.line, place);
      this.#fill(made, row, now, first + at);
    });
    this.#space(height, first, first + wanted.length);
    if (end >= this.#list.length) this.atEnd?.();
  }

  #make(row) {
    const link = el("a", { class: "row-link" });
    const cells = this.#columns.map((column) => {
      const cell = el("td", { role: "cell", class: column.kind });
      if (column.link) cell.append(link);
      return cell;
    });
    const line = el("tr", { role: "row", onclick: (event) => this.#clicked(event, link) }, cells);
    const made = { line, link, cells, marks: [] };
    this.#made.set(this.#idOf(row), made);
    return made;
  }

  #clicked(event, link) {
    // A link is followed by itself, and who selects a text does not want to leave.
    if (event.target.closest("a, button") || String(getSelection())) return;
    link.click();
  }

  #fill(made, row, now, index) {
    this.#columns.forEach((column, at) => {
      if (column.node) {
        const mark = column.mark(row);
        if (made.marks[at] === mark) return;
        made.marks[at] = mark;
        made.cells[at].replaceChildren(column.node(row));
      } else if (column.link) {
        say(made.link, column.text(row, now));
        const href = this.#hrefOf(row);
        if (made.marks[at] !== href) made.link.setAttribute("href", (made.marks[at] = href));
      } else {
        say(made.cells[at], column.text(row, now));
      }
      if (column.title) {
        const title = column.title(row);
        if (made.cells[at].title !== title) made.cells[at].title = title;
      }
    });
    made.line.setAttribute("aria-rowindex", index + 2);
    made.line.classList.toggle("chosen", this.#idOf(row) === this.#chosen);
  }
}
