// A walk: a slider chooses one of the images.  value: {images: [data URI], gif: data URI} or nothing.
const picture = document.createElement("img");
const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, value: 0 });
const save = document.createElement("a");
picture.className = "studio-pixels";
slider.setAttribute("aria-label", say("walk_place"));
save.textContent = say("save_gif");
save.download = "walk.gif";
function show() {
  const images = props.value.images;
  picture.src = images[Math.min(Number(slider.value), images.length - 1)];
  picture.alt = `${say("walk_place")} ${slider.value}`;
}
function draw() {
  const there = Boolean(props.value && props.value.images);
  root.hidden = !there;
  if (!there) return;
  slider.max = props.value.images.length - 1;
  slider.value = 0;
  save.href = props.value.gif;
  show();
}
slider.addEventListener("input", show);
const tools = document.createElement("div");
tools.className = "studio-tools";
tools.append(slider, save);
root.append(picture, tools);
root.classList.add("studio-walk");
watch("value", draw);
draw();
