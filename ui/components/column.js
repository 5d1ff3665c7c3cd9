// One column of the board: a header with the server's totals and a virtual list, which renders only the cards in sight.
// Cards are placed by translateY, so a card that moves inside its column glides there by itself.

import LeadCard from "card";
import { count, money, moneyInFull } from "format";
import { visibleRange } from "order";

const LEAD_TIME = 15; // cards before the end of the loaded part at which the next page is asked for

export default {
  components: { LeadCard },
  props: {
    status: { type: Object, required: true }, // {id, title, color}
    entries: { type: Array, required: true }, // what to show; changed in place, so `tick` tells when
    tick: { type: Number, default: 0 },
    count: Number,
    value: Number, // null when the viewer may not see values
    currency: String,
    pitch: { type: Number, required: true }, // px from one card to the next
    folded: Boolean,
    more: Boolean, // there are cards behind the loaded ones
    failed: Boolean, // and they could not be fetched
    loading: Boolean, // nothing was fetched yet
    target: Boolean, // something is carried over this column
    closed: Boolean, // something is carried that may not come here
    marks: { type: Map, required: true }, // id -> {arrive, flash, pending, lifted}
    focusId: String, // the card that was focused last, in whichever column
  },
  emits: ["more", "fold"],
  data() {
    return { first: 0, last: 20 };
  },
  computed: {
    number() {
      return count(this.count);
    },
    total() {
      return money(this.value, this.currency);
    },
    totalInFull() {
      return moneyInFull(this.value, this.currency);
    },
    length() {
      void this.tick;
      return this.entries.length;
    },
    visible() {
      void this.tick; // another card may stand in a list of the same length
      const last = Math.min(this.last, this.length);
      const rows = [];
      for (let index = Math.min(this.first, last); index < last; index++) {
        const card = this.entries[index];
        rows.push({ card, index, slot: card.id === "#slot", marks: this.marks.get(card.id) ?? {} });
      }
      return rows;
    },
    /** One card of every column can be reached by Tab; the arrow keys go on from there. */
    tabStop() {
      const rows = this.visible.filter((row) => !row.slot);
      return (rows.find((row) => row.card.id === this.focusId) ?? rows[0])?.card.id;
    },
  },
  template: `
    <section class="lf-column" :data-column="status.id" :style="{ '--c': status.color }"
        role="group" :aria-label="status.title + ', ' + count + ' leads'"
        :class="{ 'lf-column--target': target, 'lf-column--closed': closed, 'lf-column--folded': folded }">
      <button v-if="folded" type="button" class="lf-fold" @click="$emit('fold')" aria-expanded="false"
          :aria-label="'Show ' + status.title + ', ' + count + ' leads'" :title="'Show ' + status.title">
        <i class="lf-column-dot"></i>
        <span class="lf-count">{{ number }}</span>
        <span class="lf-fold-title">{{ status.title }}</span>
      </button>
      <template v-else>
        <header class="lf-column-head">
          <i class="lf-column-dot"></i>
          <b :title="status.title">{{ status.title }}</b>
          <span class="lf-count">{{ number }}</span>
          <span v-if="total" class="lf-column-value" :title="totalInFull">{{ total }}</span>
          <button type="button" class="lf-column-fold" @click="$emit('fold')" aria-expanded="true"
              :aria-label="'Fold ' + status.title" title="Fold this column">
            <span class="material-symbols-rounded" aria-hidden="true">unfold_less</span>
          </button>
        </header>
        <div class="lf-list" ref="list" role="list" @scroll.passive="measure">
          <div class="lf-space" :style="{ height: length * pitch + (more ? 2 * pitch : 0) + 2 + 'px' }">
            <template v-for="row in visible" :key="row.card.id">
              <div v-if="row.slot" class="lf-slot" :style="standing(row.index)"></div>
              <lead-card v-else :card="row.card" :data-id="row.card.id" role="listitem"
                :tabindex="tabStop === row.card.id ? 0 : -1"
                :style="standing(row.index)"
                :class="{ 'lf-card--arrive': row.marks.arrive, 'lf-card--flash': row.marks.flash,
                  'lf-card--pending': row.marks.pending, 'lf-card--lifted': row.marks.lifted }"
                aria-roledescription="Lead" aria-describedby="lf-board-help"
                :aria-setsize="count" :aria-posinset="row.index + 1" :aria-busy="row.marks.pending ? 'true' : null" />
            </template>
            <div v-if="more || loading" class="lf-rest" :style="standing(length)">
              <button v-if="failed" type="button" class="lf-link" @click="$emit('more')">
                Couldn't load more. Try again
              </button>
              <template v-else><i class="lf-bone"></i><i class="lf-bone"></i></template>
            </div>
          </div>
          <p v-if="!length && !more && !loading" class="lf-empty">No leads here</p>
        </div>
      </template>
    </section>`,
  created() {
    this.scrollTop = 0; // of the list, as last told by events: reading it from the page would force a layout
    this.height = 800;
  },
  mounted() {
    this.observer = new ResizeObserver(() => this.measure());
    this.watchList();
  },
  updated() {
    this.watchList();
  },
  unmounted() {
    this.observer.disconnect();
  },
  watch: {
    tick() {
      this.look();
    },
  },
  methods: {
    standing(index) {
      return { transform: `translateY(${index * this.pitch}px)` };
    },
    watchList() {
      const { list } = this.$refs;
      if (list === this.watched) return;
      this.observer.disconnect();
      this.watched = list;
      if (list) this.observer.observe(list);
    },
    measure() {
      const { list } = this.$refs;
      if (!list) return;
      this.scrollTop = list.scrollTop;
      this.height = list.clientHeight;
      this.look();
    },
    /** Finds out which rows are in sight, and whether the end of the loaded part is near. */
    look() {
      const [first, last] = visibleRange(this.scrollTop, this.height, this.pitch, this.entries.length);
      this.first = first;
      this.last = last;
      if (this.more && !this.failed && !this.folded && last + LEAD_TIME >= this.entries.length) this.$emit("more");
    },
    /** What the reader's eye rests on: the first card in sight of a scrolled list. */
    anchor() {
      if (this.folded || this.scrollTop < this.pitch / 2) return null;
      const index = Math.ceil(this.scrollTop / this.pitch);
      return index < this.entries.length ? { id: this.entries[index].id, index } : null;
    },
    /** Keeps the anchor where it was on the screen although cards came or went above it. */
    hold(anchor) {
      const { list } = this.$refs;
      const index = anchor ? this.entries.findIndex((card) => card.id === anchor.id) : -1;
      if (!list || index < 0 || index === anchor.index) return;
      list.classList.add("lf-list--still");
      list.scrollTop += (index - anchor.index) * this.pitch;
      this.measure();
      requestAnimationFrame(() => requestAnimationFrame(() => list.classList.remove("lf-list--still")));
    },
    /** Scrolls so that the row at `index` is in sight. */
    reveal(index) {
      const { list } = this.$refs;
      if (!list) return;
      const top = index * this.pitch;
      if (top < list.scrollTop) list.scrollTop = top;
      else if (top + this.pitch > list.scrollTop + list.clientHeight) {
        list.scrollTop = top + this.pitch - list.clientHeight;
      }
      this.measure();
    },
  },
};
