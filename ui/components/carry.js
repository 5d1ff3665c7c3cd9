// Carrying a card on the board, by pointer or by keys: where it may go, what it looks like on the way, and what happens
// between the drop and the server's answer. Mixed into board.js; the lists stay the server's truth meanwhile.

import { fly, handOver } from "motion";
import { arrange, neighbours, SLOT } from "order";

const either = new Intl.ListFormat("en", { type: "disjunction" });
const PATIENCE = 10_000; // ms to wait for the truth about a drop before asking for it

export default {
  data() {
    // The carried card or null: {id, card, by, from, origin, to, index, refusal, hint, person}. Frozen: it is replaced,
    // never changed, and Vue leaves the card in it alone.
    return { carry: null };
  },
  created() {
    this.holds = new Map(); // id -> where a card is shown other than in its list (see arrange in order.js)
    this.waits = new Map(); // id -> {version, timer, late}: dropped cards whose answer is still to come
  },
  methods: {
    gestures() {
      return {
        pick: (element) => this.pick(element.dataset.id),
        lift: (card) => this.lift(card.id, "pointer"),
        ghost: () => this.$refs.ghost,
        over: (x, y, top) => this.over(x, y, top),
        drop: (place) => this.drop(place),
        cancel: (place) => this.cancel("", place),
      };
    },

    // Up

    /** Whether anything on this board can be carried at all. */
    isFixed() {
      return !this.sortable && !this.assignable && this.statuses.every((status) => !status.moves.length);
    },
    targetsOf(card) {
      const { moves } = this.byId.get(card.status);
      return this.sortable ? [card.status, ...moves] : moves;
    },
    pick(id) {
      const card = this.lists.cards.get(id);
      return card && (this.targetsOf(card).length || this.assignable) ? card : null;
    },
    lift(id, by) {
      const card = this.pick(id);
      if (!card || this.carry) return false;
      if (this.waits.has(id)) {
        this.say(`${card.name} is still being saved`, "warn");
        return false;
      }
      if (this.channel.status.state === "offline") {
        this.say("You are offline: nothing can be moved now", "warn");
        return false;
      }
      const origin = this.shown(card.status).findIndex((shown) => shown.id === id);
      this.steer({ id, card, by, from: card.status, origin, to: card.status, index: origin });
      if (by === "keys") this.mark(id, "lifted");
      return true;
    },

    // On the way

    steer(change) {
      const next = Object.freeze({ ...this.carry, ...change });
      const { carry } = this;
      if (carry && Object.keys(change).every((key) => carry[key] === change[key])) return;
      this.carry = next;
      const refused = next.refusal || next.person || !next.to;
      this.touch(next.from, this.statusOf(next.id));
      this.holds.set(next.id, {
        show: next.by === "keys" ? next.card : SLOT,
        from: next.from,
        to: refused ? next.from : next.to, // where it would fall back to
        index: refused ? next.origin : next.index,
      });
      this.touch(this.statusOf(next.id));
    },
    over(x, y, top) {
      const { carry } = this;
      const person = this.personAt(x, y);
      this.pointAt(person);
      const column = person ? null : this.columnAt(x, y);
      if (person) {
        const { name } = person.dataset;
        const own = person.dataset.person === carry.card.owner?.id;
        const refusal = own ? `${name} has this lead already` : "";
        this.steer({ to: null, refusal, hint: own ? "" : `Assign to ${name}`, person });
      } else if (!column) {
        this.steer({ to: null, refusal: "", hint: "", person: null });
      } else {
        const to = column.status.id;
        this.steer({ to, index: this.indexAt(column, top), refusal: this.refusal(to), hint: "", person: null });
      }
      const list = column && !column.folded ? column.$refs.list : null;
      return { vertical: list, horizontal: this.$refs.flow?.[0] };
    },
    personAt(x, y) {
      return this.assignable ? document.elementFromPoint(x, y)?.closest("[data-person]") ?? null : null;
    },
    columnAt(x, y) {
      const board = this.$el.getBoundingClientRect();
      if (y < board.top - 24 || y > board.bottom + 24) return null;
      for (const part of [this.$refs.dock?.[0], this.$refs.flow?.[0]]) {
        const box = part?.getBoundingClientRect();
        if (!box || x < box.left || x > box.right) continue;
        for (const column of this.$refs.columns) {
          if (column.$el.parentNode !== part) continue;
          const { left, right } = column.$el.getBoundingClientRect();
          if (x >= left - 5 && x <= right + 5) return column;
        }
      }
      return null;
    },
    indexAt(column, top) {
      if (column.folded) return 0;
      const { list } = column.$refs;
      const others = this.shown(column.status.id).filter((card) => card !== SLOT).length;
      const index = Math.round((top - list.getBoundingClientRect().top + list.scrollTop) / this.pitch);
      return Math.max(0, Math.min(others, index));
    },
    refusal(to) {
      const { from, card } = this.carry;
      const targets = this.targetsOf(card);
      if (targets.includes(to)) return "";
      const titles = targets.filter((id) => id !== from).map((id) => this.byId.get(id).title);
      if (to === from) return "The order of this column is fixed";
      if (!titles.length) return `You can't move a lead out of ${this.byId.get(from).title}`;
      return `From ${this.byId.get(from).title}, a lead can only go to ${either.format(titles)}`;
    },
    isTarget(id) {
      return Boolean(this.carry && !this.carry.refusal && this.carry.to === id);
    },
    isClosed(id) {
      return Boolean(this.carry && id !== this.carry.from && !this.targetsOf(this.carry.card).includes(id));
    },
    /** Shows on a person that the card would be theirs; the list of persons belongs to another component. */
    pointAt(person) {
      if (this.pointed === person) return;
      if (this.pointed) delete this.pointed.dataset.over;
      if (person) person.dataset.over = "card";
      this.pointed = person;
    },

    // Down

    drop(place) {
      const { carry } = this;
      if (!carry) return; // it left the board under the hand
      const { id, card, from, to, index, person, refusal } = carry;
      const back = person ? false : !to || (to === from && index === this.originNow());
      if (back || refusal) {
        this.cancel(back ? "" : refusal, place);
        return;
      }
      if (person) handOver(this.$refs.ghost?.firstElementChild, place, person);
      const others = person ? [] : this.shown(to).filter((shown) => shown !== SLOT && shown.id !== id);
      this.putDown();
      this.wait(card);
      if (person) {
        this.say(`${card.name} goes to ${person.dataset.name}`);
        this.$emit("assign", { id, version: card.version, person: person.dataset.person });
        return;
      }
      const between = neighbours(others, index);
      this.holds.set(id, { show: card, from, to, index, ...between });
      this.touch(from, to);
      this.say(`${card.name}, ${this.byId.get(to).title}, position ${index + 1}`);
      this.$emit("move", { id, version: card.version, from, to, ...between });
      this.land(id, place, this.columnOf(to)?.$el);
    },
    /** Where the carried card would stand had nobody touched it: others may have come and gone above it. */
    originNow() {
      const { id, from, origin } = this.carry;
      const others = new Map([...this.holds].filter(([held]) => held !== id));
      const index = arrange(this.lists.columns.get(from).items, from, others).findIndex((card) => card.id === id);
      return index < 0 ? origin : index;
    },
    cancel(text, place) {
      const { carry } = this;
      if (!carry) return;
      this.putDown();
      this.say(text || `${carry.card.name} is back where it was`, text ? "warn" : "");
      this.land(carry.id, place, this.columnOf(carry.from)?.$el);
    },
    /** Lets the ghost's card fly to where it belongs now, be that in sight or in a folded column. */
    land(id, place, column) {
      if (!place) return;
      const ghost = this.$refs.ghost?.firstElementChild;
      this.$nextTick(() => {
        const element = this.elementOf(id);
        if (element) fly(element, place, 220);
        else if (column?.classList.contains("lf-column--folded")) handOver(ghost, place, column);
      });
    },
    putDown() {
      const { id, from } = this.carry;
      this.pointAt(null);
      this.unmark(id, "lifted");
      this.touch(from, this.statusOf(id));
      this.holds.delete(id);
      this.carry = null;
      this.note = null;
    },
    /** The card in the viewer's hand was changed by somebody else; `card` is null when it left this board. */
    carriedChanged(id, card) {
      const { carry } = this;
      if (carry?.id !== id) return;
      if (card?.status === carry.from) {
        this.steer({ card });
        return;
      }
      this.drag.release();
      const where = card && this.byId.get(card.status)?.title;
      this.cancel(where ? `${card.name} was just moved to ${where}` : `${carry.card.name} just left this board`);
    },

    // Until the server has spoken

    wait(card) {
      this.waits.set(card.id, { version: card.version, late: false });
      this.beImpatient(card.id);
      this.mark(card.id, "pending");
    },
    beImpatient(id) {
      const wait = this.waits.get(id);
      clearTimeout(wait.timer);
      wait.timer = setTimeout(() => {
        wait.late = true;
        this.channel.resync();
      }, PATIENCE);
    },
    endWait(id) {
      const wait = this.waits.get(id);
      if (!wait) return false;
      clearTimeout(wait.timer);
      this.waits.delete(id);
      this.unmark(id, "pending");
      this.touch(this.holds.get(id)?.from, this.statusOf(id));
      this.holds.delete(id);
      this.touch(this.statusOf(id));
      return true;
    },
    /** A card came from the room. True when that is the answer to the viewer's own drop. */
    answered(card) {
      const wait = this.waits.get(card.id);
      return Boolean(wait && card.version > wait.version && this.endWait(card.id));
    },
    /** After a resync: the snapshot answers what was late, and what it already contains. */
    recheckWaits() {
      for (const [id, wait] of [...this.waits]) {
        const card = this.lists.cards.get(id);
        if (!card || card.version > wait.version || wait.late) this.endWait(id);
      }
      const { carry } = this;
      if (carry) this.carriedChanged(carry.id, this.lists.cards.get(carry.id) ?? null);
    },
    forgetWaits() {
      for (const wait of this.waits.values()) clearTimeout(wait.timer);
      this.pointAt(null);
    },

    // Called by the server

    /** The drop was accepted. The card keeps its new place until the room tells the exact one. */
    settle(id) {
      if (!this.waits.has(id)) return; // the room was faster
      this.unmark(id, "pending");
      this.beImpatient(id);
    },
    /** The viewer is asked something first: the answer may take as long as people take. */
    hold(id) {
      clearTimeout(this.waits.get(id)?.timer);
    },
    /** The drop was refused: the card returns, and `text` says why. */
    reject(id, text) {
      this.change([id], () => this.endWait(id));
      this.say(text, "warn");
    },
  },
};
