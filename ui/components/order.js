// The lists behind the board: which cards are loaded, in which order, and what one operation changes.
// Pure logic: no Vue, no DOM, no network, so node alone can test it.

export const PAGE = 50;

// Stands in a list for the place where a carried card would land.
export const SLOT = Object.freeze({ id: "#slot" });

/** Order inside a column: rank, then id. Both are decimal strings of 64-bit integers, too large for a Number. */
export function compare(a, b) {
  if (a.rank !== b.rank) return BigInt(a.rank) < BigInt(b.rank) ? -1 : 1;
  if (a.id !== b.id) return BigInt(a.id) < BigInt(b.id) ? -1 : 1;
  return 0;
}

/** The index at which `card` stands, or would have to be inserted, in sorted `items`. */
export function search(items, card) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compare(items[middle], card) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The rows of `length` that a viewport shows, as [first, last), with a few spare rows on both sides. */
export function visibleRange(scrollTop, height, pitch, length, spare = 6) {
  const first = Math.max(0, Math.floor(scrollTop / pitch) - spare);
  const last = Math.min(length, Math.ceil((scrollTop + height) / pitch) + spare);
  return [Math.min(first, length), Math.max(last, 0)];
}

/** One status: the top part of its cards, as far as it was fetched, and the true totals told by the server. */
export class Column {
  constructor(id) {
    this.id = id;
    this.clear();
  }

  clear() {
    this.items = [];
    this.next = null; // opaque token of the page after the loaded ones; null when everything is loaded
    this.end = null; // the last card of the last fetched page: it stays the border even when that card leaves
    this.n = 0;
    this.value = null;
  }

  /** Whether `card` belongs to the part that is loaded; a card behind it will come with its page. */
  covers(card) {
    return this.next === null || (this.end !== null && compare(card, this.end) <= 0);
  }

  /** Fewer cards than a page although there are more: time to fetch. */
  get short() {
    return this.next !== null && this.items.length < PAGE;
  }

  border(page) {
    this.next = page.next ?? null;
    if (page.items.length) this.end = page.items[page.items.length - 1];
  }
}

/** All columns of a board. */
export class Lists {
  constructor(ids) {
    this.columns = new Map(ids.map((id) => [id, new Column(id)]));
    this.cards = new Map(); // id -> the card as it stands in a column; a card that is not loaded is not here
  }

  /** Replaces everything by a snapshot: {status: {n, value, items, next}}. */
  reset(columns) {
    this.cards.clear();
    for (const column of this.columns.values()) {
      column.clear();
      const page = columns[column.id];
      if (!page) continue;
      column.n = page.n;
      column.value = page.value ?? null;
      column.items = [...page.items].sort(compare);
      column.border(page);
      for (const card of column.items) this.cards.set(card.id, card);
    }
  }

  /**
   * Adds the next page of a column. `later` are the operations that arrived while the page was fetched and that are
   * newer than it: they win over what the page says about their cards.
   */
  append(id, page, later = []) {
    const newer = new Set(later.map(([verb, what]) => (verb === "up" ? what.id : what)));
    const column = this.columns.get(id);
    column.border(page);
    for (const card of page.items) if (!newer.has(card.id)) this.up(card);
    for (const [verb, what] of later) this[verb]?.(what);
  }

  /** A card as it is now. It leaves where it was, and enters its column if that part of the column is loaded. */
  up(card) {
    this.left(card.id);
    const column = this.columns.get(card.status);
    if (!column?.covers(card)) return;
    column.items.splice(search(column.items, card), 0, card);
    this.cards.set(card.id, card);
  }

  left(id) {
    const card = this.cards.get(id);
    if (!card) return;
    this.cards.delete(id);
    const { items } = this.columns.get(card.status);
    const index = search(items, card);
    if (items[index]?.id === id) items.splice(index, 1);
  }

  /** Takes the totals {status: [n, value]} and returns the columns where they changed. */
  count(counts) {
    const changed = [];
    for (const [id, [n, sum]] of Object.entries(counts)) {
      const column = this.columns.get(id);
      const value = sum ?? null;
      if (!column || (column.n === n && column.value === value)) continue;
      Object.assign(column, { n, value });
      changed.push(id);
    }
    return changed;
  }
}

/**
 * What a column shows: its cards, without those that are being carried or wait for the server's answer, plus those
 * that are on their way into it. `holds`: id -> {from, to, show, index} while carried, with {after, before} as well
 * once dropped. The lists stay the server's truth; a hold only lies over them.
 */
export function arrange(items, id, holds) {
  const here = [...holds.values()].filter((hold) => hold.from === id || hold.to === id);
  if (!here.length) return items;
  const shown = items.filter((card) => !holds.has(card.id));
  for (const hold of here) if (hold.to === id) shown.splice(landing(shown, hold), 0, hold.show);
  return shown;
}

function landing(shown, hold) {
  if (hold.after) {
    const index = shown.findIndex((card) => card.id === hold.after);
    if (index >= 0) return index + 1;
  }
  if (hold.before) {
    const index = shown.findIndex((card) => card.id === hold.before);
    if (index >= 0) return index;
  }
  return Math.max(0, Math.min(shown.length, hold.index));
}

/** The cards above and below a place, as the server wants to hear it. */
export function neighbours(shown, index) {
  return { after: shown[index - 1]?.id ?? null, before: shown[index]?.id ?? null };
}
