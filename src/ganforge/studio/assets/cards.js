// Cards of runs.  value: [{key, model, data, step, steps, scores, picture, problem, active}]; "select" fires with a key.
let chosen = "";
function line(parent, tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
}
function card(run) {
  const box = document.createElement("article");
  box.className = "studio-card";
  box.dataset.key = run.key;
  if (run.picture) {
    const picture = document.createElement("img");
    picture.src = run.picture;
    picture.alt = "";
    box.append(picture);
  }
  line(box, "h3", run.key);
  if (run.problem) line(box, "p", run.problem);
  else {
    line(box, "p", `${run.model} · ${run.data}`);
    line(box, "p", `${say("step")} ${run.step} / ${run.steps}${run.active ? " · " + say("active") : ""}`);
    const scores = Object.entries(run.scores).slice(0, 3).map(([name, value]) => `${name} ${Number(value.toPrecision(3))}`);
    if (scores.length) line(box, "p", scores.join(" · "));
    const look = line(box, "button", say("watch"));
    look.type = "button";
    look.addEventListener("click", () => {
      chosen = run.key;
      trigger("select", { key: run.key });
    });
  }
  return box;
}
let last = "";
function draw() {
  const text = JSON.stringify(props.value || []);
  if (text === last) return;
  last = text;
  root.replaceChildren(...(props.value || []).map(card));
  if (!(props.value || []).length) line(root, "p", say("no_runs"));
}
root.className += " studio-cards";
watch("value", draw);
draw();
