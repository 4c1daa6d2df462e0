// Results over their input, with a line between that a slider moves.  value: {before, results: [{name, after}]};
// a result may have its own `before`, and the `key` of a word to be shown in the place of its name.
function panel(before, result, place) {
  const shown = result.key ? say(result.key) : result.name;
  const box = document.createElement("figure");
  const split = document.createElement("div");
  const under = Object.assign(document.createElement("img"), { src: before, alt: say("before") });
  const over = Object.assign(document.createElement("img"), { src: result.after, alt: `${say("after")} ${shown}`, className: "over" });
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 100, value: place });
  slider.setAttribute("aria-label", `${say("before_after")} ${shown}`);
  const cut = () => (over.style.clipPath = `inset(0 0 0 ${slider.value}%)`);
  slider.addEventListener("input", cut);
  cut();
  split.className = "studio-split";
  split.append(under, over);
  const name = document.createElement("figcaption");
  name.textContent = shown;
  const save = Object.assign(document.createElement("a"), { href: result.after, download: `${result.name}.png` });
  save.textContent = say("save_png");
  box.append(split, slider, name, save);
  return box;
}
function draw() {
  const { before, results } = props.value || { results: [] };
  const places = [...root.querySelectorAll("input")].map((slider) => slider.value);
  const place = (k) => (places.length === results.length ? places[k] : 50);
  root.replaceChildren(...results.map((result, k) => panel(result.before || before, result, place(k))));
}
root.classList.add("studio-panels");
watch("value", draw);
draw();
