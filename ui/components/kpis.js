// The strip of key numbers. The server sends them ready to read; here they only get their little curve.

import { join } from "live";

const WIDTH = 120;
const HEIGHT = 34;

export default {
  props: {
    items: { type: Array, default: () => [] }, // {id, label, value, delta, good, color, spark: [number], hint}
    room: { type: String, required: true },
    source: { type: String, default: "/board/side" },
  },
  data() {
    return { kpis: this.items, changed: {} };
  },
  template: `
    <ul class="lf-kpis" aria-label="Key numbers">
      <li v-for="kpi in kpis" :key="kpi.id" class="lf-kpi" :class="{ 'lf-kpi--changed': changed[kpi.id] }"
          :style="{ '--c': kpi.color }" :title="kpi.hint">
        <div class="lf-kpi-head">
          <span>{{ kpi.label }}</span>
          <em v-if="hasDelta(kpi)" :data-good="kpi.good">{{ arrow(kpi) }} {{ Math.abs(kpi.delta) }}%</em>
        </div>
        <transition name="lf-number" mode="out-in">
          <div :key="kpi.value" class="lf-kpi-value">{{ kpi.value }}</div>
        </transition>
        <svg v-if="kpi.spark && kpi.spark.length > 1" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none"
            aria-hidden="true">
          <defs>
            <linearGradient :id="'lf-kpi-' + kpi.id" x1="0" x2="0" y1="0" y2="1">
              <stop offset="0" :stop-color="kpi.color" stop-opacity=".26" />
              <stop offset="1" :stop-color="kpi.color" stop-opacity="0" />
            </linearGradient>
          </defs>
          <path :d="area(kpi.spark)" :fill="'url(#lf-kpi-' + kpi.id + ')'" />
          <path :d="line(kpi.spark)" fill="none" :stroke="kpi.color" stroke-width="1.75" stroke-linecap="round"
            stroke-linejoin="round" vector-effect="non-scaling-stroke" />
        </svg>
      </li>
    </ul>`,
  mounted() {
    this.channel = join(this.room, {
      source: this.source,
      snapshot: ({ kpis }) => kpis && this.take(kpis),
      message: ({ kpis }) => kpis && this.take(kpis),
    });
  },
  unmounted() {
    this.channel.leave();
  },
  methods: {
    /** Numbers that changed replace their elders; one that is new goes to the end. */
    take(fresh) {
      const byId = new Map(fresh.map((kpi) => [kpi.id, kpi]));
      for (const old of this.kpis) {
        const kpi = byId.get(old.id);
        if (kpi && kpi.value !== old.value) this.highlight(kpi.id);
      }
      const kept = this.kpis.map((old) => byId.get(old.id) ?? old);
      const known = new Set(kept.map((kpi) => kpi.id));
      this.kpis = [...kept, ...fresh.filter((kpi) => !known.has(kpi.id))];
    },
    highlight(id) {
      this.changed[id] = true;
      setTimeout(() => delete this.changed[id], 900);
    },
    hasDelta: (kpi) => kpi.delta !== null && kpi.delta !== undefined,
    arrow: (kpi) => (kpi.delta > 0 ? "↑" : kpi.delta < 0 ? "↓" : "±"),
    line(numbers) {
      const points = place(numbers);
      return points.reduce((path, [x, y], i) => {
        if (!i) return `M${x},${y}`;
        const [before, level] = points[i - 1];
        const middle = (before + x) / 2;
        return `${path}C${middle},${level} ${middle},${y} ${x},${y}`;
      }, "");
    },
    area(numbers) {
      return `${this.line(numbers)}L${WIDTH},${HEIGHT}L0,${HEIGHT}Z`;
    },
  },
};

/** Points of a curve that fills the width, with air above and below; a flat one runs low. */
function place(numbers) {
  const low = Math.min(...numbers);
  const reach = Math.max(...numbers) - low || 1;
  return numbers.map((number, i) => [(i * WIDTH) / (numbers.length - 1), HEIGHT - 4 - ((number - low) / reach) * 24]);
}
