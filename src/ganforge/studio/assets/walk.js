// A walk: a slider chooses one of the images.  value: {images: [data URI], gif: data URI, mp4: data URI where it can be made} or nothing.
const picture = document.createElement("img");
const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, value: 0 });
const links = ["gif", "mp4"].map((kind) =>
  Object.assign(document.createElement("a"), { textContent: say(`save_${kind}`), download: `walk.${kind}` }),
);
picture.className = "studio-pixels";
slider.setAttribute("aria-label", say("walk_place"));
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
  for (const link of links) {
    const kind = link.download.split(".")[1];
    link.hidden = !props.value[kind];
    link.href = props.value[kind] || "";
  }
  show();
}
slider.addEventListener("input", show);
const tools = document.createElement("div");
tools.className = "studio-tools";
tools.append(slider, ...links);
root.append(picture, tools);
root.classList.add("studio-walk");
watch("value", draw);
draw();
