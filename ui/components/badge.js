// The truth about this page's connection: live and how late, catching up, silent, or offline since when.

import { clock, join, setClockOffset } from "live";
import { span, timeOfDay } from "format";

const SILENCE = 25; // seconds without message or heartbeat (one comes every 10 s) after which we don't claim to be live

export default {
  props: { room: { type: String, required: true } },
  emits: ["clock"],
  data() {
    return { status: null, clock };
  },
  computed: {
    silent() {
      // heardAt is the browser's time; clock.now is the server's
      return (this.clock.now - this.clock.offset - this.status.heardAt) / 1000;
    },
    look() {
      const { state, since, lag } = this.status;
      if (state === "offline") return { tone: "off", text: `Offline since ${timeOfDay(since)}` };
      if (state === "syncing") return { tone: "busy", text: "Catching up…" };
      if (state === "connecting") return { tone: "busy", text: "Connecting…" };
      if (this.silent > SILENCE) return { tone: "busy", text: "No signal", more: ` for ${span(this.silent)}` };
      if (lag === null) return { tone: "on", text: "Live" };
      return { tone: "on", text: "Live", more: ` · ${lag < 1000 ? `${Math.max(1, lag)} ms` : span(lag / 1000)}` };
    },
    hint() {
      if (this.status.state === "offline") return "What you see may be out of date. We keep trying to reconnect";
      return "How long the last change took from the hub to this screen";
    },
  },
  template: `
    <span v-if="status" class="lf-live" :data-tone="look.tone" :title="hint">
      <i aria-hidden="true"></i><span><span role="status">{{ look.text }}</span>{{ look.more }}</span>
    </span>`,
  mounted() {
    this.channel = join(this.room, { connected: () => this.$emit("clock", Date.now()) });
    this.status = this.channel.status;
  },
  unmounted() {
    this.channel.leave();
  },
  methods: {
    /**
     * The server's answer to "clock": it read `server` (ms) somewhere between our `asked` and now. The middle is off by
     * half the round trip at most, so a slow answer tells us nothing better than what we know.
     */
    setClock(asked, server) {
      const now = Date.now();
      const trip = now - asked;
      if (clock.known && trip > 1000) return;
      setClockOffset(Math.round(server - (asked + now) / 2));
    },
  },
};
