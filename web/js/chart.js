// chart.js -- one small line chart a figure, drawn as SVG.

import { el } from "./dom.js";

const WIDTH = 240;
const HEIGHT = 130;
const LEFT = 30;
const BOTTOM = 18;
const TOP = 8;

// Two to four round numbers that cover low..high.
function ticks(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const step = 10 ** Math.floor(Math.log10(span));
  const size = [0.2, 0.5, 1, 2, 5].map((f) => f * step).find((s) => span / s <= 4) ?? step;
  const list = [];
  for (let v = Math.floor(low / size) * size; v < high + size * 0.999; v += size) list.push(+v.toPrecision(6));
  return list;
}

function line(values, x, y, style) {
  const points = values.map((v, i) => [x(i), v]).filter(([, v]) => Number.isFinite(v));
  const path = points.map(([px, v], i) => `${i ? "L" : "M"}${px.toFixed(1)} ${y(v).toFixed(1)}`).join("");
  const dots = points.length <= 30 ? points : points.slice(-1);
  return [
    el("svg:path", { class: style, d: path }),
    ...dots.map(([px, v]) => el("svg:circle", { class: style, cx: px, cy: y(v), r: 2.6 })),
  ];
}

// `series`: [{name, style: "a" | "b", values}] over the same epochs. `thawAt`: index of the first
// epoch with all layers training, or -1.
export function chart(title, series, thawAt, format) {
  const all = series.flatMap((s) => s.values).filter(Number.isFinite);
  const n = Math.max(...series.map((s) => s.values.length));
  const marks = all.length ? ticks(Math.min(...all), Math.max(...all)) : [0, 1];
  const [low, high] = [marks[0], marks[marks.length - 1]];
  const x = (i) => LEFT + (n < 2 ? 0.5 : i / (n - 1)) * (WIDTH - LEFT - 6);
  const y = (v) => HEIGHT - BOTTOM - ((v - low) / (high - low || 1)) * (HEIGHT - BOTTOM - TOP);
  const grid = marks.flatMap((v) => [
    el("svg:line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(v), y2: y(v) }),
    el("svg:text", { x: LEFT - 5, y: y(v) + 3, "text-anchor": "end" }, format(v)),
  ]);
  const thaw = thawAt > 0 ? [el("svg:line", { class: "thaw", x1: x(thawAt - 0.5), x2: x(thawAt - 0.5), y1: TOP, y2: HEIGHT - BOTTOM }),
    el("svg:text", { x: x(thawAt - 0.5) + 4, y: TOP + 5 }, "thawed")] : [];
  const ends = [el("svg:text", { x: x(0), y: HEIGHT - 4, "text-anchor": n < 2 ? "middle" : "start" }, "epoch 1"),
    n > 1 ? el("svg:text", { x: x(n - 1), y: HEIGHT - 4, "text-anchor": "end" }, `${n}`) : null];
  const label = `${title}: ${series.map((s) => `${s.name} ${format(s.values[s.values.length - 1])}`).join(", ")} after ${n} epochs`;
  return el("figure", {},
    el("figcaption", {}, title, ...(series.length > 1 ? series.flatMap((s) => [el("i", { class: `key ${s.style}` }), s.name]) : [])),
    el("svg:svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
      ...grid, ...thaw, ...series.flatMap((s) => line(s.values, x, y, s.style)), ...ends));
}
