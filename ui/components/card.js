// One lead as a card: what a person on the floor must see at a glance. Fields the viewer may not see are absent.

import { clock } from "live";
import { agoInWords, dateAndTime, followup, initials, money, moneyInFull, sourceColor, tint, waiting } from "format";

export default {
  props: { card: { type: Object, required: true } },
  template: `
    <article class="lf-card" :class="{ 'lf-card--said': card.last_message }" :aria-label="words">
      <span class="lf-card-name" :title="card.name">{{ card.name }}</span>
      <span v-if="value" class="lf-card-value" :title="valueInFull">{{ value }}</span>
      <div class="lf-card-firm" :title="card.source">
        <i class="lf-source" :style="{ background: dot }"></i>
        <span>{{ card.firm_name || card.source }}</span>
      </div>
      <div class="lf-card-said" :title="card.last_message">{{ said }}</div>
      <div class="lf-card-foot" :class="{ 'lf-card-foot--chip': card.unread || wait || next }">
        <template v-if="card.owner">
          <span class="lf-avatar" :style="{ background: ownerTint }">{{ ownerInitials }}</span>
          <span class="lf-card-owner" :title="card.owner.name">
            {{ ownerNames[0] }}<span class="lf-card-surname">{{ ownerNames[1] }}</span>
          </span>
        </template>
        <template v-else>
          <span class="lf-avatar lf-avatar--none"></span>
          <span class="lf-card-owner lf-card-owner--none">Unassigned</span>
        </template>
        <span v-if="card.unread" class="lf-bubble" :title="card.unread + ' unread'">
          <span class="material-symbols-rounded" aria-hidden="true">chat_bubble</span>{{ unread }}
        </span>
        <span v-else-if="wait" class="lf-wait" :data-level="wait.level" :title="'Waits for an answer: ' + wait.text">
          {{ wait.text }}
        </span>
        <span v-else-if="next" class="lf-wait" :data-level="next.level" :title="'Follow-up: ' + nextInFull">
          <span class="material-symbols-rounded" aria-hidden="true">event_upcoming</span>{{ next.text }}
        </span>
      </div>
    </article>`,
  computed: {
    value() {
      return money(this.card.value, this.card.currency);
    },
    valueInFull() {
      return moneyInFull(this.card.value, this.card.currency);
    },
    dot() {
      return sourceColor(this.card.source);
    },
    said() {
      const { last_message, source, firm_name, created_at } = this.card;
      if (last_message) return last_message;
      const age = created_at ? agoInWords(created_at, clock.now) : "";
      return [firm_name ? source : "", age].filter(Boolean).join(" · "); // without a firm, the source stands above
    },
    /** First name and the rest: a narrow card only has room for the first. */
    ownerNames() {
      const [first, ...rest] = this.card.owner.name.split(" ");
      return [first, ["", ...rest].join(" ")];
    },
    ownerTint() {
      return tint(this.card.owner.name);
    },
    ownerInitials() {
      return initials(this.card.owner.name);
    },
    unread() {
      return this.card.unread > 99 ? "99+" : this.card.unread;
    },
    wait() {
      return waiting(this.card.waiting_since, clock.now);
    },
    next() {
      return followup(this.card.next_followup_at, clock.now);
    },
    nextInFull() {
      return dateAndTime(this.card.next_followup_at);
    },
    /** The card for those who hear it. */
    words() {
      const { name, firm_name, owner, unread } = this.card;
      return [
        name,
        firm_name,
        this.valueInFull,
        owner ? `owner ${owner.name}` : "unassigned",
        unread ? `${unread} unread` : "",
        this.wait ? `waiting ${this.wait.text}` : "",
      ]
        .filter(Boolean)
        .join(", ");
    },
  },
};
