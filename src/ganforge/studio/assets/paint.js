// A canvas of region numbers.  value: {map: base64 of 16-bit numbers}; "input" fires after each stroke.
const { rows, columns, regions } = props;
let cells = new Uint16Array(rows * columns);
let region = Math.min(1, regions.length - 1);
let tool = "brush";
let size = Math.max(1, Math.round(columns / 12));
let undo = [];
let cursor = { x: Math.floor(columns / 2), y: Math.floor(rows / 2) };
const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows, tabIndex: 0 });
canvas.className = "studio-canvas";
canvas.setAttribute("role", "application");
canvas.setAttribute("aria-label", say("canvas_help"));
const pen = canvas.getContext("2d");
function decode(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Uint16Array(bytes.buffer);
}
function encode() {
  const bytes = new Uint8Array(cells.buffer);
  let text = "";
  for (let k = 0; k < bytes.length; k += 8192) text += String.fromCharCode(...bytes.subarray(k, k + 8192));
  return btoa(text);
}
function draw() {
  const shown = pen.createImageData(columns, rows);
  for (let k = 0; k < cells.length; k++) {
    const colour = regions[cells[k]]?.colour || [0, 0, 0];
    shown.data.set([colour[0], colour[1], colour[2], 255], 4 * k);
  }
  pen.putImageData(shown, 0, 0);
}
function send() {
  props.value = { map: encode() };
  trigger("input");
}
function keep() {
  undo = [...undo.slice(-49), cells.slice()];
}
function dot(x, y) {
  const number = tool === "erase" ? 0 : region;
  const reach = (size - 1) / 2;
  for (let v = Math.ceil(y - reach); v <= y + reach; v++)
    for (let u = Math.ceil(x - reach); u <= x + reach; u++)
      if (u >= 0 && v >= 0 && u < columns && v < rows && Math.hypot(u - x, v - y) <= reach + 0.3) cells[v * columns + u] = number;
}
function line(from, to) {
  const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y)));
  for (let k = 0; k <= steps; k++) dot(Math.round(from.x + ((to.x - from.x) * k) / steps), Math.round(from.y + ((to.y - from.y) * k) / steps));
}
function fill(x, y) {
  const old = cells[y * columns + x];
  if (old === region) return;
  const waiting = [[x, y]];
  while (waiting.length) {
    const [u, v] = waiting.pop();
    if (u < 0 || v < 0 || u >= columns || v >= rows || cells[v * columns + u] !== old) continue;
    cells[v * columns + u] = region;
    waiting.push([u + 1, v], [u - 1, v], [u, v + 1], [u, v - 1]);
  }
}
function place(event) {
  const box = canvas.getBoundingClientRect();
  return { x: Math.floor(((event.clientX - box.left) / box.width) * columns), y: Math.floor(((event.clientY - box.top) / box.height) * rows) };
}
let last = null;
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  keep();
  last = place(event);
  if (tool === "fill") fill(last.x, last.y);
  else dot(last.x, last.y);
  draw();
});
canvas.addEventListener("pointermove", (event) => {
  if (!last || tool === "fill") return;
  const next = place(event);
  line(last, next);
  last = next;
  draw();
});
function end() {
  if (last) send();
  last = null;
}
canvas.addEventListener("pointerup", end);
canvas.addEventListener("pointercancel", end); // the browser has taken the touch over
function back() {
  if (!undo.length) return;
  cells = undo.pop();
  draw();
  send();
}
canvas.addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (moves[event.key]) {
    cursor.x = Math.min(columns - 1, Math.max(0, cursor.x + moves[event.key][0] * size));
    cursor.y = Math.min(rows - 1, Math.max(0, cursor.y + moves[event.key][1] * size));
    draw();
    pen.strokeStyle = "#fff";
    pen.strokeRect(cursor.x - size / 2, cursor.y - size / 2, size, size);
  } else if (event.key === " " || event.key === "Enter") {
    keep();
    if (tool === "fill") fill(cursor.x, cursor.y);
    else dot(cursor.x, cursor.y);
    draw();
    send();
  } else if (event.key === "z" && (event.ctrlKey || event.metaKey)) back();
  else if (/^[0-9]$/.test(event.key) && Number(event.key) < regions.length) choose(Number(event.key));
  else return;
  event.preventDefault();
});
const tools = document.createElement("div");
const palette = document.createElement("div");
tools.className = palette.className = "studio-tools";
function button(parent, text, act) {
  const made = Object.assign(document.createElement("button"), { type: "button" });
  made.append(text);
  made.addEventListener("click", act);
  parent.append(made);
  return made;
}
const toolButtons = {};
function choose(number) {
  region = number;
  if (tool === "erase") tool = "brush";
  mark();
}
function mark() {
  for (const [name, made] of Object.entries(toolButtons)) made.setAttribute("aria-pressed", String(name === tool));
  [...palette.children].forEach((made, k) => made.setAttribute("aria-pressed", String(k === region)));
}
for (const name of ["brush", "fill", "erase"])
  toolButtons[name] = button(tools, say(name), () => {
    tool = name;
    mark();
  });
button(tools, say("undo"), back);
button(tools, say("clear"), () => {
  keep();
  cells.fill(tool === "erase" ? 0 : region);
  draw();
  send();
});
const width = Object.assign(document.createElement("input"), { type: "range", min: 1, max: Math.ceil(columns / 3), value: size });
width.setAttribute("aria-label", say("brush_size"));
width.addEventListener("input", () => (size = Number(width.value)));
tools.append(width);
regions.forEach((each, number) => {
  const made = button(palette, "", () => choose(number));
  const swatch = document.createElement("span");
  swatch.className = "studio-swatch";
  swatch.style.background = `rgb(${each.colour.map(Number).join(",")})`;
  made.append(swatch, each.name);
});
button(tools, say("save_map"), () => {
  const link = Object.assign(document.createElement("a"), { href: canvas.toDataURL("image/png"), download: "map.png" });
  draw();
  link.href = canvas.toDataURL("image/png");
  link.click();
});
root.append(tools, canvas, palette);
function take() {
  if (!props.value || !props.value.map) return;
  const given = decode(props.value.map);
  if (given.length === cells.length && given.some((number, k) => number !== cells[k])) {
    keep();
    cells = given;
  }
  draw();
}
watch("value", take);
take();
mark();
