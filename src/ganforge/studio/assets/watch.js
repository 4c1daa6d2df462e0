// A run that is watched: its newest picture, how far it is, the training doctor's advice.  value: a card with advice.
function draw() {
  const run = props.value;
  root.replaceChildren();
  if (!run) return;
  const title = document.createElement("h3");
  title.textContent = `${run.key} — ${say("step")} ${run.step} / ${run.steps}${run.active ? " · " + say("active") : ""}`;
  const bar = Object.assign(document.createElement("progress"), { max: Math.max(1, run.steps), value: run.step });
  root.append(title, bar);
  if (run.picture) root.append(Object.assign(document.createElement("img"), { src: run.picture, alt: "", className: "studio-watched" }));
  for (const text of [...run.advice, ...(run.problem ? [run.problem] : [])]) {
    const advice = document.createElement("p");
    advice.textContent = text;
    root.append(advice);
  }
}
watch("value", draw);
draw();
