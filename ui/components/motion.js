// Cards that fly from where they were to where they are now. Lists clip what they contain, so a copy makes the journey
// above everything while the card itself waits unseen at its destination.

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

export function isCalm() {
  return calm.matches;
}

/** Where `element` stands: {left, top, width, height, tilt}, or null when it is scrolled out of its list. */
export function placeOf(element, clip = element.closest(".lf-list")) {
  const box = element.getBoundingClientRect();
  if (clip) {
    const frame = clip.getBoundingClientRect();
    const middle = box.top + box.height / 2;
    const center = box.left + box.width / 2;
    if (middle < frame.top || middle > frame.bottom || center < 0 || center > window.innerWidth) return null;
  }
  return { left: box.left, top: box.top, width: box.width, height: box.height, tilt: 0 };
}

/** Lets `element` arrive from the place `from`. */
export function fly(element, from, duration = 320) {
  if (calm.matches || !from || !element) return;
  const to = placeOf(element);
  if (!to || Math.hypot(to.left - from.left, to.top - from.top) < 2) return;
  const copy = copyOf(element, to);
  element.style.visibility = "hidden";
  const flight = copy.animate([{ transform: standing(from) }, { transform: standing(to) }], {
    duration,
    easing: "cubic-bezier(.2, .8, .2, 1)",
  });
  flight.onfinish = flight.oncancel = () => {
    copy.remove();
    element.style.visibility = "";
  };
}

/** A copy of `element` shrinks from the place `from` into `target`: a person, or a column that shows no cards. */
export function handOver(element, from, target) {
  if (calm.matches || !element || !target) return;
  const box = target.getBoundingClientRect();
  const left = box.left + box.width / 2 - from.width / 2;
  const top = Math.min(box.top + box.height / 2, box.top + 60) - from.height / 2;
  const copy = copyOf(element, from);
  const end = { transform: `${standing({ left, top, tilt: 0 })} scale(0.15)`, opacity: 0 };
  const flight = copy.animate([{ transform: standing(from), opacity: 1 }, end], { duration: 260, easing: "ease-in" });
  flight.onfinish = flight.oncancel = () => copy.remove();
}

function standing({ left, top, tilt }) {
  return `translate(${left}px, ${top}px) rotate(${tilt}deg)`;
}

/** A lifeless copy above the page, with what a card needs from its surroundings: width, colour, density. */
function copyOf(element, { width, height }) {
  const frame = document.createElement("div");
  frame.className = element.closest(".lf-compact") ? "lf-flying lf-compact" : "lf-flying";
  frame.setAttribute("aria-hidden", "true");
  frame.style.width = `${width}px`;
  frame.style.height = `${height}px`;
  frame.style.setProperty("--c", getComputedStyle(element).getPropertyValue("--c"));
  const copy = element.cloneNode(true);
  copy.removeAttribute("data-id");
  copy.removeAttribute("tabindex");
  copy.removeAttribute("style");
  frame.append(copy);
  document.body.append(frame);
  return frame;
}
