// A board of named boxes.  value: {boxes: [[name, x0, y0, x1, y1] or null], change: number}; a deleted box keeps its place, as null.
const NS = "http://www.w3.org/2000/svg";
const board = document.createElementNS(NS, "svg");
board.setAttribute("viewBox", "0 0 100 100");
board.setAttribute("class", "studio-board");
board.setAttribute("aria-label", say("board_help"));
let boxes = [];
let chosen = -1;
let action = null;
let change = 0; // all that one drag sends is one change
const clamp = (value) => Math.min(1, Math.max(0, value));
const colour = (name) => `rgb(${(props.colours[props.objects.indexOf(name)] || [0, 0, 0]).map(Number).join(",")})`;
function node(tag, attributes) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
function draw() {
  board.replaceChildren();
  boxes.forEach((box, number) => {
    if (!box) return;
    const [name, x0, y0, x1, y1] = box;
    const group = node("g", { tabindex: 0, role: "button", "data-box": number });
    group.setAttribute("aria-label", `${name} ${number + 1}`);
    const frame = node("rect", { x: x0 * 100, y: y0 * 100, width: (x1 - x0) * 100, height: (y1 - y0) * 100, fill: colour(name), "fill-opacity": number === chosen ? 0.55 : 0.3, stroke: colour(name), "stroke-width": number === chosen ? 1.6 : 0.8 });
    const label = node("text", { x: x0 * 100 + 1, y: y0 * 100 + 5.5 });
    label.textContent = name;
    const handle = node("rect", { x: x1 * 100 - 4, y: y1 * 100 - 4, width: 5, height: 5, fill: "#fff", stroke: "#111", "stroke-width": 0.4, class: "handle" });
    group.append(frame, label, handle);
    group.addEventListener("focus", () => {
      if (chosen !== number) select(number, false);
    });
    board.append(group);
  });
  names.value = boxes[chosen]?.[0] || names.value;
}
function select(number, redraw = true) {
  chosen = number;
  if (redraw) draw();
  if (boxes[number]) names.value = boxes[number][0];
}
function send() {
  if (!action) change += 1;
  props.value = { boxes: boxes.map((box) => box && [...box]), change };
  if (boxes.some(Boolean)) trigger("input");
}
function place(event) {
  const frame = board.getBoundingClientRect();
  return [clamp((event.clientX - frame.left) / frame.width), clamp((event.clientY - frame.top) / frame.height)];
}
board.addEventListener("pointerdown", (event) => {
  board.setPointerCapture(event.pointerId);
  change += 1;
  const [x, y] = place(event);
  const group = event.target.closest("g");
  if (group) {
    const number = Number(group.dataset.box);
    action = { kind: event.target.classList.contains("handle") ? "resize" : "move", number, x, y, from: [...boxes[number]] };
    select(number);
  } else if (boxes.filter(Boolean).length < props.most) {
    const free = boxes.indexOf(null);
    const number = boxes.length < props.most ? boxes.length : free;
    boxes[number] = [names.value, x, y, x, y];
    action = { kind: "draw", number, x, y };
    select(number);
  }
});
board.addEventListener("pointermove", (event) => {
  if (!action) return;
  const [x, y] = place(event);
  const box = boxes[action.number];
  if (action.kind === "draw") box.splice(1, 4, Math.min(x, action.x), Math.min(y, action.y), Math.max(x, action.x), Math.max(y, action.y));
  else if (action.kind === "resize") box.splice(3, 2, Math.max(box[1] + 0.02, x), Math.max(box[2] + 0.02, y));
  else shift(box, action.from, x - action.x, y - action.y);
  draw();
  if (action.kind !== "draw") send();
});
function shift(box, from, right, down) {
  const dx = Math.min(1 - from[3], Math.max(-from[1], right));
  const dy = Math.min(1 - from[4], Math.max(-from[2], down));
  box.splice(1, 4, from[1] + dx, from[2] + dy, from[3] + dx, from[4] + dy);
}
function end() {
  if (!action) return;
  const box = boxes[action.number];
  if (action.kind === "draw" && (box[3] - box[1] < 0.03 || box[4] - box[2] < 0.03)) {
    if (action.number === boxes.length - 1) boxes.pop();
    else boxes[action.number] = null;
  }
  draw();
  send();
  action = null;
}
board.addEventListener("pointerup", end);
board.addEventListener("pointercancel", end); // the browser has taken the touch over
board.addEventListener("keydown", (event) => {
  const group = event.target.closest("g");
  if (!group) return;
  const number = Number(group.dataset.box);
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key === "Delete" || event.key === "Backspace") remove(number);
  else if (moves[event.key]) {
    const [right, down] = moves[event.key].map((step) => step * 0.02);
    const box = boxes[number];
    if (event.shiftKey) box.splice(3, 2, clamp(Math.max(box[1] + 0.02, box[3] + right)), clamp(Math.max(box[2] + 0.02, box[4] + down)));
    else shift(box, [...box], right, down);
    chosen = number;
    draw();
    board.querySelector(`g[data-box="${number}"]`).focus();
    send();
  } else return;
  event.preventDefault();
});
function remove(number) {
  if (!boxes[number] || boxes.filter(Boolean).length < 2) return;
  boxes[number] = null;
  chosen = -1;
  draw();
  send();
}
const tools = document.createElement("div");
tools.className = "studio-tools";
const names = document.createElement("select");
names.setAttribute("aria-label", say("object"));
for (const name of props.objects) {
  const option = document.createElement("option");
  option.value = option.textContent = name;
  names.append(option);
}
names.addEventListener("change", () => {
  if (!boxes[chosen]) return;
  boxes[chosen][0] = names.value;
  draw();
  send();
});
function button(text, act) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", act);
  tools.append(made);
}
tools.append(names);
button(say("add_box"), () => {
  if (boxes.filter(Boolean).length >= props.most) return;
  const number = boxes.length < props.most ? boxes.length : boxes.indexOf(null);
  boxes[number] = [names.value, 0.3, 0.3, 0.7, 0.7];
  select(number);
  send();
});
button(say("delete"), () => remove(chosen));
const help = document.createElement("p");
help.textContent = say("board_help");
root.append(tools, board, help);
function take() {
  const given = (props.value && props.value.boxes) || [];
  if (action || JSON.stringify(given) === JSON.stringify(boxes)) return;
  boxes = given.map((box) => box && [...box]);
  draw();
}
watch("value", take);
take();
