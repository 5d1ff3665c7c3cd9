// The board: leads by status, always open, always true. It keeps the loaded part of every column, takes operations from
// the room, and shows over that truth what the viewer is doing right now (carry.js, keys.js).

import BoardColumn from "column";
import LeadCard from "card";
import carrying from "carry";
import { Drag } from "drag";
import keys from "keys";
import { getJson, join, readCursor } from "live";
import { fly, handOver, placeOf } from "motion";
import { arrange, Lists, PAGE } from "order";

const FLIGHTS = 12; // cards that fly at once; a larger change just happens
const FOLDED_AT_FIRST = ["lost", "unqualified"];
const MEMORY = "leadfloor.folded"; // what this browser remembers: {status: folded or not}
const PITCH = { comfortable: 108, compact: 88 }; // px from card to card; floor.css draws them 8 px lower

export default {
  components: { BoardColumn, LeadCard },
  mixins: [carrying, keys],
  props: {
    statuses: { type: Array, required: true }, // columns in order: {id, title, color, moves: [status, ...]}
    snapshot: Object, // {cursor, columns}; without it the board fetches its first one
    room: { type: String, required: true },
    api: { type: String, default: "/api/v1/leads/board" },
    density: { type: String, default: "comfortable" },
    currency: { type: String, default: "EUR" }, // of the totals; every card has its own
    sortable: { type: Boolean, default: true }, // cards may be moved inside their column
    assignable: { type: Boolean, default: true }, // cards may be dropped on a person
  },
  emits: ["move", "assign", "open"],
  data() {
    return { ticks: {}, loading: !this.snapshot, failed: {}, folded: {}, focusId: null, note: null, beyond: new Set() };
  },
  computed: {
    pitch() {
      return PITCH[this.density] ?? PITCH.comfortable;
    },
    compact() {
      return this.density === "compact";
    },
    byId() {
      return new Map(this.statuses.map((status) => [status.id, status]));
    },
    /** The columns that scroll sideways, and the folded ones at the end, which always stay in sight. */
    parts() {
      let border = this.statuses.length;
      while (border > 0 && this.folded[this.statuses[border - 1].id]) border--;
      return { flow: this.statuses.slice(0, border), dock: this.statuses.slice(border) };
    },
  },
  template: `
    <div class="lf-board" :class="{ 'lf-compact': compact, 'lf-fixed': isFixed() }" tabindex="-1"
        role="region" aria-label="Leads by status"
        @keydown="key" @focusin="focused" @focusout="strayed" @dblclick="open">
      <p id="lf-board-help" class="lf-unseen">
        Space lifts the lead, arrow keys move it, Space drops it, Escape puts it back. Enter opens it.
      </p>
      <div v-for="(part, name) in parts" v-show="part.length" :key="name" :ref="name" :class="'lf-' + name"
          :data-beyond="[...beyond].join(' ')">
        <i class="lf-edge" data-edge="left"></i>
        <board-column v-for="status in part" :key="status.id" ref="columns" :status="status"
          :entries="shown(status.id)" :tick="ticks[status.id]" :marks="marks" :pitch="pitch" :focus-id="focusId"
          :count="total(status.id).n" :value="total(status.id).value" :currency="currency"
          :loading="loading" :more="hasMore(status.id)" :failed="!!failed[status.id]" :folded="!!folded[status.id]"
          :target="isTarget(status.id)" :closed="isClosed(status.id)"
          @more="more(status.id)" @fold="fold(status.id)" />
        <i class="lf-edge" data-edge="right"></i>
      </div>
      <div v-if="carry && carry.by === 'pointer'" ref="ghost" class="lf-ghost" aria-hidden="true"
          :style="{ '--c': byId.get(carry.to || carry.from).color }" :class="{ 'lf-ghost--refused': carry.refusal }">
        <lead-card :card="carry.card" />
        <p v-if="carry.refusal || carry.hint" class="lf-ghost-note">{{ carry.refusal || carry.hint }}</p>
      </div>
      <transition name="lf-note">
        <p v-if="note && note.seen" :key="note.text" class="lf-note" :class="'lf-note--' + note.tone">
          {{ note.text }}
        </p>
      </transition>
      <p class="lf-unseen" role="status" aria-live="assertive">{{ note ? note.text : "" }}</p>
    </div>`,
  created() {
    // Large data is not reactive; a column's tick tells Vue when something in it changed.
    this.lists = new Lists(this.statuses.map((status) => status.id));
    this.marks = new Map(); // id -> {arrive, flash, pending, lifted}: how a card looks beyond what it says
    this.fetching = new Map(); // id -> operations that arrive while the next page of that column is fetched
    this.generation = 0; // a page that was asked for before a resync is worth nothing after it
    if (this.snapshot) this.lists.reset(this.snapshot.columns);
    this.remember();
  },
  mounted() {
    this.channel = join(this.room, {
      source: `${this.api}?limit=${PAGE}`,
      cursor: this.snapshot?.cursor,
      snapshot: (data) => this.reset(data),
      message: (message, cursor) => this.apply(message, cursor),
    });
    if (!this.snapshot) this.channel.resync();
    this.drag = new Drag(this.$el, this.gestures());
    this.topUp();
    this.watchEdges();
  },
  unmounted() {
    this.observer.disconnect();
    this.channel.leave();
    this.drag.destroy();
    this.forgetWaits();
    clearTimeout(this.noteTimer);
  },
  methods: {
    // What the columns show

    columnOf(id) {
      return this.$refs.columns.find((column) => column.status.id === id);
    },
    /** Says that something in these columns changed; in all of them if none is named. */
    touch(...ids) {
      for (const id of ids.length ? ids : this.byId.keys()) if (id) this.ticks[id] = (this.ticks[id] ?? 0) + 1;
    },
    total(id) {
      void this.ticks[id];
      return this.lists.columns.get(id);
    },
    shown(id) {
      return arrange(this.total(id).items, id, this.holds);
    },
    hasMore(id) {
      return this.total(id).next !== null;
    },
    /** The column in which a card is shown, be it there or only on its way. */
    statusOf(id) {
      return this.holds.get(id)?.to ?? this.lists.cards.get(id)?.status;
    },
    /** Notes on which sides there are more columns than fit; floor.css fades them out there. */
    watchEdges() {
      const [flow] = this.$refs.flow;
      const note = (entries) => {
        for (const { target, isIntersecting } of entries) {
          if (isIntersecting) this.beyond.delete(target.dataset.edge);
          else this.beyond.add(target.dataset.edge);
        }
      };
      this.observer = new IntersectionObserver(note, { root: flow });
      for (const edge of flow.querySelectorAll(".lf-edge")) this.observer.observe(edge);
    },
    elementOf(id) {
      return this.$el.querySelector(`[data-id="${CSS.escape(id)}"]`);
    },
    mark(id, name, ms = 0) {
      this.marks.set(id, { ...this.marks.get(id), [name]: true });
      this.touch(this.statusOf(id));
      if (ms) setTimeout(() => this.unmark(id, name), ms);
    },
    unmark(id, name) {
      if (!this.marks.get(id)?.[name]) return;
      const { [name]: gone, ...rest } = this.marks.get(id);
      if (Object.keys(rest).length) this.marks.set(id, rest);
      else this.marks.delete(id);
      this.touch(this.statusOf(id));
    },
    /** Says something: to those who listen always, on the screen when `tone` is "hint" or "warn". */
    say(text, tone = "") {
      this.note = { text, tone, seen: Boolean(tone) };
      clearTimeout(this.noteTimer);
      if (tone !== "hint") this.noteTimer = setTimeout(() => (this.note = null), tone ? 5000 : 2500);
    },
    open(event) {
      const id = event.target.closest("[data-id]")?.dataset.id;
      if (id) this.$emit("open", id);
    },

    // What the server says

    reset(data) {
      this.generation++;
      this.fetching.clear();
      this.failed = {};
      this.loading = false;
      this.change([], () => {
        this.lists.reset(data.columns);
        this.touch();
      });
      this.recheckWaits();
      this.topUp();
    },
    apply(message, cursor) {
      const ops = message.ops ?? [];
      for (const later of this.fetching.values()) later.push(...ops.map((op) => ({ op, number: cursor.number })));
      const ids = ops.map(([verb, what]) => (verb === "up" ? what.id : what));
      this.change(ids, () => {
        for (const [verb, what] of ops) {
          if (verb === "up") this.up(what);
          else if (verb === "left") this.gone(what);
        }
        for (const id of message.counts ? this.lists.count(message.counts) : []) this.touch(id);
      });
      this.topUp();
    },
    up(card) {
      const known = this.lists.cards.get(card.id);
      this.lists.up(card);
      this.touch(known?.status, card.status);
      const mine = this.answered(card);
      if (!known) this.mark(card.id, "arrive", 2400);
      else if (!mine) this.mark(card.id, "flash", 1400);
      this.carriedChanged(card.id, card);
    },
    gone(id) {
      this.touch(this.lists.cards.get(id)?.status);
      this.lists.left(id);
      this.endWait(id);
      this.carriedChanged(id, null);
    },
    /** Changes what is shown and lets the cards `ids` fly to their new places; the eye and the focus stay put. */
    change(ids, alter) {
      const before = new Map();
      for (const id of new Set(ids.length > FLIGHTS ? [] : ids)) {
        const element = this.elementOf(id);
        if (element) before.set(id, { element, place: placeOf(element), column: element.closest(".lf-column") });
      }
      const anchors = this.carry ? [] : this.$refs.columns.map((column) => [column, column.anchor()]);
      const focused = document.activeElement?.dataset?.id;
      alter();
      return this.$nextTick(() => {
        for (const [column, anchor] of anchors) column.hold(anchor);
        for (const [id, was] of before) this.$nextTick(() => this.arrive(id, was));
        if (focused && this.$el.isConnected && document.activeElement === document.body) {
          this.elementOf(focused)?.focus({ preventScroll: true });
        }
      });
    },
    arrive(id, was) {
      const element = this.elementOf(id);
      const column = element?.closest(".lf-column") ?? this.columnOf(this.lists.cards.get(id)?.status)?.$el;
      if (!was.place || !column || column === was.column) return;
      if (element) fly(element, was.place);
      else if (column.classList.contains("lf-column--folded")) handOver(was.element, was.place, column);
    },

    // Pages

    topUp() {
      for (const column of this.lists.columns.values()) if (column.short) this.more(column.id);
    },
    async more(id) {
      const column = this.lists.columns.get(id);
      if (column.next === null || this.fetching.has(id) || this.loading) return;
      const { generation } = this;
      const later = [];
      this.fetching.set(id, later);
      this.failed[id] = false;
      try {
        const query = new URLSearchParams({ status: id, limit: PAGE, page: column.next });
        const page = await getJson(`${this.api}?${query}`);
        if (generation !== this.generation) return;
        const { number } = readCursor(page.cursor);
        const newer = later.filter((entry) => entry.number > number).map((entry) => entry.op);
        this.fetching.delete(id);
        this.change([], () => {
          this.lists.append(id, page.columns[id], newer);
          this.touch(...(newer.length ? [] : [id]));
        });
        if (column.short) this.more(id);
      } catch {
        if (generation !== this.generation) return;
        this.fetching.delete(id);
        this.failed[id] = true;
      }
    },

    // Folding

    remember() {
      let memory = {};
      try {
        memory = JSON.parse(localStorage.getItem(MEMORY)) ?? {};
      } catch {
        // a browser without storage, or with nonsense in it, starts as at first
      }
      for (const { id } of this.statuses) this.folded[id] = memory[id] ?? FOLDED_AT_FIRST.includes(id);
    },
    fold(id) {
      this.folded[id] = !this.folded[id];
      try {
        localStorage.setItem(MEMORY, JSON.stringify(this.folded));
      } catch {
        // then it is only remembered until the page closes
      }
      const column = () => this.columnOf(id).$el; // unfolding may make it anew in the other part
      this.$nextTick(() => {
        column().querySelector(".lf-fold, .lf-column-fold")?.focus();
        column().scrollIntoView({ inline: "nearest", block: "nearest", behavior: "smooth" });
      });
    },
  },
};
