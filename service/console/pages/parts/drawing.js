/**
 * Drawing at most ten times a second. However often something changes, what is asked for between two frames is drawn
 * once, with the newest state; a hidden tab draws nothing.
 */

const LEAST_MS = 100;
const waiting = new Set();
let planned = false;
let last = -LEAST_MS;

function run() {
  planned = false;
  last = performance.now();
  const paints = [...waiting];
  waiting.clear();
  for (const paint of paints) paint();
}

/** Call `paint` with the next frame that may draw. Asked for again before that, it is called once. */
export function draw(paint) {
  waiting.add(paint);
  if (planned) return;
  planned = true;
  const rest = LEAST_MS - (performance.now() - last);
  if (rest > 0) setTimeout(() => requestAnimationFrame(run), rest);
  else requestAnimationFrame(run);
}

/** Take back what was asked for: its view has been closed. */
export function undraw(paint) {
  waiting.delete(paint);
}
