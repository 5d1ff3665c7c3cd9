// The gesture of carrying something with mouse, pen or finger. It knows nothing about leads: it tells its owner what
// happens, moves the ghost, and scrolls what lies under the pointer when that comes near an edge.

const THRESHOLD = 5; // px a mouse moves before a press becomes a carry: below that it is a click
const LONG_PRESS = 280; // ms a finger rests before it lifts a card: before that it scrolls
const EDGE = 64; // px from the edge of a list at which it begins to scroll
const SPEED = 1.1; // px per ms at the very edge

export class Drag {
  /**
   * `owner`: {
   *   pick(element)         what would be carried from here, or null,
   *   lift(what)            the carry begins; returns false to refuse,
   *   ghost()               the element that follows the pointer,
   *   over(x, y, top)       the pointer stands here, `top` is the upper edge of the ghost; returns the elements to
   *                         scroll at their edges: {vertical, horizontal},
   *   drop(place)           let go; `place` is where the ghost is,
   *   cancel(place)         given up,
   * }
   */
  constructor(root, owner) {
    this.root = root;
    this.owner = owner;
    this.press = null; // the button is down
    this.active = false; // and something is carried
    const options = { signal: (this.ears = new AbortController()).signal };
    root.addEventListener("pointerdown", (event) => this.down(event), options);
    root.addEventListener("contextmenu", (event) => this.press?.touch && event.preventDefault(), options);
    // It does nothing, but makes the browser ask before it scrolls; the answer is in touch() below.
    root.addEventListener("touchmove", () => {}, { ...options, passive: false });
  }

  destroy() {
    this.release();
    this.ears.abort();
  }

  down(event) {
    if (event.button !== 0 || this.press) return;
    if (event.target.closest("a, button, input")) return;
    const element = event.target.closest("[data-id]");
    const what = element && this.owner.pick(element);
    if (!what) return;
    const box = element.getBoundingClientRect();
    const touch = event.pointerType === "touch";
    this.press = {
      what,
      touch,
      pointer: event.pointerId,
      startX: event.clientX,
      startY: event.clientY,
      gripX: event.clientX - box.left,
      gripY: event.clientY - box.top,
      width: box.width,
      height: box.height,
    };
    this.x = event.clientX;
    this.y = event.clientY;
    const options = { signal: (this.pressEars = new AbortController()).signal };
    if (touch) this.touch(element, options);
    window.addEventListener("pointermove", (move) => this.move(move), options);
    window.addEventListener("pointerup", (up) => up.pointerId === this.press?.pointer && this.up(), options);
    window.addEventListener("pointercancel", () => this.cancel(), options);
    window.addEventListener("blur", () => this.cancel(), options);
    window.addEventListener("keydown", (key) => this.key(key), { ...options, capture: true });
  }

  /** A finger that rests lifts the card; from then on it must not scroll. */
  touch(element, options) {
    this.timer = setTimeout(() => this.lift(), LONG_PRESS);
    // On the card itself: it leaves the page when it is lifted, and takes the finger's events with it.
    const still = (event) => this.active && event.preventDefault();
    element.addEventListener("touchmove", still, { ...options, passive: false });
  }

  move(event) {
    if (event.pointerId !== this.press?.pointer) return;
    this.x = event.clientX;
    this.y = event.clientY;
    if (this.active) return; // the next frame looks at x and y
    const way = Math.hypot(this.x - this.press.startX, this.y - this.press.startY);
    if (this.press.touch && way > 10) this.release();
    else if (!this.press.touch && way > THRESHOLD) this.lift();
  }

  lift() {
    if (!this.owner.lift(this.press.what)) {
      this.release();
      return;
    }
    this.active = true;
    // A finger's events belong to the element it touched first, which is about to leave the page.
    this.root.setPointerCapture(this.press.pointer);
    document.getSelection()?.removeAllRanges();
    document.body.dataset.carrying = "card";
    if (this.press.touch) navigator.vibrate?.(12);
    this.steppedAt = performance.now();
    this.frame = requestAnimationFrame((now) => this.step(now));
  }

  get place() {
    const { gripX, gripY, width, height } = this.press;
    return { left: this.x - gripX, top: this.y - gripY, width, height, tilt: 2 };
  }

  step(now) {
    if (!this.active) return;
    const passed = Math.min(50, Math.max(0, now - this.steppedAt));
    this.steppedAt = now;
    const { left, top, width } = this.place;
    const ghost = this.owner.ghost();
    if (ghost) {
      ghost.style.width = `${width}px`;
      ghost.style.transform = `translate(${left}px, ${top}px) rotate(2deg)`;
    }
    const { vertical, horizontal } = this.owner.over(this.x, this.y, top);
    if (vertical) {
      const box = vertical.getBoundingClientRect();
      vertical.scrollTop += push(this.y, box.top, box.bottom) * passed;
    }
    if (horizontal) {
      const box = horizontal.getBoundingClientRect();
      horizontal.scrollLeft += push(this.x, box.left, box.right) * passed;
    }
    this.frame = requestAnimationFrame((again) => this.step(again));
  }

  up() {
    if (!this.active) {
      this.release();
      return;
    }
    this.owner.over(this.x, this.y, this.place.top);
    const { place } = this;
    this.release();
    this.owner.drop(place);
  }

  cancel() {
    const place = this.active ? this.place : null;
    this.release();
    if (place) this.owner.cancel(place);
  }

  key(event) {
    if (event.key !== "Escape" || !this.active) return;
    event.preventDefault();
    event.stopPropagation();
    this.cancel();
  }

  release() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    this.pressEars?.abort();
    if (this.active && this.root.hasPointerCapture(this.press.pointer)) {
      this.root.releasePointerCapture(this.press.pointer);
    }
    this.press = null;
    this.active = false;
    delete document.body.dataset.carrying;
  }
}

/** How many px to scroll per ms when the pointer is at `at` between the edges `low` and `high`. */
function push(at, low, high) {
  if (at < low + EDGE) return -SPEED * Math.min(1, (low + EDGE - at) / EDGE);
  if (at > high - EDGE) return SPEED * Math.min(1, (at - high + EDGE) / EDGE);
  return 0;
}
