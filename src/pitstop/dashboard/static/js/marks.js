// Where the labels of a chart's vertical lines go: beside their line, in two rows, none over another.
import { cutMiddle } from "./format.js";

const LABEL_PX = 6.2, LABEL_CHARS = 28;  // of 11 px text; a longer label is cut in the middle
const ROWS = 2, ROW_PX = 13, GAP_PX = 8, EDGES_PX = 56;

/** A label for each of `marks` between two times, or null where there is no room; those that matter choose first, then the newest. */
export function labels(marks, [from, to], widthPx) {
  const found = marks.map(() => null);
  if (widthPx <= EDGES_PX) return found;
  const perPx = (to - from) / (widthPx - EDGES_PX);
  const taken = Array.from({ length: ROWS }, () => []);
  const order = [...marks.keys()].sort((a, b) => marks[a].minor - marks[b].minor || marks[b].ts - marks[a].ts);
  for (const i of order) {
    const { ts, text } = marks[i];
    const length = (Math.min(text.length, LABEL_CHARS) * LABEL_PX + GAP_PX) * perPx;
    for (let place = 0; place < 2 * ROWS && !found[i]; place++) {
      const row = place >> 1, late = place & 1;
      const [start, end] = late ? [ts - length, ts] : [ts, ts + length];
      if (start < from || end > to || taken[row].some(([a, b]) => start < b && a < end)) continue;
      taken[row].push([start, end]);
      const y = 2 - row * ROW_PX; // from the upper end of the line, upwards
      found[i] = { show: true, formatter: cutMiddle(text, LABEL_CHARS), position: "insideEndTop", rotate: 0, align: late ? "right" : "left", distance: late ? [4, y] : [-4, y], fontSize: 11 };
    }
  }
  return found;
}
