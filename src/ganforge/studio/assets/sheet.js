// Rows of images with a name before each, `columns` of them (8).  value: {rows: [{name, images: [data URI]}]}.
function draw() {
  const rows = (props.value && props.value.rows) || [];
  root.replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement("div");
      const name = document.createElement("p");
      name.textContent = row.name;
      line.className = "studio-row";
      if (props.columns) line.style.gridTemplateColumns = `repeat(${Number(props.columns)}, minmax(0, 1fr))`;
      const images = row.images.map((source, k) => Object.assign(document.createElement("img"), { src: source, alt: `${row.name} ${k}` }));
      line.append(name, ...images);
      return line;
    }),
  );
}
watch("value", draw);
draw();
