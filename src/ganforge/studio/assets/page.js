// An HTML page of GANForge's own in a frame without scripts.  value: {html: text} or nothing.
function draw() {
  root.replaceChildren();
  if (!props.value || !props.value.html) return;
  const frame = document.createElement("iframe");
  frame.className = "studio-page";
  frame.title = say("leaderboard");
  frame.setAttribute("sandbox", "");
  frame.srcdoc = props.value.html;
  root.append(frame);
}
watch("value", draw);
draw();
