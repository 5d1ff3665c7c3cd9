// Who carries how many open leads. A card of the board can be dropped on a person (see data-person in carry.js).

import { join } from "live";
import { initials, tint } from "format";

export default {
  props: {
    people: { type: Array, default: () => [] }, // {id, name, open, capacity or null, online}
    room: { type: String, required: true },
    source: { type: String, default: "/board/side" },
    title: { type: String, default: "Load by owner" },
  },
  data() {
    return { items: this.people };
  },
  computed: {
    /** Without a capacity, a bar is measured by the busiest person. */
    most() {
      return Math.max(1, ...this.items.map((person) => person.open));
    },
    rows() {
      return this.items.map((person) => {
        const part = person.open / (person.capacity || this.most * 1.08);
        const level = !person.capacity ? "calm" : part > 1 ? "over" : part >= 0.9 ? "full" : "calm";
        const hint = person.capacity ? `${person.open} of ${person.capacity} open leads` : `${person.open} open leads`;
        return { ...person, level, hint, width: `${Math.min(100, part * 100)}%` };
      });
    },
  },
  template: `
    <section class="lf-load">
      <header class="lf-side-head"><h2>{{ title }}</h2><span>open leads</span></header>
      <ul>
        <li v-for="person in rows" :key="person.id" class="lf-person" :data-person="person.id" :data-name="person.name"
            :title="person.hint">
          <span class="lf-avatar" :style="{ background: tint(person.name) }">
            {{ initials(person.name) }}<i v-if="person.online" class="lf-online" title="Online"></i>
          </span>
          <span class="lf-person-name">{{ person.name }}</span>
          <span class="lf-person-open">{{ person.open }}</span>
          <span class="lf-bar" :data-level="person.level"><i :style="{ width: person.width }"></i></span>
        </li>
      </ul>
      <p v-if="!rows.length" class="lf-empty">Nobody has leads yet</p>
    </section>`,
  mounted() {
    const take = ({ load }) => load && (this.items = load);
    this.channel = join(this.room, { source: this.source, snapshot: take, message: take });
  },
  unmounted() {
    this.channel.leave();
  },
  methods: { initials, tint },
};
