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
  const copy = element.cloneNode(true);
  copy.removeAttribute("data-id");
  copy.removeAttribute("tabindex");
  copy.setAttribute("aria-hidden", "true");
  copy.classList.add("lf-flying");
  Object.assign(copy.style, {
    left: `${to.left}px`,
    top: `${to.top}px`,
    width: `${to.width}px`,
    height: `${to.height}px`,
    transform: "none",
  });
  copy.style.setProperty("--c", getComputedStyle(element).getPropertyValue("--c"));
  document.body.append(copy);
  element.style.visibility = "hidden";
  const shift = `translate(${from.left - to.left}px, ${from.top - to.top}px) rotate(${from.tilt}deg)`;
  const flight = copy.animate([{ transform: shift }, { transform: "none" }], {
    duration,
    easing: "cubic-bezier(.2, .8, .2, 1)",
  });
  flight.onfinish = flight.oncancel = () => {
    copy.remove();
    element.style.visibility = "";
  };
}

/** A copy of what was carried shrinks into `target`: it was handed over to a person. */
export function handOver(element, from, target) {
  if (calm.matches || !element || !target) return;
  const to = target.getBoundingClientRect();
  const copy = element.cloneNode(true);
  copy.classList.add("lf-flying");
  Object.assign(copy.style, { left: "0", top: "0", width: `${from.width}px`, height: `${from.height}px` });
  document.body.append(copy);
  const start = `translate(${from.left}px, ${from.top}px) rotate(${from.tilt}deg)`;
  const x = to.left + to.width / 2 - from.width / 2;
  const y = to.top + to.height / 2 - from.height / 2;
  const end = `translate(${x}px, ${y}px) scale(0.15)`;
  copy.animate([{ transform: start, opacity: 1 }, { transform: end, opacity: 0 }], {
    duration: 260,
    easing: "ease-in",
    fill: "forwards",
  }).onfinish = () => copy.remove();
}
