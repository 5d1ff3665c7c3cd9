// The board without a mouse. Arrows walk, Space lifts and drops, Escape puts back, Enter opens. Mixed into board.js.

const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

export default {
  methods: {
    focused(event) {
      const { id } = event.target.dataset;
      if (id) this.focusId = id;
    },
    /** Who walks away with a lifted card puts it back. A card that changes its column loses the focus for a moment. */
    strayed() {
      if (this.carry?.by !== "keys") return;
      const { id } = this.carry;
      setTimeout(() => {
        if (this.carry?.id === id && !this.$el.contains(document.activeElement)) this.cancel("");
      }, 150);
    },
    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const carried = this.carry?.by === "keys";
      const id = carried ? this.carry.id : event.target.dataset.id;
      if (!id) return;
      const act = this.keyAction(event.key, id, carried);
      if (!act) return;
      event.preventDefault();
      act();
    },
    keyAction(key, id, carried) {
      if (key === " ") return carried ? () => this.dropByKey() : () => this.liftByKey(id);
      if (key === "Escape") return carried ? () => this.cancelByKey() : null;
      if (key === "Enter") return carried ? () => this.dropByKey() : () => this.$emit("open", id);
      if (key === "Tab" && carried) return () => this.say("Space drops the lead here, Escape puts it back", "hint");
      if (key in ARROWS) return carried ? () => this.carryByKey(...ARROWS[key]) : () => this.walk(id, ...ARROWS[key]);
      if (key === "Home") return carried ? null : () => this.walk(id, 0, -Infinity);
      if (key === "End") return carried ? null : () => this.walk(id, 0, Infinity);
      return null;
    },

    // Walking

    walk(id, columns, rows) {
      const from = this.statusOf(id);
      const cards = this.shown(from);
      const row = cards.findIndex((card) => card.id === id);
      if (rows) {
        this.focusAt(from, row + rows);
        return;
      }
      const ids = this.statuses.map((status) => status.id);
      for (let at = ids.indexOf(from) + columns; ids[at]; at += columns) {
        if (this.folded[ids[at]] || !this.shown(ids[at]).length) continue;
        this.focusAt(ids[at], this.sameHeight(from, row, ids[at]));
        return;
      }
    },
    /** The row of column `to` that stands beside row `row` of column `from` on the screen. */
    sameHeight(from, row, to) {
      const scrollTop = (id) => this.columnOf(id)?.$refs.list?.scrollTop ?? 0;
      return Math.max(0, Math.round((row * this.pitch - scrollTop(from) + scrollTop(to)) / this.pitch));
    },
    async focusAt(column, row) {
      const cards = this.shown(column);
      const index = Math.max(0, Math.min(cards.length - 1, row));
      const card = cards[index];
      if (!card) return;
      this.columnOf(column).reveal(index);
      await this.$nextTick();
      const element = this.elementOf(card.id);
      element?.focus({ preventScroll: true });
      element?.closest(".lf-column").scrollIntoView({ inline: "nearest", block: "nearest" });
    },

    // Carrying

    liftByKey(id) {
      if (!this.lift(id, "keys")) return;
      const { card, from } = this.carry;
      const what = `${card.name} lifted from ${this.byId.get(from).title}`;
      this.say(`${what}. Arrows move, Space drops, Esc puts back`, "hint");
    },
    async carryByKey(columns, rows) {
      const change = rows ? this.upOrDown(rows) : this.toNextColumn(columns);
      if (!change) {
        this.say(`${this.carry.card.name} can't go further that way`, "hint");
        return;
      }
      this.steer(change);
      const { to, index, from } = this.carry;
      const count = this.total(to).n + (to === from ? 0 : 1);
      this.say(`${this.byId.get(to).title}, position ${index + 1} of ${count}`, "hint");
      await this.$nextTick();
      if (this.folded[to]) this.$el.focus({ preventScroll: true }); // a folded column has no card to focus
      else await this.focusAt(to, index);
      this.columnOf(to)?.$el.scrollIntoView({ inline: "nearest", block: "nearest" });
    },
    upOrDown(rows) {
      const { to, index, card } = this.carry;
      const next = index + rows;
      const last = this.shown(to).length - 1;
      const fixed = this.folded[to] || !this.targetsOf(card).includes(to);
      return fixed || next < 0 || next > last ? null : { index: next };
    },
    toNextColumn(step) {
      const { from, origin, to: at, index, card } = this.carry;
      const ids = this.statuses.map((status) => status.id);
      const open = [from, ...this.targetsOf(card)];
      let next = ids.indexOf(at) + step;
      while (ids[next] && !open.includes(ids[next])) next += step;
      const to = ids[next];
      if (!to) return null;
      if (to === from) return { to, index: origin };
      if (this.folded[to]) return { to, index: 0 };
      return { to, index: Math.min(this.sameHeight(at, index, to), this.shown(to).length) };
    },
    dropByKey() {
      const { id } = this.carry;
      this.drop(null);
      this.keepFocus(id);
    },
    cancelByKey() {
      const { id } = this.carry;
      this.cancel("");
      this.keepFocus(id);
    },
    async keepFocus(id) {
      await this.$nextTick();
      this.elementOf(id)?.focus({ preventScroll: true });
    },
  },
};
