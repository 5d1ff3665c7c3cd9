// What just happened, newest first: the lines arrive ready to show, and only grow older here.

import { clock, join } from "live";
import { ago, dateAndTime } from "format";
import { isCalm } from "motion";

export default {
  props: {
    lines: { type: Array, default: () => [] }, // {id, icon, color, parts: [["b" or "", text]], chip, sub, at, lead}
    room: { type: String, required: true },
    source: { type: String, default: "/board/side" },
    title: { type: String, default: "Live activity" },
    limit: { type: Number, default: 60 },
  },
  emits: ["open"],
  data() {
    return { items: this.lines.slice(0, this.limit), clock };
  },
  template: `
    <section class="lf-feed">
      <header class="lf-side-head"><h2>{{ title }}</h2><span>last {{ limit }}</span></header>
      <div ref="frame" class="lf-feed-frame">
        <ul ref="list" class="lf-feed-lines" role="log" aria-live="off" :aria-label="title">
          <li v-for="line in items" :key="line.id" class="lf-line" :class="{ 'lf-line--lead': line.lead }"
              :tabindex="line.lead ? 0 : null" @click="open(line)" @keydown.enter="open(line)">
            <span class="lf-line-icon" :style="{ '--c': line.color }" aria-hidden="true">
              <span class="material-symbols-rounded">{{ line.icon }}</span>
            </span>
            <div class="lf-line-body">
              <p>
                <template v-for="[look, text] in line.parts">
                  <b v-if="look === 'b'">{{ text }}</b><template v-else>{{ text }}</template>{{ " " }}
                </template>
                <span v-if="line.chip" class="lf-chip-small" :style="{ '--c': line.chip.color }">
                  {{ line.chip.text }}
                </span>
              </p>
              <small>
                <template v-if="line.sub">{{ line.sub }} · </template>
                <time :datetime="line.at" :title="inFull(line.at)">{{ since(line.at) }}</time>
              </small>
            </div>
          </li>
        </ul>
        <p v-if="!items.length" class="lf-empty">Nothing yet. What happens shows up here by itself.</p>
      </div>
    </section>`,
  mounted() {
    this.channel = join(this.room, {
      source: this.source,
      snapshot: ({ feed }) => feed && (this.items = feed.slice(0, this.limit)),
      message: ({ feed }) => feed?.length && this.add(feed),
    });
  },
  unmounted() {
    this.channel.leave();
  },
  methods: {
    add(lines) {
      const known = new Set(this.items.map((line) => line.id)); // after a resync a line may come twice
      const fresh = lines.filter((line) => !known.has(line.id));
      this.items = [...fresh, ...this.items].slice(0, this.limit);
      if (fresh.length) this.$nextTick(() => this.slide(fresh.length));
    },
    /** Lets the list glide down by the height of its new lines; who scrolled into the past is left in peace. */
    slide(count) {
      const { frame, list } = this.$refs;
      if (isCalm() || document.hidden || frame.scrollTop > 0) return;
      const height = (list.children[count]?.offsetTop ?? list.offsetHeight) - list.firstElementChild.offsetTop;
      const timing = { duration: 320, easing: "cubic-bezier(.2, .8, .2, 1)" };
      list.animate([{ transform: `translateY(${-height}px)` }, { transform: "none" }], timing);
      for (const line of [...list.children].slice(0, count)) line.animate([{ opacity: 0 }, { opacity: 1 }], timing);
    },
    open(line) {
      if (line.lead) this.$emit("open", line.lead);
    },
    since(at) {
      return ago(at, this.clock.now);
    },
    inFull: dateAndTime,
  },
};
