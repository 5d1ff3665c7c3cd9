// One live connection per page, shared by all components on it. It takes the room's messages from the page's own
// socket, notices when one is missing, and then catches up once for everybody. Nothing here polls.

import { reactive } from "vue";

// The page's clock, for texts like "5s ago". `offset` (server minus browser, ms) makes it right on a wrong computer;
// `known` says that it was measured.
export const clock = reactive({ now: Date.now(), offset: 0, known: false });
setInterval(tickClock, 5000);

function tickClock() {
  clock.now = Date.now() + clock.offset;
}

export function setClockOffset(ms) {
  clock.offset = ms;
  clock.known = true;
  tickClock();
}

/** Fetches JSON of our own server; whoever is no longer signed in is sent to the door. */
export async function getJson(url, options = {}) {
  const response = await fetch(url, {
    credentials: "same-origin",
    headers: { Accept: "application/json" },
    cache: "no-store",
    ...options,
  });
  if (response.status === 401) {
    window.location = "/signin";
    return new Promise(() => {}); // the page is leaving: nobody needs an answer any more
  }
  if (!response.ok) throw new Error(`${response.status} at ${url}`);
  return response.json();
}

/** "9f2c41aa.1234" -> {epoch, number}. Numbers of different epochs can't be compared. */
export function readCursor(text) {
  const dot = text.lastIndexOf(".");
  return { epoch: text.slice(0, dot), number: BigInt(text.slice(dot + 1)) };
}

function isNewer(cursor, than) {
  if (!than) return true;
  return cursor.epoch !== than.epoch || cursor.number > than.number;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Room {
  constructor(name) {
    this.name = name;
    this.members = new Set();
    this.n = null; // number of the last message; null while nothing says what came before the next one
    this.cursor = null; // how far this page knows the world, at least
    this.waiting = null; // messages that wait for the end of a resync; null when none is running
    this.turn = 0; // a resync whose turn is over gives up
    // state: connecting, live, syncing or offline. `lag` is in ms, null until measured with a known clock.
    this.status = reactive({ state: "connecting", since: Date.now(), heardAt: Date.now(), lag: null });
  }

  become(state) {
    if (this.status.state === state) return;
    this.status.state = state;
    this.status.since = Date.now();
  }

  receive(message) {
    this.listen(message);
    if (this.waiting) {
      this.waiting.push(message);
      return;
    }
    const cursor = readCursor(message.cursor);
    if (this.n === null && this.cursor && isNewer(cursor, this.cursor)) {
      // The first sign of life is newer than what we have, and what came before it is unknown.
      this.resync(message);
    } else if (this.n === null) {
      this.n = message.n;
      this.deliver(message);
    } else if (message.n !== this.n + (message.hb ? 0 : 1)) {
      this.resync(message);
    } else if (this.cursor && cursor.epoch !== this.cursor.epoch) {
      this.resync(message);
    } else {
      this.n = message.n;
      this.deliver(message);
    }
  }

  listen(message) {
    this.status.heardAt = Date.now();
    if (!message.at || !clock.known) return;
    const lag = Math.max(0, Date.now() + clock.offset - message.at);
    this.status.lag = this.status.lag === null ? lag : Math.round(0.6 * this.status.lag + 0.4 * lag);
  }

  deliver(message) {
    if (message.hb) return;
    const cursor = readCursor(message.cursor);
    if (!this.cursor || isNewer(cursor, this.cursor)) this.cursor = cursor;
    for (const member of this.members) {
      if (member.cursor && !isNewer(cursor, member.cursor)) continue; // its snapshot already has this
      try {
        member.message?.(message, cursor);
      } catch (error) {
        console.error(error); // one broken component must not stop the others
      }
    }
  }

  /** Reads the truth again, once for all members. `message` is what made us notice. Retries until it works. */
  async resync(message) {
    if (message && this.waiting) this.waiting.push(message);
    if (this.waiting || this.status.state === "offline") return; // the next connect does it anyway
    this.waiting = message ? [message] : [];
    const turn = ++this.turn;
    this.become("syncing");
    if (message) await pause(Math.random() * 120); // a gap often hits every screen of the floor at once
    for (let delay = 200; turn === this.turn; delay = Math.min(2 * delay, 15000)) {
      const done = await this.refetch(turn).catch(() => false);
      if (!done) await pause(delay * (0.75 + Math.random() / 2));
    }
  }

  /** One attempt; false when it has to be made again. */
  async refetch(turn) {
    const sources = [...new Set([...this.members].map((member) => member.source).filter(Boolean))];
    const answers = await Promise.all(sources.map((source) => getJson(source)));
    if (turn !== this.turn) return true;
    const data = new Map(sources.map((source, i) => [source, answers[i]]));
    const cursors = answers.filter((answer) => answer.cursor).map((answer) => readCursor(answer.cursor));
    if (!this.fits(cursors)) return false;
    if ([...this.members].some((member) => member.source && !data.has(member.source))) return false; // a late comer

    for (const member of this.members) {
      const answer = data.get(member.source);
      if (!answer) continue;
      member.cursor = answer.cursor ? readCursor(answer.cursor) : null;
      member.snapshot?.(answer);
    }
    const waiting = this.waiting;
    this.waiting = null;
    this.cursor = cursors.reduce((low, cursor) => (low && low.number <= cursor.number ? low : cursor), null);
    this.n = waiting.length ? waiting[waiting.length - 1].n : null;
    for (const message of waiting) this.deliver(message);
    this.become(window.socket?.connected ? "live" : "connecting");
    this.turn++;
    return true;
  }

  /** Whether the fetched answers and the messages that waited make one unbroken story. */
  fits(cursors) {
    const [first, ...others] = this.waiting;
    if (!first) return true;
    let { n } = first;
    for (const message of others) {
      n += message.hb ? 0 : 1;
      if (message.n === n) continue;
      this.waiting = this.waiting.slice(-1); // one more was lost meanwhile: only the newest is still of use
      return false;
    }
    const start = readCursor(first.cursor);
    if (cursors.some((cursor) => cursor.epoch !== start.epoch)) {
      this.waiting = []; // the server began anew in between
      return false;
    }
    return cursors.every((cursor) => cursor.number >= start.number); // else: read before we were in the room
  }

  connected(again) {
    for (const member of this.members) member.connected?.();
    if (!again) {
      if (!this.waiting) this.become("live");
      return;
    }
    this.interrupt();
    this.become("syncing");
    this.resync();
  }

  disconnected() {
    this.interrupt();
    this.become("offline");
  }

  interrupt() {
    this.turn++;
    this.waiting = null;
    this.n = null;
  }
}

const rooms = new Map();
let dropped = false;

function hook() {
  const { socket } = window;
  if (!socket) {
    setTimeout(hook, 5); // children are mounted before the page creates its socket
    return;
  }
  socket.on("hub", (message) => rooms.get(message.room)?.receive(message));
  socket.on("connect", () => {
    const again = dropped;
    dropped = false;
    for (const room of rooms.values()) room.connected(again);
  });
  socket.on("disconnect", () => {
    dropped = true;
    for (const room of rooms.values()) room.disconnected();
  });
  if (socket.connected) for (const room of rooms.values()) room.connected(false);
}

let hooked = false;

/**
 * Joins a room. `member`: {
 *   source     URL of what to fetch when the room has to catch up (members with the same URL share one fetch),
 *   cursor     cursor of the data the member starts with, if it has one,
 *   snapshot   called with the fetched data,
 *   message    called with (message, cursor) for every message newer than the member's data,
 *   connected  called when the socket is up (again)
 * }. Returns {status, resync(), leave()}.
 */
export function join(name, member) {
  if (!rooms.has(name)) rooms.set(name, new Room(name));
  const room = rooms.get(name);
  member.cursor = member.cursor ? readCursor(member.cursor) : null;
  room.members.add(member);
  if (room.cursor && member.cursor && isNewer(room.cursor, member.cursor)) room.resync();
  if (!room.cursor) room.cursor = member.cursor;
  if (!hooked) {
    hooked = true;
    hook();
  } else if (window.socket?.connected) {
    if (room.status.state === "connecting") room.become("live");
    member.connected?.();
  }
  return {
    status: room.status,
    resync: () => room.resync(),
    leave() {
      room.members.delete(member);
      if (room.members.size) return;
      room.interrupt();
      rooms.delete(name);
    },
  };
}
