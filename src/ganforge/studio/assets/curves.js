// Curves of losses as an svg.  value: [{name, points: [[step, value]]}].
const NS = "http://www.w3.org/2000/svg";
const COLOURS = ["#2563eb", "#ea580c", "#16a34a", "#9333ea", "#dc2626", "#0891b2"];
function node(tag, attributes) {
  const made = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
function draw() {
  const curves = (props.value || []).filter((curve) => curve.points.length > 1);
  root.replaceChildren();
  if (!curves.length) return;
  const all = curves.flatMap((curve) => curve.points);
  const last = Math.max(...all.map((point) => point[0]));
  const values = all.map((point) => point[1]).sort((a, b) => a - b);
  const low = values[Math.floor(values.length * 0.01)];
  const high = values[Math.ceil(values.length * 0.99) - 1];
  const place = ([step, value]) => {
    const share = (Math.min(high, Math.max(low, value)) - low) / (high - low || 1);
    return `${(step / last) * 300},${(95 - share * 90).toFixed(1)}`;
  };
  const svg = node("svg", { viewBox: "0 0 300 100", class: "studio-curves", role: "img" });
  svg.setAttribute("aria-label", say("losses"));
  const key = document.createElement("p");
  curves.forEach((curve, k) => {
    const colour = COLOURS[k % COLOURS.length];
    svg.append(node("polyline", { points: curve.points.map(place).join(" "), fill: "none", stroke: colour, "stroke-width": 1 }));
    const name = document.createElement("span");
    name.textContent = `${curve.name} ${curve.points.at(-1)[1].toPrecision(3)}  `;
    name.style.color = colour;
    key.append(name);
  });
  root.append(key, svg);
}
watch("value", draw);
draw();
