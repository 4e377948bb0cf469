for (const input of document.querySelectorAll(".slider input")) {
  const move = () => input.parentElement.style.setProperty("--cut", input.value + "%");
  input.addEventListener("input", move);
  move(); // a browser may remember where it was
}
