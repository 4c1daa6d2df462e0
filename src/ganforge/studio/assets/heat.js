// Scores of images and where they are strange.  value: {images: [{name, picture, score, heat, sides, most}]}.
const threshold = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 100, value: 50 });
threshold.setAttribute("aria-label", say("threshold"));
const label = document.createElement("label");
const panels = document.createElement("div");
const tools = document.createElement("div");
tools.className = "studio-tools";
panels.className = "studio-panels";
label.append(say("threshold"), threshold);
tools.append(label);
root.append(tools, panels);
let painters = [];
function panel(image, most) {
  const figure = document.createElement("figure");
  const frame = document.createElement("div");
  frame.className = "studio-split";
  frame.append(Object.assign(document.createElement("img"), { src: image.picture, alt: image.name }));
  const caption = document.createElement("figcaption");
  const share = document.createElement("span");
  caption.append(`${image.name}: ${image.score.toPrecision(4)} `, share);
  figure.append(frame, caption);
  if (!image.heat) return figure;
  const bytes = Uint8Array.from(atob(image.heat), (letter) => letter.charCodeAt(0));
  const [height, width] = image.sides;
  const cover = Object.assign(document.createElement("canvas"), { width, height, className: "over" });
  frame.append(cover);
  painters.push(() => {
    const pen = cover.getContext("2d");
    const pixels = pen.createImageData(width, height);
    const limit = (threshold.value / 100) * most;
    let above = 0;
    for (let k = 0; k < bytes.length; k++) {
      const value = (bytes[k] / 255) * image.most;
      if (value < limit || value === 0) continue;
      above += 1;
      pixels.data.set([255, Math.round(220 * (1 - value / most)), 0, 90 + Math.round(120 * (value / most))], 4 * k);
    }
    pen.putImageData(pixels, 0, 0);
    share.textContent = `· ${say("above")} ${((100 * above) / bytes.length).toFixed(1)} %`;
    figure.dataset.above = above;
  });
  return figure;
}
function paint() {
  for (const painter of painters) painter();
}
function draw() {
  const images = (props.value && props.value.images) || [];
  const most = Math.max(...images.map((image) => image.most || 0));
  painters = [];
  panels.replaceChildren(...images.map((image) => panel(image, most)));
  tools.hidden = painters.length === 0;
  paint();
}
threshold.addEventListener("input", paint);
watch("value", draw);
draw();
