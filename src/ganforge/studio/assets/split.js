// Results over their input, with a line between that a slider moves.  value: {before, results: [{name, after}]}.
function panel(before, result) {
  const box = document.createElement("figure");
  const split = document.createElement("div");
  const under = Object.assign(document.createElement("img"), { src: before, alt: say("before") });
  const over = Object.assign(document.createElement("img"), { src: result.after, alt: `${say("after")} ${result.name}`, className: "over" });
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 100, value: 50 });
  slider.setAttribute("aria-label", `${say("before_after")} ${result.name}`);
  const cut = () => (over.style.clipPath = `inset(0 0 0 ${slider.value}%)`);
  slider.addEventListener("input", cut);
  cut();
  split.className = "studio-split";
  split.append(under, over);
  const name = document.createElement("figcaption");
  name.textContent = result.name;
  const save = Object.assign(document.createElement("a"), { href: result.after, download: `${result.name}.png` });
  save.textContent = say("save_png");
  box.append(split, slider, name, save);
  return box;
}
function draw() {
  const value = props.value;
  root.replaceChildren(...(value ? value.results.map((result) => panel(value.before, result)) : []));
}
root.classList.add("studio-panels");
watch("value", draw);
draw();
