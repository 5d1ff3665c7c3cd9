// Finding a lead from everywhere: Ctrl-K or "/" jumps here, a few letters are enough, Enter opens.

import { getJson } from "live";

const PAUSE = 140; // ms without a key before the server is asked

export default {
  props: {
    api: { type: String, default: "/api/v1/leads" },
    statuses: { type: Array, default: () => [] }, // {id, title, color}
    placeholder: { type: String, default: "Search leads, firms, phone numbers" },
    limit: { type: Number, default: 8 },
  },
  emits: ["open"],
  data() {
    return { text: "", leads: [], state: "idle", open: false, chosen: 0 }; // state: idle, busy, done, failed
  },
  computed: {
    query() {
      return this.text.trim();
    },
    shown() {
      return this.open && this.query.length > 0 && (this.state !== "busy" || this.leads.length > 0);
    },
    byId() {
      return new Map(this.statuses.map((status) => [status.id, status]));
    },
    shortcut: () => (/mac/i.test(navigator.platform) ? "⌘ K" : "Ctrl K"),
  },
  template: `
    <div class="lf-search" :class="{ 'lf-search--open': shown }" role="search">
      <span class="material-symbols-rounded" aria-hidden="true">search</span>
      <input ref="input" v-model="text" type="search" :placeholder="placeholder" autocomplete="off" spellcheck="false"
        role="combobox" aria-label="Search leads" aria-autocomplete="list" aria-controls="lf-found"
        :aria-expanded="shown ? 'true' : 'false'"
        :aria-activedescendant="shown && leads[chosen] ? 'lf-found-' + chosen : null"
        @focus="open = true" @blur="open = false" @keydown="key" />
      <i v-if="state === 'busy'" class="lf-spinner" aria-hidden="true"></i>
      <kbd v-else aria-hidden="true">{{ shortcut }}</kbd>
      <div v-if="shown" class="lf-found" @pointerdown.prevent>
        <p v-if="state === 'failed'" class="lf-found-none">Search didn't answer. Please try again</p>
        <p v-else-if="!leads.length" class="lf-found-none">No lead matches “{{ query }}”</p>
        <ul v-else id="lf-found" role="listbox" aria-label="Found leads">
          <li v-for="(lead, i) in leads" :key="lead.id" :id="'lf-found-' + i" role="option" class="lf-found-lead"
              :aria-selected="i === chosen ? 'true' : 'false'" @pointermove="chosen = i" @click="choose(lead)">
            <i class="lf-column-dot" :style="{ '--c': color(lead) }"></i>
            <span class="lf-found-name">
              <template v-for="(part, n) in split(lead.name)" :key="n"
                ><mark v-if="part.hit">{{ part.text }}</mark><template v-else>{{ part.text }}</template></template>
            </span>
            <span class="lf-found-more">{{ details(lead) }}</span>
            <span class="lf-chip-small" :style="{ '--c': color(lead) }">{{ title(lead) }}</span>
          </li>
        </ul>
      </div>
    </div>`,
  watch: {
    query(text) {
      clearTimeout(this.timer);
      this.request?.abort();
      this.hasty = false;
      if (!text) {
        this.leads = [];
        this.state = "idle";
        return;
      }
      this.state = "busy";
      this.timer = setTimeout(() => this.find(text), PAUSE);
    },
  },
  mounted() {
    this.hear = (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
      const wanted = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "k";
      if (!wanted && (typing || event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey)) return;
      event.preventDefault();
      this.$refs.input.focus();
      this.$refs.input.select();
    };
    document.addEventListener("keydown", this.hear);
  },
  unmounted() {
    document.removeEventListener("keydown", this.hear);
    clearTimeout(this.timer);
    this.request?.abort();
  },
  methods: {
    async find(text) {
      this.request = new AbortController();
      const { signal } = this.request;
      try {
        const query = new URLSearchParams({ q: text, limit: this.limit });
        const { items } = await getJson(`${this.api}?${query}`, { signal });
        if (signal.aborted) return;
        Object.assign(this, { leads: items, chosen: 0, state: "done" });
        if (this.hasty && items.length) this.choose(items[0]);
      } catch {
        if (!signal.aborted) Object.assign(this, { leads: [], state: "failed" });
      }
    },
    key(event) {
      if (event.isComposing) return;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && this.leads.length) {
        event.preventDefault();
        this.chosen = (this.chosen + step + this.leads.length) % this.leads.length;
      } else if (event.key === "Enter") {
        event.preventDefault();
        if (this.state === "busy") this.hasty = true; // Enter came before the answer: take its best lead
        else if (this.leads[this.chosen]) this.choose(this.leads[this.chosen]);
      } else if (event.key === "Escape") {
        event.preventDefault();
        if (this.text) this.text = "";
        else this.$refs.input.blur();
      }
    },
    choose(lead) {
      this.$emit("open", lead.id);
      this.text = "";
      this.$refs.input.blur();
    },
    color(lead) {
      return this.byId.get(lead.status)?.color ?? "var(--mute)";
    },
    title(lead) {
      return this.byId.get(lead.status)?.title ?? lead.status;
    },
    details(lead) {
      return [lead.firm_name, lead.phone, lead.salesperson?.name].filter(Boolean).join(" · ");
    },
    /** The name in pieces, with the words that were searched for marked. */
    split(name) {
      const words = this.query.split(/\s+/).filter(Boolean);
      const pattern = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
      const pieces = name.split(new RegExp(`(${pattern})`, "i"));
      return pieces.map((text, i) => ({ text, hit: i % 2 === 1 })).filter((piece) => piece.text);
    },
  },
};
