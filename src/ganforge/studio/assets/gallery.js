// Images beside each other.  value: {images: [data URI], names: [text] or keys: [of a word]}; "select" fires with two that are picked.
let picked = [];
const cells = document.createElement("div");
cells.className = props.large ? "studio-gallery large" : "studio-gallery";
root.append(cells);
function draw() {
  const images = (props.value && props.value.images) || [];
  const names = (props.value && (props.value.names || (props.value.keys || []).map(say))) || [];
  while (cells.children.length > images.length) cells.lastChild.remove();
  images.forEach((source, number) => {
    let cell = cells.children[number];
    if (!cell) {
      cell = document.createElement("button");
      cell.type = "button";
      cell.append(document.createElement("img"), document.createElement("span"));
      cell.addEventListener("click", () => pick(number));
      cells.append(cell);
    }
    cell.firstChild.src = source;
    cell.firstChild.alt = names[number] || `${say("image")} ${number}`;
    cell.lastChild.textContent = names[number] || "";
    cell.title = names[number] || `${say("image")} ${number}`;
    cell.setAttribute("aria-pressed", String(picked.includes(number)));
  });
  if (tools) tools.hidden = images.length === 0;
}
function pick(number) {
  if (!props.picks) return;
  picked = picked.includes(number) ? picked.filter((k) => k !== number) : [...picked.slice(-1), number];
  draw();
  if (picked.length === 2) trigger("select", { picked });
}
async function saveSheet() {
  const images = [...cells.querySelectorAll("img")];
  await Promise.all(images.map((image) => image.decode()));
  const columns = Math.ceil(Math.sqrt(images.length));
  const width = Math.max(...images.map((image) => image.naturalWidth)) + 2;
  const height = Math.max(...images.map((image) => image.naturalHeight)) + 2;
  const sheet = document.createElement("canvas");
  sheet.width = columns * width - 2;
  sheet.height = Math.ceil(images.length / columns) * height - 2;
  const brush = sheet.getContext("2d");
  images.forEach((image, k) => brush.drawImage(image, (k % columns) * width, Math.floor(k / columns) * height));
  const link = document.createElement("a");
  link.download = props.save;
  link.href = sheet.toDataURL("image/png");
  link.click();
}
let tools = null;
if (props.save) {
  tools = document.createElement("div");
  tools.className = "studio-tools";
  const save = document.createElement("button");
  save.type = "button";
  save.textContent = say("save_png");
  save.addEventListener("click", saveSheet);
  tools.append(save);
  root.append(tools);
}
watch("value", draw);
draw();
